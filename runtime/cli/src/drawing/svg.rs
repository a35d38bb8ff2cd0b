//! The graph as a picture: boxes in columns, curves between them, light or dark as whoever looks at it prefers.

use std::fmt::Write;

use tenon_engine::{Job, Node};

use super::{Layers, Place};

/// All in pixels.
const BOX_HEIGHT: usize = 46;
const ROW_HEIGHT: usize = 70;
const GAP: usize = 70;
const MARGIN: usize = 24;
const MIN_WIDTH: usize = 110;

/// How wide a letter is, at most, in the font of the picture.
const LETTER: usize = 8;

/// Letters of a name that are shown.
pub(super) const MAX_LETTERS: usize = 32;

const STYLE: &str = "
  svg { background: #fff; font: 13px system-ui, sans-serif; }
  .line { fill: none; stroke: #94a3b8; stroke-width: 1.5; }
  .box { fill: #f8fafc; stroke: #64748b; stroke-width: 1.5; }
  .source .box { stroke: #0f766e; } .target .box { stroke: #b45309; }
  .name { fill: #0f172a; font-weight: 600; } .kind { fill: #64748b; font-size: 11px; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0f172a; }
    .line { stroke: #64748b; } .box { fill: #1e293b; stroke: #94a3b8; }
    .source .box { stroke: #2dd4bf; } .target .box { stroke: #fbbf24; }
    .name { fill: #f1f5f9; } .kind { fill: #94a3b8; }
  }
";

/// The picture, whole, with its style inside.
pub(crate) fn svg(job: &Job) -> String {
    let layers = Layers::of(job);
    let picture = Picture::of(job, &layers);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n\
         <title>{2}</title>\n<style>{STYLE}</style>\n",
        picture.width(),
        picture.height,
        escaped(&job.name)
    );
    for line in &layers.lines {
        let (x1, y1) = picture.right(line.column, line.from);
        let (x2, y2) = picture.left(line.column + 1, line.to);
        let middle = usize::midpoint(x1, x2);
        add(
            &mut text,
            format_args!(
                "<path class=\"line\" d=\"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}\"/>\n"
            ),
        );
    }
    for (column, places) in layers.columns.iter().enumerate() {
        for (row, place) in places.iter().enumerate() {
            match place {
                Place::Node(id) => picture.node(&mut text, &job.nodes[id], column, row),
                Place::Pass => picture.pass(&mut text, column, row),
            }
        }
    }
    text + "</svg>\n"
}

/// Where the columns are.
struct Picture {
    /// Left edge and width of each.
    columns: Vec<(usize, usize)>,
    /// Rows of each.
    rows: Vec<usize>,
    height: usize,
}

impl Picture {
    fn of(job: &Job, layers: &Layers) -> Self {
        let mut columns = Vec::new();
        let mut x = MARGIN;
        for places in &layers.columns {
            let widths = places.iter().map(|place| match place {
                Place::Node(id) => width(&job.nodes[id]),
                Place::Pass => 0,
            });
            let width = widths.max().unwrap_or(MIN_WIDTH);
            columns.push((x, width));
            x += width + GAP;
        }
        let rows: Vec<usize> = layers.columns.iter().map(Vec::len).collect();
        let most = rows.iter().max().copied().unwrap_or(1);
        Self {
            columns,
            rows,
            height: 2 * MARGIN + most * ROW_HEIGHT - (ROW_HEIGHT - BOX_HEIGHT),
        }
    }

    fn width(&self) -> usize {
        let last = self.columns.last();
        last.map_or(2 * MARGIN, |(x, width)| x + width + MARGIN)
    }

    /// The middle of a place, from the top; columns stand in the middle of the picture.
    fn middle(&self, column: usize, row: usize) -> usize {
        let used = self.rows[column] * ROW_HEIGHT - (ROW_HEIGHT - BOX_HEIGHT);
        (self.height - used) / 2 + row * ROW_HEIGHT + BOX_HEIGHT / 2
    }

    fn left(&self, column: usize, row: usize) -> (usize, usize) {
        (self.columns[column].0, self.middle(column, row))
    }

    fn right(&self, column: usize, row: usize) -> (usize, usize) {
        let (x, width) = self.columns[column];
        (x + width, self.middle(column, row))
    }

    fn node(&self, text: &mut String, node: &Node, column: usize, row: usize) {
        let ((x, width), middle) = (self.columns[column], self.middle(column, row));
        let (top, centre) = (middle - BOX_HEIGHT / 2, x + width / 2);
        let class = match (node.is_target(), node.inputs()) {
            (true, _) => "target",
            (false, []) => "source",
            (false, _) => "transform",
        };
        add(
            text,
            format_args!(
                "<g class=\"{class}\"><rect class=\"box\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>\
             <text class=\"name\" text-anchor=\"middle\" x=\"{centre}\" y=\"{}\">{}</text>\
             <text class=\"kind\" text-anchor=\"middle\" x=\"{centre}\" y=\"{}\">{}</text></g>\n",
                middle - 3,
                escaped(&shortened(node.name(), MAX_LETTERS)),
                middle + 14,
                kind(node)
            ),
        );
    }

    /// A line goes straight through a column that it passes.
    fn pass(&self, text: &mut String, column: usize, row: usize) {
        let ((x1, y), (x2, _)) = (self.left(column, row), self.right(column, row));
        add(
            text,
            format_args!("<path class=\"line\" d=\"M{x1} {y} H{x2}\"/>\n"),
        );
    }
}

pub(super) fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

fn width(node: &Node) -> usize {
    let letters = |text: &str| text.chars().count();
    let longest = letters(&shortened(node.name(), MAX_LETTERS)).max(letters(&kind(node)));
    (longest * LETTER + MARGIN).max(MIN_WIDTH)
}

/// The kind, and which output it takes where that is what it does.
fn kind(node: &Node) -> String {
    match node {
        Node::SelectFromCollection(select) => format!("{} {}", node.kind(), select.index),
        _ => node.kind().to_owned(),
    }
}

/// As much of a name as there is room for.
pub(super) fn shortened(name: &str, letters: usize) -> String {
    match name.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Text for XML: no tags, and no signs that XML has no place for.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars().filter(|sign| !sign.is_control()) {
        match sign {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_box_for_each_node_and_only_its_own_tags() {
        let picture = svg(&crate::drawing::tests::job());
        assert_eq!(picture.matches("<rect").count(), 6);
        // Seven lines between columns, two through one.
        assert_eq!(picture.matches("<path").count(), 9);
        assert!(picture.contains("people &amp; &lt;more&gt;"));
        assert!(!picture.contains("<more>"));
    }

    #[test]
    fn names_are_shortened_by_letters() {
        assert_eq!(
            shortened(&"ü".repeat(40), MAX_LETTERS).chars().count(),
            MAX_LETTERS + 1
        );
        assert_eq!(shortened("short", MAX_LETTERS), "short");
        assert_eq!(escaped("a\u{0}\"b\""), "a&quot;b&quot;");
    }
}
