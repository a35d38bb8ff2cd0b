//! What plugins may reach outside, granted by the operator; nothing by default.

use std::path::Path;

use serde::Deserialize;
use tenon_connect::Origin;
use tenon_registry::{Reference, Resolved};

use crate::error::{Error, Result};
use crate::limits::is_about;

/// What one plugin may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    plugin: Reference,
    tenant: Option<u32>,
    http: Vec<Origin>,
}

/// An operator's file of grants.
///
/// ```
/// let file: tenon_engine::GrantsFile = r#"
///     [[grant]]
///     plugin = "http-json@1"              # or "http-json", every version
///     tenant = 1                          # without it, every tenant
///     http = ["https://api.example.com"]
/// "#.parse()?;
/// assert_eq!(file.of_tenant(1).len(), 1);
/// assert_eq!(file.of_tenant(2).len(), 0);
/// # Ok::<(), tenon_engine::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct GrantsFile(Vec<Grant>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    grant: Vec<WrittenGrant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGrant {
    plugin: String,
    tenant: Option<u32>,
    #[serde(default)]
    http: Vec<String>,
}

impl std::str::FromStr for GrantsFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let written: Written = toml::from_str(text)
            .map_err(|e| Error::Definition(e.to_string().trim_end().to_owned()))?;
        let grants = written.grant.into_iter().map(checked);
        grants.collect::<Result<_>>().map(Self)
    }
}

fn checked(written: WrittenGrant) -> Result<Grant> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::Definition(format!("the grant to {:?}: {e}", written.plugin))
    };
    let origins = written.http.iter().map(|text| text.parse::<Origin>());
    Ok(Grant {
        plugin: written.plugin.parse().map_err(|e| wrong(&e))?,
        tenant: written.tenant,
        http: origins
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| wrong(&e))?,
    })
}

impl GrantsFile {
    /// Reads the file; a file that is not there grants nothing.
    ///
    /// # Errors
    /// It cannot be read, or says something that is no grant: names file and place.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::Io(format!("cannot read {shown}: {e}"))),
            Ok(text) => text,
        };
        text.parse()
            .map_err(|e: Error| Error::Definition(format!("{shown}: {e}")))
    }

    /// What is granted to a tenant's runs.
    #[must_use]
    pub fn of_tenant(&self, tenant: u32) -> Vec<Grant> {
        let mine = |grant: &&Grant| grant.tenant.is_none_or(|t| t == tenant);
        self.0.iter().filter(mine).cloned().collect()
    }
}

/// What a plugin's manifest has to name for requests to be possible.
const HTTP: &str = "http";

/// The origins that were granted to a plugin which says that it makes requests.
pub(crate) fn origins(grants: &[Grant], plugin: &Resolved) -> Vec<Origin> {
    if !plugin.manifest.capabilities.iter().any(|c| c == HTTP) {
        return Vec::new();
    }
    let mut origins: Vec<Origin> = grants
        .iter()
        .filter(|grant| is_about(&grant.plugin, plugin))
        .flat_map(|grant| grant.http.iter().cloned())
        .collect();
    origins.sort();
    origins.dedup();
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_grant_is_named() {
        let said = |text: &str| text.parse::<GrantsFile>().unwrap_err().to_string();
        assert!(said("[[grant]]\nplugin = \"p\"\nhtttp = []").contains("htttp"));
        assert!(said("[[grant]]\nplugin = \"p q\"").contains("the grant to \"p q\""));
        let more = said("[[grant]]\nplugin = \"p\"\nhttp = [\"https://a.example/v1\"]");
        assert!(more.contains("write https://a.example"), "{more}");
    }
}
