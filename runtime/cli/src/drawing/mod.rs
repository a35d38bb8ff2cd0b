//! A job's graph as something to look at: a tree of text, or a picture; and a score as the sum of its weights.
//!
//! ```text
//! Job ──Layers::of──> columns of places, so that each node stands right of what it reads ──svg──> a picture
//!   └──text──> what each target is made of
//! Waterfall ──text, svg──> each weight of a pair of records, from nothing to the score
//! ```

mod svg;
mod text;
mod waterfall;

use std::collections::BTreeMap;

use tenon_engine::Job;

pub(crate) use svg::svg;
pub(crate) use text::text;
pub(crate) use waterfall::{Step, Waterfall};

/// How often places are moved towards their neighbours, from left to right and back.
const SWEEPS: usize = 8;

/// One place in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A node, by its id.
    Node(String),
    /// Where a line passes that goes on to a later column.
    Pass,
}

/// The graph in columns.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// From left to right, each from top to bottom.
    pub(crate) columns: Vec<Vec<Place>>,
    /// Lines between places of neighbouring columns: the left column, and the rows in it and in the next one.
    pub(crate) lines: Vec<Line>,
}

/// A line from a place to one in the next column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) column: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Layers {
    /// Puts the nodes into columns, the longest way from a source deciding.
    pub(crate) fn of(job: &Job) -> Self {
        let columns = depths(job);
        let mut layers = Self::default();
        let mut places = BTreeMap::new();
        for (id, column) in &columns {
            let row = layers.add(*column, Place::Node((*id).to_owned()));
            places.insert(*id, row);
        }
        for (id, column) in &columns {
            for input in job.nodes[*id].inputs() {
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

/// How many nodes are before each one, on the longest way.
fn depths(job: &Job) -> BTreeMap<&str, usize> {
    let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
    for id in job.order().unwrap_or_default() {
        let inputs = job.nodes[id].inputs().iter();
        let before = inputs.filter_map(|input| depths.get(input.as_str()));
        let depth = before.max().map_or(0, |deepest| deepest + 1);
        depths.insert(id, depth);
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a and b are joined; c is made of a and put to the join's rows.
    pub(super) fn job() -> Job {
        Job::from_toml(
            "name = 'j'
            [nodes.a.S3CsvSource]\nName = 'people & <more>'\nPaths = ['a']
            [nodes.b.S3CsvSource]\nName = 'b'\nPaths = ['b']
            [nodes.c.DropDuplicates]\nName = 'c'\nInputs = ['a']
            [nodes.d.DropDuplicates]\nName = 'd'\nInputs = ['c']
            [nodes.u.Union]\nName = 'u'\nInputs = ['d', 'b']\nUnionType = 'ALL'
            [nodes.out.S3DirectTarget]\nName = 'out'\nInputs = ['u']\nPath = 'out'\nFormat = 'csv'",
        )
        .unwrap()
    }

    #[test]
    fn each_node_stands_right_of_what_it_reads_and_long_lines_pass_between() {
        let layers = Layers::of(&job());
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
