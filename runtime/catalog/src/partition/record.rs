//! The stored form of a partition: what its key and its siblings do not say.
//!
//! ```text
//! part 2|database|table|value|...   layout 1: the whole Partition
//!                                   layout 2: Compact
//! obj  9|database|table|digest      StorageDescriptor, shared by partitions
//! ```
//!
//! Partitions of a table mostly differ in their location. The rest of a descriptor is stored once, under the
//! digest of its content, and is never changed: an update of the table does not reach into its partitions. Shared
//! descriptors go with the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tenon_store::{Key, Record, Tree};

use crate::catalog::TenantCatalog;
use crate::error::{Error, Kind, Result};
use crate::model::{Partition, StorageDescriptor, Timestamp};
use crate::stored;
use crate::table::full_name;

/// Newest layout of partitions.
pub(crate) const LAYOUT: u16 = 2;

/// Bytes of a digest that name a descriptor.
const DIGEST_BYTES: usize = 16;

/// Layout 2 of a partition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Compact {
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_access_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_analyzed_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<CompactDescriptor>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CompactDescriptor {
    /// Digest of the shared part, in hexadecimal digits.
    shared: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_locations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
}

impl Compact {
    /// The digest of the shared descriptor it needs.
    pub(crate) fn shared(&self) -> Option<&str> {
        Some(self.descriptor.as_ref()?.shared.as_str())
    }
}

/// The key of a shared descriptor of the table with this key.
pub(crate) fn descriptor_key(table: &Key, digest: &str) -> Key {
    stored::descriptors_of(table).with_part(digest)
}

/// Packs partitions of one table, remembering the descriptors they share.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    /// Shared part, digest and payload.
    shared: Vec<(StorageDescriptor, String, Vec<u8>)>,
}

impl Packer {
    /// The payload of a partition.
    pub(crate) fn pack(&mut self, partition: Partition) -> Result<Vec<u8>> {
        let descriptor = match partition.storage_descriptor {
            Some(descriptor) => Some(self.descriptor(descriptor)?),
            None => None,
        };
        stored::encode(&Compact {
            creation_time: partition.creation_time,
            last_access_time: partition.last_access_time,
            last_analyzed_time: partition.last_analyzed_time,
            parameters: partition.parameters,
            descriptor,
        })
    }

    /// Digests and payloads of all shared descriptors that were needed.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.shared
            .iter()
            .map(|(_, digest, payload)| (digest.as_str(), payload.as_slice()))
    }

    fn descriptor(&mut self, mut descriptor: StorageDescriptor) -> Result<CompactDescriptor> {
        let (location, additional_locations, parameters) = (
            descriptor.location.take(),
            descriptor.additional_locations.take(),
            std::mem::take(&mut descriptor.parameters),
        );
        let known = self
            .shared
            .iter()
            .find(|(shared, ..)| *shared == descriptor);
        let shared = match known {
            Some((_, digest, _)) => digest.clone(),
            None => {
                let payload = stored::encode(&descriptor)?;
                let digest = digest(&payload);
                self.shared.push((descriptor, digest.clone(), payload));
                digest
            }
        };
        Ok(CompactDescriptor {
            shared,
            location,
            additional_locations,
            parameters,
        })
    }
}

fn digest(payload: &[u8]) -> String {
    let digest = Sha256::digest(payload);
    let bytes = digest.iter().take(DIGEST_BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Reads partitions of one table, remembering the descriptors they share.
#[derive(Debug)]
pub(crate) struct Unpacker<'a> {
    catalog: &'a TenantCatalog,
    database: &'a str,
    table: &'a str,
    shared: BTreeMap<String, StorageDescriptor>,
    with_columns: bool,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(catalog: &'a TenantCatalog, database: &'a str, table: &'a str) -> Self {
        Self {
            catalog,
            database,
            table,
            shared: BTreeMap::new(),
            with_columns: true,
        }
    }

    /// Leaves out the columns of descriptors.
    pub(crate) fn without_columns(self) -> Self {
        Self {
            with_columns: false,
            ..self
        }
    }

    /// The partition in a record of any layout.
    pub(crate) fn unpack(
        &mut self,
        key: &Key,
        values: Vec<String>,
        record: &Record,
    ) -> Result<Partition> {
        if record.schema < LAYOUT {
            let mut whole: Partition = stored::decode(Tree::Partition, key, record)?;
            if let Some(descriptor) = &mut whole.storage_descriptor
                && !self.with_columns
            {
                descriptor.columns.clear();
            }
            return Ok(whole);
        }
        let compact = read_compact(key, record)?;
        let storage_descriptor = match compact.descriptor {
            Some(descriptor) => Some(self.descriptor(key, descriptor)?),
            None => None,
        };
        Ok(Partition {
            values,
            database_name: Some(self.database.to_owned()),
            table_name: Some(self.table.to_owned()),
            creation_time: compact.creation_time,
            last_access_time: compact.last_access_time,
            storage_descriptor,
            parameters: compact.parameters,
            last_analyzed_time: compact.last_analyzed_time,
            catalog_id: self.catalog.catalog_id(),
        })
    }

    fn descriptor(&mut self, key: &Key, compact: CompactDescriptor) -> Result<StorageDescriptor> {
        let shared = match self.shared.get(&compact.shared) {
            Some(shared) => shared.clone(),
            None => {
                let mut shared = self.read_shared(key, &compact.shared)?;
                if !self.with_columns {
                    shared.columns.clear();
                }
                self.shared.insert(compact.shared, shared.clone());
                shared
            }
        };
        Ok(StorageDescriptor {
            location: compact.location,
            additional_locations: compact.additional_locations,
            parameters: compact.parameters,
            ..shared
        })
    }

    fn read_shared(&self, key: &Key, digest: &str) -> Result<StorageDescriptor> {
        let table = stored::table(self.database, self.table);
        let descriptor_key = descriptor_key(&table, digest);
        if let Some(found) = self.catalog.read(Tree::Object, &descriptor_key)? {
            return Ok(found.value);
        }
        // The partition was read before: it may have gone with its table since.
        let table_is_there = self.catalog.object_version(Tree::Object, &table)?.is_some();
        if table_is_there && self.catalog.object_version(Tree::Partition, key)?.is_some() {
            let reason = format!("its descriptor {digest} is missing");
            return Err(stored::unreadable(Tree::Partition, key, reason));
        }
        let name = full_name(self.database, self.table);
        Err(Error::not_found(Kind::Table, name))
    }
}

/// A record of layout 2.
pub(crate) fn read_compact(key: &Key, record: &Record) -> Result<Compact> {
    stored::check_layout(Tree::Partition, key, record, LAYOUT)?;
    serde_json::from_slice(&record.payload)
        .map_err(|error| stored::unreadable(Tree::Partition, key, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored bytes of every released layout must still load, to the same meaning.
    #[test]
    fn golden_partitions_load_and_are_what_is_written() {
        let record = |schema, payload: &str| Record {
            schema,
            version: 1,
            seq: 1,
            payload: payload.trim_end().into(),
        };
        let first = record(1, include_str!("../../test-data/partition-v1.json"));
        let whole: Partition = stored::decode(Tree::Partition, &Key::new(), &first).unwrap();
        assert_eq!(whole.values, ["eu", "2024"]);

        let second = record(LAYOUT, include_str!("../../test-data/partition-v2.json"));
        let compact = read_compact(&Key::new(), &second).unwrap();
        let mut packer = Packer::default();
        let packed = packer.pack(whole).unwrap();
        assert_eq!(
            String::from_utf8(packed).unwrap(),
            String::from_utf8(second.payload).unwrap(),
        );
        let (digest, payload) = packer.descriptors().next().unwrap();
        assert_eq!(Some(digest), compact.shared());
        let golden = include_str!("../../test-data/descriptor-v1.json").trim_end();
        assert_eq!(std::str::from_utf8(payload).unwrap(), golden);
    }
}
