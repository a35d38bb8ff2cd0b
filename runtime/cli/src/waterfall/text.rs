//! A waterfall for the terminal: values side by side, the weight in bits, and a bar.

use super::{Step, Waterfall};
use crate::shell::printable;

/// Letters of a value that are shown.
const MAX_LETTERS: usize = 28;

/// Letters from the least to the greatest place of the bars.
const BAR: usize = 32;

/// Columns before the bar; the weight stands at the right.
const COLUMNS: usize = 5;
const WEIGHT: usize = 4;

/// The title, a line for each weight, and the score.
pub(super) fn text(waterfall: &Waterfall) -> String {
    let score = waterfall.score();
    let mut lines = vec![header(waterfall)];
    lines.extend(waterfall.steps.iter().map(cells));
    lines.push(total(score));
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| {
            lines
                .iter()
                .map(|line| letters(&line[column]))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut spans = vec![None];
    spans.extend(waterfall.spans().into_iter().map(Some));
    spans.push(Some((0.0, score)));
    let mut text = printable(&waterfall.title);
    if !waterfall.note.is_empty() {
        text += &format!("\n{}", printable(&waterfall.note));
    }
    text += "\n\n";
    for (cells, span) in lines.iter().zip(spans) {
        let bar = span.map_or_else(String::new, |span| bar(waterfall.range(), span));
        text += format!("{}  {bar}", aligned(cells, &widths)).trim_end();
        text.push('\n');
    }
    text
}

fn header(waterfall: &Waterfall) -> [String; COLUMNS] {
    let [a, b] = &waterfall.sides;
    [
        String::new(),
        shown(a),
        shown(b),
        "agreement".to_owned(),
        "bits".to_owned(),
    ]
}

fn cells(step: &Step) -> [String; COLUMNS] {
    let [a, b] = &step.values;
    [
        shown(&step.feature),
        shown(a),
        shown(b),
        shown(&step.agreement),
        format!("{:+.1}", step.bits),
    ]
}

fn total(score: f64) -> [String; COLUMNS] {
    let mut line: [String; COLUMNS] = Default::default();
    line[0] = "score".to_owned();
    line[WEIGHT] = format!("{score:+.1}");
    line
}

fn aligned(cells: &[String; COLUMNS], widths: &[usize]) -> String {
    let padded = cells
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| {
            let space = " ".repeat(width - letters(cell));
            match column == WEIGHT {
                true => format!("{space}{cell}"),
                false => format!("{cell}{space}"),
            }
        });
    padded.collect::<Vec<_>>().join("  ")
}

/// `-` goes against a match, `+` for it; `|` is 0.
fn bar((low, high): (f64, f64), (from, to): (f64, f64)) -> String {
    let place = |bits: f64| {
        let share = (bits - low) / (high - low);
        // Between 0 and BAR, as the bits are between low and high.
        (share.clamp(0.0, 1.0) * BAR as f64).round() as usize
    };
    let sign = if to < from { '-' } else { '+' };
    let (left, right) = (place(from.min(to)), place(from.max(to)));
    let zero = place(0.0);
    let mut letters: String = (0..BAR)
        .map(|at| {
            if (left..right).contains(&at) {
                sign
            } else {
                ' '
            }
        })
        .collect();
    letters.insert(zero, '|');
    letters
}

/// A value in one short line.
fn shown(value: &str) -> String {
    let value = printable(value).replace(['\n', '\t'], " ");
    match value.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::tests::waterfall;
    use super::*;

    #[test]
    fn bars_lead_from_nothing_to_the_score() {
        assert_eq!(
            waterfall().text(),
            "a1 and b7 match: probability 0.9412, threshold 0.50\n\
             they share the phone number\n\
             \n        \
                     a1            b7            agreement    bits\n\
             prior                                            -8.0  ----------------|\n\
             name    Ann <Lee>     Anne Lee      one edit     +6.5  +++++++++++++   |\n\
             phone   310-246-1501  310/246-1501  equal, rare  +9.5               +++|++++++++++++++++\n\
             city                  los angeles   missing      +0.0                  |\n\
             street  5 High St     71 Mill Rd    different    -4.0                  |        --------\n\
             score                                            +4.0                  |++++++++\n"
        );
    }

    #[test]
    fn values_cannot_break_the_lines() {
        assert_eq!(shown("a\nb\tc\u{1b}[2J"), "a b c\u{fffd}[2J");
        assert_eq!(letters(&shown(&"ü".repeat(60))), MAX_LETTERS + 1);
    }
}
