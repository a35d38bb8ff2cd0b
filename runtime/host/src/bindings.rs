//! Rust types of the contract in `wit/`, made by wasmtime's `bindgen!`.
//!
//! What the host passes is borrowed (`BatchParam<'_>` holds `&[&[u8]]`), so that lowering a
//! batch is one copy from the Arrow buffers into guest memory; what it gets back is owned.

#![allow(
    missing_docs,
    reason = "what is made from `wit/` is documented there; the types of `http` leave this room"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "tenon:plugin/http.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
