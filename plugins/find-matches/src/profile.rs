//! What the whole input looks like: one pass over all values before anything is compared.
//!
//! [`Profiler`] sees the rows in chunks, column by column, and keeps bounded state: value and token frequencies by lossy
//! counting and a coordinated sample of whole rows. [`Profile`] is the outcome: aligned columns with their kinds,
//! frequencies for rarity levels and token weights, and the blocking rules chosen on the sample. It travels to every
//! other function as bytes.
//!
//! Two tables are aligned by column name (case and punctuation aside). A column that only one table has takes part
//! through its words in the whole-record comparison.

use crate::atom::Atom;
use crate::error::Error;
use crate::frequency::{Counter, Frequencies};
use crate::hash;
use crate::kind::{self, Kind, Shape};
use crate::normalise;
use crate::rules::{self, Part, Rule, Sample};
use crate::tokens::Tokens;
use crate::value::Value;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Columns compared at most; the rest only adds words to the whole record.
pub(crate) const COLUMNS: usize = 24;
const SAMPLE_ROWS: usize = 8_192;
const VALUES_COUNTED: usize = 1 << 16;
const TOKENS_COUNTED: usize = 1 << 18;
const TOKENS_KEPT: usize = 1 << 16;

/// A column as the matcher sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Column {
    /// Name as first seen.
    pub name: String,
    /// The name without case, accents and marks: columns with equal ones are one.
    pub(crate) key: String,
    /// What the values are.
    pub kind: Kind,
    /// Position in the first and in the second table, where the table has it.
    pub inputs: [Option<usize>; 2],
    /// Share of records without a value.
    pub null_share: f64,
    /// Distinct values per value (an estimate when the column is large).
    pub distinct_share: f64,
    /// Chance that two random values are equal.
    pub collision: f64,
    pub(crate) shape: Shape,
    /// Values that stand at least twice.
    pub(crate) values: Frequencies,
    pub(crate) count: f64,
    /// Takes part in patterns; otherwise only its words count.
    pub(crate) compared: bool,
}

/// The outcome of profiling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// Two tables are linked, rather than one deduplicated.
    pub link: bool,
    /// Records in the first and in the second table.
    pub records: [u64; 2],
    /// Columns, aligned across tables.
    pub columns: Vec<Column>,
    pub(crate) tokens: Tokens,
    pub(crate) parts: Vec<Part>,
    pub(crate) rules: Vec<Rule>,
}

impl Profile {
    /// Where each column of the profile stands among `names`, the columns of table 0 or 1.
    ///
    /// # Errors
    /// [`Error::Columns`] when one that is compared is missing.
    pub(crate) fn positions(
        &self,
        table: usize,
        names: &[String],
    ) -> Result<Vec<Option<usize>>, Error> {
        let mut open: Vec<Option<String>> =
            names.iter().map(|name| Some(column_key(name))).collect();
        let mut positions = Vec::with_capacity(self.columns.len());
        let mut lacking = Vec::new();
        for column in &self.columns {
            let has = column.inputs.get(table).is_some_and(Option::is_some);
            let found = open
                .iter()
                .position(|key| has && key.as_ref() == Some(&column.key));
            if let Some(slot) = found.and_then(|at| open.get_mut(at)) {
                *slot = None;
            } else if has && column.compared {
                lacking.push(column.name.clone());
            }
            positions.push(found);
        }
        if lacking.is_empty() {
            return Ok(positions);
        }
        Err(Error::Columns(lacking, names.to_vec()))
    }

    /// The blocking rules, for people.
    pub fn describe_rules(&self) -> String {
        let part = |at: &usize| {
            self.parts
                .get(*at)
                .map(|part| format!("{}.{:?}", self.columns[part.column].name, part.atom))
        };
        let rule = |rule: &Rule| {
            rule.parts
                .iter()
                .filter_map(part)
                .collect::<Vec<_>>()
                .join(" + ")
        };
        self.rules.iter().map(rule).collect::<Vec<_>>().join("; ")
    }

    /// Whether words may stand in different columns of two records of one thing.
    pub(crate) fn has_text(&self) -> bool {
        let running = self
            .columns
            .iter()
            .filter(|column| column.is_running(self.link))
            .count();
        running > 1
            || self
                .columns
                .iter()
                .any(|column| column.is_one_sided(self.link))
    }
}

impl Column {
    /// Running text, or a column whose words have no counterpart in the other table.
    pub(crate) fn is_running(&self, link: bool) -> bool {
        self.kind == Kind::Text || self.is_one_sided(link)
    }

    pub(crate) fn is_one_sided(&self, link: bool) -> bool {
        link && self.inputs.iter().any(Option::is_none)
    }
}

/// Table and row, and the row's values by column.
type Sampled = ((u8, u64), Vec<Option<String>>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Draft {
    name: String,
    key: String,
    inputs: [Option<usize>; 2],
    values: Counter,
    present: u64,
}

/// Collects a [`Profile`]. Columns may be seen by different instances, each of which sees all of its rows; see
/// [`Profiler::merge`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profiler {
    drafts: Vec<Draft>,
    /// Column of each input position, per table.
    positions: Vec<Vec<usize>>,
    seen: Vec<Vec<u64>>,
    /// Word counts, per table.
    tokens: Vec<Counter>,
    sample: FxHashMap<(u8, u64), Vec<Option<String>>>,
    /// Rows whose hash is above this are not sampled.
    threshold: u64,
    #[serde(skip)]
    folded: String,
    #[serde(skip)]
    squeezed: String,
}

impl Profiler {
    /// Starts profiling one table (dedupe) or two (link), given their column names in input order.
    pub fn new(tables: &[Vec<String>]) -> Self {
        let mut profiler = Self {
            drafts: Vec::new(),
            positions: Vec::new(),
            seen: Vec::new(),
            tokens: Vec::new(),
            sample: FxHashMap::default(),
            threshold: u64::MAX,
            folded: String::new(),
            squeezed: String::new(),
        };
        for (table, names) in tables.iter().take(2).enumerate() {
            let positions = names
                .iter()
                .enumerate()
                .map(|(at, name)| profiler.column(table, at, name))
                .collect();
            profiler.positions.push(positions);
            profiler.seen.push(vec![0; names.len()]);
            profiler.tokens.push(Counter::new(TOKENS_COUNTED));
        }
        profiler
    }

    fn column(&mut self, table: usize, at: usize, name: &str) -> usize {
        let key = column_key(name);
        let open = |draft: &Draft| draft.key == key && draft.inputs[table].is_none();
        if let Some(found) = self.drafts.iter().position(open) {
            self.drafts[found].inputs[table] = Some(at);
            return found;
        }
        let mut inputs = [None, None];
        inputs[table] = Some(at);
        let values = Counter::new(VALUES_COUNTED);
        self.drafts.push(Draft {
            name: name.to_owned(),
            key,
            inputs,
            values,
            present: 0,
        });
        self.drafts.len() - 1
    }

    /// Sees the next values of one column of one table (0 or 1); every column sees its rows in the same order.
    pub fn observe<'a>(
        &mut self,
        table: usize,
        column: usize,
        values: impl Iterator<Item = Option<&'a str>>,
    ) {
        let Some(draft) = self
            .positions
            .get(table)
            .and_then(|positions| positions.get(column))
            .copied()
        else {
            return;
        };
        for value in values {
            let row = self.seen[table][column];
            self.seen[table][column] += 1;
            let Some(text) = value else { continue };
            normalise::fold(text, &mut self.folded);
            if self.folded.is_empty() {
                continue;
            }
            self.count(table, draft);
            self.keep(table, row, draft, text);
        }
    }

    fn count(&mut self, table: usize, draft: usize) {
        let draft = &mut self.drafts[draft];
        draft.present += 1;
        let whole = hash::short(self.folded.as_bytes());
        if !self.folded.contains(' ') {
            draft.values.add(whole);
            self.tokens[table].add(whole);
            return;
        }
        normalise::squeeze(&self.folded, &mut self.squeezed);
        draft.values.add(hash::short(self.squeezed.as_bytes()));
        for word in self.folded.split(' ') {
            self.tokens[table].add(hash::short(word.as_bytes()));
        }
    }

    fn keep(&mut self, table: usize, row: u64, draft: usize, text: &str) {
        if row_hash(table, row) > self.threshold {
            return;
        }
        let columns = self.drafts.len();
        let entry = self
            .sample
            .entry((table as u8, row))
            .or_insert_with(|| vec![None; columns]);
        entry[draft] = Some(text.chars().take(200).collect());
        self.spare();
    }

    /// Writes what was seen, for [`Profiler::merge`].
    ///
    /// # Errors
    /// [`Error::Encoding`] when that fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self).map_err(Error::encoding)
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Encoding`] when the bytes are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        postcard::from_bytes(bytes).map_err(Error::encoding)
    }

    /// Adds what another has seen of other columns of the same tables.
    pub fn merge(&mut self, other: Self) {
        for (own, draft) in self.drafts.iter_mut().zip(other.drafts) {
            if draft.present > 0 {
                *own = draft;
            }
        }
        for (own, seen) in self
            .seen
            .iter_mut()
            .flatten()
            .zip(other.seen.iter().flatten())
        {
            *own = (*own).max(*seen);
        }
        for (own, tokens) in self.tokens.iter_mut().zip(other.tokens) {
            own.merge(tokens);
        }
        self.threshold = self.threshold.min(other.threshold);
        for (row, values) in other.sample {
            let own = self
                .sample
                .entry(row)
                .or_insert_with(|| vec![None; values.len()]);
            for (own, value) in own.iter_mut().zip(values) {
                *own = own.take().or(value);
            }
        }
        let threshold = self.threshold;
        self.sample
            .retain(|(table, row), _| row_hash(usize::from(*table), *row) <= threshold);
        self.spare();
    }

    /// Keeps the sample small.
    fn spare(&mut self) {
        while self.sample.len() > 2 * SAMPLE_ROWS {
            self.threshold /= 2;
            let threshold = self.threshold;
            self.sample
                .retain(|(table, row), _| row_hash(usize::from(*table), *row) <= threshold);
        }
    }

    /// Closes the pass.
    pub fn finish(self) -> Profile {
        let link = self.positions.len() > 1;
        let rows = |table: usize| {
            self.seen
                .get(table)
                .and_then(|seen| seen.iter().max())
                .copied()
                .unwrap_or(0)
        };
        let records = [rows(0), rows(1)];
        let mut sampled: Vec<Sampled> = self.sample.into_iter().collect();
        sampled.sort_unstable_by_key(|entry| entry.0);
        let total = (records[0] + records[1]) as f64;
        let mut columns: Vec<Column> = self
            .drafts
            .into_iter()
            .enumerate()
            .map(|(at, draft)| finish_column(at, draft, &sampled, total))
            .collect();
        limit_compared(&mut columns, link);
        let tables = self
            .tokens
            .into_iter()
            .map(|counter| counter.freeze(TOKENS_KEPT))
            .collect();
        let tokens = Tokens::new(tables, records);
        let mut profile = Profile {
            link,
            records,
            columns,
            tokens,
            parts: Vec::new(),
            rules: Vec::new(),
        };
        choose_rules(&mut profile, &sampled);
        profile
    }
}

/// A column's name without what spellings differ in.
pub(crate) fn column_key(name: &str) -> String {
    let (mut folded, mut key) = (String::new(), String::new());
    normalise::fold(name, &mut folded);
    normalise::squeeze(&folded, &mut key);
    key
}

fn row_hash(table: usize, row: u64) -> u64 {
    hash::mix(17 + table as u64, row)
}

fn finish_column(at: usize, draft: Draft, sampled: &[Sampled], total: f64) -> Column {
    let texts = || {
        sampled
            .iter()
            .filter_map(|(_, row)| row.get(at).and_then(Option::as_deref))
    };
    let shape = kind::detect(texts());
    let mut ids: Vec<u32> = texts().map(squeezed_id).collect();
    ids.sort_unstable();
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let equal: f64 = ids
        .chunk_by(|a, b| a == b)
        .map(|block| pairs(block.len() as f64))
        .sum();
    let count = draft.present as f64;
    let distinct = if draft.values.is_exact() {
        draft.values.len() as f64 / count.max(1.0)
    } else {
        ids.chunk_by(|a, b| a == b).count() as f64 / ids.len().max(1) as f64
    };
    Column {
        name: draft.name,
        key: draft.key,
        kind: shape.kind,
        inputs: draft.inputs,
        null_share: 1.0 - count / total.max(1.0),
        distinct_share: distinct,
        collision: equal / pairs(ids.len() as f64).max(1.0),
        shape,
        values: draft.values.freeze(VALUES_COUNTED),
        count,
        compared: true,
    }
}

fn squeezed_id(text: &str) -> u32 {
    let (mut folded, mut squeezed) = (String::new(), String::new());
    normalise::fold(text, &mut folded);
    normalise::squeeze(&folded, &mut squeezed);
    hash::short(squeezed.as_bytes())
}

/// Leaves out columns that cannot tell anything: one-sided, constant, empty, or a distinct code on every row.
fn limit_compared(columns: &mut [Column], link: bool) {
    let mut kept = 0;
    for column in columns {
        let constant = column.collision > 0.98;
        let row_code =
            column.kind == Kind::Code && column.distinct_share >= 1.0 && column.null_share < 0.001;
        let row_number = row_code && column.count > 50.0;
        let useful = column.count > 1.0 && !constant && !row_number && !column.is_one_sided(link);
        column.compared = useful && kept < COLUMNS;
        kept += usize::from(column.compared);
    }
}

fn choose_rules(profile: &mut Profile, sampled: &[Sampled]) {
    for (at, column) in profile
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.compared)
    {
        let atoms = Atom::for_kind(column.kind);
        profile.parts.extend(atoms.iter().map(|atom| Part {
            column: at,
            atom: *atom,
            kind: column.kind,
        }));
    }
    let mut hashes = Vec::with_capacity(sampled.len() * profile.parts.len());
    let mut values: Vec<Value> = profile.columns.iter().map(|_| Value::default()).collect();
    for (_, row) in sampled {
        let present: Vec<bool> = profile
            .columns
            .iter()
            .zip(row)
            .zip(&mut values)
            .map(|((column, text), value)| {
                text.as_deref()
                    .is_some_and(|text| value.read(text, column.shape))
            })
            .collect();
        hashes.extend(profile.parts.iter().map(|part| {
            let known = present.get(part.column).copied().unwrap_or(false);
            if known {
                values
                    .get(part.column)
                    .and_then(|value| part.atom.of(value, &profile.tokens))
                    .unwrap_or(0)
            } else {
                0
            }
        }));
    }
    let sources: Vec<u8> = sampled.iter().map(|((source, _), _)| *source).collect();
    let sample = Sample {
        hashes,
        width: profile.parts.len(),
        scale: scale(profile, &sources),
        sources,
        link: profile.link,
    };
    profile.rules = rules::choose(&profile.parts, &sample);
}

/// Full-size candidate pairs per record that one sampled pair stands for.
fn scale(profile: &Profile, sources: &[u8]) -> f64 {
    let right = sources.iter().filter(|source| **source == 1).count() as f64;
    let left = sources.len() as f64 - right;
    let [n0, n1] = profile.records.map(|n| n as f64);
    if profile.link {
        n0 * n1 / (left * right * n0.min(n1)).max(1.0)
    } else {
        n0 / (left * left).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn tables_align_by_name() {
        let mut profiler =
            Profiler::new(&[names(&["Title", "starring"]), names(&["year", "title "])]);
        profiler.observe(0, 0, ["A film", "Another one"].into_iter().map(Some));
        profiler.observe(1, 1, ["A film", "Third thing here"].into_iter().map(Some));
        let profile = profiler.finish();
        assert!(profile.link);
        assert_eq!(profile.records, [2, 2]);
        assert_eq!(profile.columns[0].inputs, [Some(0), Some(1)]);
        assert_eq!(profile.columns.len(), 3);
        assert!(profile.columns[0].compared && !profile.columns[1].compared);
    }

    #[test]
    fn chunking_does_not_matter() {
        let values: Vec<String> = (0..30_000).map(|n| format!("name{}", n % 700)).collect();
        let whole = profile_in_chunks(&values, 30_000);
        let parts = profile_in_chunks(&values, 999);
        assert_eq!(format!("{whole:?}"), format!("{parts:?}"));
    }

    #[test]
    fn columns_may_be_seen_apart() {
        let tables = [names(&["a", "b", "c"])];
        let values: Vec<String> = (0..30_000)
            .map(|n| format!("v{} w{}", n % 300, n % 7))
            .collect();
        let rows = || values.iter().map(|value| Some(value.as_str()));
        let mut whole = Profiler::new(&tables);
        (0..3).for_each(|column| whole.observe(0, column, rows()));
        let (mut left, mut right) = (Profiler::new(&tables), Profiler::new(&tables));
        left.observe(0, 0, rows());
        left.observe(0, 2, rows());
        right.observe(0, 1, rows());
        let mut merged = Profiler::from_bytes(&left.to_bytes().unwrap()).unwrap();
        merged.merge(Profiler::from_bytes(&right.to_bytes().unwrap()).unwrap());
        let (whole, merged) = (whole.finish(), merged.finish());
        assert_eq!(format!("{whole:?}"), format!("{merged:?}"));
    }

    fn profile_in_chunks(values: &[String], size: usize) -> Profile {
        let mut profiler = Profiler::new(&[names(&["a", "b"])]);
        for chunk in values.chunks(size) {
            profiler.observe(0, 0, chunk.iter().map(|value| Some(value.as_str())));
            profiler.observe(0, 1, chunk.iter().map(|value| Some(value.as_str())));
        }
        profiler.finish()
    }
}
