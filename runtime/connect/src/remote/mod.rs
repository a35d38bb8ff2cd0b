//! Places behind a network: [`Remote`].
//!
//! ```text
//! s3://bucket/key ─Location─▶ Connection ─Store─▶ object store over the checked client
//!                                          ├─list──▶ SourceFiles
//!                                          ├─read──▶ Input: ranges, fetched ahead
//!                                          └─upload▶ Output: parts, completed at commit
//! ```
//!
//! Decisions:
//! - **One client of our own below every store** ([`client`]): what may be connected to is checked where the connection is
//!   made, and retries are counted and limited for a whole run, which no store does by itself.
//! - **An object is read as it was when it was listed**: every range asks for its tag, so that an object that was written
//!   over in between is an error and never a mixture.
//! - **Keys come from a connection or from nowhere**: no instance's role, no file in a home folder. What a tenant may
//!   read is what it has keys for, not what this machine has.
//! - **No error shows a key**: the text of a store's error is cut down to what it says, and what is secret in the connection
//!   is taken out of it, also where a server sends it back.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod list;
pub(crate) mod location;
pub(crate) mod orphans;
pub(crate) mod reach;
pub(crate) mod read;
pub(crate) mod secret;
pub(crate) mod spool;
pub(crate) mod store;
pub(crate) mod traffic;
pub(crate) mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::memory::InMemory;

use crate::error::Result;
use crate::remote::client::{Client, Purpose};
use crate::remote::connection::{Connection, Connections};
use crate::remote::location::{Location, Scheme};
use crate::remote::reach::Reach;
use crate::remote::store::Store;
use crate::remote::traffic::Counters;

/// How remote places are read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Bytes that one request asks for. More make fewer requests, and memory for each file that is read. Default: 8 MiB;
    /// the first requests of a file are smaller.
    pub range_bytes: u64,
    /// Ranges that are fetched before they are asked for, while a file is read from one end to the other. Default: 2.
    pub ranges_ahead: usize,
    /// Bytes of one part of an upload: at least 5 MiB, which S3 asks for, and a file has at most 10 000 parts.
    /// Default: 8 MiB.
    pub part_bytes: usize,
    /// Parts of a file that are sent at the same time. Default: 2.
    pub parts_at_once: usize,
    /// How often one request is tried again. Default: 6.
    pub retries: usize,
    /// How often a run tries again in all. Default: 256.
    pub retry_budget: u64,
    /// The pause before the first retry; those after it grow to 5 s, at random. Default: 100 ms.
    pub retry_pause: Duration,
    /// Time after which a request is not tried again. Default: 2 minutes.
    pub retry_time: Duration,
    /// How long a server may say nothing. Default: 30 s.
    pub silence: Duration,
    /// Age from which the open upload of another run counts as left behind: an upload has no lock by which its writer
    /// could be seen to live. Default: a day.
    pub abandoned_after: Duration,
    /// Bytes of what has to be kept whole on disk, since it can be read only once. Default: 16 GiB.
    pub spool_bytes: u64,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            range_bytes: 8 << 20,
            ranges_ahead: 2,
            part_bytes: 8 << 20,
            parts_at_once: 2,
            retries: 6,
            retry_budget: 256,
            retry_pause: Duration::from_millis(100),
            retry_time: Duration::from_secs(120),
            silence: Duration::from_secs(30),
            abandoned_after: Duration::from_secs(24 * 60 * 60),
            spool_bytes: 16 << 30,
        }
    }
}

/// Buckets in memory, shared by everything that comes from one place.
type Memory = Arc<Mutex<HashMap<String, Arc<InMemory>>>>;

/// Every remote place that one [`Place`](crate::Place) can see.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) connections: Connections,
    pub(crate) reach: Reach,
    pub(crate) options: RemoteOptions,
    counters: Arc<Counters>,
    /// By bucket and connection.
    stores: Mutex<HashMap<(String, String), Arc<Store>>>,
    /// Of web places, by connection.
    clients: Mutex<HashMap<String, Client>>,
    memory: Memory,
}

impl Remote {
    pub(crate) fn new(reach: Reach) -> Self {
        Self::of(
            Connections::default(),
            reach,
            RemoteOptions::default(),
            Memory::default(),
        )
    }

    fn of(connections: Connections, reach: Reach, options: RemoteOptions, memory: Memory) -> Self {
        Self {
            counters: Arc::new(Counters::new(options.retry_budget)),
            connections,
            reach,
            options,
            stores: Mutex::default(),
            clients: Mutex::default(),
            memory,
        }
    }

    pub(crate) fn with_connections(&self, connections: Connections) -> Self {
        self.changed(connections, self.reach.clone(), self.options.clone())
    }

    pub(crate) fn with_reach(&self, reach: Reach) -> Self {
        self.changed(self.connections.clone(), reach, self.options.clone())
    }

    pub(crate) fn with_options(&self, options: RemoteOptions) -> Self {
        self.changed(self.connections.clone(), self.reach.clone(), options)
    }

    /// The same with counters and a budget of its own.
    pub(crate) fn for_run(&self) -> Self {
        self.with_options(self.options.clone())
    }

    /// The same with counters of its own and the budget of the whole, and other connections if there are some.
    pub(crate) fn for_part(&self, connections: Option<Connections>) -> Self {
        let connections = connections.unwrap_or_else(|| self.connections.clone());
        Self {
            counters: Arc::new(Counters::part_of(&self.counters)),
            ..self.changed(connections, self.reach.clone(), self.options.clone())
        }
    }

    fn changed(&self, connections: Connections, reach: Reach, options: RemoteOptions) -> Self {
        Self::of(connections, reach, options, Arc::clone(&self.memory))
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The store that a location is in. Connects to nothing yet.
    pub(crate) fn store(&self, location: &Location) -> Result<Arc<Store>> {
        let (root, whole) = location.canonical();
        let found = self.connections.of(&root, &whole);
        let connection = found.cloned().unwrap_or_default();
        match location.scheme {
            Scheme::Web => {
                let client = self.web_client(&connection)?;
                Store::of_web(location, &connection, client, self).map(Arc::new)
            }
            _ => self.bucket(location, root, &connection),
        }
    }

    fn bucket(
        &self,
        location: &Location,
        root: String,
        connection: &Connection,
    ) -> Result<Arc<Store>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (root, connection.name.clone());
        if let Some(store) = stores.get(&name) {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(Store::of_bucket(location, connection, self)?);
        stores.insert(name, Arc::clone(&store));
        Ok(store)
    }

    fn web_client(&self, connection: &Connection) -> Result<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connection.name) {
            return Ok(client.clone());
        }
        let client = self.client(connection, Purpose::Web)?;
        clients.insert(connection.name.clone(), client.clone());
        Ok(client)
    }

    fn client(&self, connection: &Connection, purpose: Purpose) -> Result<Client> {
        Client::new(
            connection,
            purpose,
            &self.reach,
            &self.options,
            &self.counters,
        )
    }

    fn memory(&self, bucket: &str) -> Arc<InMemory> {
        let mut buckets = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(buckets.entry(bucket.to_owned()).or_default())
    }
}
