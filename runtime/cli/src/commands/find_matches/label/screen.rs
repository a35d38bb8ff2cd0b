//! Two records side by side, with what differs marked.
//!
//! ```text
//!           A                  B
//! id        p17                p94
//! name      ann lee         ≠  anne lee
//!                                  ^
//! city      los angeles     =  los angeles
//! phone     -                  310-246-1501
//! ```
//!
//! On a terminal with colours the letters that differ are coloured instead of underlined.

use comfy_table::Table;
use serde_json::{Map, Value};

use crate::shell::printable;

/// Letters of a line where nobody tells.
const WIDTH: usize = 100;
/// Letters of a value that are shown.
const MAX_LETTERS: usize = 400;
/// Letters of a column's name that are shown.
const MAX_NAME: usize = 24;
/// Least letters of a column of values.
const LEAST: usize = 16;
/// What stands between the two records.
const BETWEEN: usize = 5;

const BOLD_YELLOW: &str = "\x1b[1;33m";
const PLAIN: &str = "\x1b[0m";

/// How wide the terminal is.
pub(super) fn width() -> usize {
    Table::new().width().map_or(WIDTH, usize::from)
}

/// How a pair is drawn.
pub(super) struct Screen<'a> {
    /// The column of ids, in which a difference says nothing.
    pub(super) id: &'a str,
    pub(super) has_color: bool,
    /// Letters of a line.
    pub(super) width: usize,
}

/// A letter, and whether the other side lacks it.
type Letter = (char, bool);

impl Screen<'_> {
    /// The lines of a pair.
    pub(super) fn pair(&self, columns: &[String], sides: &[Map<String, Value>; 2]) -> String {
        let names: Vec<String> = columns
            .iter()
            .map(|name| clipped(&printable(name), MAX_NAME))
            .collect();
        let name_width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        let room = self.width.saturating_sub(name_width + 2 + BETWEEN) / 2;
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::of(column, sides, column == self.id))
            .collect();
        let longest = fields
            .iter()
            .flat_map(|field| &field.sides)
            .map(Vec::len)
            .max();
        let value_width = longest.unwrap_or(0).min(room).max(LEAST.min(room)).max(1);
        let mut text = line("", name_width, "A", value_width, ' ', "B");
        for (name, field) in names.iter().zip(&fields) {
            self.field(&mut text, name, name_width, field, value_width);
        }
        text
    }

    /// A field's lines: as many as its longer value needs.
    fn field(&self, text: &mut String, name: &str, name_width: usize, field: &Field, width: usize) {
        let [a, b] = field
            .sides
            .each_ref()
            .map(|side| side.chunks(width).collect::<Vec<_>>());
        for row in 0..a.len().max(b.len()) {
            let [left, right] = [&a, &b].map(|side| side.get(row).copied().unwrap_or_default());
            let (name, mark) = if row == 0 {
                (name, field.mark)
            } else {
                ("", ' ')
            };
            let space = width - left.len();
            let left_text = format!("{}{}", self.letters(left), " ".repeat(space));
            text.push_str(
                format!(
                    "{name:<name_width$}  {left_text}  {mark}  {}",
                    self.letters(right)
                )
                .trim_end(),
            );
            text.push('\n');
            if !self.has_color && left.iter().chain(right).any(|letter| letter.1) {
                *text += &line("", name_width, &carets(left), width, ' ', &carets(right));
            }
        }
    }

    fn letters(&self, letters: &[Letter]) -> String {
        let mut text = String::new();
        for run in letters.chunk_by(|a, b| a.1 == b.1) {
            let run_text: String = run.iter().map(|letter| letter.0).collect();
            let is_marked = run.first().is_some_and(|letter| letter.1);
            text += &match self.has_color && is_marked {
                true => format!("{BOLD_YELLOW}{run_text}{PLAIN}"),
                false => run_text,
            };
        }
        text
    }
}

fn line(
    name: &str,
    name_width: usize,
    left: &str,
    width: usize,
    mark: char,
    right: &str,
) -> String {
    let line = format!("{name:<name_width$}  {left:<width$}  {mark}  {right}");
    format!("{}\n", line.trim_end())
}

fn carets(letters: &[Letter]) -> String {
    letters
        .iter()
        .map(|letter| if letter.1 { '^' } else { ' ' })
        .collect()
}

/// A column's values of both records.
struct Field {
    sides: [Vec<Letter>; 2],
    /// Equal, different, or a space where a value is missing.
    mark: char,
}

impl Field {
    fn of(column: &str, sides: &[Map<String, Value>; 2], is_id: bool) -> Self {
        let values = sides.each_ref().map(|side| value(side, column));
        let ([Some(a), Some(b)], false) = (&values, is_id) else {
            let plain = values.map(|value| value.unwrap_or_else(|| vec!['-']));
            return Self {
                sides: plain.map(unmarked),
                mark: ' ',
            };
        };
        if a == b {
            return Self {
                sides: [unmarked(a.clone()), unmarked(b.clone())],
                mark: '=',
            };
        }
        Self {
            sides: marked(a, b),
            mark: '≠',
        }
    }
}

/// A value's letters in one line; none where it is missing.
fn value(record: &Map<String, Value>, column: &str) -> Option<Vec<char>> {
    let text = match record.get(column)? {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = clipped(&printable(&text).replace(['\n', '\t'], " "), MAX_LETTERS);
    (!text.is_empty()).then(|| text.chars().collect())
}

fn unmarked(letters: Vec<char>) -> Vec<Letter> {
    letters.into_iter().map(|letter| (letter, false)).collect()
}

/// Marks the letters of each that are in no longest common subsequence; nothing where little is common, since marks on
/// everything say nothing.
fn marked(a: &[char], b: &[char]) -> [Vec<Letter>; 2] {
    let common = common(a, b);
    if 2 * common.len() < a.len().max(b.len()) {
        return [unmarked(a.to_vec()), unmarked(b.to_vec())];
    }
    let mut letters = [unmarked(a.to_vec()), unmarked(b.to_vec())];
    letters
        .iter_mut()
        .flatten()
        .for_each(|letter| letter.1 = true);
    for (at_a, at_b) in common {
        letters[0][at_a].1 = false;
        letters[1][at_b].1 = false;
    }
    letters
}

/// Positions of a longest common subsequence in both.
fn common(a: &[char], b: &[char]) -> Vec<(usize, usize)> {
    // lengths[i][j]: of the rests from i and j on.
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i][j] = match a[i] == b[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut positions) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            positions.push((i, j));
            i += 1;
            j += 1;
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    positions
}

fn clipped(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sides() -> [Map<String, Value>; 2] {
        [
            json!({"id": "p17", "name": "ann lee", "city": "los angeles", "phone": null, "street": "5 high street"}),
            json!({"id": "p94", "name": "anne lee", "city": "los angeles", "phone": "310\u{1b}[2J", "street": "mill"}),
        ]
        .map(|side| side.as_object().unwrap().clone())
    }

    fn draw(has_color: bool, width: usize) -> String {
        let columns = ["id", "name", "city", "phone", "street"].map(str::to_owned);
        let id = "id";
        Screen {
            id,
            has_color,
            width,
        }
        .pair(&columns, &sides())
    }

    #[test]
    fn what_differs_is_marked_by_field_and_by_letter() {
        assert_eq!(
            draw(false, 80),
            "        A                    B\n\
             id      p17                  p94\n\
             name    ann lee           ≠  anne lee\n                                \
                                             ^\n\
             city    los angeles       =  los angeles\n\
             phone   -                    310\u{fffd}[2J\n\
             street  5 high street     ≠  mill\n"
        );
    }

    #[test]
    fn colours_take_the_place_of_carets() {
        let text = draw(true, 80);
        assert!(
            text.contains("ann\x1b[1;33me\x1b[0m lee") && !text.contains('^'),
            "{text}"
        );
    }

    #[test]
    fn long_values_go_on_below() {
        let text = draw(false, 32);
        assert!(
            text.lines().all(|line| line.chars().count() <= 32),
            "{text}"
        );
        assert!(text.contains("5 high st"), "{text}");
        assert!(text.lines().any(|line| line.trim() == "reet"), "{text}");
    }

    #[test]
    fn a_longest_common_subsequence_is_found() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert_eq!(common(&letters("abcd"), &letters("xbd")), [(1, 1), (3, 2)]);
        assert!(common(&letters("ab"), &letters("cd")).is_empty());
    }
}
