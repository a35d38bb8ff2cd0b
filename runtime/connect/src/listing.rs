//! [`Listing`]: the files that paths name, as they were listed, before any of them is read. For who reads only some of
//! them, such as those that an earlier run has not read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use datafusion::catalog::TableProvider;

use crate::compress::expand;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::hive;
use crate::locate::{Origin, SourceFile, locate};
use crate::place::Place;
use crate::select::FileSelection;

/// Files that exist.
#[derive(Clone, Debug)]
pub struct Listing {
    paths: Vec<PathBuf>,
    selection: FileSelection,
    files: Vec<SourceFile>,
}

/// What is known of a file that was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// As errors name it; of an object, the URL with its whole key.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// What the store of the file calls its content, where it does.
    pub etag: Option<String>,
    /// When it was last written.
    pub modified: SystemTime,
}

impl Listing {
    /// Lists what [`table`](crate::table) would read of `paths`, as far as it is selected; archives as files.
    ///
    /// Safe to cancel. Must be called inside a Tokio runtime: file work runs on its blocking pool.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a path, folder or glob without files, and when none is selected; [`Error::Refused`] for one outside the place.
    pub async fn of(place: &Place, paths: &[PathBuf], selection: &FileSelection) -> Result<Self> {
        let (place, paths, selection) = (place.clone(), paths.to_vec(), selection.clone());
        let list = move || {
            let files = selection.choose(&paths, locate(&place, &paths)?)?;
            Ok(Self {
                paths,
                selection,
                files,
            })
        };
        tokio::task::spawn_blocking(list)
            .await
            .map_err(Error::joined)?
    }

    /// The files, in the order in which they are read.
    pub fn files(&self) -> impl Iterator<Item = ListedFile> {
        self.files.iter().map(listed)
    }

    /// Forgets files.
    pub fn retain(&mut self, mut keep: impl FnMut(&ListedFile) -> bool) {
        self.files.retain(|file| keep(&listed(file)));
    }

    /// The files as one table, see [`table`](crate::table).
    ///
    /// # Errors
    /// As [`table`](crate::table); [`Error::NotFound`] when all files were forgotten.
    pub async fn table(self, format: &Format) -> Result<Arc<dyn TableProvider>> {
        let Self {
            paths,
            selection,
            files,
        } = self;
        if files.is_empty() {
            return Err(Error::NotFound("there are no files to read".to_owned()));
        }
        let select = move || {
            // Once more: what is in an archive is selected like what is in a folder.
            let mut files = selection.choose(&paths, expand(files)?)?;
            hive::assign(&paths, &mut files)?;
            Ok::<_, Error>(files)
        };
        let files = tokio::task::spawn_blocking(select);
        let files = files.await.map_err(Error::joined)??;
        let first = files.first().map(SourceFile::name).unwrap_or_default();
        let table = format.connector().table(files).await?;
        hive::check(&table.schema(), &first)?;
        Ok(table)
    }
}

fn listed(file: &SourceFile) -> ListedFile {
    ListedFile {
        path: file.path.display().to_string(),
        size: file.size,
        etag: match &file.origin {
            Origin::Remote(remote) => remote.tag().map(str::to_owned),
            Origin::Local(_) | Origin::Spool(_) => None,
        },
        modified: file.modified,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_files_that_were_kept_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.csv", "n\n1\n"), ("b.csv", "n\n22\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let place = Place::rooted(folder.path()).unwrap();
        let mut listing = Listing::of(&place, &[PathBuf::from(".")], &FileSelection::default())
            .await
            .unwrap();
        let files: Vec<_> = listing.files().map(|file| (file.path, file.size)).collect();
        assert_eq!(files, [("a.csv".to_owned(), 4), ("b.csv".to_owned(), 5)]);
        listing.retain(|file| file.size > 4);
        let format = Format::from_path("b.csv".as_ref()).unwrap();
        let context = datafusion::prelude::SessionContext::new();
        let table = listing.clone().table(&format).await.unwrap();
        let rows = context.read_table(table).unwrap().count().await.unwrap();
        assert_eq!(rows, 1);
        listing.retain(|_| false);
        listing.table(&format).await.unwrap_err();
    }
}
