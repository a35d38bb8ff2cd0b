//! [`Set`]: one table or two with their true pairs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use tenon_tests::people::{COLUMNS, people};
use tenon_tests::shared;

/// Seed of the generated people.
const SEED: u64 = 7;

/// Records and what is true about them.
pub(crate) struct Set {
    /// With how many records.
    pub(crate) name: String,
    /// One table, or two that are linked.
    pub(crate) files: Vec<PathBuf>,
    /// Number of each id, from 0 on.
    pub(crate) numbers: HashMap<String, u32>,
    /// The table of each number, 0 or 1.
    pub(crate) sources: Vec<u8>,
    /// Pairs of numbers, the smaller first.
    pub(crate) truth: HashSet<(u32, u32)>,
}

impl Set {
    /// Makes people in households and writes them into a new folder.
    pub(crate) fn people(records: usize, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let file = folder.join("people.csv");
        let (rows, persons) = people(records, SEED);
        let mut writer = csv::Writer::from_path(&file).unwrap();
        writer.write_record(["id"].iter().chain(&COLUMNS)).unwrap();
        for (id, row) in rows.iter().enumerate() {
            let id = id.to_string();
            let values = row
                .values()
                .map(|value| value.as_deref().unwrap_or_default());
            writer
                .write_record([id.as_str()].iter().chain(&values))
                .unwrap();
        }
        writer.flush().unwrap();
        let mut set = Self::of(format!("{records} people in households"), vec![file]);
        set.truth = pairs_of(persons.iter().copied().enumerate());
        set
    }

    /// A public set, where it is at hand.
    pub(crate) fn public(name: &str) -> Option<Self> {
        let folder = shared(&format!("data/entity-resolution/{name}"))?;
        let single = folder.join("records.csv");
        let files = match single.exists() {
            true => vec![single],
            false => ["left.csv", "right.csv"]
                .map(|file| folder.join(file))
                .to_vec(),
        };
        let mut set = Self::of(name.to_owned(), files);
        set.name = format!("{name}, {} records", set.records());
        let mut reader = csv::Reader::from_path(folder.join("truth.csv")).unwrap();
        for row in reader.records() {
            let row = row.unwrap();
            let pair = set.pair(&row[0], &row[1]);
            set.truth.insert(pair);
        }
        Some(set)
    }

    fn of(name: String, files: Vec<PathBuf>) -> Self {
        let (mut numbers, mut sources) = (HashMap::new(), Vec::new());
        for (source, file) in files.iter().enumerate() {
            let mut reader = csv::Reader::from_path(file).unwrap();
            for row in reader.records() {
                let number = u32::try_from(sources.len()).unwrap();
                numbers.insert(row.unwrap()[0].to_owned(), number);
                sources.push(source as u8);
            }
        }
        Self {
            name,
            files,
            numbers,
            sources,
            truth: HashSet::new(),
        }
    }

    /// How many there are.
    pub(crate) fn records(&self) -> usize {
        self.sources.len()
    }

    /// Whether two tables are linked.
    pub(crate) fn is_link(&self) -> bool {
        self.files.len() > 1
    }

    /// The pair of two ids.
    pub(crate) fn pair(&self, a: &str, b: &str) -> (u32, u32) {
        ordered(self.numbers[a], self.numbers[b])
    }

    /// The pairs within the groups of a file of ids and groups; across the tables where two are linked.
    pub(crate) fn grouped(&self, file: &Path, group: &str) -> HashSet<(u32, u32)> {
        let mut names: HashMap<String, u32> = HashMap::new();
        let mut members = Vec::with_capacity(self.records());
        let mut reader = csv::Reader::from_path(file).unwrap();
        let [id, group] = ["id", group].map(|name| position(&mut reader, name));
        for row in reader.records() {
            let row = row.unwrap();
            let next = names.len() as u32;
            let group = *names.entry(row[group].to_owned()).or_insert(next);
            members.push((self.numbers[&row[id]] as usize, group));
        }
        let mut pairs = pairs_of(members.into_iter());
        if self.is_link() {
            pairs.retain(|(a, b)| self.sources[*a as usize] != self.sources[*b as usize]);
        }
        pairs
    }

    /// The pairs of a file of id1, id2, probability.
    pub(crate) fn paired(&self, file: &Path) -> Vec<((u32, u32), f64)> {
        let mut reader = csv::Reader::from_path(file).unwrap();
        let rows = reader.records().map(|row| {
            let row = row.unwrap();
            (self.pair(&row[0], &row[1]), row[2].parse().unwrap())
        });
        rows.collect()
    }
}

/// Where a column is.
pub(crate) fn position<R: std::io::Read>(reader: &mut csv::Reader<R>, name: &str) -> usize {
    let header = reader.headers().unwrap();
    header.iter().position(|column| column == name).unwrap()
}

fn ordered(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// All pairs of members of one group.
fn pairs_of(members: impl Iterator<Item = (usize, u32)>) -> HashSet<(u32, u32)> {
    let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
    for (number, group) in members {
        groups.entry(group).or_default().push(number as u32);
    }
    let mut pairs = HashSet::new();
    for group in groups.values() {
        for (at, a) in group.iter().enumerate() {
            pairs.extend(group[at + 1..].iter().map(|b| ordered(*a, *b)));
        }
    }
    pairs
}
