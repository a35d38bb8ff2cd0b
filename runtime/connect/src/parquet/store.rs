//! [`PlaceStore`]: the files of one table as a read-only `ObjectStore`.
//!
//! Every byte is read through the table's place, which object_store's own `LocalFileSystem` does not
//! know. A location is `<number of the file>/<its name>`, so no two files of a table collide.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::locate::SourceFile;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct PlaceStore {
    files: Arc<[SourceFile]>,
}

impl PlaceStore {
    pub(super) fn new(files: Arc<[SourceFile]>) -> Self {
        Self { files }
    }

    pub(super) fn meta(&self, index: usize) -> ObjectMeta {
        let file = &self.files[index];
        let name = file
            .path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        ObjectMeta {
            location: Path::from_iter([index.to_string(), name.into_owned()]),
            last_modified: file.modified.into(),
            size: file.size,
            e_tag: None,
            version: None,
        }
    }

    fn find(&self, location: &Path) -> Result<(SourceFile, ObjectMeta)> {
        let index = location
            .parts()
            .next()
            .and_then(|part| part.as_ref().parse().ok());
        let found = index
            .filter(|index| *index < self.files.len() && self.meta(*index).location == *location);
        match found {
            Some(index) => Ok((self.files[index].clone(), self.meta(index))),
            None => Err(Error::NotFound {
                path: location.to_string(),
                source: "not a file of this table".into(),
            }),
        }
    }
}

impl fmt::Display for PlaceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlaceStore({} files)", self.files.len())
    }
}

#[async_trait]
impl ObjectStore for PlaceStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (source, meta) = self.find(location)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(generic)?,
            None => 0..meta.size,
        };
        let path = source.path.clone();
        let file = blocking(move || source.open().map_err(generic)).await?;
        Ok(GetResult {
            payload: GetResultPayload::File(file, path),
            meta,
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (source, meta) = self.find(location)?;
        let ranges = ranges.to_vec();
        blocking(move || {
            let mut file = source.open().map_err(generic)?;
            ranges
                .into_iter()
                .map(|range| read_range(&mut file, range, meta.size))
                .collect()
        })
        .await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only("put"))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(read_only("delete")) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let metas: Vec<_> = (0..self.files.len())
            .map(|index| Ok(self.meta(index)))
            .collect();
        stream::iter(metas).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(read_only("list with a delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only("copy"))
    }
}

fn read_range(file: &mut File, range: Range<u64>, size: u64) -> Result<Bytes> {
    // A damaged footer may ask for anything: no allocation beyond the file.
    if range.start > range.end || range.end > size {
        return Err(generic(format!(
            "bytes {}..{} are asked for, the file has {size}",
            range.start, range.end
        )));
    }
    let length = usize::try_from(range.end - range.start).map_err(generic)?;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(range.start))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(generic)?;
    Ok(bytes.into())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn generic(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic {
        store: "place",
        source: source.into(),
    }
}

fn read_only(what: &str) -> Error {
    Error::NotSupported {
        source: format!("cannot {what}: the files of a table are only read").into(),
    }
}
