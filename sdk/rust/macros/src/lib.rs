//! The attribute of `tenon-sdk`: `#[tenon_sdk::plugin]` turns one plain function, or one `impl` of a world's trait,
//! into a plugin.
//!
//! The item is left as it is. Beside a function comes a hidden type that implements `tenon_sdk::Map` by
//! calling it; beside either, one `tenon_sdk::export!`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{
    Error, FnArg, Item, ItemFn, ItemImpl, Pat, Result, ReturnType, Type, parse_macro_input,
    spanned::Spanned,
};

/// Makes a function, or an `impl` of a world's trait, the one function of this plugin.
///
/// | item | meaning |
/// |---|---|
/// | `fn f(a: i64, b: &str) -> String` | values to a value, row by row; a missing value makes the result missing |
/// | `fn f(a: Option<i64>) -> Option<i64>` | the same, the function deciding what missing values mean |
/// | `fn f(a: &StringArray, b: &Float64Array) -> Float64Array` | columns to a column |
/// | `fn f(batch: RecordBatch) -> Result<RecordBatch>` | batch to batch; what it returns is the whole row |
/// | `impl Map for F`, `impl Stream for F`, `impl Aggregate for F`, `impl TableFunction for F`, `impl Plan for F`, `impl Source for F` | that |
///
/// Each parameter of a function names a column. Any function may take a last parameter `config: &Config` and may return a
/// `Result`. Its doc comment is what `tenon plugin ls` shows.
#[proc_macro_attribute]
pub fn plugin(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    let generated = match &item {
        Item::Fn(function) => expand(function),
        Item::Impl(block) => expand_impl(block),
        other => Err(Error::new(
            other.span(),
            "a plugin is a function, or the impl of Map, Stream, Aggregate, TableFunction, Plan or Source",
        )),
    };
    let generated = generated.unwrap_or_else(|e| e.to_compile_error());
    quote!(#item #generated).into()
}

fn expand_impl(block: &ItemImpl) -> Result<Tokens> {
    let implemented = block
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last());
    let list = match implemented
        .map(|segment| segment.ident.to_string())
        .as_deref()
    {
        Some("Map") => quote!(map),
        Some("Stream") => quote!(stream),
        Some("Aggregate") => quote!(aggregate),
        Some("TableFunction") => quote!(table_function),
        Some("Plan") => quote!(plan),
        Some("Source") => quote!(source),
        _ => {
            return Err(Error::new(
                block.span(),
                "a plugin implements Map, Stream, Aggregate, TableFunction, Plan or Source of tenon_sdk",
            ));
        }
    };
    let function = &block.self_ty;
    Ok(quote!(::tenon_sdk::export! { #list: [#function] }))
}

fn expand(function: &ItemFn) -> Result<Tokens> {
    let parameters = parameters(function)?;
    let (columns, takes_config) = match parameters.split_last() {
        Some((last, rest)) if is_named(&last.ty, "Config") => (rest, true),
        _ => (parameters.as_slice(), false),
    };
    let config = takes_config.then(|| quote!(&self.config));
    let body = match columns {
        [only] if is_named(&only.ty, "RecordBatch") => {
            batch_function(function, only, config.as_ref())
        }
        [] => {
            return Err(Error::new(
                function.sig.span(),
                "a plugin takes a RecordBatch, columns such as &StringArray, or values such as i64 and &str",
            ));
        }
        columns if columns.iter().any(|c| is_array(&c.ty)) => {
            column_function(function, columns, config.as_ref())?
        }
        values => row_function(function, values, config.as_ref())?,
    };
    Ok(assemble(function, &body))
}

struct Parameter {
    name: String,
    ty: Type,
}

fn parameters(function: &ItemFn) -> Result<Vec<Parameter>> {
    let typed = function.sig.inputs.iter().map(|input| match input {
        FnArg::Typed(typed) => Ok(typed),
        FnArg::Receiver(receiver) => {
            Err(Error::new(receiver.span(), "a plugin is a free function"))
        }
    });
    typed
        .map(|typed| {
            let typed = typed?;
            match typed.pat.as_ref() {
                Pat::Ident(ident) => Ok(Parameter {
                    name: ident.ident.to_string(),
                    ty: Type::clone(&typed.ty),
                }),
                other => Err(Error::new(
                    other.span(),
                    "a parameter is a plain name: it names the column",
                )),
            }
        })
        .collect()
}

/// Whether a type, behind references, ends in this name.
fn is_named(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Reference(reference) => is_named(&reference.elem, name),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == name),
        _ => false,
    }
}

/// Whether a parameter is a whole column: `&StringArray`.
fn is_array(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_array(&reference.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident.to_string().ends_with("Array")),
        _ => false,
    }
}

/// The methods of the generated type.
struct Body {
    bind: Tokens,
    apply: Tokens,
}

fn batch_function(function: &ItemFn, parameter: &Parameter, config: Option<&Tokens>) -> Body {
    let name = &function.sig.ident;
    let reference = matches!(parameter.ty, Type::Reference(_)).then(|| quote!(&));
    let fallible = returns_result(function);
    let call = |config: Option<Tokens>| {
        let call = quote!(super::#name(#reference batch, #config));
        if fallible {
            quote!(#call.map_err(::tenon_sdk::Error::from))
        } else {
            quote!(::tenon_sdk::Result::Ok(#call))
        }
    };
    let bind_call = call(config.map(|_| quote!(config)));
    let apply_call = call(config.cloned());
    Body {
        bind: quote!(::tenon_sdk::columns::bind_batch(input, |batch| #bind_call)),
        apply: quote! {
            let rows = batch.num_rows();
            ::tenon_sdk::columns::batch_result(#apply_call?, rows)
        },
    }
}

fn column_function(
    function: &ItemFn,
    columns: &[Parameter],
    config: Option<&Tokens>,
) -> Result<Body> {
    let name = &function.sig.ident;
    let plugin_name = plugin_name(function);
    let ReturnType::Type(_, output) = &function.sig.output else {
        return Err(Error::new(
            function.sig.span(),
            "a plugin returns a column, such as StringArray",
        ));
    };
    let types = columns.iter().map(|c| match &c.ty {
        Type::Reference(reference) => Ok(&reference.elem),
        other => Err(Error::new(
            other.span(),
            "a column is taken by reference: &StringArray",
        )),
    });
    let types = types.collect::<Result<Vec<_>>>()?;
    let names = columns.iter().map(|c| &c.name);
    let wanted = types
        .iter()
        .map(|ty| quote!(#ty).to_string().replace(' ', ""));
    let positions = 0..columns.len();
    Ok(Body {
        bind: quote! {
            ::tenon_sdk::columns::bind(config, input, #plugin_name, ::tenon_sdk::columns::output_type::<#output>(), &[
                #((#names, <#types as ::tenon_sdk::Column>::accepts as fn(&::tenon_sdk::arrow_schema::DataType) -> bool, #wanted)),*
            ])
        },
        apply: quote! {
            let output = ::tenon_sdk::columns::output_of(&self.config, #plugin_name, ::tenon_sdk::columns::output_type::<#output>())?;
            let column = super::#name(#(::tenon_sdk::columns::argument::<#types>(&batch, #positions)?,)* #config);
            ::tenon_sdk::columns::result::<#output>(column, &output)
        },
    })
}

fn row_function(function: &ItemFn, values: &[Parameter], config: Option<&Tokens>) -> Result<Body> {
    let name = &function.sig.ident;
    let plugin_name = plugin_name(function);
    let ReturnType::Type(_, output) = &function.sig.output else {
        return Err(Error::new(
            function.sig.span(),
            "a plugin returns a value, such as i64 or String",
        ));
    };
    let types: Vec<&Type> = values.iter().map(|v| &v.ty).collect();
    let names = values.iter().map(|v| &v.name);
    let wanted = types
        .iter()
        .map(|ty| quote!(#ty).to_string().replace(' ', ""));
    let positions = 0..values.len();
    let columns: Vec<_> = (0..values.len())
        .map(|i| format_ident!("column_{i}"))
        .collect();
    Ok(Body {
        bind: quote! {
            ::tenon_sdk::columns::bind(config, input, #plugin_name, ::tenon_sdk::rows::output_type::<#output>(), &[
                #((#names, <#types as ::tenon_sdk::rows::Value>::accepts as fn(&::tenon_sdk::arrow_schema::DataType) -> bool, #wanted)),*
            ])
        },
        apply: quote! {
            let output = ::tenon_sdk::columns::output_of(&self.config, #plugin_name, ::tenon_sdk::rows::output_type::<#output>())?;
            #(let #columns = ::tenon_sdk::rows::argument::<#types>(&batch, #positions)?;)*
            let missing = ::tenon_sdk::rows::missing(&[
                #((#columns as &dyn ::tenon_sdk::arrow_array::Array, <#types as ::tenon_sdk::rows::Value>::PROPAGATES)),*
            ]);
            let column = ::tenon_sdk::rows::map(batch.num_rows(), missing, |row| {
                super::#name(#(<#types as ::tenon_sdk::rows::Value>::get(#columns, row),)* #config)
            })?;
            ::tenon_sdk::rows::one_column(column, &output)
        },
    })
}

fn returns_result(function: &ItemFn) -> bool {
    matches!(&function.sig.output, ReturnType::Type(_, ty) if is_named(ty, "Result"))
}

fn plugin_name(function: &ItemFn) -> String {
    function.sig.ident.to_string().replace('_', "-")
}

fn assemble(function: &ItemFn, body: &Body) -> Tokens {
    let (bind, apply) = (&body.bind, &body.apply);
    let module = format_ident!("__tenon_{}", function.sig.ident);
    let name = plugin_name(function);
    let docs = docs(function);
    quote! {
        #[doc(hidden)]
        mod #module {
            #[allow(unused_imports, reason = "the function's types are named as its author named them")]
            use super::*;

            pub(super) struct Function {
                #[allow(dead_code, reason = "not every function takes settings")]
                config: ::tenon_sdk::Config,
            }

            impl ::tenon_sdk::Map for Function {
                const NAME: &'static str = #name;
                const DOCS: &'static str = #docs;

                fn bind(config: &::tenon_sdk::Config, input: &::tenon_sdk::arrow_schema::Schema) -> ::tenon_sdk::Result<::tenon_sdk::MapBinding> {
                    #bind
                }

                fn open(config: &::tenon_sdk::Config, _input: &::tenon_sdk::arrow_schema::SchemaRef) -> ::tenon_sdk::Result<Self> {
                    ::tenon_sdk::Result::Ok(Self { config: ::std::clone::Clone::clone(config) })
                }

                fn apply(&mut self, batch: ::tenon_sdk::arrow_array::RecordBatch) -> ::tenon_sdk::Result<::tenon_sdk::Mapped> {
                    #apply
                }
            }
        }

        ::tenon_sdk::export! { map: [#module::Function] }
    }
}

/// The doc comment as one paragraph.
fn docs(function: &ItemFn) -> String {
    let lines = function
        .attrs
        .iter()
        .filter(|a| a.path().is_ident("doc"))
        .filter_map(|a| match &a.meta {
            syn::Meta::NameValue(syn::MetaNameValue {
                value:
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(text),
                        ..
                    }),
                ..
            }) => Some(text.value()),
            _ => None,
        });
    lines
        .map(|line| line.trim().to_owned())
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
