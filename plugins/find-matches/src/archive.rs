//! A profile, and the model learned on it, as bytes: between the plugin's functions, and as the model that users keep.
//!
//! ```text
//! "tenon-match" | format: u32 | digest of the rest: u64 | postcard: Archive        numbers are little endian
//! ```
//! The same bytes on every target. A format is read by the version that wrote it; others say so.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hash;
use crate::model::Model;
use crate::profile::Profile;

const MAGIC: &[u8] = b"tenon-match";
/// Raised with every change of what is stored.
const FORMAT: u32 = 1;

/// Seed of the digest.
const DIGEST: u64 = 101;

/// What one run found out, for later steps and runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Archive {
    /// What the columns are.
    pub profile: Profile,
    /// What agreement means, once learned.
    pub model: Option<Model>,
}

impl Archive {
    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Encoding`] when that fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let body = postcard::to_allocvec(self).map_err(Error::encoding)?;
        let digest = hash::bytes(DIGEST, &body).to_le_bytes();
        Ok([MAGIC, &FORMAT.to_le_bytes(), &digest, &body].concat())
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Version`] for another format, [`Error::Encoding`] when the bytes are none or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let Some((format, body)) = bytes
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_first_chunk::<4>())
        else {
            return Err(Error::encoding("it does not begin as one"));
        };
        let format = u32::from_le_bytes(*format);
        if format != FORMAT {
            return Err(Error::Version(format, FORMAT));
        }
        match body.split_first_chunk::<8>() {
            Some((digest, body)) if hash::bytes(DIGEST, body).to_le_bytes() == *digest => {
                postcard::from_bytes(body).map_err(Error::encoding)
            }
            _ => Err(Error::encoding("it is damaged")),
        }
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Encoding`] where none was learned.
    pub fn model(&self) -> Result<&Model, Error> {
        self.model
            .as_ref()
            .ok_or_else(|| Error::encoding("nothing was learned yet"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profiler;
    use proptest::prelude::*;

    fn archive() -> Archive {
        let mut profiler = Profiler::new(&[vec!["name".to_owned()]]);
        let names = [Some("ann"), None, Some("ann"), Some("bob")];
        profiler.observe(0, 0, names.into_iter());
        Archive {
            profile: profiler.finish(),
            model: None,
        }
    }

    #[test]
    fn archives_come_back() {
        let back = Archive::from_bytes(&archive().to_bytes().unwrap()).unwrap();
        assert_eq!(back.profile.columns[0].null_share, 0.25);
        assert!(back.model().is_err());
    }

    #[test]
    fn other_formats_are_named() {
        let mut bytes = archive().to_bytes().unwrap();
        bytes[MAGIC.len()] = 7;
        let error = Archive::from_bytes(&bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model has format 7, this version of the plugin reads format 1; make it again"
        );
        let error = Archive::from_bytes(b"id,name\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a model of this plugin (it does not begin as one); make it again"
        );
    }

    proptest! {
        #[test]
        fn damage_is_an_error(at in 0usize..10_000, with in 1u8.., cut in 0usize..3) {
            let mut bytes = archive().to_bytes().unwrap();
            let at = at % bytes.len();
            bytes[at] ^= with;
            bytes.truncate(bytes.len() - cut);
            prop_assert!(Archive::from_bytes(&bytes).is_err());
        }
    }
}
