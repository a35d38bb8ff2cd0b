//! The file itself: header, footer, its lines, and whether it is whole.

use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::object::{Object, Order};
use super::{Counts, TransferError};

const FORMAT: &str = "tenon-catalog";
/// What is written. Version 1 had no catalogs, settings, policies, connections and tags.
const VERSION: u32 = 2;

/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Header {
    format: String,
    version: u32,
    #[serde(default)]
    account: Option<String>,
}

impl Header {
    pub(super) fn new(account: Option<String>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            account,
        }
    }
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Footer {
    sha256: String,
    objects: Counts,
}

impl Footer {
    pub(super) fn new(hash: Sha256, objects: Counts) -> Self {
        Self {
            sha256: hex(&hash.finalize()),
            objects,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines with their number, none longer than allowed.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::new(reader),
            number: 0,
        }
    }

    /// The next line with its end; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TransferError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        limited.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        match line.last() {
            Some(b'\n') => Ok(Some(line)),
            _ => Err(self.damaged("it does not end, or is too long")),
        }
    }

    fn damaged(&self, reason: impl ToString) -> TransferError {
        TransferError::Damaged {
            line: self.number,
            reason: reason.to_string(),
        }
    }
}

/// Whether the file is whole, every line can be read, and they stand in order; `catalogs` for whether there may be
/// any.
pub(super) fn verify(reader: &mut impl Read, catalogs: bool) -> Result<(), TransferError> {
    let mut lines = Lines::new(reader);
    let Some(first) = lines.next()? else {
        return Err(lines.damaged("the file is empty"));
    };
    check_header(&first).map_err(|reason| lines.damaged(reason))?;
    let (mut hash, mut counts, mut order) = (Sha256::new(), Counts::new(), Order::default());
    hash.update(&first);
    let mut footer: Option<Footer> = None;
    while let Some(line) = lines.next()? {
        if footer.is_some() {
            return Err(lines.damaged("something comes after the end"));
        }
        if line.starts_with(b"{\"Sha256\"") {
            footer = Some(serde_json::from_slice(&line).map_err(|error| lines.damaged(error))?);
            continue;
        }
        let object: Object = serde_json::from_slice(&line).map_err(|error| lines.damaged(error))?;
        order
            .take(&object)
            .map_err(|reason| lines.damaged(reason))?;
        let is_catalog = matches!(object, Object::Catalog(_) | Object::DefaultCatalog(_));
        if is_catalog && !catalogs {
            let reason = "it has a catalog of its own, which only the default catalog can take";
            return Err(lines.damaged(reason));
        }
        *counts.entry(object.kind().to_owned()).or_default() += 1;
        hash.update(&line);
    }
    let footer = footer.ok_or_else(|| lines.damaged("the end of the file is missing"))?;
    order.finish().map_err(|reason| lines.damaged(reason))?;
    let found = hex(&hash.finalize());
    if footer.sha256 != found {
        let wanted = &footer.sha256;
        return Err(lines.damaged(format!("the sha256 is {found} and should be {wanted}")));
    }
    if footer.objects != counts {
        let wanted = &footer.objects;
        return Err(lines.damaged(format!("there are {counts:?} and should be {wanted:?}")));
    }
    Ok(())
}

fn check_header(line: &[u8]) -> Result<(), String> {
    let header: Header = serde_json::from_slice(line)
        .map_err(|error| format!("it does not begin as an exported catalog does: {error}"))?;
    if header.format != FORMAT || header.version > VERSION {
        return Err(format!(
            "it is {} version {}, this build reads {FORMAT} up to version {VERSION}",
            header.format, header.version
        ));
    }
    Ok(())
}
