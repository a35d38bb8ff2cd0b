//! Which values of a document are its rows: [`JsonPath`].

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What an object holds under a name.
    Name(String),
    /// Every element of a list.
    All,
}

/// A path to rows, as in Glue's JSON classifier: `$`, names after dots or in brackets, `[*]` for all elements of
/// a list. `$.orders[*].items[*]` reads the items of all orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

impl JsonPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for JsonPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let steps = steps(text).ok_or_else(|| {
            Error::Unsupported(format!(
                "JSON path {text:?}: write $, then .name, ['name'] or [*] for each step, as in $.orders[*].items[*]"
            ))
        })?;
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }
}

fn steps(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        (step, rest) = one_step(rest)?;
        steps.push(step);
    }
    Some(steps)
}

fn one_step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix("[*]") {
        return Some((Step::All, rest));
    }
    if let Some(rest) = text.strip_prefix("['") {
        let (name, rest) = rest.split_once("']")?;
        return Some((Step::Name(name.to_owned()), rest));
    }
    let rest = text.strip_prefix('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    (!name.is_empty() && name != "*").then(|| (Step::Name(name.to_owned()), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let name = |text: &str| Step::Name(text.to_owned());
        let steps = |text: &str| text.parse::<JsonPath>().unwrap().steps;
        assert_eq!(steps("$"), []);
        assert_eq!(steps("$.a.b[*]"), [name("a"), name("b"), Step::All]);
        assert_eq!(steps("$[*]['a.b'].c"), [Step::All, name("a.b"), name("c")]);
        for wrong in ["", "a", "$.", "$a", "$[0]", "$..a", "$['a", "$.*"] {
            assert!(wrong.parse::<JsonPath>().is_err(), "{wrong}");
        }
        insta::assert_snapshot!("$[0]".parse::<JsonPath>().unwrap_err(), @r#"JSON path "$[0]": write $, then .name, ['name'] or [*] for each step, as in $.orders[*].items[*]"#);
    }
}
