//! [`Administration`]: accounts, keys, tokens and the audit log, in a data folder or of a running server. The commands
//! about them do not know which it is.

use serde::Deserialize;
use serde_json::{Value, json};
use tenon_server::{
    AccessKey, AuditEntry, AuditPage, AuditQuery, BearerToken, Identity, IdentityError, NewKey,
    NewToken, Quotas, TokenScope,
};

use super::setup;
use crate::error::Failure;
use crate::exit::Exit;
use crate::remote::{Remote, ServerArgs, escaped, hint_in_use};
use crate::shell::Shell;

/// Who the audit log says did what is done in a folder; a server names the token.
const BY: &str = "tenon command line";

/// Accounts of a page, the most a server gives.
const PAGE: usize = 1000;

/// Where accounts are.
pub(crate) enum Administration {
    /// In the data folder, which nobody else has open.
    Here(Identity),
    /// With a server.
    There(Remote),
}

/// An account, as people see it.
#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_unix_millis: u64,
    pub(crate) quotas: Quotas,
}

/// A key with its secret.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyWithSecret {
    #[serde(flatten)]
    pub(crate) key: AccessKey,
    pub(crate) secret: String,
}

/// A token.
#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `None` is for everything.
    pub(crate) account: Option<String>,
    pub(crate) created_unix_millis: u64,
    pub(crate) expires_unix_millis: Option<u64>,
}

/// A token with its text.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenWithText {
    #[serde(flatten)]
    pub(crate) token: Token,
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct Accounts {
    accounts: Vec<Account>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    account: Account,
    key: KeyWithSecret,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<AccessKey>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
struct Entries {
    entries: Vec<AuditEntry>,
    next: Option<String>,
}

impl From<tenon_server::Account> for Account {
    fn from(account: tenon_server::Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            created_unix_millis: account.created_unix_millis,
            quotas: account.quotas,
        }
    }
}

impl From<NewKey> for KeyWithSecret {
    fn from(new: NewKey) -> Self {
        Self {
            secret: new.secret.reveal().to_owned(),
            key: new.key,
        }
    }
}

impl From<BearerToken> for Token {
    fn from(token: BearerToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            account: match token.scope {
                TokenScope::Admin => None,
                TokenScope::Account(account) => Some(account),
            },
            created_unix_millis: token.created_unix_millis,
            expires_unix_millis: token.expires_unix_millis,
        }
    }
}

impl From<NewToken> for TokenWithText {
    fn from(new: NewToken) -> Self {
        Self {
            text: new.text.reveal().to_owned(),
            token: new.token.into(),
        }
    }
}

impl Administration {
    /// Of the server that was named, else of the data folder.
    ///
    /// # Errors
    /// The folder is in use or cannot be opened; there is no token for the server.
    pub(crate) fn open(shell: &Shell, server: &ServerArgs) -> Result<Self, Failure> {
        match server.remote(shell)? {
            Some(remote) => Ok(Self::There(remote)),
            None => setup::identity(shell).map(Self::Here).map_err(hint_in_use),
        }
    }

    /// All accounts, in the order of their ids.
    pub(crate) fn accounts(&self) -> Result<Vec<Account>, Failure> {
        match self {
            Self::Here(identity) => {
                let accounts = identity.accounts().map_err(failure)?;
                Ok(accounts.into_iter().map(Account::from).collect())
            }
            Self::There(remote) => {
                let mut all = Vec::new();
                let mut after = String::new();
                loop {
                    let path = format!("/v1/accounts?limit={PAGE}&after={}", escaped(&after));
                    let page: Accounts = remote.get(&path)?;
                    all.extend(page.accounts);
                    match page.next {
                        Some(next) => after = next,
                        None => return Ok(all),
                    }
                }
            }
        }
    }

    /// One account.
    pub(crate) fn account(&self, id: &str) -> Result<Account, Failure> {
        match self {
            Self::Here(identity) => Ok(identity.account(id).map_err(failure)?.into()),
            Self::There(remote) => remote.get(&format!("/v1/accounts/{}", escaped(id))),
        }
    }

    /// An account with its first key, and whether it is the first of all.
    pub(crate) fn create_account(
        &self,
        id: Option<&str>,
        name: &str,
    ) -> Result<(Account, KeyWithSecret, bool), Failure> {
        match self {
            Self::Here(identity) => {
                let is_first = !identity.is_closed();
                let (account, key) = identity.create_account(BY, id, name).map_err(failure)?;
                Ok((account.into(), key.into(), is_first))
            }
            Self::There(remote) => {
                // Deleting the last account does not open a server again: then this is said once too often.
                let is_first = self.accounts()?.is_empty();
                let mut body = json!({"name": name});
                if let Some(id) = id {
                    body["id"] = json!(id);
                }
                let created: Created = remote.send("POST", "/v1/accounts", &body)?;
                Ok((created.account, created.key, is_first))
            }
        }
    }

    /// Sets what an account may use.
    pub(crate) fn set_quotas(&self, id: &str, quotas: Quotas) -> Result<(), Failure> {
        match self {
            Self::Here(identity) => identity.set_quotas(BY, id, quotas).map_err(failure),
            Self::There(remote) => {
                let path = format!("/v1/accounts/{}/quotas", escaped(id));
                let _: Value = remote.send("PUT", &path, &json!(quotas))?;
                Ok(())
            }
        }
    }

    /// Deletes an account with all it has.
    pub(crate) fn delete_account(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Here(identity) => identity.delete_account(BY, id).map_err(failure),
            Self::There(remote) => remote.delete(&format!("/v1/accounts/{}", escaped(id))),
        }
    }

    /// A key with its secret.
    pub(crate) fn create_key(&self, account: &str, user: &str) -> Result<KeyWithSecret, Failure> {
        match self {
            Self::Here(identity) => {
                let new = identity.create_key(BY, account, user).map_err(failure)?;
                Ok(new.into())
            }
            Self::There(remote) => {
                let path = format!("/v1/accounts/{}/keys", escaped(account));
                remote.send("POST", &path, &json!({"user": user}))
            }
        }
    }

    /// The keys of an account.
    pub(crate) fn keys(&self, account: &str) -> Result<Vec<AccessKey>, Failure> {
        match self {
            Self::Here(identity) => identity.keys(account).map_err(failure),
            Self::There(remote) => {
                let path = format!("/v1/accounts/{}/keys", escaped(account));
                Ok(remote.get::<Keys>(&path)?.keys)
            }
        }
    }

    /// Lets a key be used, or not.
    pub(crate) fn enable_key(&self, id: &str, enabled: bool) -> Result<(), Failure> {
        match self {
            Self::Here(identity) => identity.enable_key(BY, id, enabled).map_err(failure),
            Self::There(remote) => {
                let path = path_of_key(remote, id)?;
                let _: Value = remote.send("PATCH", &path, &json!({"enabled": enabled}))?;
                Ok(())
            }
        }
    }

    /// Deletes a key.
    pub(crate) fn delete_key(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Here(identity) => identity.delete_key(BY, id).map_err(failure),
            Self::There(remote) => remote.delete(&path_of_key(remote, id)?),
        }
    }

    /// All tokens.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, Failure> {
        match self {
            Self::Here(identity) => {
                let tokens = identity.tokens().map_err(failure)?;
                Ok(tokens.into_iter().map(Token::from).collect())
            }
            Self::There(remote) => Ok(remote.get::<Tokens>("/v1/tokens")?.tokens),
        }
    }

    /// A token with its text; `days` of 0 are until it is revoked.
    pub(crate) fn create_token(
        &self,
        name: &str,
        account: Option<&str>,
        days: u32,
    ) -> Result<TokenWithText, Failure> {
        let seconds = u64::from(days) * 24 * 60 * 60;
        match self {
            Self::Here(identity) => {
                let scope = account.map_or(TokenScope::Admin, |account| {
                    TokenScope::Account(account.to_owned())
                });
                let lifetime = (days > 0).then(|| std::time::Duration::from_secs(seconds));
                let new = identity.create_token(BY, name, scope, lifetime);
                Ok(new.map_err(failure)?.into())
            }
            Self::There(remote) => {
                let mut body = json!({"name": name});
                if let Some(account) = account {
                    body["account"] = json!(account);
                }
                if days > 0 {
                    body["lifetime_seconds"] = json!(seconds);
                }
                remote.send("POST", "/v1/tokens", &body)
            }
        }
    }

    /// Ends a token.
    pub(crate) fn revoke_token(&self, id: &str) -> Result<(), Failure> {
        match self {
            Self::Here(identity) => identity.revoke_token(BY, id).map_err(failure),
            Self::There(remote) => remote.delete(&format!("/v1/tokens/{}", escaped(id))),
        }
    }

    /// A page of an account's audit log, or of the server's own.
    pub(crate) fn audit(
        &self,
        account: Option<&str>,
        query: &AuditQuery,
    ) -> Result<AuditPage, Failure> {
        match self {
            Self::Here(identity) => identity.audit(account, query).map_err(failure),
            Self::There(remote) => {
                let page: Entries = remote.get(&path_of_audit(account, query))?;
                Ok(AuditPage {
                    entries: page.entries,
                    next: page.next,
                })
            }
        }
    }
}

fn path_of_key(remote: &Remote, id: &str) -> Result<String, Failure> {
    let key: AccessKey = remote.get(&format!("/v1/keys/{}", escaped(id)))?;
    let (account, id) = (escaped(&key.account), escaped(&key.id));
    Ok(format!("/v1/accounts/{account}/keys/{id}"))
}

fn path_of_audit(account: Option<&str>, query: &AuditQuery) -> String {
    let mut path = match account {
        Some(account) => format!("/v1/accounts/{}/audit", escaped(account)),
        None => "/v1/audit".to_owned(),
    };
    path.push_str(&format!("?limit={}", query.limit));
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    for (name, value) in [
        ("from", number(query.from_unix_millis)),
        ("until", number(query.until_unix_millis)),
        ("principal", query.principal.clone()),
        ("operation", query.operation.clone()),
        ("after", query.after.clone()),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(&value)));
        }
    }
    path
}

fn failure(error: IdentityError) -> Failure {
    let exit = match &error {
        IdentityError::NotFound { .. } => Exit::NotFound,
        IdentityError::AlreadyExists { .. } => Exit::Conflict,
        IdentityError::Invalid(_) => Exit::Usage,
        IdentityError::MasterKey { .. } => Exit::NotAllowed,
        _ => Exit::Failed,
    };
    Failure::from(error).with_exit(exit)
}
