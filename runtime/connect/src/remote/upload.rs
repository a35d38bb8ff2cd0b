//! Writing objects: [`Upload`] is written to, [`StagedUpload`] is completed or aborted.
//!
//! The two share one multipart upload, which nobody can see until it is completed.
//!
//! ```text
//! write ─▶ buffer ─▶ parts, sent while the next is filled ─▶ finish: all parts are there
//!                                                             └▶ StagedUpload: complete | abort
//! ```

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path as Key;
use object_store::{MultipartUpload, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::error::{Error, Result};
use crate::remote::store::Store;

/// The upload of one object, until it is completed or aborted.
#[derive(Clone)]
struct Shared {
    store: Arc<Store>,
    upload: Arc<Mutex<Option<Box<dyn MultipartUpload>>>>,
    handle: Handle,
    name: Arc<str>,
    /// What went wrong while it was written.
    failure: Arc<Mutex<Option<Error>>>,
}

impl Shared {
    fn take(&self) -> Option<Box<dyn MultipartUpload>> {
        self.upload
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        self.store.failed("write", &self.name, error)
    }

    /// Keeps the error for who asks the staged upload, and gives encoders its text.
    fn keep(&self, error: Error) -> io::Error {
        let text = error.to_string();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
        io::Error::other(text)
    }
}

/// Starts an upload. Blocks; must be called where a Tokio runtime is.
pub(crate) fn start(store: &Arc<Store>, key: &Key, name: &str) -> Result<(StagedUpload, Upload)> {
    let handle = Handle::current();
    let upload = handle.block_on(async {
        let options = object_store::PutMultipartOptions::default();
        store.objects.put_multipart_opts(key, options).await
    });
    let upload = upload.map_err(|e| store.failed("write", name, &e))?;
    let shared = Shared {
        store: Arc::clone(store),
        upload: Arc::new(Mutex::new(Some(upload))),
        handle,
        name: name.into(),
        failure: Arc::default(),
    };
    let writer = Upload {
        shared: shared.clone(),
        buffer: Vec::new(),
        parts: JoinSet::new(),
        written: 0,
    };
    Ok((StagedUpload(shared), writer))
}

/// Takes the bytes of one object. Blocks while as many parts are on their way as may be.
pub(crate) struct Upload {
    shared: Shared,
    buffer: Vec<u8>,
    parts: JoinSet<object_store::Result<()>>,
    written: u64,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({})", self.shared.name)
    }
}

impl Upload {
    /// Sends what is buffered and waits for every part; returns the bytes of the whole.
    pub(crate) fn finish(mut self) -> Result<u64> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        self.wait_for(0)?;
        Ok(self.written)
    }

    fn part_bytes(&self) -> usize {
        self.shared.store.options.part_bytes.max(1)
    }

    fn send_part(&mut self) -> Result<()> {
        let part = PutPayload::from(std::mem::take(&mut self.buffer));
        let sent = {
            let mut upload = self
                .shared
                .upload
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let upload = upload.as_mut().ok_or_else(|| {
                Error::Unavailable(format!(
                    "cannot write {}: its upload was aborted",
                    self.shared.name
                ))
            })?;
            upload.put_part(part)
        };
        self.parts.spawn_on(sent, &self.shared.handle);
        self.wait_for(self.shared.store.options.parts_at_once.saturating_sub(1))
    }

    /// Waits until no more parts than this are on their way.
    fn wait_for(&mut self, parts: usize) -> Result<()> {
        while self.parts.len() > parts {
            let Some(done) = self.shared.handle.block_on(self.parts.join_next()) else {
                return Ok(());
            };
            let done = done.map_err(Error::joined)?;
            done.map_err(|e| self.shared.failed(&e))?;
        }
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.part_bytes() - self.buffer.len();
        if self.buffer.capacity() == 0 {
            self.buffer
                .reserve_exact(bytes.len().min(self.part_bytes()));
        }
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.written += taken as u64;
        if taken == room {
            self.send_part().map_err(|error| self.shared.keep(error))?;
        }
        Ok(taken)
    }

    /// A part is sent when it is full: what is left goes with [`Upload::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An upload that is not visible yet. Aborted when it is dropped.
pub(crate) struct StagedUpload(Shared);

impl fmt::Debug for StagedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StagedUpload({})", self.0.name)
    }
}

impl StagedUpload {
    /// Makes the object visible, whole. Blocks.
    pub(crate) fn complete(self) -> Result<()> {
        let Some(mut upload) = self.0.take() else {
            return Ok(());
        };
        match self.0.handle.block_on(upload.complete()) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = self.0.failed(&error);
                // It may be complete all the same, if only the answer was lost: then there is nothing to abort.
                let _ = self.0.handle.block_on(upload.abort());
                Err(error)
            }
        }
    }

    /// What went wrong while it was written.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        let mut failure = self
            .0
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failure.take()
    }

    /// Takes back every part. Blocks.
    pub(crate) fn abort(self) -> Result<()> {
        let Some(mut upload) = self.0.take() else {
            return Ok(());
        };
        let aborted = self.0.handle.block_on(upload.abort());
        aborted.map_err(|e| self.0.store.failed("take back", &self.0.name, &e))
    }
}

impl Drop for StagedUpload {
    fn drop(&mut self) {
        let Some(mut upload) = self.0.take() else {
            return;
        };
        let (store, name) = (Arc::clone(&self.0.store), Arc::clone(&self.0.name));
        self.0.handle.spawn(async move {
            if let Err(error) = upload.abort().await {
                // The next run of the target finds it.
                tracing::warn!("{}", store.failed("take back", &name, &error));
            }
        });
    }
}
