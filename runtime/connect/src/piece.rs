//! What one partition of a scan reads: [`Piece`]s of files, dealt out by [`partitions`].
//!
//! ```text
//! files       │ a.csv 100 MiB            │ b.csv │ c.csv │ … ten thousand small ones … │
//! partitions  │ a[0..] │ a[cut 1..]      │ all of b, c, …                              │
//! ```
//!
//! Partitions follow the order of the files and get about the same number of bytes. A cut is only a
//! wish: the format finds the next record behind it ([`Cuts`]), and if it cannot prove one, the
//! piece before reads on.

use std::fmt::Debug;
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::encoding::{Text, TextEncoding, decoded};
use crate::error::{Error, Result};
use crate::limits::ReadLimits;
use crate::locate::SourceFile;

/// What opening a file costs, in bytes that could have been read in that time.
const OPEN_COST_BYTES: u64 = 64 << 10;
const COUNTED_BYTES: usize = 256 << 10;

/// The batches of one piece, each with [`ScanRequest::schema`]; ends after its first error.
pub(crate) type BatchIterator = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Batches until `next` has none, or fails.
pub(crate) fn until_over(
    mut next: impl FnMut() -> Result<Option<RecordBatch>> + 'static,
) -> BatchIterator {
    let mut is_over = false;
    Box::new(std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let batch = next().transpose();
        is_over = !matches!(batch, Some(Ok(_)));
        batch
    }))
}

/// Decodes one format. Opened once per piece and execution, on a thread that may block.
pub(crate) trait FileReader: Debug + Send + Sync {
    /// Reads a whole file.
    fn open(&self, file: &SourceFile, request: &ScanRequest) -> Result<BatchIterator>;

    /// Whether [`FileReader::open_part`] can read a part of the file. Called when a scan is planned; does not block.
    fn can_split(&self, _file: &SourceFile) -> bool {
        false
    }

    /// Reads the records that begin in one part of a file. The parts of a file give its records, each once.
    fn open_part(
        &self,
        file: &SourceFile,
        _part: &Part,
        request: &ScanRequest,
    ) -> Result<BatchIterator> {
        self.open(file, request)
    }
}

/// What a scan wants of a file.
#[derive(Clone, Debug)]
pub(crate) struct ScanRequest {
    /// Indices into the table's columns.
    pub(crate) projection: Vec<usize>,
    /// The projected schema.
    pub(crate) schema: SchemaRef,
    pub(crate) batch_rows: usize,
    /// What the scan left out.
    pub(crate) rejected: Arc<RejectedRows>,
}

/// Rows that a scan could not read and was allowed to leave out.
#[derive(Debug, Default)]
pub(crate) struct RejectedRows {
    pub(crate) dropped: AtomicU64,
    pub(crate) quarantined: AtomicU64,
}

/// A file, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) file: SourceFile,
    pub(crate) part: Option<Part>,
}

/// One of the parts into which a file is cut.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    cuts: Arc<Cuts>,
    index: usize,
}

/// Where a file is wished to be cut, and the records found there.
#[derive(Debug)]
struct Cuts {
    wishes: Vec<u64>,
    found: Vec<OnceLock<Option<u64>>>,
}

impl Part {
    /// The bytes at which the first record of the part, and the first that is no longer of it, begin (the
    /// latter `u64::MAX` for all that is left). None if the part before reads these too.
    ///
    /// `find` gives the first provable record at or behind a byte; it is asked once per cut.
    pub(crate) fn range(
        &self,
        find: impl Fn(u64) -> Result<Option<u64>>,
    ) -> Result<Option<(u64, u64)>> {
        let Some(start) = self.start(self.index, &find)? else {
            return Ok(None);
        };
        for next in self.index + 1..=self.cuts.wishes.len() {
            if let Some(end) = self.start(next, &find)? {
                return Ok((start < end).then_some((start, end)));
            }
        }
        Ok(Some((start, u64::MAX)))
    }

    /// Is this the part that has the start of the file?
    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    fn start(
        &self,
        index: usize,
        find: &impl Fn(u64) -> Result<Option<u64>>,
    ) -> Result<Option<u64>> {
        let Some(cut) = index.checked_sub(1) else {
            return Ok(Some(0));
        };
        let Some(found) = self.cuts.found(cut, find)? else {
            return Ok(None);
        };
        // A record longer than a part may be found from two cuts: parts never overlap.
        let before = match cut.checked_sub(1) {
            Some(before) => self.cuts.found(before, find)?.unwrap_or(0),
            None => 0,
        };
        Ok(Some(found.max(before)))
    }
}

impl Cuts {
    fn found(&self, cut: usize, find: &impl Fn(u64) -> Result<Option<u64>>) -> Result<Option<u64>> {
        if let Some(found) = self.found[cut].get() {
            return Ok(*found);
        }
        let found = find(self.wishes[cut])?;
        Ok(*self.found[cut].get_or_init(|| found))
    }
}

/// The text of `file` from its start, unpacked if it is compressed, as UTF-8.
pub(crate) fn open_text(file: &SourceFile, encoding: TextEncoding) -> Result<Text> {
    let (input, is_as_it_lies) = file.content(&ReadLimits::default())?;
    let mut text = decoded(input, &file.name(), encoding)?;
    text.is_plain &= is_as_it_lies;
    Ok(text)
}

/// The bytes of `file` from byte `start` on; for a file whose content is its bytes.
pub(crate) fn open_at(file: &SourceFile, start: u64) -> Result<Box<dyn Read + Send>> {
    let mut input = file.open()?;
    input
        .seek(SeekFrom::Start(start))
        .map_err(|e| Error::io("read", &file.path, e))?;
    Ok(Box::new(input))
}

/// How many lines end before byte `end`; for a file whose content is its bytes. Reads all that is before it.
pub(crate) fn line_ends(file: &SourceFile, end: u64) -> Result<u64> {
    let mut input = open_at(file, 0)?.take(end);
    let (mut buffer, mut lines) = (vec![0; COUNTED_BYTES], 0);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(lines),
            Ok(read) => lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io("read", &file.path, e)),
        }
    }
}

/// Deals the files out to at most `target` partitions of at least `min_bytes`, in order.
pub(crate) fn partitions(
    files: &[SourceFile],
    reader: &dyn FileReader,
    target: usize,
    min_bytes: u64,
) -> Vec<Vec<Piece>> {
    let open_cost = OPEN_COST_BYTES.min(min_bytes);
    let total: u64 = files.iter().map(|file| file.size.max(open_cost)).sum();
    let count = (total / min_bytes.max(1)).clamp(1, target.max(1) as u64);
    let share = total.div_ceil(count).max(1);
    let mut dealer = Dealer {
        share,
        open_cost,
        filled: 0,
        partitions: vec![Vec::new()],
    };
    for file in files {
        if !file.is_compressed() && reader.can_split(file) {
            dealer.deal_cut(file, min_bytes);
        } else {
            dealer.deal(file);
        }
    }
    dealer.partitions
}

struct Dealer {
    share: u64,
    /// The least that a file counts.
    open_cost: u64,
    /// What the last partition has.
    filled: u64,
    partitions: Vec<Vec<Piece>>,
}

impl Dealer {
    /// A file that cannot be cut goes where most of it belongs.
    fn deal(&mut self, file: &SourceFile) {
        let weight = file.size.max(self.open_cost);
        if self.filled > 0 && self.filled + weight / 2 > self.share {
            self.next();
        }
        self.push(file, None, weight);
    }

    fn deal_cut(&mut self, file: &SourceFile, min_bytes: u64) {
        // Slivers on either side of a cut are not worth a task.
        let sliver = (min_bytes / 2).max(1);
        let room = self.share.saturating_sub(self.filled);
        if file.size <= room.saturating_add(sliver) {
            return self.deal(file);
        }
        if self.filled > 0 && room < sliver {
            self.next();
        }
        let mut wishes = Vec::new();
        let mut cut = self.share.saturating_sub(self.filled).max(sliver);
        while cut.saturating_add(sliver) < file.size {
            wishes.push(cut);
            cut += self.share;
        }
        if wishes.is_empty() {
            return self.deal(file);
        }
        let found = wishes.iter().map(|_| OnceLock::new()).collect();
        let cuts = Arc::new(Cuts { wishes, found });
        let ends = cuts.wishes.iter().copied().chain([file.size]);
        let mut start = 0;
        for (index, end) in ends.enumerate() {
            if index > 0 {
                self.next();
            }
            let part = Part {
                cuts: Arc::clone(&cuts),
                index,
            };
            self.push(file, Some(part), end - start);
            start = end;
        }
    }

    fn next(&mut self) {
        self.partitions.push(Vec::new());
        self.filled = 0;
    }

    fn push(&mut self, file: &SourceFile, part: Option<Part>, bytes: u64) {
        if let Some(last) = self.partitions.last_mut() {
            last.push(Piece {
                file: file.clone(),
                part,
            });
        }
        self.filled += bytes;
    }
}
