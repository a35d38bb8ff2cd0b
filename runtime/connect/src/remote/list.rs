//! From a URL to the files to read: an object, everything below a folder, or a glob.
//!
//! A listing is a stream of pages: what does not match is forgotten before the next page is asked for. Objects
//! come in the order of their keys. Names that begin with `.` or `_`, and folders of such names, are left out, as on a
//! disk; so are the empty objects that stand for folders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use futures::{Stream, StreamExt, TryStreamExt};
use glob::Pattern;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectMeta};
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::remote::Remote;
use crate::remote::location::{Location, Scheme, parse_key};
use crate::remote::read::RemoteFile;
use crate::remote::spool::Spool;
use crate::remote::store::Store;

/// Something to read, of which its name and age are known.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
    pub(crate) at: At,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum At {
    Object(RemoteFile),
    Spool(Spool),
}

/// Hands every file that `location` names to `found`, until that fails. Blocks; must be called where a Tokio runtime is.
///
/// # Errors
/// [`Error::NotFound`] if there is none; what `found` says.
pub(crate) fn locate(
    remote: &Remote,
    location: &Location,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    let store = remote.store(location)?;
    let handle = Handle::current();
    if location.scheme == Scheme::Web {
        let file = handle.block_on(web(&store, location))?;
        return match file {
            Some(file) => found(file),
            None => found(whole(&store, location, &handle)?),
        };
    }
    handle.block_on(bucket(&store, location, found))
}

async fn bucket(
    store: &Arc<Store>,
    location: &Location,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    let key = location.key.trim_end_matches('/');
    if has_meta(key) {
        return glob(store, location, found).await;
    }
    let is_object = !key.is_empty() && key.len() == location.key.len();
    if is_object && let Some(meta) = head(store, location).await? {
        return found(object(store, location, &meta));
    }
    let base = parse_key(location, key)?;
    let mut objects = std::pin::pin!(objects(store, location, base));
    let mut is_empty = true;
    while let Some(meta) = objects.try_next().await? {
        is_empty = false;
        found(object(store, location, &meta))?;
    }
    match is_empty {
        false => Ok(()),
        true => Err(Error::NotFound(format!(
            "{}: no such object, and no folder with data files; names that begin with `.` or `_` do not count",
            location.name()
        ))),
    }
}

async fn glob(
    store: &Arc<Store>,
    location: &Location,
    found: &mut dyn FnMut(Found) -> Result<()>,
) -> Result<()> {
    let name = location.name();
    let pattern = Pattern::new(&location.key)
        .map_err(|e| Error::NotFound(format!("{name}: not a valid glob: {}", e.msg)))?;
    let parts = location.key.split('/').take_while(|part| !has_meta(part));
    let base = parse_key(location, &parts.collect::<Vec<_>>().join("/"))?;
    let mut objects = std::pin::pin!(objects(store, location, base));
    let mut is_empty = true;
    while let Some(meta) = objects.try_next().await? {
        if pattern.matches_with(meta.location.as_ref(), crate::locate::GLOB) {
            is_empty = false;
            found(object(store, location, &meta))?;
        }
    }
    match is_empty {
        false => Ok(()),
        true => Err(Error::NotFound(format!(
            "{name}: no object matches this glob; use ** to look into folders"
        ))),
    }
}

/// The data objects below a folder, in the order of their keys, page by page.
pub(crate) fn objects(
    store: &Arc<Store>,
    location: &Location,
    base: Key,
) -> impl Stream<Item = Result<ObjectMeta>> {
    let (store, name) = (Arc::clone(store), location.name());
    let listed = store.objects.list(Some(&base));
    listed
        .try_filter(move |meta| std::future::ready(is_data(&base, meta)))
        .map(move |meta| meta.map_err(|e| store.failed("list", &name, &e)))
}

fn is_data(base: &Key, meta: &ObjectMeta) -> bool {
    let Some(mut below) = meta.location.prefix_match(base) else {
        return false;
    };
    // Consoles and Hadoop make folders visible by empty objects, whose keys lose their slash on the way.
    let is_folder_mark = meta.size == 0 && meta.location.extension().is_none();
    !is_folder_mark && !below.any(|part| part.as_ref().starts_with(['.', '_']))
}

async fn head(store: &Arc<Store>, location: &Location) -> Result<Option<ObjectMeta>> {
    let key = parse_key(location, &location.key)?;
    let options = GetOptions {
        head: true,
        ..GetOptions::default()
    };
    match store.objects.get_opts(&key, options).await {
        Ok(got) => Ok(Some(got.meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(store.failed("read", &location.name(), &error)),
    }
}

fn object(store: &Arc<Store>, location: &Location, meta: &ObjectMeta) -> Found {
    let path = location.path_of(&meta.location);
    let file = RemoteFile::new(store, meta, &path.to_string_lossy());
    Found {
        path,
        size: meta.size,
        modified: meta.last_modified.into(),
        at: At::Object(file),
    }
}

/// What a URL names, asked for by its first byte: none if the server does not give ranges.
async fn web(store: &Arc<Store>, location: &Location) -> Result<Option<Found>> {
    let options = GetOptions {
        range: Some((0..1).into()),
        ..GetOptions::default()
    };
    match store.objects.get_opts(&Key::default(), options).await {
        Ok(got) => {
            let found = object(store, location, &got.meta);
            // Read to its end, the connection can be used again.
            let first = got.bytes().await;
            first.map_err(|e| store.failed("read", &location.name(), &e))?;
            Ok(Some(found))
        }
        Err(object_store::Error::NotSupported { .. }) => Ok(None),
        // There is no first byte in an empty file.
        Err(error) if error.to_string().contains("status code: 416") => Ok(None),
        Err(error) => Err(store.failed("read", &location.name(), &error)),
    }
}

/// What a URL names, kept on disk. Blocks.
fn whole(store: &Arc<Store>, location: &Location, handle: &Handle) -> Result<Found> {
    let name = location.name();
    let mut body = handle.block_on(get(store, location))?;
    let chunks = std::iter::from_fn(|| {
        let chunk = handle.block_on(body.next())?;
        Some(chunk.map_err(|e| store.failed("read", &name, &e)))
    });
    let spool = Spool::of(&name, store.options.spool_bytes, chunks)?;
    Ok(Found {
        path: location.path_of(&Key::default()),
        size: spool.size(),
        modified: SystemTime::UNIX_EPOCH,
        at: At::Spool(spool),
    })
}

async fn get(
    store: &Arc<Store>,
    location: &Location,
) -> Result<
    futures::stream::BoxStream<'static, Result<bytes::Bytes, object_store::client::HttpError>>,
> {
    let name = location.name();
    let unsent = || Error::NotFound(format!("{name}: not a URL"));
    let client = store.client.as_ref().ok_or_else(unsent)?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = location.bucket.parse().map_err(|_| unsent())?;
    let answer = client.0.execute(request).await;
    let answer = answer.map_err(|e| store.failed("read", &name, &e))?;
    match answer.status() {
        status if status.is_success() => Ok(answer.into_body().bytes_stream()),
        status => Err(Error::Unavailable(format!(
            "cannot read {name}: it answered {status}"
        ))),
    }
}

fn has_meta(text: &str) -> bool {
    text.contains(['*', '?', '['])
}
