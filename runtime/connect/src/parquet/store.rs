//! [`PlaceStore`]: the files of one table as a read-only `ObjectStore`.
//!
//! Every byte is read through the table's place, which object_store's own `LocalFileSystem` does not
//! know; of an object in a bucket, as it was when it was found. A location is `<number of the file>/<its name>`, so no two files of a table collide.
//!
//! Of a large file a scan reads the footer, then what it needs. A small one is read once and whole ([`Readers`]): its
//! bytes cost less than the second and the third request.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    DefaultParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::error::Result as DataFusionResult;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, coalesce_ranges,
};

use crate::locate::{Origin, SourceFile};
use parquet::arrow::async_reader::AsyncFileReader;
use tokio::sync::OnceCell;

/// Bytes of a file that is read whole.
const SMALL_BYTES: u64 = 256 << 10;

/// Makes the readers of a scan.
#[derive(Debug)]
pub(super) struct Readers {
    store: PlaceStore,
}

impl Readers {
    pub(super) fn new(store: PlaceStore) -> Self {
        Self { store }
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let store = match file.object_meta.size <= SMALL_BYTES {
            true => self.store.for_one_file(),
            false => self.store.clone(),
        };
        let readers = DefaultParquetFileReaderFactory::new(Arc::new(store));
        readers.create_reader(partition, file, footer_bytes, metrics)
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct PlaceStore {
    files: Arc<[SourceFile]>,
    /// The content of the one file that is read through this, once something of it was asked for.
    whole: Option<Arc<OnceCell<Bytes>>>,
}

impl PlaceStore {
    pub(super) fn new(files: Arc<[SourceFile]>) -> Self {
        Self { files, whole: None }
    }

    /// The same for one file, which is kept whole as long as this lives.
    fn for_one_file(&self) -> Self {
        Self {
            files: Arc::clone(&self.files),
            whole: Some(Arc::default()),
        }
    }

    /// Ranges of the file that is kept whole; `None` where none is.
    async fn kept(&self, source: &SourceFile, ranges: &[Range<u64>]) -> Option<Result<Vec<Bytes>>> {
        let whole = self.whole.as_ref()?;
        let bytes = whole.get_or_try_init(|| read_whole(source.clone())).await;
        Some(bytes.and_then(|bytes| {
            let cut = |range: &Range<u64>| {
                let (start, end) = checked(range, bytes.len() as u64)?;
                Ok(bytes.slice(start..end))
            };
            ranges.iter().map(cut).collect()
        }))
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
        let kept = match options.head {
            true => None,
            false => self.kept(&source, std::slice::from_ref(&range)).await,
        };
        let payload = match kept.transpose()? {
            Some(bytes) => {
                GetResultPayload::Stream(stream::iter(bytes.into_iter().map(Ok)).boxed())
            }
            None => payload(source, range.clone(), options.head).await?,
        };
        Ok(GetResult {
            payload,
            meta,
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (source, meta) = self.find(location)?;
        if let Some(kept) = self.kept(&source, ranges).await {
            return kept;
        }
        if let Origin::Remote(file) = &source.origin {
            let fetch = |range: Range<u64>| async move { file.fetch(range).await.map_err(generic) };
            return coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await;
        }
        let ranges = ranges.to_vec();
        blocking(move || {
            let mut input = source.open().map_err(generic)?;
            ranges
                .into_iter()
                .map(|range| read_range(&mut input, range, meta.size))
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

/// The bytes of a range of a file.
async fn payload(source: SourceFile, range: Range<u64>, is_head: bool) -> Result<GetResultPayload> {
    if is_head {
        return Ok(GetResultPayload::Stream(stream::empty().boxed()));
    }
    match &source.origin {
        Origin::Local(place) => {
            let (place, path) = (place.clone(), source.path.clone());
            // Whoever gets the file reads the range.
            let bytes = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            place.remote().counters().read(bytes);
            let file = blocking(move || source.open_local(&place).map_err(generic)).await?;
            Ok(GetResultPayload::File(file, path))
        }
        Origin::Remote(file) => {
            let file = file.clone();
            let got = file.get(Some(range)).await.map_err(generic)?;
            let bytes = got.into_stream();
            let bytes = bytes.map_err(move |e| generic(file.failed(&e)));
            Ok(GetResultPayload::Stream(bytes.boxed()))
        }
        Origin::Spool(spool) => {
            let (mut input, size) = (spool.open(), spool.size());
            let read = blocking(move || read_range(&mut input, range, size));
            Ok(GetResultPayload::Stream(stream::once(read).boxed()))
        }
    }
}

async fn read_whole(source: SourceFile) -> Result<Bytes> {
    let range = 0..source.size;
    if let Origin::Remote(file) = &source.origin {
        return file.fetch(range).await.map_err(generic);
    }
    blocking(move || read_range(&mut source.open().map_err(generic)?, range, source.size)).await
}

/// A range of a file of this size. A damaged footer may ask for anything.
fn checked(range: &Range<u64>, size: u64) -> Result<(usize, usize)> {
    if range.start > range.end || range.end > size {
        return Err(generic(format!(
            "bytes {}..{} are asked for, the file has {size}",
            range.start, range.end
        )));
    }
    let place = |at: u64| usize::try_from(at).map_err(generic);
    Ok((place(range.start)?, place(range.end)?))
}

fn read_range(input: &mut (impl Read + Seek), range: Range<u64>, size: u64) -> Result<Bytes> {
    // No allocation beyond the file.
    let (start, end) = checked(&range, size)?;
    let mut bytes = vec![0; end - start];
    input
        .seek(SeekFrom::Start(range.start))
        .and_then(|_| input.read_exact(&mut bytes))
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
