//! Listing partitions: which records are read for a filter, and in what order.
//!
//! ```text
//! keys (region string, day string, hour int), filter: region = 'eu' and day in ('1', '2') and hour < 3
//!
//! natural order   spans eu|1|..., eu|2|...            values of the first keys make ranges of the key
//!                 in each: hour 0, 1, 10 ->           a part that fails says how far to skip
//! an index        spans of its entries, each entry then leads to its partition
//! ```
//!
//! A path is the natural order or an ACTIVE index; the one with more keys bound by equality wins. Numbers and dates
//! have several spellings in the natural key: see `spelling`; ranges of them are bound in indexes only. Within a span, a filter that fails at one key skips all that has the same values up to it.
//!
//! A page ends with the values of its last partition: what comes or goes meanwhile moves nothing.

use std::collections::BTreeSet;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use tenon_store::{Key, Record, Tree};

use super::record::Unpacker;
use super::spelling::spellings;
use crate::catalog::{MAX_PAGE, Page, TenantCatalog};
use crate::error::{Error, Result};
use crate::expression::{Conjunct, Expression, Value, is_text};
use crate::index::{IndexDefinition, IndexStatus, is_ordered, with_value};
use crate::model::{Column, Partition, Table};
use crate::name::fold;
use crate::stored;

/// Ranges that one list is cut into, at most.
const MAX_SPANS: usize = 1000;

/// Records read at first where a filter may skip.
const FIRST_BATCH: usize = 16;

/// One of several disjoint parts of a table's partitions, which together are all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// From 0.
    pub number: u32,
    /// How many there are.
    pub total: u32,
}

/// Which partitions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListPartitions<'a> {
    /// A filter; all when blank.
    pub expression: &'a str,
    /// Only this part.
    pub segment: Option<Segment>,
    /// A page's `next`.
    pub token: Option<&'a str>,
    /// Partitions in the page, 1 to 1000.
    pub limit: usize,
    /// Whether to leave out the columns of descriptors.
    pub without_columns: bool,
}

/// Where a page ended.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    values: Vec<String>,
    /// The index whose order the list has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
}

/// Keys in one range.
#[derive(Debug, Clone, PartialEq)]
struct Span {
    below: Key,
    after: Option<Key>,
    until: Option<Key>,
}

/// One order in which partitions can be read.
struct Path {
    tree: Tree,
    /// An index without keys is the natural order.
    index: IndexDefinition,
    below: Key,
    spans: Vec<Span>,
    /// Twice the keys bound by equality, and one for a range.
    bound: usize,
}

impl TenantCatalog {
    /// All partitions of a table, at most `limit`; none of one without partition keys. Their columns are left out.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when there are more, [`Error::NotFound`] for the table, [`Error::Store`].
    pub fn partitions_of(&self, table: &Table, limit: usize) -> Result<Vec<Partition>> {
        self.partitions_where(table, "", limit)
    }

    /// As [`TenantCatalog::partitions_of`], those for which a filter holds; all when it is blank.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] when there are more, and as for [`TenantCatalog::list_partitions`].
    pub fn partitions_where(
        &self,
        table: &Table,
        expression: &str,
        limit: usize,
    ) -> Result<Vec<Partition>> {
        let database = table.database_name.as_deref().unwrap_or_default();
        let (mut partitions, mut token) = (Vec::new(), None);
        if table.partition_keys.is_empty() {
            return Ok(partitions);
        }
        loop {
            let page = self.list_partitions(
                database,
                &table.name,
                &ListPartitions {
                    expression,
                    token: token.as_deref(),
                    limit: MAX_PAGE,
                    without_columns: true,
                    ..ListPartitions::default()
                },
            )?;
            partitions.extend(page.items);
            if partitions.len() > limit {
                return Err(Error::LimitExceeded {
                    reason: format!(
                        "table {database}.{} has more than {limit} partitions, which are not read at once",
                        table.name
                    ),
                });
            }
            token = page.next;
            if token.is_none() {
                return Ok(partitions);
            }
        }
    }

    /// Partitions in the order of their values, or of an index when the filter is about its keys. Where the filter
    /// binds the first keys of that order, only those ranges are read.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the table, [`Error::InvalidInput`] for the expression, segment or token,
    /// [`Error::InvalidState`] for a stored value that is not of its key's type, [`Error::Store`].
    pub fn list_partitions(
        &self,
        database: &str,
        table: &str,
        options: &ListPartitions<'_>,
    ) -> Result<Page<Partition>> {
        let (database, table) = (fold("database", database)?, fold("table", table)?);
        let keys = self.read_table(&database, &table)?.value.partition_keys;
        let expression = Expression::parse(options.expression, &keys)?;
        check_segment(options.segment)?;
        let token = options.token.map(read_token).transpose()?;
        let key = stored::table(&database, &table);
        let path = self.path(&key, &keys, &expression, token.as_ref())?;
        let unpacker = Unpacker::new(self, &database, &table);
        let mut list = List {
            catalog: self,
            table: &key,
            conjuncts: by_depth(&expression, &path.index),
            expression: &expression,
            segment: options.segment,
            limit: options.limit.clamp(1, MAX_PAGE),
            unpacker: match options.without_columns {
                true => unpacker.without_columns(),
                false => unpacker,
            },
            items: Vec::new(),
        };
        let after = match &token {
            Some(token) => Some(path.key_of(&token.values)?),
            None => None,
        };
        let full = list.fill(&path, after.as_ref())?;
        let last = list.items.last().filter(|_| full);
        let next = last.map(|last| path.token(&last.values)).transpose()?;
        Ok(Page {
            items: list.items,
            next,
        })
    }

    fn path(
        &self,
        table: &Key,
        keys: &[Column],
        expression: &Expression<'_>,
        token: Option<&Token>,
    ) -> Result<Path> {
        let natural = Path::new(table, natural(), keys, expression);
        if token.is_some_and(|token| token.index.is_none()) {
            return Ok(natural);
        }
        let indexes = self.indexes(table)?.definitions.into_iter();
        let mut paths = indexes
            .filter(|index| index.index_status == IndexStatus::Active)
            .map(|index| Path::new(table, index, keys, expression));
        match token.and_then(|token| token.index) {
            Some(id) => paths.find(|path| path.index.id == id).ok_or_else(|| {
                Error::invalid("the index that the list went by was deleted; list again")
            }),
            None => Ok(paths.fold(
                natural,
                |best, path| {
                    if path.bound > best.bound { path } else { best }
                },
            )),
        }
    }
}

/// The natural order.
fn natural() -> IndexDefinition {
    IndexDefinition {
        id: 0,
        index_name: String::new(),
        index_status: IndexStatus::Active,
        keys: Vec::new(),
        backfill_errors: Vec::new(),
    }
}

impl Path {
    fn new(
        table: &Key,
        index: IndexDefinition,
        keys: &[Column],
        expression: &Expression<'_>,
    ) -> Self {
        let (tree, below) = match index.id {
            0 => (Tree::Partition, table.clone()),
            id => (Tree::Index, stored::index_entries(table, id)),
        };
        let (spans, bound) = spans(&below, &index, keys, &expression.conjuncts());
        Self {
            tree,
            index,
            below,
            spans,
            bound,
        }
    }

    fn key_of(&self, values: &[String]) -> Result<Key> {
        let key = self.index.entry(self.below.clone(), values);
        key.ok_or_else(|| Error::invalid("the token is not one of this list of partitions"))
    }

    fn token(&self, values: &[String]) -> Result<String> {
        let token = Token {
            values: values.to_vec(),
            index: Some(self.index.id).filter(|id| *id > 0),
        };
        serde_json::to_string(&token)
            .map_err(|error| Error::invalid(format!("the page has no token: {error}")))
    }
}

/// Which of the table's keys comes at each place of the index.
fn order(index: &IndexDefinition, keys: usize) -> Vec<usize> {
    let indexed = index.keys.iter().map(|key| key.position);
    let others = (0..keys).filter(|position| index.place_of(*position).is_none());
    indexed.chain(others).collect()
}

/// The ranges in which everything lies that passes, in their order, and how well they are bound.
fn spans(
    below: &Key,
    index: &IndexDefinition,
    keys: &[Column],
    conjuncts: &[Conjunct<'_>],
) -> (Vec<Span>, usize) {
    let mut spans = Spans {
        open: vec![below.clone()],
        closed: Vec::new(),
    };
    let mut bound = 0;
    for (place, position) in order(index, keys.len()).into_iter().enumerate() {
        let indexed = place < index.keys.len();
        let Some(column) = keys.get(position) else {
            break;
        };
        // Behind indexed values come spellings, which a filter does not tell.
        if !indexed && !index.keys.is_empty() {
            break;
        }
        let points = conjuncts.iter().find_map(|one| one.points(position));
        if let Some(points) = points {
            let narrower = match indexed {
                true => spans.at_values(column, &points),
                false => spans.at_texts(column, &points),
            };
            if let Some(narrower) = narrower {
                spans = narrower;
                bound += 2;
                continue;
            }
        }
        let (low, high) = range(conjuncts, position);
        let bounded = (&low, &high) != (&Bound::Unbounded, &Bound::Unbounded);
        if bounded && (indexed && is_ordered(column) || is_text(column)) {
            spans = spans.between(&low, &high, indexed);
            bound += 1;
        }
        break;
    }
    (spans.in_order(), bound)
}

/// Ranges that are becoming narrower.
struct Spans {
    /// Prefixes that the next key makes longer.
    open: Vec<Key>,
    /// Ranges that stay as they are.
    closed: Vec<Span>,
}

impl Spans {
    /// Only these values of an indexed key.
    fn at_values(&self, column: &Column, points: &BTreeSet<Value>) -> Option<Self> {
        if !is_ordered(column) || self.open.len() * points.len() > MAX_SPANS {
            return None;
        }
        let longer = |prefix: &Key| -> Vec<_> {
            points
                .iter()
                .map(|point| with_value(prefix.clone(), point))
                .collect()
        };
        Some(Self {
            open: self.open.iter().flat_map(longer).collect(),
            closed: Vec::new(),
        })
    }

    /// Only these values of a key that lies as it was written.
    fn at_texts(&self, column: &Column, points: &BTreeSet<Value>) -> Option<Self> {
        let (mut exact, mut ranges) = (BTreeSet::new(), BTreeSet::new());
        for point in points {
            let spellings = spellings(column, point)?;
            exact.extend(spellings.exact);
            ranges.extend(spellings.ranges);
        }
        let more = self.open.len() * (exact.len() + ranges.len());
        if more + self.closed.len() > MAX_SPANS {
            return None;
        }
        let mut narrower = Self {
            open: Vec::new(),
            closed: self.closed.clone(),
        };
        for prefix in &self.open {
            let with = |text: &String| prefix.clone().with_part(text);
            narrower.open.extend(exact.iter().map(with));
            let span = |(from, until): &(String, String)| Span {
                below: prefix.clone(),
                after: Some(before_text(&with(from))),
                until: Some(before_text(&with(until))),
            };
            narrower.closed.extend(ranges.iter().map(span));
        }
        Some(narrower)
    }

    /// Only values between these.
    fn between(self, low: &Bound<Value>, high: &Bound<Value>, indexed: bool) -> Self {
        let with = |key: &Key, value: &Value| match value {
            Value::Text(text) if !indexed => key.clone().with_part(text),
            value => with_value(key.clone(), value),
        };
        let before = |key: Key, value: &Value| match value {
            Value::Text(_) => before_text(&key),
            // More follows a number in every entry.
            _ => key,
        };
        let span = |prefix: Key| Span {
            after: match low {
                Bound::Included(value) => Some(before(with(&prefix, value), value)),
                Bound::Excluded(value) => Some(behind_all(with(&prefix, value).as_bytes())),
                Bound::Unbounded => None,
            },
            until: match high {
                Bound::Included(value) => Some(behind_all(with(&prefix, value).as_bytes())),
                Bound::Excluded(value) => Some(before(with(&prefix, value), value)),
                Bound::Unbounded => None,
            },
            below: prefix,
        };
        let mut closed = self.closed;
        closed.extend(self.open.into_iter().map(span));
        Self {
            open: Vec::new(),
            closed,
        }
    }

    fn in_order(self) -> Vec<Span> {
        let whole = |below| Span {
            below,
            after: None,
            until: None,
        };
        let open = self.open.into_iter().map(whole);
        let mut spans: Vec<_> = self.closed.into_iter().chain(open).collect();
        spans.sort_by_cached_key(|span| span.after.clone().unwrap_or_else(|| span.below.clone()));
        spans
    }
}

/// Between what a key must lie by all parts of a filter.
fn range(conjuncts: &[Conjunct<'_>], position: usize) -> (Bound<Value>, Bound<Value>) {
    let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
    for (at_least, at_most) in conjuncts.iter().map(|one| one.range(position)) {
        low = match (limit(&low), limit(&at_least)) {
            (None, _) => at_least,
            (Some(old), Some(new)) if new > old => at_least,
            _ => low,
        };
        high = match (limit(&high), limit(&at_most)) {
            (None, _) => at_most,
            (Some(old), Some(new)) if new < old => at_most,
            _ => high,
        };
    }
    (low, high)
}

fn limit(bound: &Bound<Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// A key before all that begin with `prefix`, which ends with a text, and after all that come before those.
fn before_text(prefix: &Key) -> Key {
    let bytes = prefix.as_bytes();
    Key::from_bytes(bytes[..bytes.len().saturating_sub(1)].to_vec())
}

/// A key after all that begin with `prefix`, and before all that come after those.
fn behind_all(prefix: &[u8]) -> Key {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            break;
        }
    }
    Key::from_bytes(bytes)
}

/// The parts of a filter with the last place in the index's order each of them looks at, the first ones first.
fn by_depth<'e>(
    expression: &'e Expression<'_>,
    index: &IndexDefinition,
) -> Vec<(usize, Conjunct<'e>)> {
    let depth = |position: usize| match index.place_of(position) {
        Some(place) => place,
        None => {
            let before = index.keys.iter().filter(|key| key.position > position);
            position + before.count()
        }
    };
    let with_depth = |conjunct: Conjunct<'e>| {
        let columns = conjunct.columns.iter();
        (
            columns.map(|column| depth(*column)).max().unwrap_or(0),
            conjunct,
        )
    };
    let mut conjuncts: Vec<_> = expression.conjuncts().into_iter().map(with_depth).collect();
    conjuncts.sort_by_key(|(depth, _)| *depth);
    conjuncts
}

/// A page that is being filled.
struct List<'a> {
    catalog: &'a TenantCatalog,
    table: &'a Key,
    expression: &'a Expression<'a>,
    conjuncts: Vec<(usize, Conjunct<'a>)>,
    segment: Option<Segment>,
    limit: usize,
    unpacker: Unpacker<'a>,
    items: Vec<Partition>,
}

/// What comes of one record.
enum Step {
    Next,
    /// Nothing up to this key passes.
    Skip(Key),
    /// The page is full and there is more.
    Full,
}

impl List<'_> {
    /// Returns whether there is more than fits.
    fn fill(&mut self, path: &Path, after: Option<&Key>) -> Result<bool> {
        let constant = |(_, one): &(usize, Conjunct<'_>)| {
            one.columns.is_empty() && !self.expression.holds(one, &[]).unwrap_or(true)
        };
        if self.conjuncts.iter().any(constant) {
            return Ok(false);
        }
        for span in &path.spans {
            let done = after.is_some_and(|after| {
                *after > behind_all(span.below.as_bytes())
                    || span.until.as_ref().is_some_and(|until| after >= until)
            });
            if !done && self.fill_from(path, span, after)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fill_from(&mut self, path: &Path, span: &Span, after: Option<&Key>) -> Result<bool> {
        let mut cursor = span.after.as_ref().max(after).cloned();
        // A range with an end is mostly empty: it is there for rare spellings.
        let all_pass = self.conjuncts.is_empty() || path.bound >= self.conjuncts.len() * 2;
        let mut batch = match all_pass && span.until.is_none() {
            true => self.limit + 1,
            false => FIRST_BATCH,
        };
        loop {
            let page = self.catalog.scan(
                path.tree,
                &span.below,
                cursor.as_ref(),
                batch.min(MAX_PAGE + 1),
            )?;
            let mut skip: Option<Key> = None;
            for (key, record) in page.records {
                if span.until.as_ref().is_some_and(|until| key >= *until) {
                    return Ok(false);
                }
                if skip.as_ref().is_some_and(|skip| key <= *skip) {
                    continue;
                }
                match self.take(path, key, &record)? {
                    Step::Next => {}
                    Step::Skip(to) => skip = Some(to),
                    Step::Full => return Ok(true),
                }
            }
            let Some(next) = page.next else {
                return Ok(false);
            };
            // Far skips are worth a new search, near ones were read along.
            let jumped = skip.as_ref().is_some_and(|skip| *skip > next);
            batch = if jumped { FIRST_BATCH } else { batch * 2 };
            batch = batch.min(MAX_PAGE + 1);
            cursor = skip.into_iter().chain([next]).max();
        }
    }

    fn take(&mut self, path: &Path, key: Key, record: &Record) -> Result<Step> {
        let skipped = path.below.as_bytes().len();
        let Some((values, ends)) = path.index.values(&key, skipped) else {
            return Err(stored::unreadable(
                path.tree,
                &key,
                "its key is not one of a partition",
            ));
        };
        for (depth, conjunct) in &self.conjuncts {
            if !self.expression.holds(conjunct, &values)? {
                let end = ends.get(*depth).copied().unwrap_or(key.as_bytes().len());
                let prefix = key.as_bytes().get(..end).unwrap_or_default();
                return Ok(Step::Skip(behind_all(prefix)));
            }
        }
        if !in_segment(self.segment, &values) {
            return Ok(Step::Next);
        }
        if self.items.len() == self.limit {
            return Ok(Step::Full);
        }
        if path.tree == Tree::Partition {
            self.items.push(self.unpacker.unpack(&key, values, record)?);
            return Ok(Step::Next);
        }
        let key = values.iter().fold(self.table.clone(), Key::with_part);
        // It may have been deleted since its entry was read.
        if let Some(record) = self.catalog.record(Tree::Partition, &key)? {
            self.items
                .push(self.unpacker.unpack(&key, values, &record)?);
        }
        Ok(Step::Next)
    }
}

fn check_segment(segment: Option<Segment>) -> Result<()> {
    match segment {
        Some(Segment { number, total }) if number >= total => Err(Error::invalid(format!(
            "segment {number} is not one of {total}"
        ))),
        _ => Ok(()),
    }
}

/// A hash of the values decides, so that a partition stays in its segment whatever comes or goes.
fn in_segment(segment: Option<Segment>, values: &[String]) -> bool {
    segment.is_none_or(|Segment { number, total }| {
        let key = values.iter().fold(Key::new(), Key::with_part);
        // FNV-1a: https://datatracker.ietf.org/doc/html/draft-eastlake-fnv
        let hash = key
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        (hash >> 32) % u64::from(total.max(1)) == u64::from(number)
    })
}

fn read_token(token: &str) -> Result<Token> {
    serde_json::from_str(token)
        .map_err(|_| Error::invalid("the token is not one of a list of partitions"))
}
