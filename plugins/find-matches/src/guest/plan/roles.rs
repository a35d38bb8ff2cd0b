//! Which input is what.

use tenon_sdk::prelude::*;

/// The inputs by role; what no role names are tables of records, in order.
pub(super) struct Roles<'a> {
    pub(super) tables: Vec<&'a NamedInput>,
    pub(super) labels: Option<&'a NamedInput>,
    pub(super) model: Option<&'a NamedInput>,
    pub(super) previous: Option<&'a NamedInput>,
}

/// Positions of inputs with a role.
#[derive(Clone, Copy, Default)]
pub(super) struct Positions {
    pub(super) labels: Option<usize>,
    pub(super) model: Option<usize>,
    pub(super) previous: Option<usize>,
}

impl<'a> Roles<'a> {
    /// Takes inputs apart. `tables` says how many tables of records there may be.
    pub(super) fn of(
        inputs: &'a [NamedInput],
        positions: Positions,
        tables: std::ops::RangeInclusive<usize>,
        id: Option<&str>,
    ) -> Result<Self> {
        let named = [positions.labels, positions.model, positions.previous];
        let find = |position: Option<usize>, role: &str| match position {
            Some(at) => inputs.get(at).map(Some).ok_or_else(|| {
                Error::Unsupported(format!(
                    "parameter {role:?}: there is no input {at}; the node has {}, counted from 0",
                    inputs.len()
                ))
            }),
            None => Ok(None),
        };
        let roles = Self {
            labels: find(positions.labels, "labels")?,
            model: find(positions.model, "model")?,
            previous: find(positions.previous, "previous")?,
            tables: inputs
                .iter()
                .enumerate()
                .filter(|(at, _)| !named.contains(&Some(*at)))
                .map(|(_, input)| input)
                .collect(),
        };
        if !tables.contains(&roles.tables.len()) {
            return Err(Error::Unsupported(format!(
                "it takes {} of records, not {}",
                counted(&tables),
                roles.tables.len()
            )));
        }
        let id = id.into_iter();
        require(
            roles.labels,
            "labels",
            ["labeling_set_id", "label"].into_iter().chain(id.clone()),
        )?;
        require(roles.model, "model", ["model"].into_iter())?;
        require(
            roles.previous,
            "previous",
            ["match_id"].into_iter().chain(id),
        )?;
        Ok(roles)
    }
}

fn counted(tables: &std::ops::RangeInclusive<usize>) -> &'static str {
    match (tables.start(), tables.end()) {
        (1, 1) => "one table",
        (2, 2) => "two tables",
        _ => "one table or two",
    }
}

fn require<'n>(
    input: Option<&NamedInput>,
    role: &str,
    columns: impl Iterator<Item = &'n str>,
) -> Result<()> {
    let Some(input) = input else { return Ok(()) };
    for column in columns {
        if input.schema.index_of(column).is_err() {
            let there: Vec<&str> = input
                .schema
                .fields()
                .iter()
                .map(|f| f.name().as_str())
                .collect();
            return Err(Error::Unsupported(format!(
                "the {role} input has no column {column:?}; it has {}",
                there.join(", ")
            )));
        }
    }
    Ok(())
}
