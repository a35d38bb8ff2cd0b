//! The graph as a tree: below each target, and each node that nobody reads, what it reads.

use tenon_engine::{Job, Node};

use crate::shell::printable;

/// A line for each node; what was said before is not said again.
pub(crate) fn text(job: &Job) -> String {
    let is_read = |id: &String| job.nodes.values().any(|node| node.inputs().contains(id));
    let mut tree = Tree {
        job,
        said: Vec::new(),
        text: String::new(),
    };
    for id in job.nodes.keys().filter(|id| !is_read(id)) {
        tree.branch(id, "", "");
    }
    tree.text
}

struct Tree<'a> {
    job: &'a Job,
    said: Vec<&'a str>,
    text: String,
}

impl<'a> Tree<'a> {
    /// One node and what is below it. `first` stands before its line, `rest` before those below.
    fn branch(&mut self, id: &'a str, first: &str, rest: &str) {
        let Some(node) = self.job.nodes.get(id) else {
            return;
        };
        self.text += &format!("{first}{}", label(id, node));
        if self.said.contains(&id) && !node.inputs().is_empty() {
            self.text += "  (see above)\n";
            return;
        }
        self.said.push(id);
        self.text.push('\n');
        let inputs = node.inputs();
        for (i, input) in inputs.iter().enumerate() {
            let (corner, line) = match i + 1 == inputs.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            self.branch(input, &format!("{rest}{corner}"), &format!("{rest}{line}"));
        }
    }
}

/// Id, kind, and what else tells the node from others of its kind.
fn label(id: &str, node: &Node) -> String {
    let mut label = format!("{id}  {}", node.kind());
    if node.name() != id {
        label += &format!("  {:?}", node.name());
    }
    if let Node::SelectFromCollection(select) = node {
        label += &format!("  output {}", select.index);
    }
    printable(&label)
}

#[cfg(test)]
mod tests {
    #[test]
    fn below_a_target_is_what_it_is_made_of() {
        let text = super::text(&crate::drawing::tests::job());
        assert_eq!(
            text,
            "out  S3DirectTarget\n\
             └─ u  Union\n   \
                ├─ d  DropDuplicates\n   \
                │  └─ c  DropDuplicates\n   \
                │     └─ a  S3CsvSource  \"people & <more>\"\n   \
                └─ b  S3CsvSource\n"
        );
    }
}
