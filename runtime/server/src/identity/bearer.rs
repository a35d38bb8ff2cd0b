//! Bearer tokens, for what is not Glue's protocol. Only the hash of a token's secret is stored: 256 random bits
//! cannot be guessed from it.
//!
//! ```text
//! tn_<id, 16 hexadecimal digits>_<secret, 64 hexadecimal digits>
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tenon_store::{Expected, Key, Tree};

use super::Identity;
use super::error::IdentityError;
use super::key::Secret;
use super::records::{self, Records, SCHEMA, Stored, encode};
use super::vault::random;
use crate::token::{hex, unhex};

/// What a token lets its bearer do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Everything, for every account.
    Admin,
    /// What concerns this account.
    Account(String),
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BearerToken {
    /// The part of the text that may be shown.
    pub id: String,
    /// What it is for, in its owner's words.
    pub name: String,
    /// What it allows.
    pub scope: TokenScope,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_millis: u64,
    /// When it ends, in milliseconds since 1970; `None` when it is revoked only.
    pub expires_unix_millis: Option<u64>,
}

/// A token that was made just now.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The token.
    pub token: BearerToken,
    /// The whole text for the `Authorization: Bearer` header, which cannot be had again.
    pub text: Secret,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredToken {
    #[serde(flatten)]
    token: BearerToken,
    secret_sha256: String,
}

impl Identity {
    /// Makes a token that lasts for `lifetime`, or until it is revoked.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`] for the account of the scope, [`IdentityError::Invalid`],
    /// [`IdentityError::Store`].
    pub fn create_token(
        &self,
        by: &str,
        name: &str,
        scope: TokenScope,
        lifetime: Option<Duration>,
    ) -> Result<NewToken, IdentityError> {
        if name.chars().count() > 256 || name.chars().any(char::is_control) {
            return Err(IdentityError::invalid(
                "the name of a token has up to 256 characters, none of them control characters",
            ));
        }
        let no_randomness =
            |error: std::io::Error| IdentityError::invalid(format!("no randomness: {error}"));
        let id = hex(&random::<8>().map_err(no_randomness)?);
        let secret: [u8; 32] = random().map_err(no_randomness)?;
        let lifetime = lifetime.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let token = BearerToken {
            id: id.clone(),
            name: name.to_owned(),
            scope,
            created_unix_millis: self.now(),
            expires_unix_millis: lifetime.map(|time| self.now().saturating_add(time)),
        };
        let stored = StoredToken {
            token: token.clone(),
            secret_sha256: hex(&Sha256::digest(secret)),
        };
        self.0.records.retry(|| {
            let mut transaction = Records::transaction()
                .expect(Tree::Secret, record(&id), Expected::Absent)
                .put(Tree::Secret, record(&id), SCHEMA, encode(&stored)?);
            if let TokenScope::Account(account) = &token.scope {
                let (account, unchanged) = self.lasting(account)?;
                let key = super::account::record(&account.id);
                transaction = transaction.expect(Tree::Object, key, unchanged);
            }
            let names = [("Token", id.as_str())];
            self.0
                .records
                .commit(self.noted(transaction, by, "tenon:CreateToken", &names)?)
        })?;
        let text = Secret::new(format!("tn_{id}_{}", hex(&secret)));
        Ok(NewToken { token, text })
    }

    /// All tokens, also those that have ended.
    ///
    /// # Errors
    /// [`IdentityError::Store`].
    pub fn tokens(&self) -> Result<Vec<BearerToken>, IdentityError> {
        let stored: Vec<StoredToken> = self.0.records.all(Tree::Secret, &records::tokens())?;
        Ok(stored.into_iter().map(|stored| stored.token).collect())
    }

    pub(super) fn tokens_of(&self, account: &str) -> Result<Vec<BearerToken>, IdentityError> {
        let of = |token: &BearerToken| token.scope == TokenScope::Account(account.to_owned());
        Ok(self.tokens()?.into_iter().filter(of).collect())
    }

    /// Ends a token.
    ///
    /// # Errors
    /// [`IdentityError::NotFound`], [`IdentityError::Store`].
    pub fn revoke_token(&self, by: &str, id: &str) -> Result<(), IdentityError> {
        if self.stored_token(id)?.is_none() {
            return Err(IdentityError::not_found("token", id));
        }
        let transaction = Records::transaction().delete(Tree::Secret, record(id));
        self.0
            .records
            .commit(self.noted(transaction, by, "tenon:RevokeToken", &[("Token", id)])?)
    }

    /// The token whose text this is, if it is valid now. Whoever asks without one learns nothing about which
    /// exist: the secret of an unknown id is compared too.
    ///
    /// # Errors
    /// [`IdentityError::Store`].
    pub fn check_token(&self, text: &str) -> Result<Option<BearerToken>, IdentityError> {
        let Some((id, secret)) = text
            .strip_prefix("tn_")
            .and_then(|rest| rest.split_once('_'))
        else {
            return Ok(None);
        };
        let secret: [u8; 32] = match unhex(secret).and_then(|bytes| bytes.try_into().ok()) {
            Some(secret) => secret,
            None => return Ok(None),
        };
        let stored = self.stored_token(id)?.map(|stored| stored.value);
        let known = stored.as_ref().and_then(|it| unhex(&it.secret_sha256));
        let expected = known.unwrap_or_else(|| vec![0; 32]);
        let same = bool::from(Sha256::digest(secret).as_slice().ct_eq(&expected));
        let Some(token) = stored.map(|it| it.token).filter(|_| same) else {
            return Ok(None);
        };
        let live = token.expires_unix_millis.is_none_or(|end| self.now() < end);
        let usable = match &token.scope {
            TokenScope::Admin => true,
            TokenScope::Account(account) => self
                .stored_account(account)?
                .is_some_and(|account| !account.value.deleting),
        };
        Ok(Some(token).filter(|_| live && usable))
    }

    fn stored_token(&self, id: &str) -> Result<Option<Stored<StoredToken>>, IdentityError> {
        if id.len() != 16 {
            return Ok(None);
        }
        self.0.records.get(Tree::Secret, &record(id))
    }
}

pub(super) fn record(id: &str) -> Key {
    records::tokens().with_part(id)
}
