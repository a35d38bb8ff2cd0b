//! Where a run keeps what does not fit into memory: files without a name.
//!
//! DataFusion's own temporary files have names, and those of a process that was killed stay until somebody
//! wonders about a full disk. [`SpillFolder`] makes files that were never linked into the folder, or are
//! unlinked at once: the system frees them with the process, however it ends.
//!
//! Reads are positional, so that several readers of one file do not disturb each other or its writer. They go
//! through the blocking pool; writes are as DataFusion makes them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Makes spill files.
#[derive(Debug)]
pub(crate) struct SpillFolder {
    folder: PathBuf,
    usage: Arc<Usage>,
}

/// What all files of a run hold together.
#[derive(Debug)]
struct Usage {
    used: AtomicU64,
    most: u64,
}

impl SpillFolder {
    /// In `folder`, all files together at most `most` bytes.
    pub(crate) fn new(folder: PathBuf, most: u64) -> Self {
        Self {
            folder,
            usage: Arc::new(Usage {
                used: AtomicU64::new(0),
                most,
            }),
        }
    }
}

impl TempFileFactory for SpillFolder {
    fn create_temp_file(&self, _description: &str) -> Result<Arc<dyn SpillFile>> {
        let file = tempfile::tempfile_in(&self.folder)?;
        Ok(Arc::new(Nameless(Arc::new(Inner {
            file,
            bytes: AtomicU64::new(0),
            usage: Arc::clone(&self.usage),
        }))))
    }
}

/// One spill file.
#[derive(Debug, Clone)]
struct Nameless(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    bytes: AtomicU64,
    usage: Arc<Usage>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.usage.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl SpillFile for Nameless {
    fn size(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let inner = Arc::clone(&self.0);
        let chunks = futures::stream::try_unfold((inner, 0), |(inner, offset)| async move {
            let read = tokio::task::spawn_blocking(move || {
                let chunk = read_at(&inner.file, offset)?;
                Ok::<_, DataFusionError>((chunk, inner))
            });
            let (chunk, inner) = read
                .await
                .map_err(|e| DataFusionError::External(Box::new(e)))??;
            let next = offset + chunk.len() as u64;
            Ok((!chunk.is_empty()).then_some((chunk, (inner, next))))
        });
        Ok(Box::pin(chunks))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(self.clone()))
    }
}

fn read_at(file: &File, offset: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; READ_BYTES];
    let length = loop {
        match file.read_at(&mut buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    buffer.truncate(length);
    Ok(buffer.into())
}

impl Write for Nameless {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let usage = &self.0.usage;
        let wanted = bytes.len() as u64;
        if usage.used.fetch_add(wanted, Ordering::Relaxed) + wanted > usage.most {
            usage.used.fetch_sub(wanted, Ordering::Relaxed);
            return Err(io::Error::other(format!(
                "limit spill_bytes reached: allowed {} bytes for all that does not fit into memory",
                usage.most
            )));
        }
        let written = (&self.0.file).write(bytes);
        let done = *written.as_ref().unwrap_or(&0) as u64;
        usage.used.fetch_sub(wanted - done, Ordering::Relaxed);
        self.0.bytes.fetch_add(done, Ordering::Relaxed);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Nameless {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn read(file: &Arc<dyn SpillFile>) -> Vec<u8> {
        let chunks: Vec<Bytes> = file.read_stream().unwrap().try_collect().await.unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn a_file_has_no_name_and_is_read_by_several() {
        let folder = tempfile::tempdir().unwrap();
        let spills = SpillFolder::new(folder.path().to_path_buf(), 1 << 20);
        let file = spills.create_temp_file("test").unwrap();
        let text: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        let mut writer = file.open_writer().unwrap();
        writer.write_all(&text).unwrap();
        writer.finish().unwrap();
        let (one, two) = futures::future::join(read(&file), read(&file)).await;
        assert!(one == text && two == text);
        assert_eq!(file.size(), Some(600_000));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_sum_of_all_files_is_limited_and_given_back() {
        let spills = SpillFolder::new(std::env::temp_dir(), 1000);
        let first = spills.create_temp_file("test").unwrap();
        let second = spills.create_temp_file("test").unwrap();
        first.open_writer().unwrap().write_all(&[0; 600]).unwrap();
        let mut writer = second.open_writer().unwrap();
        let error = writer.write_all(&[0; 600]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "limit spill_bytes reached: allowed 1000 bytes for all that does not fit into memory"
        );
        drop(first);
        writer.write_all(&[0; 600]).unwrap();
    }
}
