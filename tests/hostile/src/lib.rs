//! Every hostile idea is a file in `evil/` and a line in the list below; the tests in
//! `tests/tests/hostile.rs` say for each how it is contained.
//!
//! The guests speak the contract themselves, below the SDK's adapters, since the SDK would not let
//! them lie. Those of `evil/` are `map` functions whose binding says: one column `out` of not nullable strings for each
//! row. Those of `plans.rs` are `plan` functions.

#![cfg(target_arch = "wasm32")]

mod evil;
mod plans;

use tenon_sdk::bindings::base::exports::tenon::plugin::meta;
use tenon_sdk::bindings::base::tenon::plugin::types::{Accepts, Batch, Determinism, Error, Field};
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{
    Binding, Guest, GuestMapper, Keep, Mapped, Mapper,
};

/// One idea: where it strikes.
pub(crate) struct Evil {
    pub(crate) name: &'static str,
    pub(crate) bind: fn() -> Binding,
    pub(crate) open: fn(),
    pub(crate) apply: fn(Batch) -> Mapped,
}

struct Hostile;

impl meta::Guest for Hostile {
    fn describe() -> Vec<meta::Function> {
        let function = |evil: &Evil| meta::Function {
            name: evil.name.to_owned(),
            kind: meta::Kind::Map,
            docs: String::new(),
        };
        let plan = |(name, _): &(&str, &str)| meta::Function {
            name: (*name).to_owned(),
            kind: meta::Kind::Plan,
            docs: String::new(),
        };
        evil::ALL
            .iter()
            .map(function)
            .chain(plans::ALL.iter().map(plan))
            .collect()
    }
}

fn find(name: &str) -> Result<&'static Evil, Error> {
    evil::ALL
        .iter()
        .find(|evil| evil.name == name)
        .ok_or_else(|| Error::Unsupported(format!("there is no evil {name:?}")))
}

impl Guest for Hostile {
    type Mapper = Session;

    fn bind(function: String, _config: String, _input: Vec<Field>) -> Result<Binding, Error> {
        tenon_sdk::install_panic_hook();
        Ok((find(&function)?.bind)())
    }
}

struct Session(&'static Evil);

impl GuestMapper for Session {
    fn open(function: String, _config: String, _input: Vec<Field>) -> Result<Mapper, Error> {
        tenon_sdk::install_panic_hook();
        let evil = find(&function)?;
        (evil.open)();
        Ok(Mapper::new(Self(evil)))
    }

    fn apply(&self, batch: Batch) -> Result<Mapped, Error> {
        Ok((self.0.apply)(batch))
    }
}

/// The honest binding.
pub(crate) fn binding() -> Binding {
    Binding {
        needs: vec![0],
        accepts: Accepts {
            views: false,
            dictionaries: false,
            runs: false,
            list_views: false,
            constants: false,
        },
        output: vec![field("out", "u")],
        keep: Keep::All,
        determinism: Determinism::Deterministic,
    }
}

pub(crate) fn field(name: &str, format: &str) -> Field {
    Field {
        name: name.to_owned(),
        format: format.to_owned(),
        nullable: false,
        children: 0,
        metadata: Vec::new(),
    }
}

tenon_sdk::bindings::base::export_meta!(Hostile with_types_in tenon_sdk::bindings::base);
tenon_sdk::bindings::map::export_map!(Hostile with_types_in tenon_sdk::bindings::map);
