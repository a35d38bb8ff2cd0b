//! Sessions: keys that last for a while. Nothing of them is stored: the session token is the session, sealed,
//! so it survives a restart and nobody else can make one. It ends with its time, and with the key it was begun
//! with.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Identity;
use super::error::IdentityError;
use super::key::{Secret, draw};
use super::vault::SESSIONS;
use crate::audit::unix_millis;
use crate::glue::Context;

/// What a session token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) account: String,
    pub(super) tenant: u32,
    /// The key it was begun with, which nobody checked while there was no account; `None` when it was not signed.
    pub(super) source_key: Option<String>,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) is_role: bool,
    pub(super) secret: String,
    pub(super) expires_unix_millis: u64,
}

/// What a caller gets.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret: Secret,
    pub(crate) token: Secret,
    pub(crate) expires: SystemTime,
}

/// Whom a session is for.
#[derive(Debug)]
pub(crate) struct SessionFor<'a> {
    pub(crate) arn: &'a str,
    pub(crate) user_id: &'a str,
    pub(crate) is_role: bool,
}

impl Identity {
    /// Begins a session for the caller.
    pub(crate) fn begin_session(
        &self,
        caller: &Context,
        whom: &SessionFor<'_>,
        lasts: Duration,
    ) -> Result<Credentials, IdentityError> {
        self.claim_master_key()?;
        let (access_key, secret) =
            draw("ASIA").map_err(|error| self.0.vault.refuse(format!("no randomness: {error}")))?;
        let expires = self.0.clock.now() + lasts;
        let session = Session {
            account: caller.account.clone(),
            tenant: caller.catalog.tenant().number(),
            source_key: caller.principal.source_key.clone(),
            arn: whom.arn.to_owned(),
            user_id: whom.user_id.to_owned(),
            is_role: whom.is_role,
            secret: secret.reveal().to_owned(),
            expires_unix_millis: unix_millis(expires),
        };
        let text = super::encode(&session)?;
        let token = self
            .0
            .vault
            .seal(SESSIONS, &[access_key.as_bytes()], &text)?;
        Ok(Credentials {
            access_key,
            secret,
            token: Secret::new(token),
            expires,
        })
    }

    /// What a session token says, if it is one of ours for this key.
    pub(super) fn session(
        &self,
        access_key: &str,
        token: &str,
    ) -> Result<Option<Session>, IdentityError> {
        let text = self
            .0
            .vault
            .unseal(SESSIONS, &[access_key.as_bytes()], token)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }
}

/// An id like AWS's unique ids: the same for the same thing of the same account.
pub(crate) fn unique_id(prefix: &str, account: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{prefix}/{account}/{name}"));
    let letter =
        |byte: &u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]);
    let letters: String = digest.iter().take(17).map(letter).collect();
    format!("{prefix}{letters}")
}
