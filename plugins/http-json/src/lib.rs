//! Rows from JSON over HTTP, page by page.
//!
//! | setting | meaning |
//! |---|---|
//! | `url` | an address, or a list of them, which are read in parallel |
//! | `records` | where the rows are in a page, as a JSON pointer (RFC 6901); default: the page itself |
//! | `next` | where the next page's address is, as a JSON pointer; absolute or from the page's origin (`/orders?page=2`); default: there is one page |
//! | `columns` | names and types, `id bigint`; the types are `bigint`, `double`, `boolean` and `string`; default: those of the first page |
//!
//! Rows are an array of objects, one object, or an object on each line. Without `columns`, types are those that hold every
//! value of the first page, and columns are in the order of the alphabet. A list or an object becomes its JSON text. A
//! member that is missing is null; one that no column was made for is left out. A value that does not fit its column
//! fails the run and is named.
//!
//! The plugin reaches what the operator granted to it and nothing else; redirects are not followed.

mod columns;
mod page;

use std::collections::HashSet;

use tenon_sdk::http::{self, Request};
use tenon_sdk::prelude::*;
use tenon_sdk::serde::Deserialize;
use tenon_sdk::serde_json::{Map, Value};

use columns::Column;

/// Rows of a batch.
const ROWS_PER_BATCH: usize = 8_192;
/// Most pages behind one address.
const MAX_PAGES: usize = 100_000;

#[derive(Deserialize)]
#[serde(crate = "tenon_sdk::serde", deny_unknown_fields)]
struct Settings {
    url: OneOrMany,
    #[serde(default)]
    records: String,
    next: Option<String>,
    #[serde(default)]
    columns: Vec<Column>,
}

#[derive(Deserialize)]
#[serde(crate = "tenon_sdk::serde", untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Settings {
    fn of(config: &Config) -> Result<Self> {
        let settings: Self = config.parse()?;
        if settings.urls().is_empty() {
            return Err(Error::Config("url names no address".to_owned()));
        }
        Ok(settings)
    }

    fn urls(&self) -> &[String] {
        match &self.url {
            OneOrMany::One(url) => std::slice::from_ref(url),
            OneOrMany::Many(urls) => urls,
        }
    }

    /// The columns that were named, else those of the first page.
    fn columns(&self) -> Result<Vec<Column>> {
        if !self.columns.is_empty() {
            return Ok(self.columns.clone());
        }
        let url = &self.urls()[0];
        let page = page::parse(url, &fetch(url)?, &self.records, self.next.as_deref())?;
        if page.rows.is_empty() {
            return Err(Error::Config(format!(
                "{url} has no rows to see columns in: name them in columns"
            )));
        }
        Ok(columns::of_rows(&page.rows))
    }
}

/// The reading of what is behind one address.
pub struct HttpJson {
    columns: Vec<Column>,
    records: String,
    next: Option<String>,
    /// The page to be asked for.
    url: Option<String>,
    seen: HashSet<String>,
    /// Rows that are not handed out, the page that they are of, and the number of the first of them on it.
    rows: Vec<Map<String, Value>>,
    page: String,
    row: usize,
}

#[tenon_sdk::plugin]
impl Source for HttpJson {
    const NAME: &'static str = "http-json";
    const DOCS: &'static str = "Rows from JSON over HTTP, page by page.";

    fn bind(config: &Config) -> Result<SchemaRef> {
        Ok(columns::schema(&Settings::of(config)?.columns()?))
    }

    fn splits(config: &Config, _columns: &[usize], _limit: Option<u64>) -> Result<Vec<Split>> {
        let settings = Settings::of(config)?;
        // Every piece has the columns of the first page, which is looked at here, once.
        let columns = columns::written(&settings.columns()?);
        let urls = settings.urls().iter().enumerate();
        Ok(urls
            .map(|(at, url)| Split {
                name: format!("{at} {}", &url[..url.floor_char_boundary(500)]),
                payload: format!("{at}\n{columns}").into_bytes(),
                rows: None,
            })
            .collect())
    }

    fn open(config: &Config, columns: &[usize], payload: &[u8]) -> Result<Self> {
        let settings = Settings::of(config)?;
        let lost = || Error::Internal("a split of another configuration".to_owned());
        let text = std::str::from_utf8(payload).map_err(|_| lost())?;
        let (at, all) = text.split_once('\n').ok_or_else(lost)?;
        let at: usize = at.parse().map_err(|_| lost())?;
        let url = settings.urls().get(at).ok_or_else(lost)?.clone();
        let all = columns::read(all)?;
        let wanted = columns
            .iter()
            .map(|&c| all.get(c).cloned().ok_or_else(lost));
        Ok(Self {
            columns: wanted.collect::<Result<_>>()?,
            records: settings.records,
            next: settings.next,
            url: Some(url),
            seen: HashSet::new(),
            rows: Vec::new(),
            page: String::new(),
            row: 0,
        })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.rows.is_empty() {
            let Some(url) = self.url.take() else {
                return Ok(None);
            };
            self.turn(url)?;
        }
        let rest = self.rows.split_off(self.rows.len().min(ROWS_PER_BATCH));
        let rows = std::mem::replace(&mut self.rows, rest);
        let batch = columns::batch(&self.columns, &rows, &self.page, self.row)?;
        self.row += rows.len();
        Ok(Some(batch))
    }
}

impl HttpJson {
    /// Reads a page.
    fn turn(&mut self, url: String) -> Result<()> {
        if !self.seen.insert(url.clone()) {
            return Err(Error::user(
                "pages-in-a-circle",
                format!("{url} comes again: a page's next leads back to it"),
            ));
        }
        if self.seen.len() > MAX_PAGES {
            return Err(Error::user(
                "too-many-pages",
                format!(
                    "{url} would be page {}; {MAX_PAGES} are read",
                    self.seen.len()
                ),
            ));
        }
        let page = page::parse(&url, &fetch(&url)?, &self.records, self.next.as_deref())?;
        self.url = page.next;
        self.rows = page.rows;
        self.row = 0;
        self.page = url;
        Ok(())
    }
}

/// The body of a page.
fn fetch(url: &str) -> Result<Vec<u8>> {
    let mut request = Request::get(url);
    request
        .headers
        .push(("accept".to_owned(), "application/json".to_owned()));
    let response = http::send(request)?;
    let header = |name: &str| response.headers.iter().find(|(n, _)| n == name);
    match response.status {
        200..=299 => Ok(response.body),
        300..=399 => Err(Error::user(
            "http-redirect",
            format!(
                "{url} answers {} and leads to {}, which is not followed: name that address",
                response.status,
                header("location").map_or("nowhere", |(_, place)| place.as_str())
            ),
        )),
        status => Err(Error::user(
            "http-status",
            format!("{url} answers {status}"),
        )),
    }
}
