//! [`Marker`]: how the store was left, in the file `STATE`.
//!
//! ```text
//! tenon-store 2
//! running d28b4c23-729d-4c4d-8660-cb81de264485      | clean 4711 0f3a...
//! 1b2c3d4e                                          crc32c of the lines above
//! ```
//!
//! A store left running in the same boot was killed: what the engine wrote is still in the system's memory, so
//! the engine is trusted as far as it got and verified beside the work. In another boot the power may have
//! been cut, and the engine is verified before it is used. A marker that cannot be read says nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::digest::Digest;
use crate::disk::{Disk, read_all, write_whole};
use crate::error::{Error, Result};
use crate::state::Position;

/// The layout of the directory this build writes.
pub(crate) const FORMAT: u32 = 2;

pub(crate) const FILE: &str = "STATE";
const TITLE: &str = "tenon-store";

/// How the store was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Marker {
    /// There is none: a new directory, or one of the format without a journal.
    Missing,
    /// Open in the boot with this id, empty when nothing is to be trusted.
    Running(String),
    /// Closed at this position.
    Clean(Position),
}

impl Marker {
    /// A marker that makes the next open verify first.
    pub(crate) fn distrust() -> Self {
        Self::Running(String::new())
    }

    /// # Errors
    /// [`Error::NewerFormat`], [`Error::Io`].
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            outcome => outcome.map_err(|error| Error::io("open", &path, &error))?,
        };
        let bytes = read_all(&*file).map_err(|error| Error::io("read", &path, &error))?;
        let Some((format, state)) = std::str::from_utf8(&bytes).ok().and_then(parse) else {
            return Ok(Self::distrust());
        };
        if format > FORMAT {
            return Err(Error::NewerFormat {
                dir: dir.to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        Ok(state)
    }

    /// Writes the marker in place of the one before, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let path = dir.join(FILE);
        write_whole(disk, &path, self.text().as_bytes())
            .map_err(|error| Error::io("write", &path, &error))
    }

    fn text(&self) -> String {
        let state = match self {
            Self::Clean(Position { seq, digest }) => format!("clean {seq} {digest}"),
            Self::Running(boot) => format!("running {boot}"),
            Self::Missing => "running ".to_owned(),
        };
        let lines = format!("{TITLE} {FORMAT}\n{state}\n");
        let crc = crc32c::crc32c(lines.as_bytes());
        format!("{lines}{crc:08x}\n")
    }
}

/// Format and state; nothing when the text is not one of ours.
fn parse(text: &str) -> Option<(u32, Marker)> {
    let (first_line, rest) = text.split_once('\n')?;
    let (state, crc) = rest.strip_suffix('\n')?.split_once('\n')?;
    let lines = format!("{first_line}\n{state}\n");
    if crc != format!("{:08x}", crc32c::crc32c(lines.as_bytes())) {
        return None;
    }
    let format = first_line.strip_prefix(TITLE)?.trim().parse().ok()?;
    let marker = match state.split_once(' ')? {
        ("running", boot) => Marker::Running(boot.to_owned()),
        ("clean", rest) => {
            let (seq, digest) = rest.split_once(' ')?;
            let digest = u128::from_str_radix(digest, 16).ok()?;
            Marker::Clean(Position {
                seq: seq.parse().ok()?,
                digest: Digest::from_bytes(digest.to_be_bytes()),
            })
        }
        // Of a newer format, or of none.
        _ => Marker::distrust(),
    };
    Some((format, marker))
}

/// What tells this boot of the machine from any other; empty where the system does not say.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SystemDisk;

    #[test]
    fn markers_are_read_as_written_and_damage_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let read = || Marker::read(&SystemDisk, dir.path());
        assert_eq!(read().unwrap(), Marker::Missing);
        let clean = Marker::Clean(Position {
            seq: 42,
            digest: Digest::from_bytes([7; 16]),
        });
        for marker in [
            Marker::Running("boot".to_owned()),
            Marker::distrust(),
            clean,
        ] {
            marker.write(&SystemDisk, dir.path()).unwrap();
            assert_eq!(read().unwrap(), marker);
        }
        let bytes = fs::read(dir.path().join(FILE)).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(dir.path().join(FILE), damaged).unwrap();
            assert_eq!(read().unwrap(), Marker::distrust(), "bit {bit}");
        }
        let lines = "tenon-store 3\nfrozen\n";
        let text = format!("{lines}{:08x}\n", crc32c::crc32c(lines.as_bytes()));
        assert_eq!(parse(&text), None, "a state has a word and an argument");
        let lines = "tenon-store 3\nfrozen x\n";
        let text = format!("{lines}{:08x}\n", crc32c::crc32c(lines.as_bytes()));
        fs::write(dir.path().join(FILE), text).unwrap();
        assert!(matches!(read(), Err(Error::NewerFormat { found: 3, .. })));
    }
}
