//! A graph as a tree: below each target, and each node that nobody reads, what it reads.

use super::{Graph, GraphNode, figures};

/// A line for each node; what was said before is not said again.
pub(super) fn text(graph: &Graph) -> String {
    let is_read = |id: &String| graph.nodes.values().any(|node| node.inputs.contains(id));
    let mut tree = Tree {
        graph,
        said: Vec::new(),
        text: String::new(),
    };
    if let Some(run) = &graph.run {
        tree.text = printable(&format!("{}  {}", run.id, run.state)) + "\n";
    }
    for id in graph.nodes.keys().filter(|id| !is_read(id)) {
        tree.branch(id, "", "");
    }
    tree.text
}

struct Tree<'a> {
    graph: &'a Graph,
    said: Vec<&'a str>,
    text: String,
}

impl<'a> Tree<'a> {
    /// One node and what is below it. `first` stands before its line, `rest` before those below.
    fn branch(&mut self, id: &'a str, first: &str, rest: &str) {
        let graph = self.graph;
        let Some(node) = graph.nodes.get(id) else {
            return;
        };
        self.text += &format!("{first}{}", label(id, node));
        if self.said.contains(&id) && !node.inputs.is_empty() {
            self.text += "  (see above)\n";
            return;
        }
        self.said.push(id);
        self.text += &printable(&did(graph, id, node));
        self.text.push('\n');
        for (i, input) in node.inputs.iter().enumerate() {
            let (corner, line) = match i + 1 == node.inputs.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            self.branch(input, &format!("{rest}{corner}"), &format!("{rest}{line}"));
        }
    }
}

/// Id, kind, and what else tells the node from others of its kind.
fn label(id: &str, node: &GraphNode) -> String {
    let mut label = format!("{id}  {}", node.kind);
    if node.name != id {
        label += &format!("  {:?}", node.name);
    }
    if let Some(output) = node.output {
        label += &format!("  output {output}");
    }
    printable(&label)
}

/// What it did in the run.
fn did(graph: &Graph, id: &str, node: &GraphNode) -> String {
    let Some(metrics) = &node.metrics else {
        return String::new();
    };
    let mark = match graph.is_slowest(id) {
        true => "  ◀",
        false => "",
    };
    let (amounts, costs) = (figures::amounts(metrics), figures::costs(graph, id, node));
    format!("  {amounts}; {costs}{mark}")
}

/// Text for a terminal, without what would command it.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use crate::drawing::tests::{graph, graph_of_run};

    #[test]
    fn below_a_target_is_what_it_is_made_of() {
        assert_eq!(
            graph().text(),
            "out  S3DirectTarget\n\
             └─ u  Union\n   \
                ├─ d  DropDuplicates\n   \
                │  └─ c  DropDuplicates\n   \
                │     └─ a  S3CsvSource  \"people & <more>\"\n   \
                └─ b  S3CsvSource\n"
        );
    }

    #[test]
    fn each_node_says_what_it_did_in_a_run() {
        assert_eq!(
            graph_of_run().text(),
            "jr_1  SUCCEEDED\n\
             out  S3DirectTarget  7 rows, wrote 99 B; 1 ms\n\
             └─ u  Union  1,234 → 7 rows; 2.5 ms (63 % of the time), 3 MB, 5 GB on disk  ◀\n   \
                ├─ d  DropDuplicates\n   \
                │  └─ c  DropDuplicates\n   \
                │     └─ a  S3CsvSource  \"people & <more>\"  1,234 rows, read 20.4 kB; 0.5 ms\n   \
                └─ b  S3CsvSource\n"
        );
    }
}
