//! `aggregate` functions that are evil where their configuration says.

use tenon_sdk::bindings::aggregate::exports::tenon::plugin::aggregate::{
    Accumulator, Binding, Emit, Guest, GuestAccumulator,
};
use tenon_sdk::bindings::base::tenon::plugin::types::{
    Batch, Determinism, Encoding, Error, Field, Node,
};

use crate::{Hostile, PLAIN, evil_of, field, spins};

pub(crate) struct Evil(String);

impl Guest for Hostile {
    type Accumulator = Evil;

    fn bind(_function: String, config: String, _input: Vec<Field>) -> Result<Binding, Error> {
        let evil = evil_of(&config);
        spins(evil, "spins-in-bind");
        let mut binding = Binding {
            needs: vec![0],
            accepts: PLAIN,
            state: vec![field("state", "l")],
            output: vec![field("out", "l")],
            determinism: Determinism::Deterministic,
        };
        match evil {
            "binds-a-column-that-is-not-there" => binding.needs = vec![7],
            "has-no-state" => binding.state.clear(),
            "has-no-output" => binding.output.clear(),
            _ => {}
        }
        Ok(binding)
    }
}

impl GuestAccumulator for Evil {
    fn open(_function: String, config: String, _input: Vec<Field>) -> Result<Accumulator, Error> {
        tenon_sdk::install_panic_hook();
        spins(evil_of(&config), "spins-in-open");
        Ok(Accumulator::new(Self(evil_of(&config).to_owned())))
    }

    fn update(&self, _batch: Batch, _groups: Vec<u32>, _groups_in_all: u32) -> Result<(), Error> {
        spins(&self.0, "spins-in-update");
        Ok(())
    }

    fn merge(&self, _states: Batch, _groups: Vec<u32>, _groups_in_all: u32) -> Result<(), Error> {
        spins(&self.0, "spins-in-merge");
        Ok(())
    }

    fn state(&self, _emit: Emit) -> Result<Batch, Error> {
        spins(&self.0, "spins-in-state");
        Ok(match self.0.as_str() {
            "states-another-schema" => numbers(2, vec![vec![], vec![0; 3]]),
            "states-too-many-groups" => numbers(3, vec![vec![], vec![0; 24]]),
            _ => numbers(2, vec![vec![], vec![0; 16]]),
        })
    }

    fn evaluate(&self, _emit: Emit) -> Result<Batch, Error> {
        spins(&self.0, "spins-in-evaluate");
        Ok(match self.0.as_str() {
            "answers-too-few-groups" => numbers(1, vec![vec![], vec![0; 8]]),
            "answers-too-many-groups" => numbers(3, vec![vec![], vec![0; 24]]),
            "answers-four-billion-groups" => numbers(u32::MAX, vec![vec![], vec![]]),
            _ => numbers(2, vec![vec![], vec![0; 16]]),
        })
    }
}

fn numbers(rows: u32, buffers: Vec<Vec<u8>>) -> Batch {
    Batch {
        rows,
        nodes: vec![Node {
            length: rows,
            nulls: 0,
            encoding: Encoding::Plain,
        }],
        buffers,
    }
}

tenon_sdk::bindings::aggregate::export_aggregate!(Hostile with_types_in tenon_sdk::bindings::aggregate);
