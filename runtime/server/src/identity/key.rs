//! Access keys: what callers sign with. The secret must be known to check a signature, so it is kept
//! encrypted, not hashed; it is shown once, when the key is made.

use std::fmt;

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Key, Transaction, Tree};

use super::Identity;
use super::account::Account;
use super::error::IdentityError;
use super::records::{self, Records, SCHEMA, Stored, encode};
use super::vault::{SECRETS, random};

/// Letters of key ids.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of secrets.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A secret: it prints as dots, so that it cannot get into a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, to hand it to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// An access key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA` and sixteen letters.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// Whom requests signed with it come from; `root` is the account itself.
    pub user: String,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_millis: u64,
    /// Requests signed with a disabled key are refused.
    pub enabled: bool,
}

/// An access key that was made just now.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret, which cannot be had again.
    pub secret: Secret,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredKey {
    #[serde(flatten)]
    pub(super) key: AccessKey,
    sealed_secret: String,
}

impl StoredKey {
    /// Adds the key to a transaction.
    pub(super) fn put(&self, transaction: Transaction) -> Result<Transaction, IdentityError> {
        let (id, account) = (&self.key.id, &self.key.account);
        let index = records::keys_of(account).with_part(id);
        Ok(transaction
            .expect(Tree::Secret, records::access_key(id), Expected::Absent)
            .put(Tree::Secret, records::access_key(id), SCHEMA, encode(self)?)
            .put(Tree::Index, index, SCHEMA, Vec::new()))
    }
}

impl Identity {
    /// Makes an access key of an account, for `user`.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Invalid`] for a bad name, [`IdentityError::MasterKey`],
    /// [`IdentityError::Store`].
    pub fn create_key(&self, by: &str, account: &str, user: &str) -> Result<NewKey, IdentityError> {
        check_user(user)?;
        self.0.records.retry(|| {
            let (account, unchanged) = self.lasting(account)?;
            let (new, stored) = self.make_key(&account, user)?;
            let transaction = stored.put(Records::transaction().expect(
                Tree::Object,
                super::account::record(&account.id),
                unchanged,
            ))?;
            let names = [("Account", account.id.as_str()), ("AccessKey", &new.key.id)];
            self.0
                .records
                .commit(self.noted(transaction, by, "tenon:CreateKey", &names)?)?;
            Ok(new)
        })
    }

    /// The keys of an account.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn keys(&self, account: &str) -> Result<Vec<AccessKey>, IdentityError> {
        self.existing(account)?;
        let mut keys = Vec::new();
        for index in self
            .0
            .records
            .keys(Tree::Index, &records::keys_of(account))?
        {
            if let Some(stored) = self.stored_key(&id_of_index(&index))? {
                keys.push(stored.value.key);
            }
        }
        Ok(keys)
    }

    /// The key with this id.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn key(&self, id: &str) -> Result<AccessKey, IdentityError> {
        Ok(self.existing_key(id)?.value.key)
    }

    /// Lets a key be used or not.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn enable_key(&self, by: &str, id: &str, enabled: bool) -> Result<(), IdentityError> {
        let operation = if enabled {
            "tenon:EnableKey"
        } else {
            "tenon:DisableKey"
        };
        self.0.records.retry(|| {
            let mut stored = self.existing_key(id)?;
            stored.value.key.enabled = enabled;
            let transaction = Records::transaction()
                .expect(Tree::Secret, records::access_key(id), stored.unchanged())
                .put(
                    Tree::Secret,
                    records::access_key(id),
                    SCHEMA,
                    encode(&stored.value)?,
                );
            let names = [
                ("Account", stored.value.key.account.as_str()),
                ("AccessKey", id),
            ];
            self.0
                .records
                .commit(self.noted(transaction, by, operation, &names)?)
        })
    }

    /// Deletes a key, and with it every session that was begun with it.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn delete_key(&self, by: &str, id: &str) -> Result<(), IdentityError> {
        self.0.records.retry(|| {
            let stored = self.existing_key(id)?;
            let account = stored.value.key.account.as_str();
            let transaction = Records::transaction()
                .expect(Tree::Secret, records::access_key(id), stored.unchanged())
                .delete(Tree::Secret, records::access_key(id))
                .delete(Tree::Index, records::keys_of(account).with_part(id));
            let names = [("Account", account), ("AccessKey", id)];
            self.0
                .records
                .commit(self.noted(transaction, by, "tenon:DeleteKey", &names)?)
        })
    }

    /// Draws a key and seals its secret.
    pub(super) fn make_key(
        &self,
        account: &Account,
        user: &str,
    ) -> Result<(NewKey, StoredKey), IdentityError> {
        self.claim_master_key()?;
        let drawn =
            draw("AKIA").map_err(|error| self.0.vault.refuse(format!("no randomness: {error}")))?;
        let (id, secret) = drawn;
        let associated = associated(account.tenant, &id);
        let sealed_secret = self.0.vault.seal(
            SECRETS,
            &[&associated.0, associated.1.as_bytes()],
            secret.reveal().as_bytes(),
        )?;
        let key = AccessKey {
            id,
            account: account.id.clone(),
            user: user.to_owned(),
            created_unix_millis: self.now(),
            enabled: true,
        };
        let stored = StoredKey {
            key: key.clone(),
            sealed_secret,
        };
        Ok((NewKey { key, secret }, stored))
    }

    /// The secret of a stored key.
    pub(super) fn secret(
        &self,
        account: &Account,
        stored: &StoredKey,
    ) -> Result<Secret, IdentityError> {
        let associated = associated(account.tenant, &stored.key.id);
        let text = self.0.vault.unseal(
            SECRETS,
            &[&associated.0, associated.1.as_bytes()],
            &stored.sealed_secret,
        )?;
        text.and_then(|text| String::from_utf8(text).ok())
            .map(Secret::new)
            .ok_or_else(|| self.0.vault.refuse("it did not encrypt the access keys"))
    }

    pub(super) fn stored_key(&self, id: &str) -> Result<Option<Stored<StoredKey>>, IdentityError> {
        // Longer ids are none of ours, and longer than a key of the store may be.
        if id.len() > 128 {
            return Ok(None);
        }
        self.0.records.get(Tree::Secret, &records::access_key(id))
    }

    fn existing_key(&self, id: &str) -> Result<Stored<StoredKey>, IdentityError> {
        self.stored_key(id)?
            .ok_or_else(|| IdentityError::not_found("access key", id))
    }
}

fn associated(tenant: u32, id: &str) -> ([u8; 4], &str) {
    (tenant.to_be_bytes(), id)
}

/// The id in an index entry's key.
pub(super) fn id_of_index(index: &Key) -> String {
    let mut reader = index.reader();
    let id = reader
        .u8()
        .and_then(|_| reader.part())
        .and_then(|_| reader.part());
    String::from_utf8(id.unwrap_or_default()).unwrap_or_default()
}

/// An id and a secret of the length that AWS's clients expect.
pub(super) fn draw(prefix: &str) -> std::io::Result<(String, Secret)> {
    let letters = |alphabet: &[u8], bytes: &[u8]| -> String {
        // Both alphabets have a power of two of letters, so every letter is as likely.
        let pick = |byte: &u8| alphabet[usize::from(*byte) % alphabet.len()];
        bytes.iter().map(|byte| char::from(pick(byte))).collect()
    };
    let id = format!("{prefix}{}", letters(BASE32, &random::<16>()?));
    Ok((id, Secret::new(letters(BASE64, &random::<40>()?))))
}

/// A user's name as IAM allows it.
fn check_user(name: &str) -> Result<(), IdentityError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(IdentityError::invalid(
        "a user's name has 1 to 64 letters, digits or _+=,.@-",
    ))
}
