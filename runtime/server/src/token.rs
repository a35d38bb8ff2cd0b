//! [`Tokens`]: where a list goes on, as a token that callers can neither read into another list nor change.
//!
//! ```text
//! key of a tenant = HMAC-SHA256(key of all lists, tenant)
//! token = hex( HMAC-SHA256(key of a tenant, account | operation | what is listed | cursor) first 16 bytes | cursor )
//! ```
//!
//! A cursor is the last item's name, not a count, so items that come or go meanwhile move nothing. The key of
//! all lists is made of the master key. A server that has none draws it when it starts: a list that was begun
//! before a restart begins again.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tenon_catalog::Tenant;

use crate::fault::Fault;

const MAC_BYTES: usize = 16;

/// Makes and opens tokens.
pub(crate) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Tokens that no other tenant's open.
    pub(crate) fn of_tenant(&self, tenant: Tenant) -> Self {
        Self {
            key: self.full_mac(&["tenant"], &tenant.number().to_string()),
        }
    }

    /// The token for `cursor` in the list that `scope` names completely.
    pub(crate) fn seal(&self, scope: &[&str], cursor: &str) -> String {
        hex(&[&self.mac(scope, cursor), cursor.as_bytes()].concat())
    }

    /// The cursor of a token that was made for the same list.
    pub(crate) fn open(&self, scope: &[&str], token: &str) -> Result<String, Fault> {
        let refused = || Fault::invalid("the NextToken is not one of this list");
        let bytes = unhex(token).ok_or_else(refused)?;
        let (mac, cursor) = bytes.split_at_checked(MAC_BYTES).ok_or_else(refused)?;
        let cursor = std::str::from_utf8(cursor).map_err(|_| refused())?;
        if bool::from(self.mac(scope, cursor).ct_eq(mac)) {
            Ok(cursor.to_owned())
        } else {
            Err(refused())
        }
    }

    /// An identifier for a request: looks random, costs no randomness.
    pub(crate) fn request_id(&self, number: u64) -> String {
        let id = hex(&self.mac(&["request"], &number.to_string()));
        let part = |from, until| id.get(from..until).unwrap_or_default().to_owned();
        [
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32),
        ]
        .join("-")
    }

    fn mac(&self, scope: &[&str], cursor: &str) -> [u8; MAC_BYTES] {
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&self.full_mac(scope, cursor)[..MAC_BYTES]);
        short
    }

    fn full_mac(&self, scope: &[&str], cursor: &str) -> [u8; 32] {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        for part in scope.iter().chain([&cursor]) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// Small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for; `None` for any other text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_as_what_it_was_made_for() {
        let tokens = Tokens::new([7; 32]);
        let token = tokens.seal(&["1", "GetTables", "db"], "ünder");
        assert_eq!(
            tokens.open(&["1", "GetTables", "db"], &token).unwrap(),
            "ünder"
        );
        tokens.open(&["2", "GetTables", "db"], &token).unwrap_err();
        tokens.open(&["1", "GetTablesdb", ""], &token).unwrap_err();
        Tokens::new([8; 32])
            .open(&["1", "GetTables", "db"], &token)
            .unwrap_err();
        let (one, two) = (
            tokens.of_tenant(Tenant::new(1)),
            tokens.of_tenant(Tenant::new(2)),
        );
        one.open(&["x"], &one.seal(&["x"], "c")).unwrap();
        two.open(&["x"], &one.seal(&["x"], "c")).unwrap_err();
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            tokens
                .open(&["1", "GetTables", "db"], &changed)
                .unwrap_err();
        }
        for bad in ["", "0", "zz", "é", "+1+1"] {
            tokens.open(&["1", "GetTables", "db"], bad).unwrap_err();
        }
    }
}
