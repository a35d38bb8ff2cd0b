//! Every hostile idea is a file in `evil/` and a line in the list below; the tests in
//! `tests/tests/hostile.rs` say for each how it is contained.
//!
//! The guests speak the contract themselves, below the SDK's adapters, since the SDK would not let
//! them lie. Those of `evil/` are `map` functions whose binding says: one column `out` of not nullable strings for each
//! row. Those of `plans.rs` are `plan` functions. A component describes 64 functions at most, so that the others are
//! named by the configuration: `{"evil": "spins-in-push"}`, in the functions `lies`, `streams`, `aggregates` and
//! `tables`.

#![cfg(target_arch = "wasm32")]

mod aggregates;
mod evil;
mod lies;
mod plans;
mod streams;
mod tables;

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
        let family = |name: &str, kind| meta::Function {
            name: name.to_owned(),
            kind,
            docs: String::new(),
        };
        let families = [
            family("aggregates", meta::Kind::Aggregate),
            family("lies", meta::Kind::Map),
            family("streams", meta::Kind::Stream),
            family("tables", meta::Kind::TableFunction),
        ];
        evil::ALL
            .iter()
            .map(function)
            .chain(plans::ALL.iter().map(plan))
            .chain(families)
            .collect()
    }
}

fn find(function: &str, config: &str) -> Result<&'static Evil, Error> {
    let (all, name) = match function {
        "lies" => (lies::ALL, evil_of(config)),
        _ => (evil::ALL, function),
    };
    all.iter()
        .find(|evil| evil.name == name)
        .ok_or_else(|| Error::Unsupported(format!("there is no evil {name:?}")))
}

/// The evil that a configuration names.
pub(crate) fn evil_of(config: &str) -> &str {
    config.split('"').nth(3).unwrap_or_default()
}

/// Stays here for ever where the evil is this one.
pub(crate) fn spins(evil: &str, here: &str) {
    while std::hint::black_box(evil == here) {}
}

/// No special forms.
pub(crate) const PLAIN: Accepts = Accepts {
    views: false,
    dictionaries: false,
    runs: false,
    list_views: false,
    constants: false,
};

impl Guest for Hostile {
    type Mapper = Session;

    fn bind(function: String, config: String, _input: Vec<Field>) -> Result<Binding, Error> {
        tenon_sdk::install_panic_hook();
        Ok((find(&function, &config)?.bind)())
    }
}

struct Session(&'static Evil);

impl GuestMapper for Session {
    fn open(function: String, config: String, _input: Vec<Field>) -> Result<Mapper, Error> {
        tenon_sdk::install_panic_hook();
        let evil = find(&function, &config)?;
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
        accepts: PLAIN,
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
