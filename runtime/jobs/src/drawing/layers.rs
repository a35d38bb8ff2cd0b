//! [`Layers`]: a graph in columns, so that each node stands right of what it reads.

use std::collections::BTreeMap;

use super::Graph;

/// How often places are moved towards their neighbours, from left to right and back.
const SWEEPS: usize = 8;

/// One place in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A node, by its id.
    Node(String),
    /// Where a line passes that goes on to a later column.
    Pass,
}

/// The graph in columns.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// From left to right, each from top to bottom.
    pub(super) columns: Vec<Vec<Place>>,
    /// Lines between places of neighbouring columns: the left column, and the rows in it and in the next one.
    pub(super) lines: Vec<Line>,
}

/// A line from a place to one in the next column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) column: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Layers {
    /// Puts the nodes into columns, the longest way from a source deciding.
    pub(super) fn of(graph: &Graph) -> Self {
        let columns = graph.depths();
        let mut layers = Self::default();
        let mut places = BTreeMap::new();
        for (id, column) in &columns {
            let row = layers.add(*column, Place::Node((*id).to_owned()));
            places.insert(*id, row);
        }
        for (id, column) in &columns {
            for input in &graph.nodes[*id].inputs {
                let from = (columns[input.as_str()], places[input.as_str()]);
                layers.connect(from, (*column, places[id]));
            }
        }
        layers.untangle();
        layers
    }

    fn add(&mut self, column: usize, place: Place) -> usize {
        while self.columns.len() <= column {
            self.columns.push(Vec::new());
        }
        self.columns[column].push(place);
        self.columns[column].len() - 1
    }

    /// A line, by way of a place in each column between.
    fn connect(
        &mut self,
        (from_column, mut from): (usize, usize),
        (to_column, to): (usize, usize),
    ) {
        for column in from_column..to_column {
            let next = match column + 1 == to_column {
                true => to,
                false => self.add(column + 1, Place::Pass),
            };
            self.lines.push(Line {
                column,
                from,
                to: next,
            });
            from = next;
        }
    }

    /// Orders each column by where its neighbours are, so that fewer lines cross.
    fn untangle(&mut self) {
        for sweep in 0..SWEEPS {
            let columns = 0..self.columns.len();
            match sweep % 2 == 0 {
                true => columns.for_each(|column| self.settle(column, true)),
                false => columns.rev().for_each(|column| self.settle(column, false)),
            }
        }
    }

    /// Orders one column by the middle of each place's neighbours on the left, or on the right.
    fn settle(&mut self, column: usize, by_left: bool) {
        let middle = |row: usize| {
            let rows = self.lines.iter().filter_map(|line| match by_left {
                true => (line.column + 1 == column && line.to == row).then_some(line.from),
                false => (line.column == column && line.from == row).then_some(line.to),
            });
            let rows: Vec<usize> = rows.collect();
            // Twice the middle in small steps, so that it stays a whole number.
            rows.iter()
                .sum::<usize>()
                .saturating_mul(1_000)
                .checked_div(rows.len())
                .unwrap_or(row * 1_000)
        };
        let mut order: Vec<usize> = (0..self.columns[column].len()).collect();
        order.sort_by_key(|row| middle(*row));
        let places = order
            .iter()
            .map(|row| self.columns[column][*row].clone())
            .collect();
        self.columns[column] = places;
        let moved = |row: usize| order.iter().position(|old| *old == row).unwrap_or(row);
        for line in &mut self.lines {
            if line.column == column {
                line.from = moved(line.from);
            }
            if line.column + 1 == column {
                line.to = moved(line.to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::tests::graph;

    #[test]
    fn each_node_stands_right_of_what_it_reads_and_long_lines_pass_between() {
        let layers = Layers::of(&graph());
        let node = |id: &str| Place::Node(id.to_owned());
        assert_eq!(
            layers.columns,
            [
                vec![node("a"), node("b")],
                vec![node("c"), Place::Pass],
                vec![node("d"), Place::Pass],
                vec![node("u")],
                vec![node("out")],
            ]
        );
        assert_eq!(layers.lines.len(), 7);
    }
}
