//! Accounts: twelve digits that clients see, over the number of a tenant that they do not.

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Tenant, Transaction, Tree};

use super::error::IdentityError;
use super::key::NewKey;
use super::records::{self, Records, SCHEMA, Stored, encode};
use super::vault::random;
use super::{Identity, ROOT};

/// Records deleted in one transaction.
const ERASED_AT_ONCE: usize = 1000;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Twelve digits, as in ARNs and in `CatalogId`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The number its records are kept under. Never shown to clients and never used twice.
    pub tenant: u32,
    /// When it was created, in milliseconds since 1970.
    pub created_unix_millis: u64,
    /// What it may use.
    #[serde(default)]
    pub quotas: Quotas,
    /// Its things are being deleted; nobody can use it any more.
    #[serde(default)]
    pub deleting: bool,
}

/// What an account may use. The default is without limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quotas {
    /// Requests in a second, on average; more are answered with `ThrottlingException`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Requests at once, when there were few before. Default twice the average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Databases; creating more is answered with `ResourceNumberLimitExceededException`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<u32>,
    /// Tables in all databases together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<u32>,
    /// Functions in all databases together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<u32>,
    /// Connections; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// ML transforms; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ml_transforms: Option<u32>,
    /// Partitions in all tables together; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// Partitions of one table; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions_per_table: Option<u32>,
    /// Versions kept of one table beside its newest; an update that would keep more is answered as above, unless it
    /// says `SkipArchive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions_per_table: Option<u32>,
}

impl Account {
    pub(super) const fn tenant(&self) -> Tenant {
        Tenant::new(self.tenant)
    }
}

impl Identity {
    /// Creates an account with its first access key, whose secret is in the answer and nowhere else.
    ///
    /// `by` is who does it, for the audit log. Without an `id` one is drawn. The first account of a server
    /// takes over what was stored while there was none; from then on every request must be signed.
    ///
    /// # Errors
    /// [`IdentityError::AlreadyExists`], [`IdentityError::Invalid`], [`IdentityError::MasterKey`],
    /// [`IdentityError::Store`].
    pub fn create_account(
        &self,
        by: &str,
        id: Option<&str>,
        name: &str,
    ) -> Result<(Account, NewKey), IdentityError> {
        let id = match id {
            Some(id) => id.to_owned(),
            None => draw_id().map_err(|error| self.0.vault.refuse(error.to_string()))?,
        };
        check_id(&id)?;
        check_name(name)?;
        let created = self.0.records.retry(|| self.try_create(by, &id, name))?;
        self.close();
        Ok(created)
    }

    fn try_create(
        &self,
        by: &str,
        id: &str,
        name: &str,
    ) -> Result<(Account, NewKey), IdentityError> {
        if self.stored_account(id)?.is_some() {
            return Err(IdentityError::AlreadyExists {
                what: "account",
                id: id.to_owned(),
            });
        }
        let next = self
            .0
            .records
            .get::<u32>(Tree::Object, &records::next_tenant())?;
        let (tenant, unchanged) = match &next {
            Some(next) => (next.value, next.unchanged()),
            None => (1, Expected::Absent),
        };
        let after = tenant.checked_add(1).ok_or_else(|| {
            IdentityError::invalid("every number of a tenant was used; start a server of its own")
        })?;
        let account = Account {
            id: id.to_owned(),
            name: name.to_owned(),
            tenant,
            created_unix_millis: self.now(),
            quotas: Quotas::default(),
            deleting: false,
        };
        let (key, stored) = self.make_key(&account, ROOT)?;
        let transaction = Records::transaction()
            .expect(Tree::Object, records::next_tenant(), unchanged)
            .expect(Tree::Object, record(id), Expected::Absent)
            .put(
                Tree::Object,
                records::next_tenant(),
                SCHEMA,
                encode(&after)?,
            )
            .put(Tree::Object, record(id), SCHEMA, encode(&account)?);
        let transaction = stored.put(transaction)?;
        let names = [("Account", id), ("AccessKey", &key.key.id)];
        self.0
            .records
            .commit(self.noted(transaction, by, "tenon:CreateAccount", &names)?)?;
        Ok((account, key))
    }

    /// The account `id`.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn account(&self, id: &str) -> Result<Account, IdentityError> {
        Ok(self.existing(id)?.value)
    }

    /// All accounts, in the order of their ids.
    ///
    /// # Errors
    /// [`IdentityError::Store`].
    pub fn accounts(&self) -> Result<Vec<Account>, IdentityError> {
        self.0.records.all(Tree::Object, &records::accounts())
    }

    /// Deletes an account with its keys, its tokens and everything that is stored for it, its audit log
    /// included. First nobody can use it any more; if the process ends in between, deleting again goes on.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn delete_account(&self, by: &str, id: &str) -> Result<(), IdentityError> {
        let account = self.0.records.retry(|| {
            let stored = self.existing(id)?;
            let account = Account {
                deleting: true,
                ..stored.value.clone()
            };
            self.replace(by, "tenon:DeleteAccount", &stored, &account)?;
            Ok(account)
        })?;
        self.erase(account.tenant())?;
        self.empty_folder(account.tenant())?;
        self.0.records.retry(|| self.forget(&account))
    }

    /// Removes the account's own records, unless another deletion was faster: then there may be a new account of
    /// that id.
    fn forget(&self, account: &Account) -> Result<(), IdentityError> {
        let id = &account.id;
        let stored = self.stored_account(id)?;
        let Some(stored) = stored.filter(|stored| stored.value.tenant == account.tenant) else {
            return Ok(());
        };
        let mut transaction = Records::transaction()
            .expect(Tree::Object, record(id), stored.unchanged())
            .delete(Tree::Object, record(id));
        for index in self.0.records.keys(Tree::Index, &records::keys_of(id))? {
            let key_id = super::key::id_of_index(&index);
            transaction = transaction
                .delete(Tree::Secret, records::access_key(&key_id))
                .delete(Tree::Index, index);
        }
        for token in self.tokens_of(id)? {
            transaction = transaction.delete(Tree::Secret, super::bearer::record(&token.id));
        }
        self.0.records.commit(transaction)
    }

    /// Sets what an account may use. It holds from the next request on.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] for a limit of no request,
    /// [`IdentityError::Store`].
    pub fn set_quotas(&self, by: &str, id: &str, quotas: Quotas) -> Result<(), IdentityError> {
        if quotas.requests_per_second == Some(0) || quotas.burst == Some(0) {
            return Err(IdentityError::invalid(
                "a limit of 0 requests lets nobody in; disable the account's keys instead",
            ));
        }
        self.0.records.retry(|| {
            let stored = self.existing(id)?;
            let account = Account {
                quotas,
                ..stored.value.clone()
            };
            self.replace(by, "tenon:SetQuotas", &stored, &account)?;
            self.0.usage.forget(account.tenant());
            Ok(())
        })
    }

    fn replace(
        &self,
        by: &str,
        operation: &str,
        stored: &Stored<Account>,
        account: &Account,
    ) -> Result<(), IdentityError> {
        let key = record(&account.id);
        let transaction = Records::transaction()
            .expect(Tree::Object, key.clone(), stored.unchanged())
            .put(Tree::Object, key, SCHEMA, encode(account)?);
        let names = [("Account", account.id.as_str())];
        self.0
            .records
            .commit(self.noted(transaction, by, operation, &names)?)
    }

    pub(super) fn stored_account(
        &self,
        id: &str,
    ) -> Result<Option<Stored<Account>>, IdentityError> {
        self.0.records.get(Tree::Object, &record(id))
    }

    pub(super) fn existing(&self, id: &str) -> Result<Stored<Account>, IdentityError> {
        self.stored_account(id)?
            .ok_or_else(|| IdentityError::not_found("account", id))
    }

    /// An account that is not being deleted, and the precondition that it is still the same.
    pub(super) fn lasting(&self, id: &str) -> Result<(Account, Expected), IdentityError> {
        let stored = self.existing(id)?;
        let unchanged = stored.unchanged();
        if stored.value.deleting {
            return Err(IdentityError::not_found("account", id));
        }
        Ok((stored.value, unchanged))
    }

    /// Removes what a tenant has outside of the store.
    fn empty_folder(&self, tenant: Tenant) -> Result<(), IdentityError> {
        let folder = self.folder_of(tenant);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(IdentityError::Folder {
                    path: folder,
                    reason: error.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Deletes every record of a tenant. The server's own records are no tenant's.
    pub(super) fn erase(&self, tenant: Tenant) -> Result<(), IdentityError> {
        if tenant == Tenant::SYSTEM {
            return Err(IdentityError::invalid("the server itself is no account"));
        }
        let store = &self.0.records.store;
        for tree in Tree::ALL {
            loop {
                let page = store.scan(tenant, tree, &Key::new(), None, ERASED_AT_ONCE)?;
                if page.records.is_empty() {
                    break;
                }
                let keys = page.records.into_iter().map(|(key, _)| key);
                let delete = |transaction: Transaction, key| transaction.delete(tree, key);
                store.commit(keys.fold(Transaction::new(tenant), delete))?;
            }
        }
        Ok(())
    }
}

pub(super) fn record(id: &str) -> Key {
    records::accounts().with_part(id)
}

fn draw_id() -> std::io::Result<String> {
    let number = u64::from_be_bytes(random()?) % 900_000_000_000 + 100_000_000_000;
    Ok(number.to_string())
}

pub(crate) fn is_account_id(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_id(id: &str) -> Result<(), IdentityError> {
    if is_account_id(id) {
        return Ok(());
    }
    Err(IdentityError::invalid(format!(
        "account {id:?} is not twelve digits"
    )))
}

fn check_name(name: &str) -> Result<(), IdentityError> {
    let length = name.chars().count();
    if (1..=256).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(IdentityError::invalid(
        "the name of an account has 1 to 256 characters, none of them control characters",
    ))
}
