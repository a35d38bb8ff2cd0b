//! The attribute of `tenon-sdk`: `#[tenon_sdk::plugin]` turns one plain function into a plugin.
//!
//! The function is left as it is. Beside it comes a hidden type that implements `tenon_sdk::Map` by
//! calling it, and one `tenon_sdk::export!`.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::{
    Error, FnArg, ItemFn, Pat, Result, ReturnType, Type, parse_macro_input, spanned::Spanned,
};

/// Makes a function the one function of this plugin.
///
/// | signature | meaning |
/// |---|---|
/// | `fn f(a: &StringArray, b: &Float64Array) -> Float64Array` | columns to a column; each parameter names a column |
/// | `fn f(batch: RecordBatch) -> Result<RecordBatch>` | batch to batch; what it returns is the whole row |
///
/// Either may take a last parameter `config: &Config`, and either may return a `Result`. The function's
/// doc comment is what `tenon plugin ls` shows.
#[proc_macro_attribute]
pub fn plugin(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let generated = expand(&function).unwrap_or_else(|e| e.to_compile_error());
    quote!(#function #generated).into()
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
                "a plugin takes a RecordBatch, or columns such as &StringArray",
            ));
        }
        columns => column_function(function, columns, config.as_ref())?,
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
            ::tenon_sdk::columns::bind::<#output>(config, input, #plugin_name, &[
                #((#names, <#types as ::tenon_sdk::Column>::accepts as fn(&::tenon_sdk::arrow_schema::DataType) -> bool, #wanted)),*
            ])
        },
        apply: quote! {
            let output = ::tenon_sdk::columns::output_of::<#output>(&self.config, #plugin_name)?;
            let column = super::#name(#(::tenon_sdk::columns::argument::<#types>(&batch, #positions)?,)* #config);
            ::tenon_sdk::columns::result::<#output>(column, &output)
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
