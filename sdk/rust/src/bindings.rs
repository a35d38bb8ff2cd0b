//! Guest bindings, made by `wit_bindgen::generate!`: one world for each interface, so that a component
//! exports exactly the interfaces that it has functions for. They share `base`'s types.

pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world base {
                import tenon:plugin/types@0.2.0;
                import tenon:plugin/host@0.2.0;
                export tenon:plugin/meta@0.2.0;
            }
        ",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_meta",
    });
}

pub mod map {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world %map {
                export tenon:plugin/%map@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_map",
    });
}

pub mod stream {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world %stream {
                export tenon:plugin/%stream@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_stream",
    });
}

pub mod plan {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world plan {
                export tenon:plugin/plan@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_plan",
    });
}

pub mod aggregate {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world aggregate {
                export tenon:plugin/aggregate@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_aggregate",
    });
}

pub mod source {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world source {
                export tenon:plugin/source@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_source",
    });
}

#[cfg(target_arch = "wasm32")]
pub mod http {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world http {
                import tenon:plugin/http@0.2.0;
            }
        ",
        generate_all,
    });
}

pub mod table_function {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: r"
            package tenon:sdk;
            world table-function {
                export tenon:plugin/table-function@0.2.0;
            }
        ",
        with: { "tenon:plugin/types@0.2.0": crate::bindings::base::tenon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_table_function",
    });
}
