//! The graph as a picture: boxes in columns, curves between them, light or dark as whoever looks at it prefers.

use std::fmt::Write;

use super::layers::{Layers, Place};
use super::{Graph, GraphNode, figures};

/// All in pixels.
const BOX_HEIGHT: usize = 46;
/// What a box is higher by where it says what its node did.
const FIGURES_HEIGHT: usize = 34;
const BETWEEN_ROWS: usize = 24;
const GAP: usize = 70;
const MARGIN: usize = 24;
const MIN_WIDTH: usize = 110;

/// How wide a letter is, at most, in the font of the picture.
const LETTER: usize = 8;

/// Letters of a name that are shown.
const MAX_LETTERS: usize = 32;

const STYLE: &str = "
  svg { background: #fff; font: 13px system-ui, sans-serif; }
  .line { fill: none; stroke: #94a3b8; stroke-width: 1.5; }
  .box { fill: #f8fafc; stroke: #64748b; stroke-width: 1.5; }
  .source .box { stroke: #0f766e; } .target .box { stroke: #b45309; }
  .slowest .box { stroke: #dc2626; stroke-width: 3; fill: #fef2f2; }
  .did { fill: #334155; font-size: 11px; }
  .name { fill: #0f172a; font-weight: 600; } .kind { fill: #64748b; font-size: 11px; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0f172a; }
    .line { stroke: #64748b; } .box { fill: #1e293b; stroke: #94a3b8; }
    .source .box { stroke: #2dd4bf; } .target .box { stroke: #fbbf24; }
    .slowest .box { stroke: #f87171; fill: #450a0a; } .did { fill: #cbd5e1; }
    .name { fill: #f1f5f9; } .kind { fill: #94a3b8; }
  }
";

/// The picture, whole, with its style inside.
pub(super) fn svg(graph: &Graph) -> String {
    let layers = Layers::of(graph);
    let picture = Picture::of(graph, &layers);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n\
         <title>{2}</title>\n<style>{STYLE}</style>\n",
        picture.width(),
        picture.height,
        escaped(&title(graph))
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
                Place::Node(id) => picture.node(&mut text, id, column, row),
                Place::Pass => picture.pass(&mut text, column, row),
            }
        }
    }
    text + "</svg>\n"
}

/// The job, and the run whose figures are drawn.
fn title(graph: &Graph) -> String {
    match &graph.run {
        Some(run) => format!("{}, run {}: {}", graph.name, run.id, run.state),
        None => graph.name.clone(),
    }
}

/// Where the columns are.
struct Picture<'a> {
    graph: &'a Graph,
    /// How high a box is.
    box_height: usize,
    /// Left edge and width of each.
    columns: Vec<(usize, usize)>,
    /// Rows of each.
    rows: Vec<usize>,
    height: usize,
}

impl<'a> Picture<'a> {
    fn of(graph: &'a Graph, layers: &Layers) -> Self {
        let box_height = match &graph.run {
            Some(_) => BOX_HEIGHT + FIGURES_HEIGHT,
            None => BOX_HEIGHT,
        };
        let mut columns = Vec::new();
        let mut x = MARGIN;
        for places in &layers.columns {
            let widths = places.iter().map(|place| match place {
                Place::Node(id) => width(graph, id),
                Place::Pass => 0,
            });
            let width = widths.max().unwrap_or(MIN_WIDTH);
            columns.push((x, width));
            x += width + GAP;
        }
        let rows: Vec<usize> = layers.columns.iter().map(Vec::len).collect();
        let most = rows.iter().max().copied().unwrap_or(1);
        Self {
            graph,
            box_height,
            columns,
            rows,
            height: 2 * MARGIN + most.max(1) * (box_height + BETWEEN_ROWS) - BETWEEN_ROWS,
        }
    }

    fn width(&self) -> usize {
        let last = self.columns.last();
        last.map_or(2 * MARGIN, |(x, width)| x + width + MARGIN)
    }

    /// The middle of a place, from the top; columns stand in the middle of the picture.
    fn middle(&self, column: usize, row: usize) -> usize {
        let step = self.box_height + BETWEEN_ROWS;
        let used = self.rows[column] * step - BETWEEN_ROWS;
        (self.height - used) / 2 + row * step + self.box_height / 2
    }

    fn left(&self, column: usize, row: usize) -> (usize, usize) {
        (self.columns[column].0, self.middle(column, row))
    }

    fn right(&self, column: usize, row: usize) -> (usize, usize) {
        let (x, width) = self.columns[column];
        (x + width, self.middle(column, row))
    }

    fn node(&self, text: &mut String, id: &str, column: usize, row: usize) {
        let node = &self.graph.nodes[id];
        let ((x, width), middle) = (self.columns[column], self.middle(column, row));
        let (top, centre) = (middle - self.box_height / 2, x + width / 2);
        let height = self.box_height;
        let class = match (node.is_target(), node.inputs.as_slice()) {
            (true, _) => "target",
            (false, []) => "source",
            (false, _) => "transform",
        };
        let mark = match self.graph.is_slowest(id) {
            true => " slowest",
            false => "",
        };
        add(
            text,
            format_args!(
                "<g class=\"{class}{mark}\"><rect class=\"box\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>"
            ),
        );
        for (class, below, said) in lines(self.graph, id, node) {
            let y = top + below;
            add(
                text,
                format_args!(
                    "<text class=\"{class}\" text-anchor=\"middle\" x=\"{centre}\" y=\"{y}\">{}</text>",
                    escaped(&said)
                ),
            );
        }
        add(text, format_args!("</g>\n"));
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

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

/// What stands in a node's box: its class, how far below the top, and the words.
fn lines(graph: &Graph, id: &str, node: &GraphNode) -> Vec<(&'static str, usize, String)> {
    let mut lines = vec![
        ("name", 20, shortened(&node.name, MAX_LETTERS)),
        ("kind", 37, kind(node)),
    ];
    if let Some(metrics) = &node.metrics {
        lines.push(("did", 54, figures::amounts(metrics)));
        lines.push(("did", 70, figures::costs(graph, id, node)));
    }
    lines
}

fn width(graph: &Graph, id: &str) -> usize {
    let lines = lines(graph, id, &graph.nodes[id]).into_iter();
    let longest = lines.map(|(_, _, said)| said.chars().count()).max();
    (longest.unwrap_or(0) * LETTER + MARGIN).max(MIN_WIDTH)
}

/// The kind, and which output it takes where that is what it does.
fn kind(node: &GraphNode) -> String {
    match node.output {
        Some(output) => format!("{} {output}", node.kind),
        None => node.kind.clone(),
    }
}

/// A name cut to so many letters, which shows.
#[must_use]
pub fn shortened(name: &str, letters: usize) -> String {
    match name.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Text for XML: no tags, and no signs that XML has no place for.
#[must_use]
pub fn escaped(text: &str) -> String {
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
        let picture = svg(&crate::drawing::tests::graph());
        assert_eq!(picture.matches("<rect").count(), 6);
        // Seven lines between columns, two through one.
        assert_eq!(picture.matches("<path").count(), 9);
        assert!(picture.contains("people &amp; &lt;more&gt;"));
        assert!(!picture.contains("<more>"));
        assert!(!picture.contains("class=\"did\""));
    }

    #[test]
    fn a_picture_of_a_run_says_what_nodes_did_and_marks_the_slowest() {
        let picture = svg(&crate::drawing::tests::graph_of_run());
        assert!(picture.contains("<title>j, run jr_1: SUCCEEDED</title>"));
        // Two lines for each of the three nodes that did something.
        assert_eq!(picture.matches("class=\"did\"").count(), 6);
        assert!(picture.contains("1,234 → 7 rows"));
        let marked: Vec<_> = picture
            .split("<g class=")
            .filter(|g| g.contains(" slowest\">"))
            .collect();
        assert_eq!(marked.len(), 1);
        assert!(marked[0].contains(">u</text>") && marked[0].contains("63 % of the time"));
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
