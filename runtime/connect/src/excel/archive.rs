//! [`check`]: unpacks a workbook's archive once, into nothing, below the limits.
//!
//! The decoder unpacks parts whole into memory, and what the archive says of their size need not be true.

use std::io::{self, Read};

use zip::ZipArchive;

use crate::compress::ReadSeek;
use crate::error::{Error, Result};
use crate::limits::ReadLimits;

const CHUNK_BYTES: usize = 64 << 10;
const MAX_PARTS: usize = 10_000;

pub(super) fn check(input: &mut dyn ReadSeek, name: &str, limits: &ReadLimits) -> Result<()> {
    let corrupt = |message: String| Error::Corrupt {
        file: name.to_owned(),
        message,
    };
    let mut archive = ZipArchive::new(input).map_err(|e| corrupt(e.to_string()))?;
    if archive.len() > MAX_PARTS {
        return Err(corrupt(format!("a workbook of {} parts", archive.len())));
    }
    let mut total = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    for index in 0..archive.len() {
        let mut part = archive
            .by_index(index)
            .map_err(|e| corrupt(e.to_string()))?;
        let compressed = part.compressed_size();
        let mut unpacked = 0;
        loop {
            match part.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => {
                    unpacked += read as u64;
                    total += read as u64;
                    limits.check_memory(name, "the unpacked workbook", total)?;
                    limits.check_decompression(name, compressed, unpacked)?;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(corrupt(e.to_string())),
            }
        }
    }
    Ok(())
}
