//! The audit log: who changed what, when, from where, and how it went.
//!
//! An entry lies among the records of the tenant whose things were to be changed; what concerns accounts and
//! keys lies among the server's own. The entry of a change is written in the change's own transaction (see
//! [`tenon_store::Note`]), so neither is there without the other. What was refused, and how a request of
//! several transactions ended, is written right after it.
//!
//! ```text
//! obj  200|MAX - unix millis|first half of the request id   AuditEntry; the newest comes first
//! ```
//!
//! Entries name things and never hold contents: no definitions, no parameters, no secrets, no messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenon_store::{Clock, Key, Note, Store, Tenant, Transaction, Tree};

use crate::identity::{IdentityError, SCHEMA, decode, encode};
use crate::token::{hex, unhex};

const KIND: u8 = 200;

/// Entries looked at for one page, at most: a filter that fits little ends a page early.
const MAX_SCANNED: usize = 10_000;

/// Old entries removed at a time.
const PRUNED_AT_ONCE: usize = 1000;

/// Characters of a name that are kept.
const NAME_CHARS: usize = 255;

/// What an entry says while a request of several transactions is under way, or after it died there.
pub(crate) const BEGUN: &str = "Begun";
/// Everything that was asked for was done.
pub(crate) const SUCCESS: &str = "Success";
/// Some items of a batch were refused.
pub(crate) const PARTIAL: &str = "PartialSuccess";

/// One request that changed something, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it arrived, in milliseconds since 1970.
    pub time_unix_millis: u64,
    /// The id in the answer's `x-amzn-requestid`.
    pub request_id: String,
    /// Who: the ARN of the caller, or what the administrator's tool calls itself.
    pub principal: String,
    /// With which access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Service and operation, such as `glue:CreateTable`.
    pub operation: String,
    /// Names of what it is about, by the member of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, String>,
    /// `Success`, `PartialSuccess` of a batch, the name of the exception, or `Begun` when the server ended
    /// while it was under way.
    pub outcome: String,
}

impl AuditEntry {
    fn key(&self) -> Key {
        let digits: String = self
            .request_id
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(16)
            .collect();
        let unique = u64::from_str_radix(&digits, 16).unwrap_or_default();
        at(self.time_unix_millis).with_u64(unique)
    }
}

fn at(unix_millis: u64) -> Key {
    Key::new().with_u8(KIND).with_u64(u64::MAX - unix_millis)
}

/// Which entries to list. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Not before this time, in milliseconds since 1970.
    pub from_unix_millis: Option<u64>,
    /// Not after this time, in milliseconds since 1970.
    pub until_unix_millis: Option<u64>,
    /// Only this principal.
    pub principal: Option<String>,
    /// Only this operation, with its service.
    pub operation: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Entries of a page, at most; 1 to 1000.
    pub limit: usize,
}

impl AuditQuery {
    fn fits(&self, entry: &AuditEntry) -> bool {
        let same = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        same(&self.principal, &entry.principal) && same(&self.operation, &entry.operation)
    }
}

/// Some entries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries. There may be none although there are more: then nothing fit among those looked at.
    pub entries: Vec<AuditEntry>,
    /// Pass it as `after` for the next page; `None` on the last.
    pub next: Option<String>,
}

/// Writes and lists entries.
#[derive(Clone)]
pub(crate) struct AuditLog {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long entries are kept.
    pub(crate) retention: Duration,
}

impl AuditLog {
    /// The entry as a record that is written with each change.
    pub(crate) fn note(entry: &AuditEntry) -> Result<Note, IdentityError> {
        let actor = entry.access_key.as_deref().unwrap_or(&entry.principal);
        Ok(Note::new(Tree::Object, entry.key(), SCHEMA, encode(entry)?).by(actor))
    }

    /// Adds the entry to a change.
    pub(crate) fn add(
        transaction: Transaction,
        entry: &AuditEntry,
    ) -> Result<Transaction, IdentityError> {
        Ok(transaction.put(Tree::Object, entry.key(), SCHEMA, encode(entry)?))
    }

    /// Writes the entry, in place of what was noted of the same request.
    pub(crate) fn write(&self, tenant: Tenant, entry: &AuditEntry) -> Result<(), IdentityError> {
        self.store
            .commit(Self::add(Transaction::new(tenant), entry)?)?;
        Ok(())
    }

    pub(crate) fn list(
        &self,
        tenant: Tenant,
        query: &AuditQuery,
    ) -> Result<AuditPage, IdentityError> {
        let oldest = self.oldest().max(query.from_unix_millis.unwrap_or(0));
        let start = at(query.until_unix_millis.unwrap_or(u64::MAX));
        let mut after = match &query.after {
            Some(token) => read_token(token)?.max(start),
            None => start,
        };
        let limit = query.limit.clamp(1, 1000);
        let (mut entries, mut scanned) = (Vec::new(), 0);
        let below = Key::new().with_u8(KIND);
        loop {
            let page = self
                .store
                .scan(tenant, Tree::Object, &below, Some(&after), 500)?;
            for (key, record) in page.records {
                let entry: AuditEntry = decode(&record)?;
                if entry.time_unix_millis < oldest {
                    return Ok(AuditPage {
                        entries,
                        next: None,
                    });
                }
                if entries.len() == limit || scanned == MAX_SCANNED {
                    let next = Some(hex(after.as_bytes()));
                    return Ok(AuditPage { entries, next });
                }
                scanned += 1;
                after = key;
                if query.fits(&entry) {
                    entries.push(entry);
                }
            }
            if page.next.is_none() {
                return Ok(AuditPage {
                    entries,
                    next: None,
                });
            }
        }
    }

    /// Removes some of the entries that are too old; returns how many.
    pub(crate) fn prune(&self, tenant: Tenant) -> Result<usize, IdentityError> {
        let below = Key::new().with_u8(KIND);
        let newest = at(self.oldest().saturating_sub(1));
        let page = self
            .store
            .scan(tenant, Tree::Object, &below, Some(&newest), PRUNED_AT_ONCE)?;
        let count = page.records.len();
        let delete = |transaction: Transaction, (key, _)| transaction.delete(Tree::Object, key);
        let transaction = page
            .records
            .into_iter()
            .fold(Transaction::new(tenant), delete);
        if !transaction.is_empty() {
            self.store.commit(transaction)?;
        }
        Ok(count)
    }

    fn oldest(&self) -> u64 {
        let retention = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        unix_millis(self.clock.now()).saturating_sub(retention)
    }
}

/// A key that was handed out. It cannot leave the tenant whatever it says.
fn read_token(token: &str) -> Result<Key, IdentityError> {
    let key = unhex(token).map(Key::from_bytes);
    key.filter(|key| key.starts_with(&Key::new().with_u8(KIND)))
        .ok_or_else(|| IdentityError::invalid("the page token is not one of the audit log"))
}

pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

/// Members of requests that name things.
const NAMES: &[&str] = &[
    "CatalogID",
    "CatalogId",
    "ColumnName",
    "ConnectionName",
    "DatabaseName",
    "FunctionName",
    "IndexName",
    "JobName",
    "Name",
    "ResourceArn",
    "RoleArn",
    "RoleSessionName",
    "RunId",
    "TableName",
    "VersionId",
];

/// Names in a request, also those one level down, such as `TableInput.Name`.
pub(crate) fn resource(input: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (member, value) in input.as_object().into_iter().flatten() {
        match value {
            Value::String(text) if NAMES.contains(&member.as_str()) => {
                found.insert(member.clone(), short(text));
            }
            Value::Object(inner) if member.ends_with("Input") => {
                let names = inner
                    .iter()
                    .filter(|(name, _)| NAMES.contains(&name.as_str()));
                for (name, value) in names {
                    if let Some(text) = value.as_str() {
                        found.insert(format!("{member}.{name}"), short(text));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenon_store::{ManualClock, SledStore, StoreConfig};

    use super::*;

    fn entry(time: u64, operation: &str) -> AuditEntry {
        AuditEntry {
            time_unix_millis: time,
            request_id: format!("{time:08x}-0000-0000-0000-000000000000"),
            principal: "arn:aws:iam::111111111111:root".to_owned(),
            access_key: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            source: Some("127.0.0.1".to_owned()),
            operation: operation.to_owned(),
            resource: BTreeMap::from([("DatabaseName".to_owned(), "sales".to_owned())]),
            outcome: SUCCESS.to_owned(),
        }
    }

    #[test]
    fn entries_are_listed_newest_first_by_time_principal_and_operation() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_millis(10_000)));
        let store = SledStore::open(dir.path(), &StoreConfig::default(), clock.as_ref()).unwrap();
        let log = AuditLog {
            store: Arc::new(store),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            retention: Duration::from_millis(9_000),
        };
        let tenant = Tenant::new(7);
        for time in 1..=20 {
            let operation = if time % 2 == 0 {
                "glue:CreateTable"
            } else {
                "glue:DeleteTable"
            };
            log.write(tenant, &entry(time * 500, operation)).unwrap();
        }
        let list = |query: AuditQuery| {
            let page = log.list(tenant, &query).unwrap();
            let times: Vec<_> = page.entries.iter().map(|e| e.time_unix_millis).collect();
            (times, page.next)
        };
        let all = AuditQuery {
            limit: 1000,
            ..Default::default()
        };
        // The first is older than the log goes back.
        let (times, next) = list(all.clone());
        assert_eq!(
            (times.len(), times[0], times[18], next),
            (19, 10_000, 1_000, None)
        );
        let some = AuditQuery {
            from_unix_millis: Some(2_000),
            until_unix_millis: Some(4_000),
            ..all.clone()
        };
        assert_eq!(list(some.clone()).0, [4_000, 3_500, 3_000, 2_500, 2_000]);
        let created = AuditQuery {
            operation: Some("glue:CreateTable".to_owned()),
            ..some
        };
        assert_eq!(list(created.clone()).0, [4_000, 3_000, 2_000]);
        let nobody = AuditQuery {
            principal: Some("x".to_owned()),
            ..all.clone()
        };
        assert_eq!(list(nobody), (vec![], None));

        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let (times, next) = list(AuditQuery {
                limit: 2,
                after,
                ..created.clone()
            });
            paged.extend(times);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, [4_000, 3_000, 2_000]);
        log.list(
            tenant,
            &AuditQuery {
                after: Some("01".to_owned()),
                ..all.clone()
            },
        )
        .unwrap_err();
        assert_eq!(log.list(Tenant::new(8), &all).unwrap().entries, []);

        clock.advance(Duration::from_millis(4_000));
        assert_eq!(log.prune(tenant).unwrap(), 9);
        assert_eq!(log.prune(tenant).unwrap(), 0);
        assert_eq!(list(all).0.len(), 11);
    }

    #[test]
    fn resources_are_names_only() {
        let input = json!({
            "DatabaseName": "d",
            "TableInput": {"Name": "t", "Parameters": {"Name": "secret"}, "Owner": "secret"},
            "ConnectionInput": {"Name": "c", "ConnectionProperties": {"PASSWORD": "secret"}},
            "Description": "secret",
            "TagsToAdd": {"Name": "secret"},
            "VersionId": 1,
        });
        let found = resource(&input);
        let expected = [
            ("ConnectionInput.Name", "c"),
            ("DatabaseName", "d"),
            ("TableInput.Name", "t"),
        ];
        assert_eq!(
            found,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
    }

    #[test]
    fn the_golden_entry_loads_and_is_what_is_written() {
        let golden = include_str!("../test-data/audit-v1.json").trim_end();
        let loaded: AuditEntry = serde_json::from_str(golden).unwrap();
        assert_eq!(loaded, entry(1_700_000_000_000, "glue:CreateTable"));
        assert_eq!(String::from_utf8(encode(&loaded).unwrap()).unwrap(), golden);
    }
}
