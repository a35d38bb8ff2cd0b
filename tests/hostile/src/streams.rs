//! `stream` functions that are evil where their configuration says.

use tenon_sdk::bindings::base::tenon::plugin::types::{
    Batch, Determinism, Encoding, Error, Field, Node,
};
use tenon_sdk::bindings::stream::exports::tenon::plugin::stream::{
    Binding, Distribution, Guest, GuestSession, InputBinding, Session, SortKey, Step,
};

use crate::{Hostile, PLAIN, evil_of, field, spins};

pub(crate) struct Evil(String);

impl Guest for Hostile {
    type Session = Evil;

    fn bind(_function: String, config: String, inputs: Vec<Vec<Field>>) -> Result<Binding, Error> {
        let evil = evil_of(&config);
        spins(evil, "spins-in-bind");
        let column = if evil == "binds-a-column-that-is-not-there" {
            9
        } else {
            0
        };
        let key = SortKey {
            column,
            descending: false,
            nulls_first: false,
        };
        let mut input = InputBinding {
            needs: vec![0],
            accepts: PLAIN,
            distribution: Distribution::Any,
            ordering: Vec::new(),
        };
        match evil {
            "binds-a-column-that-is-not-there" => input.distribution = Distribution::Hash(vec![9]),
            "hashes-a-column-twice" => input.distribution = Distribution::Hash(vec![0, 0]),
            "sorts-a-column-twice" => input.ordering = vec![key; 2],
            _ => {}
        }
        let more = usize::from(evil == "binds-an-input-that-is-not-there");
        Ok(Binding {
            inputs: vec![input; inputs.len() + more],
            output: vec![field("out", "l")],
            determinism: Determinism::Deterministic,
        })
    }
}

impl GuestSession for Evil {
    fn open(_function: String, config: String, _inputs: Vec<Vec<Field>>) -> Result<Session, Error> {
        tenon_sdk::install_panic_hook();
        spins(evil_of(&config), "spins-in-open");
        Ok(Session::new(Self(evil_of(&config).to_owned())))
    }

    fn push(&self, _input: u32, _batch: Batch) -> Result<Step, Error> {
        spins(&self.0, "spins-in-push");
        let pulls = self.0.contains("pull") || self.0.starts_with("more-");
        Ok(Step {
            output: match self.0.as_str() {
                "answers-another-schema" => Some(numbers(3, vec![vec![], vec![1, 2, 3]])),
                "answers-two-columns" => Some(Batch {
                    nodes: vec![node(1); 2],
                    ..numbers(1, vec![vec![], vec![0; 8], vec![], vec![0; 8]])
                }),
                "claims-four-billion-rows" => Some(numbers(u32::MAX, vec![vec![], vec![]])),
                _ => None,
            },
            more: pulls,
        })
    }

    fn pull(&self) -> Result<Step, Error> {
        spins(&self.0, "spins-in-pull");
        match self.0.as_str() {
            "more-for-ever" => Ok(Step {
                output: None,
                more: true,
            }),
            "more-empty-batches-for-ever" => Ok(Step {
                output: Some(numbers(0, vec![vec![], vec![]])),
                more: true,
            }),
            "panics-in-pull" => panic!("no more"),
            _ => Ok(Step {
                output: None,
                more: false,
            }),
        }
    }

    fn finish(&self, _input: u32) -> Result<Step, Error> {
        spins(&self.0, "spins-in-finish");
        Ok(Step {
            output: None,
            more: false,
        })
    }

    fn snapshot(&self) -> Result<Vec<u8>, Error> {
        spins(&self.0, "spins-in-snapshot");
        match self.0.as_str() {
            "takes-a-huge-snapshot" => Ok(vec![1; 100 << 20]),
            _ => Ok(vec![1]),
        }
    }

    fn restore(
        function: String,
        config: String,
        inputs: Vec<Vec<Field>>,
        _snapshot: Vec<u8>,
    ) -> Result<Session, Error> {
        spins(evil_of(&config), "spins-in-restore");
        Self::open(function, config, inputs)
    }
}

fn node(length: u32) -> Node {
    Node {
        length,
        nulls: 0,
        encoding: Encoding::Plain,
    }
}

fn numbers(rows: u32, buffers: Vec<Vec<u8>>) -> Batch {
    Batch {
        rows,
        nodes: vec![node(rows)],
        buffers,
    }
}

tenon_sdk::bindings::stream::export_stream!(Hostile with_types_in tenon_sdk::bindings::stream);
