//! `export!`: which types make up the component.

/// Makes a component of functions.
///
/// Each list names types that implement [`Map`](crate::Map), [`Stream`](crate::Stream) or
/// [`Plan`](crate::Plan); a component exports only the interfaces that have a list. Once per crate.
///
/// ```ignore
/// tenon_sdk::export! {
///     map: [Encode, Compare],
///     stream: [Profile],
///     plan: [FindMatches],
/// }
/// ```
#[macro_export]
macro_rules! export {
    (
        $(map: [$($map:ty),+ $(,)?] $(,)?)?
        $(stream: [$($stream:ty),+ $(,)?] $(,)?)?
        $(plan: [$($plan:ty),+ $(,)?] $(,)?)?
    ) => {
        // Outside of a component nothing calls them; their unit tests, and this line, name them.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            $($($crate::is_map::<$map>();)+)?
            $($($crate::is_stream::<$stream>();)+)?
            $($($crate::is_plan::<$plan>();)+)?
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
                        $($($crate::describe(<$plan as $crate::Plan>::NAME, $crate::Kind::Plan, <$plan as $crate::Plan>::DOCS),)+)?
                    ]
                }
            }
            $crate::bindings::base::export_meta!(TenonComponent with_types_in $crate::bindings::base);
            $($crate::__export_map!(TenonComponent, $($map),+);)?
            $($crate::__export_stream!(TenonComponent, $($stream),+);)?
            $($crate::__export_plan!(TenonComponent, $($plan),+);)?
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
