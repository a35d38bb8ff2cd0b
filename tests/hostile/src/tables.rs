//! `table-function`s that are evil where their configuration says.

use tenon_sdk::bindings::base::tenon::plugin::types::{
    Batch, Determinism, Encoding, Error, Field, Node,
};
use tenon_sdk::bindings::table_function::exports::tenon::plugin::table_function::{
    Binding, Expander, Guest, GuestExpander, Rows, Step,
};

use crate::{Hostile, PLAIN, evil_of, field, spins};

pub(crate) struct Evil(String);

impl Guest for Hostile {
    type Expander = Evil;

    fn bind(_function: String, config: String, _arguments: Vec<Field>) -> Result<Binding, Error> {
        spins(evil_of(&config), "spins-in-bind");
        Ok(Binding {
            accepts: PLAIN,
            output: vec![field("out", "l")],
            determinism: Determinism::Deterministic,
        })
    }
}

impl GuestExpander for Evil {
    fn open(_function: String, config: String, _arguments: Vec<Field>) -> Result<Expander, Error> {
        tenon_sdk::install_panic_hook();
        spins(evil_of(&config), "spins-in-open");
        Ok(Expander::new(Self(evil_of(&config).to_owned())))
    }

    fn expand(&self, _arguments: Batch) -> Result<Step, Error> {
        spins(&self.0, "spins-in-expand");
        Ok(match self.0.as_str() {
            "origins-beyond-the-arguments" => step(&[0, 1_000]),
            "origins-that-decrease" => step(&[5, 4]),
            "origins-that-decrease-in-pull" => step(&[5, 6]),
            "too-few-origins" => {
                let mut step = step(&[0, 1, 2]);
                if let Some(rows) = &mut step.output {
                    rows.origins.truncate(8);
                }
                step
            }
            "origins-of-three-bytes" => {
                let mut step = step(&[0]);
                if let Some(rows) = &mut step.output {
                    rows.origins.truncate(3);
                }
                step
            }
            _ => Step {
                output: None,
                more: true,
            },
        })
    }

    fn pull(&self) -> Result<Step, Error> {
        spins(&self.0, "spins-in-pull");
        Ok(match self.0.as_str() {
            "more-empty-rows-for-ever" => step(&[]),
            "origins-that-decrease-in-pull" => step(&[2]),
            _ => Step {
                output: None,
                more: true,
            },
        })
    }
}

fn step(origins: &[u32]) -> Step {
    let rows = origins.len() as u32;
    let columns = Batch {
        rows,
        nodes: vec![Node {
            length: rows,
            nulls: 0,
            encoding: Encoding::Plain,
        }],
        buffers: vec![vec![], vec![0; origins.len() * 8]],
    };
    Step {
        output: Some(Rows {
            columns,
            origins: origins.iter().flat_map(|row| row.to_le_bytes()).collect(),
        }),
        more: true,
    }
}

tenon_sdk::bindings::table_function::export_table_function!(Hostile with_types_in tenon_sdk::bindings::table_function);
