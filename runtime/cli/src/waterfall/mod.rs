//! [`Waterfall`]: signed weights one after the other, each beginning where the last one ended, up to their sum.
//!
//! ```text
//! prior     ########|                 begins at 0 and goes to the left: against a match
//! name              ####|             goes on from there to the right: for it
//! phone                 ##|
//! score     ======|                   the sum, from 0
//! ```

mod svg;
mod text;

/// Why a pair of records scored what it did.
#[derive(Debug)]
pub(crate) struct Waterfall {
    /// The verdict in words.
    pub(crate) title: String,
    /// What else there is to say; may be empty.
    pub(crate) note: String,
    /// What the two records are called.
    pub(crate) sides: [String; 2],
    /// From the first weight to the last.
    pub(crate) steps: Vec<Step>,
}

/// One weight.
#[derive(Debug)]
pub(crate) struct Step {
    /// What was compared.
    pub(crate) feature: String,
    /// What the two records have there; empty where a value is missing.
    pub(crate) values: [String; 2],
    /// How they agree, in words.
    pub(crate) agreement: String,
    /// What that says: logarithm to base 2 of how much more often matches show it.
    pub(crate) bits: f64,
}

impl Waterfall {
    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        text::text(self)
    }

    /// As a picture, with its style inside.
    pub(crate) fn svg(&self) -> String {
        svg::svg(self)
    }

    /// The sum of all weights.
    fn score(&self) -> f64 {
        self.steps.iter().map(|step| step.bits).sum()
    }

    /// Where each weight begins and ends.
    fn spans(&self) -> Vec<(f64, f64)> {
        let mut at = 0.0;
        let span = |step: &Step| {
            let from = at;
            at += step.bits;
            (from, at)
        };
        self.steps.iter().map(span).collect()
    }

    /// The least and the greatest place that the bars reach, 0 included; never equal.
    fn range(&self) -> (f64, f64) {
        let ends = self.spans().into_iter().map(|(_, to)| to);
        let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(low, high), to| {
            (low.min(to), high.max(to))
        });
        match high - low < 1.0 {
            true => (low - 0.5, high + 0.5),
            false => (low, high),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn waterfall() -> Waterfall {
        let step = |feature: &str, values: [&str; 2], agreement: &str, bits| Step {
            feature: feature.to_owned(),
            values: values.map(str::to_owned),
            agreement: agreement.to_owned(),
            bits,
        };
        Waterfall {
            title: "a1 and b7 match: probability 0.9412, threshold 0.50".to_owned(),
            note: "they share the phone number".to_owned(),
            sides: ["a1".to_owned(), "b7".to_owned()],
            steps: vec![
                step("prior", ["", ""], "", -8.0),
                step("name", ["Ann <Lee>", "Anne Lee"], "one edit", 6.5),
                step(
                    "phone",
                    ["310-246-1501", "310/246-1501"],
                    "equal, rare",
                    9.5,
                ),
                step("city", ["", "los angeles"], "missing", 0.0),
                step("street", ["5 High St", "71 Mill Rd"], "different", -4.0),
            ],
        }
    }

    #[test]
    fn each_weight_begins_where_the_last_one_ended() {
        let waterfall = waterfall();
        assert_eq!(
            waterfall.spans(),
            [
                (0.0, -8.0),
                (-8.0, -1.5),
                (-1.5, 8.0),
                (8.0, 8.0),
                (8.0, 4.0)
            ]
        );
        assert_eq!((waterfall.score(), waterfall.range()), (4.0, (-8.0, 8.0)));
    }

    #[test]
    fn no_weights_still_have_a_range() {
        let empty = Waterfall {
            steps: Vec::new(),
            ..waterfall()
        };
        assert_eq!(empty.range(), (-0.5, 0.5));
        assert!(empty.text().contains("score"));
        assert!(empty.svg().ends_with("</svg>\n"));
    }
}
