//! `/v1/backup`: everything that is stored, of all accounts, as one file.
//!
//! The store writes the file on a thread that may block, into a channel of a few pieces; a caller that reads slowly
//! makes that thread wait, and nobody else. The file ends with a manifest of sha256 sums, so what was cut off is never
//! taken for a backup. One is written at a time: each reads the disk from end to end.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{Semaphore, mpsc};

use super::asked::{Asked, refuse};
use super::named;
use super::problem::Problem;
use crate::fault::Fault;
use crate::identity::Identity;

const OPERATION: &str = "CreateBackup";

/// Pieces that wait for the caller.
const PIECES: usize = 4;

/// Largest piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Makes backups, one at a time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backups {
    identity: Identity,
    slot: Arc<Semaphore>,
}

/// What the thread that reads the store says.
enum Said {
    Piece(Bytes),
    /// The backup is whole.
    End,
    Failed(Fault),
}

/// A backup of everything that is stored: accounts, keys, catalogs, audit logs. `tenon restore` makes a data folder of
/// it. It has every change that was acknowledged before the request, and ends with the sha256 sums of its parts.
/// Secrets in it are sealed with the server's master key, which is not in it.
#[utoipa::path(
    post, path = "/v1/backup", tag = "system", operation_id = "createBackup",
    security(("token" = [])),
    responses(
        (status = 200, description = "The file, a tar archive", body = Vec<u8>, content_type = "application/x-tar"),
        (status = 401, response = Problem), (status = 403, response = Problem),
        (status = 409, response = Problem),
    ),
)]
pub(crate) async fn create(State(backups): State<Backups>, asked: Asked) -> Response {
    let (sender, mut said) = mpsc::channel(PIECES);
    let id = asked.id().to_owned();
    tokio::task::spawn_blocking(move || {
        let last = match backups.write(&asked, &sender) {
            Ok(()) => Said::End,
            Err(fault) => Said::Failed(fault),
        };
        // Whoever asked may have gone.
        let _ = sender.blocking_send(last);
    });
    match said.recv().await {
        Some(Said::Piece(first)) => {
            let body = Archive {
                first: Some(first),
                rest: said,
            };
            let headers = [
                (header::CONTENT_TYPE, "application/x-tar"),
                (header::CACHE_CONTROL, "no-store"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"tenon-backup.tar\"",
                ),
            ];
            let response = (StatusCode::OK, headers, Body::new(body));
            named(OPERATION, response.into_response())
        }
        Some(Said::Failed(fault)) => refuse(OPERATION, fault, &id),
        Some(Said::End) | None => refuse(OPERATION, Fault::internal("a backup ended at once"), &id),
    }
}

impl Backups {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            slot: Arc::new(Semaphore::new(1)),
        }
    }

    fn write(&self, asked: &Asked, to: &mpsc::Sender<Said>) -> Result<(), Fault> {
        let by = asked.admin(&self.identity)?.name;
        let _slot = self.slot.try_acquire().map_err(|_| Fault {
            status: 409,
            name: "ConflictException",
            message: "another backup is being written; ask again when it is done".to_owned(),
        })?;
        // A store that takes no more writes is the one to back up most of all.
        if let Err(error) = self.identity.note(&by, "tenon:CreateBackup", &[]) {
            tracing::error!(by, %error, "a backup is taken and the audit log cannot be written");
        }
        let written = self.identity.store().backup_to(&mut Pieces(to));
        let report = written.map_err(|error| Fault::internal(&error.to_string()))?;
        tracing::info!(
            by,
            bytes = report.bytes,
            last_seq = report.last_seq,
            "a backup was written"
        );
        Ok(())
    }
}

/// Where the store writes.
struct Pieces<'a>(&'a mpsc::Sender<Said>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        let said = Said::Piece(Bytes::copy_from_slice(piece));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller has gone");
        self.0.blocking_send(said).map_err(gone)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer's body. It ends in order only when the backup did.
struct Archive {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Said>,
}

impl HttpBody for Archive {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        Poll::Ready(match ready!(self.rest.poll_recv(cx)) {
            Some(Said::Piece(piece)) => Some(Ok(Frame::data(piece))),
            Some(Said::End) => None,
            Some(Said::Failed(fault)) => Some(Err(io::Error::other(fault.message))),
            None => Some(Err(io::Error::other("the backup broke off"))),
        })
    }
}
