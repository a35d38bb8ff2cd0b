//! `export!`: which types make up the component.

/// Makes a component of functions.
///
/// Each list names types that implement [`Map`](crate::Map), [`Stream`](crate::Stream),
/// [`Aggregate`](crate::Aggregate), [`TableFunction`](crate::TableFunction), [`Plan`](crate::Plan) or [`Source`](crate::Source), in this order;
/// a component exports only the interfaces that have a list. Once per crate.
///
/// ```ignore
/// tenon_sdk::export! {
///     map: [Encode, Compare],
///     stream: [Profile],
///     aggregate: [Median],
///     table_function: [Calendar],
///     plan: [FindMatches],
/// }
/// ```
#[macro_export]
macro_rules! export {
    (
        $(map: [$($map:ty),+ $(,)?] $(,)?)?
        $(stream: [$($stream:ty),+ $(,)?] $(,)?)?
        $(aggregate: [$($aggregate:ty),+ $(,)?] $(,)?)?
        $(table_function: [$($table_function:ty),+ $(,)?] $(,)?)?
        $(plan: [$($plan:ty),+ $(,)?] $(,)?)?
        $(source: [$($source:ty),+ $(,)?] $(,)?)?
    ) => {
        // Outside of a component nothing calls them; their unit tests, and this line, name them.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($($crate::is_map::<$map>();)+)?
            $($($crate::is_stream::<$stream>();)+)?
            $($($crate::is_aggregate::<$aggregate>();)+)?
            $($($crate::is_table_function::<$table_function>();)+)?
            $($($crate::is_plan::<$plan>();)+)?
            $($($crate::is_source::<$source>();)+)?
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct TenonComponent;

            impl $crate::bindings::base::exports::tenon::plugin::meta::Guest for TenonComponent {
                fn describe() -> ::std::vec::Vec<$crate::bindings::base::exports::tenon::plugin::meta::Function> {
                    $crate::install_panic_hook();
                    ::std::vec![
                        $($($crate::describe(<$map as $crate::Map>::NAME, $crate::Kind::Map, <$map as $crate::Map>::DOCS),)+)?
                        $($($crate::describe(<$stream as $crate::Stream>::NAME, $crate::Kind::Stream, <$stream as $crate::Stream>::DOCS),)+)?
                        $($($crate::describe(<$aggregate as $crate::Aggregate>::NAME, $crate::Kind::Aggregate, <$aggregate as $crate::Aggregate>::DOCS),)+)?
                        $($($crate::describe(<$table_function as $crate::TableFunction>::NAME, $crate::Kind::TableFunction, <$table_function as $crate::TableFunction>::DOCS),)+)?
                        $($($crate::describe(<$plan as $crate::Plan>::NAME, $crate::Kind::Plan, <$plan as $crate::Plan>::DOCS),)+)?
                        $($($crate::describe(<$source as $crate::Source>::NAME, $crate::Kind::Source, <$source as $crate::Source>::DOCS),)+)?
                    ]
                }
            }
            $crate::bindings::base::export_meta!(TenonComponent with_types_in $crate::bindings::base);
            $($crate::__export_map!(TenonComponent, $($map),+);)?
            $($crate::__export_stream!(TenonComponent, $($stream),+);)?
            $($crate::__export_aggregate!(TenonComponent, $($aggregate),+);)?
            $($crate::__export_table_function!(TenonComponent, $($table_function),+);)?
            $($crate::__export_plan!(TenonComponent, $($plan),+);)?
            $($crate::__export_source!(TenonComponent, $($source),+);)?
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_map {
    ($component:ident, $($map:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __map_types;
        use $crate::bindings::map::exports::tenon::plugin::map as __map_world;

        struct TenonMapper($crate::Mapper);

        impl __map_world::Guest for $component {
            type Mapper = TenonMapper;

            fn bind(function: String, config: String, input: Vec<__map_types::Field>) -> Result<__map_world::Binding, __map_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$map as $crate::Map>::NAME => $crate::map::bind::<$map>(&config, &input),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        impl __map_world::GuestMapper for TenonMapper {
            fn open(function: String, config: String, input: Vec<__map_types::Field>) -> Result<__map_world::Mapper, __map_types::Error> {
                $crate::install_panic_hook();
                let mapper = match function.as_str() {
                    $(<$map as $crate::Map>::NAME => $crate::map::open::<$map>(&config, &input),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__map_world::Mapper::new(TenonMapper(mapper)))
            }

            fn apply(&self, batch: __map_types::Batch) -> Result<__map_world::Mapped, __map_types::Error> {
                self.0.apply(batch)
            }
        }

        $crate::bindings::map::export_map!($component with_types_in $crate::bindings::map);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_stream {
    ($component:ident, $($stream:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __stream_types;
        use $crate::bindings::stream::exports::tenon::plugin::stream as __stream_world;

        struct TenonSession($crate::Session);

        impl __stream_world::Guest for $component {
            type Session = TenonSession;

            fn bind(function: String, config: String, inputs: Vec<Vec<__stream_types::Field>>) -> Result<__stream_world::Binding, __stream_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$stream as $crate::Stream>::NAME => $crate::stream::bind::<$stream>(&config, &inputs),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        impl __stream_world::GuestSession for TenonSession {
            fn open(function: String, config: String, inputs: Vec<Vec<__stream_types::Field>>) -> Result<__stream_world::Session, __stream_types::Error> {
                $crate::install_panic_hook();
                let session = match function.as_str() {
                    $(<$stream as $crate::Stream>::NAME => $crate::stream::open::<$stream>(&config, &inputs),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__stream_world::Session::new(TenonSession(session)))
            }

            fn restore(function: String, config: String, inputs: Vec<Vec<__stream_types::Field>>, snapshot: Vec<u8>) -> Result<__stream_world::Session, __stream_types::Error> {
                $crate::install_panic_hook();
                let session = match function.as_str() {
                    $(<$stream as $crate::Stream>::NAME => $crate::stream::restore::<$stream>(&config, &inputs, &snapshot),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__stream_world::Session::new(TenonSession(session)))
            }

            fn snapshot(&self) -> Result<Vec<u8>, __stream_types::Error> {
                self.0.snapshot()
            }

            fn push(&self, input: u32, batch: __stream_types::Batch) -> Result<__stream_world::Step, __stream_types::Error> {
                self.0.push(input, batch)
            }

            fn pull(&self) -> Result<__stream_world::Step, __stream_types::Error> {
                self.0.pull()
            }

            fn finish(&self, input: u32) -> Result<__stream_world::Step, __stream_types::Error> {
                self.0.finish(input)
            }
        }

        $crate::bindings::stream::export_stream!($component with_types_in $crate::bindings::stream);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_aggregate {
    ($component:ident, $($aggregate:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __aggregate_types;
        use $crate::bindings::aggregate::exports::tenon::plugin::aggregate as __aggregate_world;

        struct TenonAccumulator($crate::Accumulator);

        impl __aggregate_world::Guest for $component {
            type Accumulator = TenonAccumulator;

            fn bind(function: String, config: String, input: Vec<__aggregate_types::Field>) -> Result<__aggregate_world::Binding, __aggregate_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$aggregate as $crate::Aggregate>::NAME => $crate::aggregate::bind::<$aggregate>(&config, &input),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        impl __aggregate_world::GuestAccumulator for TenonAccumulator {
            fn open(function: String, config: String, input: Vec<__aggregate_types::Field>) -> Result<__aggregate_world::Accumulator, __aggregate_types::Error> {
                $crate::install_panic_hook();
                let accumulator = match function.as_str() {
                    $(<$aggregate as $crate::Aggregate>::NAME => $crate::aggregate::open::<$aggregate>(&config, &input),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__aggregate_world::Accumulator::new(TenonAccumulator(accumulator)))
            }

            fn update(&self, batch: __aggregate_types::Batch, groups: Vec<u32>, groups_in_all: u32) -> Result<(), __aggregate_types::Error> {
                self.0.update(batch, &groups, groups_in_all)
            }

            fn merge(&self, states: __aggregate_types::Batch, groups: Vec<u32>, groups_in_all: u32) -> Result<(), __aggregate_types::Error> {
                self.0.merge(states, &groups, groups_in_all)
            }

            fn state(&self, emit: __aggregate_world::Emit) -> Result<__aggregate_types::Batch, __aggregate_types::Error> {
                self.0.state(emit)
            }

            fn evaluate(&self, emit: __aggregate_world::Emit) -> Result<__aggregate_types::Batch, __aggregate_types::Error> {
                self.0.evaluate(emit)
            }
        }

        $crate::bindings::aggregate::export_aggregate!($component with_types_in $crate::bindings::aggregate);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_table_function {
    ($component:ident, $($function:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __table_types;
        use $crate::bindings::table_function::exports::tenon::plugin::table_function as __table_world;

        struct TenonExpander($crate::Expander);

        impl __table_world::Guest for $component {
            type Expander = TenonExpander;

            fn bind(function: String, config: String, arguments: Vec<__table_types::Field>) -> Result<__table_world::Binding, __table_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$function as $crate::TableFunction>::NAME => $crate::table_function::bind::<$function>(&config, &arguments),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        impl __table_world::GuestExpander for TenonExpander {
            fn open(function: String, config: String, arguments: Vec<__table_types::Field>) -> Result<__table_world::Expander, __table_types::Error> {
                $crate::install_panic_hook();
                let expander = match function.as_str() {
                    $(<$function as $crate::TableFunction>::NAME => $crate::table_function::open::<$function>(&config, &arguments),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__table_world::Expander::new(TenonExpander(expander)))
            }

            fn expand(&self, arguments: __table_types::Batch) -> Result<__table_world::Step, __table_types::Error> {
                self.0.expand(arguments)
            }

            fn pull(&self) -> Result<__table_world::Step, __table_types::Error> {
                self.0.pull()
            }
        }

        $crate::bindings::table_function::export_table_function!($component with_types_in $crate::bindings::table_function);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_plan {
    ($component:ident, $($plan:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __plan_types;
        use $crate::bindings::plan::exports::tenon::plugin::plan as __plan_world;

        impl __plan_world::Guest for $component {
            fn expand(function: String, config: String, inputs: Vec<__plan_world::Input>) -> Result<__plan_world::Expansion, __plan_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$plan as $crate::Plan>::NAME => $crate::plan::expand::<$plan>(&config, inputs),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        $crate::bindings::plan::export_plan!($component with_types_in $crate::bindings::plan);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_source {
    ($component:ident, $($source:ty),+) => {
        use $crate::bindings::base::tenon::plugin::types as __source_types;
        use $crate::bindings::source::exports::tenon::plugin::source as __source_world;

        struct TenonReader($crate::Reader);

        impl __source_world::Guest for $component {
            type Reader = TenonReader;

            fn bind(function: String, config: String) -> Result<__source_world::Binding, __source_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$source as $crate::Source>::NAME => $crate::source::bind::<$source>(&config),)+
                    other => $crate::map::unknown(other),
                }
            }

            fn splits(function: String, config: String, columns: Vec<u32>, limit: Option<u64>) -> Result<Vec<__source_world::Split>, __source_types::Error> {
                $crate::install_panic_hook();
                match function.as_str() {
                    $(<$source as $crate::Source>::NAME => $crate::source::splits::<$source>(&config, &columns, limit),)+
                    other => $crate::map::unknown(other),
                }
            }
        }

        impl __source_world::GuestReader for TenonReader {
            fn open(function: String, config: String, columns: Vec<u32>, payload: Vec<u8>) -> Result<__source_world::Reader, __source_types::Error> {
                $crate::install_panic_hook();
                let reader = match function.as_str() {
                    $(<$source as $crate::Source>::NAME => $crate::source::open::<$source>(&config, &columns, &payload),)+
                    other => $crate::map::unknown(other),
                }?;
                Ok(__source_world::Reader::new(TenonReader(reader)))
            }

            fn next(&self) -> Result<Option<__source_types::Batch>, __source_types::Error> {
                self.0.next()
            }
        }

        $crate::bindings::source::export_source!($component with_types_in $crate::bindings::source);
    };
}
