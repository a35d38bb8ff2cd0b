//! Who a caller is: accounts, access keys, sessions, bearer tokens.
//!
//! ```text
//! request ── sigv4: what the signature says ── key or session: its secret ── signature holds
//!         ── account: which tenant, which quotas ── Caller
//! ```
//!
//! | module | what |
//! |---|---|
//! | `account` | [`Account`], [`Quotas`] |
//! | `key` | [`AccessKey`], [`NewKey`], [`Secret`] |
//! | `session` | keys that last for a while, for AssumeRole |
//! | `bearer` | [`BearerToken`], for what is not Glue's protocol |
//! | `sigv4` | signatures |
//! | `limits` | rates, and signatures that were used before |
//! | `vault` | the master key |
//! | `records`, `error` | how it is stored; [`IdentityError`] |
//!
//! **Two modes.** As long as no account was ever created, everyone is the account itself, with any key and
//! unchecked; such a server listens on loopback addresses only. From the first account on, every request must
//! be signed with a key of an account, for good: deleting the last account does not open the server again.
//!
//! **Absent and foreign are one.** A caller reaches its own tenant's records only, so what another account has
//! is not found, in the same words as what nobody has.

mod account;
mod bearer;
mod error;
mod key;
mod limits;
mod records;
mod session;
pub(crate) mod sigv4;
mod vault;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tenon_catalog::Catalog;
use tenon_jobs::{Jobs, Planner};
use tenon_store::{Clock, Store, Tenant, Transaction, Tree};
use tokio::sync::Semaphore;

pub use account::{Account, Quotas};
pub use bearer::{BearerToken, NewToken, TokenScope};
pub use error::IdentityError;
pub use key::{AccessKey, NewKey, Secret};

pub(crate) use account::is_account_id;
pub(crate) use limits::lock;
pub(crate) use records::{SCHEMA, decode, encode};
pub(crate) use session::{Credentials, SessionFor, unique_id};
pub(crate) use vault::random;

use crate::audit::{AuditEntry, AuditLog, AuditPage, AuditQuery, SUCCESS, unix_millis};
use crate::fault::Fault;
use crate::quota::Usage;
use crate::share::Seats;
use crate::token::hex;
use limits::{Limits, Replays};
use records::Records;
use sigv4::{Request, Scope, Signed};
use vault::{CONNECTIONS, LISTS, Vault};

/// The user that is the account itself.
const ROOT: &str = "root";

/// Requests to the REST interface with tokens of one account that are performed at the same time.
pub(crate) const REST_SEATS: usize = 16;

/// The tenant of a server without accounts.
const OPEN_TENANT: Tenant = Tenant::new(1);

/// Settings of identity.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    /// The file of the key that encrypts secrets; made, for the owner only, when it is needed first. Without it
    /// no access key works any more: keep a copy, apart from the backups of the data.
    pub master_key: PathBuf,
    /// Folder of what is not in the store: `registry` has the plugins for all, `tenants/<number>/registry` those of
    /// one account.
    pub data: PathBuf,
    /// How long the audit log goes back. Default 90 days. An entry takes about half a kilobyte.
    pub audit_retention: Duration,
}

impl IdentityConfig {
    /// The defaults, with the master key in `<data>/master.key`.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            master_key: data.join("master.key"),
            data: data.to_owned(),
            audit_retention: Duration::from_secs(90 * 24 * 60 * 60),
        }
    }
}

/// Accounts, keys and tokens of a server, and its audit log. Cheap to clone; every method blocks on the store.
///
/// ```
/// # use std::sync::Arc;
/// # use tenon_server::{Identity, IdentityConfig, TokenScope};
/// # use tenon_store::{SledStore, StoreConfig, SystemClock};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let data = dir.path();
/// let clock = Arc::new(SystemClock);
/// let store = SledStore::open(&data.join("store"), &StoreConfig::default(), clock.as_ref())?;
/// let identity = Identity::open(Arc::new(store), clock, IdentityConfig::new(data))?;
/// let (account, first) = identity.create_account("cli", Some("111122223333"), "analytics")?;
/// println!("{} {}", first.key.id, first.secret.reveal());
/// let token = identity.create_token("cli", "dashboards", TokenScope::Account(account.id), None)?;
/// assert_eq!(identity.check_token(token.text.reveal())?, Some(token.token));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    records: Records,
    clock: Arc<dyn Clock>,
    data: PathBuf,
    vault: Vault,
    /// Held while the fingerprint of the master key is compared and written.
    claiming: Mutex<()>,
    audit: AuditLog,
    closed: AtomicBool,
    limits: Limits,
    usage: Usage,
    /// For the REST interface, by account.
    seats: Seats<String>,
    replays: Replays,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// Who a caller is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: Tenant,
    pub(crate) account: String,
    pub(crate) principal: Principal,
    pub(crate) quotas: Quotas,
}

/// Whom a request comes from, as it appears in ARNs and in the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) arn: String,
    pub(crate) user_id: String,
    /// The key the request is signed with.
    pub(crate) access_key: Option<String>,
    /// The lasting key behind it, which is the same but in a session.
    pub(crate) source_key: Option<String>,
    pub(crate) in_session: bool,
    pub(crate) is_role: bool,
}

impl Principal {
    fn user(account: &str, user: &str, access_key: Option<&str>) -> Self {
        let (name, user_id) = match user {
            ROOT => (ROOT.to_owned(), account.to_owned()),
            user => (format!("user/{user}"), unique_id("AIDA", account, user)),
        };
        Self {
            arn: format!("arn:aws:iam::{account}:{name}"),
            user_id,
            access_key: access_key.map(str::to_owned),
            source_key: access_key.map(str::to_owned),
            in_session: false,
            is_role: false,
        }
    }

    fn of_session(session: session::Session, access_key: &str) -> Self {
        Self {
            arn: session.arn,
            user_id: session.user_id,
            access_key: Some(access_key.to_owned()),
            source_key: session.source_key,
            in_session: true,
            is_role: session.is_role,
        }
    }
}

/// A refused caller, and whose key it claimed to have.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) fault: Fault,
    /// The tenant whose audit log is to say so, with the key that was named.
    pub(crate) claimed: Option<(Tenant, String)>,
}

impl From<Fault> for Denied {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            claimed: None,
        }
    }
}

impl From<IdentityError> for Denied {
    fn from(error: IdentityError) -> Self {
        Fault::from(error).into()
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        Self::internal(&error.to_string())
    }
}

fn connection_owner(tenant: Tenant, name: &str, property: &str) -> [String; 3] {
    [tenant.to_string(), name.to_owned(), property.to_owned()]
}

impl Identity {
    /// Identity as it is kept in `store`.
    ///
    /// # Errors
    /// [`IdentityError::MasterKey`] when the file is missing that encrypted what is stored, is another one, or
    /// can be read by others; [`IdentityError::Store`].
    pub fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: IdentityConfig,
    ) -> Result<Self, IdentityError> {
        let audit = AuditLog {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            retention: config.audit_retention,
        };
        let identity = Self(Arc::new(Inner {
            records: Records { store },
            clock,
            data: config.data,
            vault: Vault::open(config.master_key)?,
            claiming: Mutex::new(()),
            audit,
            closed: AtomicBool::new(false),
            limits: Limits::new(),
            usage: Usage::default(),
            seats: Seats::new(REST_SEATS),
            replays: Replays::new(),
        }));
        let records = &identity.0.records;
        if records
            .get::<String>(Tree::Object, &records::fingerprint())?
            .is_some()
        {
            identity.claim_master_key()?;
        }
        if records
            .get::<u32>(Tree::Object, &records::next_tenant())?
            .is_some()
        {
            identity.close();
        }
        Ok(identity)
    }

    /// Whether requests must be signed: whether an account was ever created.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// The audit log of an account, or of the server itself: of accounts, keys and tokens.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] for a page token that is none,
    /// [`IdentityError::Store`].
    pub fn audit(
        &self,
        account: Option<&str>,
        query: &AuditQuery,
    ) -> Result<AuditPage, IdentityError> {
        let tenant = match account {
            None => Tenant::SYSTEM,
            Some(_) if !self.is_closed() => OPEN_TENANT,
            Some(id) => self.account(id)?.tenant(),
        };
        self.0.audit.list(tenant, query)
    }

    /// Removes what is too old from every audit log.
    ///
    /// # Errors
    /// [`IdentityError::Store`].
    pub(crate) fn prune_audit(&self) -> Result<(), IdentityError> {
        let tenants = self.tenants("")?.into_iter().map(|(tenant, _)| tenant);
        for tenant in std::iter::once(Tenant::SYSTEM).chain(tenants) {
            while self.0.audit.prune(tenant)? > 0 {}
        }
        Ok(())
    }

    /// Every tenant that has an account, with its account; `open` is that of a server without accounts.
    pub(crate) fn tenants(&self, open: &str) -> Result<Vec<(Tenant, String)>, IdentityError> {
        if !self.is_closed() {
            return Ok(vec![(OPEN_TENANT, open.to_owned())]);
        }
        let accounts = self.accounts()?.into_iter();
        Ok(accounts
            .map(|account| (account.tenant(), account.id))
            .collect())
    }

    /// The store everything is in.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.0.records.store
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The folder with the plugins of an account, or with those for all.
    pub(crate) fn plugins(&self, account: Option<&str>) -> Result<PathBuf, IdentityError> {
        let folder = match account {
            None => self.0.data.clone(),
            Some(id) => self.folder_of(self.lasting(id)?.0.tenant()),
        };
        Ok(folder.join("registry"))
    }

    /// The folder with what a tenant has outside of the store.
    fn folder_of(&self, tenant: Tenant) -> PathBuf {
        let name = tenant.number().to_string();
        self.0.data.join("tenants").join(name)
    }

    /// Writes to the server's audit log what is not in the store.
    pub(crate) fn note(
        &self,
        by: &str,
        operation: &str,
        names: &[(&str, &str)],
    ) -> Result<(), IdentityError> {
        let noted = self.noted(Records::transaction(), by, operation, names)?;
        self.0.records.commit(noted)
    }

    pub(crate) fn audit_log(&self) -> &AuditLog {
        &self.0.audit
    }

    /// The catalog in the same store.
    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::open(Arc::clone(&self.0.records.store), Arc::clone(&self.0.clock))
    }

    /// The jobs in the same store.
    pub(crate) fn jobs(&self, planner: Arc<dyn Planner>) -> Jobs {
        let (store, clock) = (&self.0.records.store, &self.0.clock);
        Jobs::open(Arc::clone(store), Arc::clone(clock), planner)
    }

    /// The key of pagination tokens that survives a restart, when there is a master key to make it of.
    pub(crate) fn lists_key(&self) -> Result<Option<[u8; 32]>, IdentityError> {
        let vault = &self.0.vault;
        vault.exists().then(|| vault.key(LISTS)).transpose()
    }

    /// Encrypts a secret of a tenant's connection. It opens only as what it was sealed as: `property` of the
    /// connection called `name`.
    pub(crate) fn seal_connection(
        &self,
        tenant: Tenant,
        name: &str,
        property: &str,
        secret: &str,
    ) -> Result<String, IdentityError> {
        self.claim_master_key()?;
        let owner = connection_owner(tenant, name, property);
        let owner: Vec<_> = owner.iter().map(String::as_bytes).collect();
        self.0.vault.seal(CONNECTIONS, &owner, secret.as_bytes())
    }

    /// The secret that was sealed so; `None` for anything else. For whoever connects, never for an answer.
    ///
    /// # Errors
    /// [`IdentityError::MasterKey`].
    pub fn open_connection(
        &self,
        tenant: Tenant,
        name: &str,
        property: &str,
        sealed: &str,
    ) -> Result<Option<Secret>, IdentityError> {
        let owner = connection_owner(tenant, name, property);
        let owner: Vec<_> = owner.iter().map(String::as_bytes).collect();
        let text = self.0.vault.unseal(CONNECTIONS, &owner, sealed)?;
        Ok(text
            .and_then(|text| String::from_utf8(text).ok())
            .map(Secret::new))
    }

    pub(crate) fn admits(&self, caller: &Caller) -> bool {
        self.0.limits.admits(&caller.account, &caller.quotas)
    }

    /// Seats of an account for the REST interface.
    pub(crate) fn rest_seats(&self, account: &str) -> Arc<Semaphore> {
        self.0.seats.of(account.to_owned())
    }

    /// How much accounts have of what quotas count.
    pub(crate) fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// Who sends a request. `account` is the one of a server without accounts. With `once`, a signature that
    /// was used earlier is refused.
    pub(crate) fn authenticate(
        &self,
        request: &Request<'_>,
        scope: &Scope<'_>,
        account: &str,
        once: bool,
    ) -> Result<Caller, Denied> {
        if !self.is_closed() {
            return Ok(self.anyone(request, account)?);
        }
        let signed = Signed::read(request.headers)?;
        signed.check_scope(scope)?;
        let now = self.0.clock.now();
        signed.check_time(now)?;
        let (caller, secret, ends) = match signed.session_token {
            Some(token) => self.session_caller(&signed, token)?,
            None => self.key_caller(signed.key_id)?,
        };
        signed
            .check_signature(request, secret.reveal())
            .map_err(|fault| self.denied(fault, &caller))?;
        if ends.is_some_and(|ends| ends <= unix_millis(now)) {
            let fault = Fault::forbidden(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            );
            return Err(self.denied(fault, &caller));
        }
        if once && self.0.replays.is_replay(signed.signature, now) {
            let fault = Fault::forbidden(
                "InvalidSignatureException",
                "This signature was used before: sign every request anew.",
            );
            return Err(self.denied(fault, &caller));
        }
        Ok(caller)
    }

    /// The caller of a server without accounts.
    fn anyone(&self, request: &Request<'_>, account: &str) -> Result<Caller, IdentityError> {
        let signed = Signed::read(request.headers).ok();
        let key_id = signed.map(|signed| signed.key_id);
        let session = match signed.and_then(|it| Some((it.key_id, it.session_token?))) {
            Some((key_id, token)) => self.session(key_id, token)?,
            None => None,
        };
        let principal = match session.zip(key_id) {
            Some((session, key_id)) => Principal::of_session(session, key_id),
            None => Principal::user(account, ROOT, key_id),
        };
        Ok(Caller {
            tenant: OPEN_TENANT,
            account: account.to_owned(),
            principal,
            quotas: Quotas::default(),
        })
    }

    fn key_caller(&self, key_id: &str) -> Result<(Caller, Secret, Option<u64>), Denied> {
        let (account, stored) = self.usable_key(key_id)?.ok_or_else(unrecognized)?;
        let secret = self.secret(&account, &stored)?;
        let principal = Principal::user(&account.id, &stored.key.user, Some(key_id));
        Ok((caller(account, principal), secret, None))
    }

    fn session_caller(
        &self,
        signed: &Signed<'_>,
        token: &str,
    ) -> Result<(Caller, Secret, Option<u64>), Denied> {
        let session = self.session(signed.key_id, token)?;
        let session = session.ok_or_else(unrecognized)?;
        let source = session.source_key.as_deref().unwrap_or_default();
        let (account, _) = self.usable_key(source)?.ok_or_else(unrecognized)?;
        if (account.id.as_str(), account.tenant) != (session.account.as_str(), session.tenant) {
            return Err(unrecognized().into());
        }
        let (secret, ends) = (
            Secret::new(session.secret.clone()),
            session.expires_unix_millis,
        );
        let principal = Principal::of_session(session, signed.key_id);
        Ok((caller(account, principal), secret, Some(ends)))
    }

    /// A key that may be used, with its account.
    fn usable_key(&self, key_id: &str) -> Result<Option<(Account, key::StoredKey)>, IdentityError> {
        let Some(stored) = self.stored_key(key_id)? else {
            return Ok(None);
        };
        let stored = stored.value;
        let account = self.stored_account(&stored.key.account)?;
        Ok(account
            .map(|account| account.value)
            .filter(|account| {
                stored.key.enabled && !account.deleting && account.tenant() != Tenant::SYSTEM
            })
            .map(|account| (account, stored)))
    }

    fn denied(&self, fault: Fault, caller: &Caller) -> Denied {
        let key = caller.principal.access_key.clone().unwrap_or_default();
        let recorded = self.0.limits.records_failure(&caller.account);
        Denied {
            fault,
            claimed: recorded.then_some((caller.tenant, key)),
        }
    }

    fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }

    fn now(&self) -> u64 {
        unix_millis(self.0.clock.now())
    }

    /// Makes sure that the master key is the one that everything stored was encrypted with.
    fn claim_master_key(&self) -> Result<(), IdentityError> {
        let _claiming = lock(&self.0.claiming);
        let (records, vault) = (&self.0.records, &self.0.vault);
        let key = records::fingerprint();
        match records.get::<String>(Tree::Object, &key)? {
            None => {
                let fingerprint = encode(&vault.fingerprint()?)?;
                let transaction = Records::transaction();
                records.commit(transaction.put(Tree::Object, key, SCHEMA, fingerprint))
            }
            Some(_) if !vault.exists() => Err(vault.refuse(
                "the file is missing, and what it encrypted cannot be read without it; restore it from a copy",
            )),
            Some(stored) if stored.value != vault.fingerprint()? => {
                Err(vault.refuse("it is not the key of this store; restore the one that is"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Adds an entry of the server's audit log to a change.
    fn noted(
        &self,
        transaction: Transaction,
        by: &str,
        operation: &str,
        names: &[(&str, &str)],
    ) -> Result<Transaction, IdentityError> {
        let id: [u8; 16] =
            random().map_err(|error| IdentityError::invalid(format!("no randomness: {error}")))?;
        let names = names
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let entry = AuditEntry {
            time_unix_millis: self.now(),
            request_id: hex(&id),
            principal: by.to_owned(),
            access_key: None,
            source: None,
            operation: operation.to_owned(),
            resource: names.collect::<BTreeMap<_, _>>(),
            outcome: SUCCESS.to_owned(),
        };
        AuditLog::add(transaction, &entry)
    }
}

fn caller(account: Account, principal: Principal) -> Caller {
    Caller {
        tenant: account.tenant(),
        quotas: account.quotas,
        account: account.id,
        principal,
    }
}

fn unrecognized() -> Fault {
    Fault::forbidden(
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )
}
