//! [`Sheet`]: the cells of one sheet, row by row, as values of ours.

use std::io::{Read, Seek, SeekFrom};

use calamine::{Data, DataRef, ExcelDateTime, Ods, Reader, Xlsx};
use chrono::NaiveDate;

use crate::compress::ReadSeek;
use crate::error::{Error, Result};
use crate::excel::ExcelOptions;
use crate::excel::archive::check;
use crate::guard::guard;
use crate::limits::ReadLimits;
use crate::locate::SourceFile;

const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// The value of one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell {
    #[default]
    Empty,
    Boolean(bool),
    /// Without a fraction, and exact.
    Integer(i64),
    Float(f64),
    /// Microseconds since 1970-01-01T00:00:00.
    DateTime(i64),
    /// Text, a time of day, a duration, an error such as `#N/A`.
    Text(String),
}

/// Rows from the first that is not empty to the last, each with its number in the sheet, from 1.
pub(super) struct Sheet {
    pub(super) rows: Vec<(u32, Vec<Cell>)>,
}

impl Sheet {
    /// Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for what is no workbook, [`Error::NotFound`] with the names there are if the sheet
    /// is missing, [`Error::Limit`].
    pub(super) fn read(file: &SourceFile, options: &ExcelOptions) -> Result<Self> {
        let name = file.name();
        let mut input = file.seekable(&options.limits, true)?;
        let mut magic = [0; 4];
        let is_ole = input.read_exact(&mut magic).is_ok() && magic == [0xD0, 0xCF, 0x11, 0xE0];
        if is_ole {
            return Err(Error::Unsupported(format!(
                "{name}: a workbook of the old .xls kind, or an encrypted one; save it as .xlsx"
            )));
        }
        input
            .seek(SeekFrom::Start(0))
            .map_err(|e| Error::io("read", &name, e))?;
        check(input.as_mut(), &name, &options.limits)?;
        input
            .seek(SeekFrom::Start(0))
            .map_err(|e| Error::io("read", &name, e))?;
        let mut cells = Cells::new(&name, &options.limits);
        let is_ods = file
            .content_path()
            .extension()
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("ods"));
        guard(&name, || {
            if is_ods {
                read_ods(input, options.sheet.as_deref(), &mut cells)
            } else {
                read_xlsx(input, options.sheet.as_deref(), &mut cells)
            }
        })?;
        Ok(Self { rows: cells.rows })
    }
}

fn read_xlsx(input: Box<dyn ReadSeek>, sheet: Option<&str>, cells: &mut Cells<'_>) -> Result<()> {
    let mut workbook = Xlsx::new(input).map_err(|e| cells.corrupt(&e))?;
    let sheet = sheet_name(workbook.sheet_names(), sheet, cells.name)?;
    let name = cells.name;
    let corrupt = |e: calamine::XlsxError| Error::Corrupt {
        file: name.to_owned(),
        message: e.to_string(),
    };
    let mut reader = workbook.worksheet_cells_reader(&sheet).map_err(corrupt)?;
    while let Some(cell) = reader.next_cell().map_err(corrupt)? {
        let (row, column) = cell.get_position();
        cells.push(row, column, from_xlsx(cell.get_value()))?;
    }
    Ok(())
}

fn read_ods(input: Box<dyn ReadSeek>, sheet: Option<&str>, cells: &mut Cells<'_>) -> Result<()> {
    let mut workbook = Ods::new(input).map_err(|e| cells.corrupt(&e))?;
    let sheet = sheet_name(workbook.sheet_names(), sheet, cells.name)?;
    let range = workbook
        .worksheet_range(&sheet)
        .map_err(|e| cells.corrupt(&e))?;
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        cells.push(
            first_row + row as u32,
            first_column + column as u32,
            from_ods(value),
        )?;
    }
    Ok(())
}

fn sheet_name(names: Vec<String>, wanted: Option<&str>, file: &str) -> Result<String> {
    match wanted {
        None => names
            .into_iter()
            .next()
            .ok_or_else(|| Error::Invalid(format!("{file}: a workbook without a sheet"))),
        Some(wanted) if names.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(Error::NotFound(format!(
            "{file}: no sheet is named {wanted:?}; there are {}",
            names.join(", ")
        ))),
    }
}

/// The rows so far.
struct Cells<'a> {
    name: &'a str,
    limits: &'a ReadLimits,
    rows: Vec<(u32, Vec<Cell>)>,
    bytes: u64,
}

impl<'a> Cells<'a> {
    fn new(name: &'a str, limits: &'a ReadLimits) -> Self {
        Self {
            name,
            limits,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// `row` and `column` count from 0.
    fn push(&mut self, row: u32, column: u32, cell: Cell) -> Result<()> {
        if cell == Cell::Empty {
            return Ok(());
        }
        self.limits
            .check_columns(self.name, u64::from(column) + 1)?;
        let number = row.saturating_add(1);
        match self.rows.last() {
            Some((last, _)) if *last == number => {}
            Some((last, _)) if *last > number => {
                return Err(Error::Corrupt {
                    file: self.name.to_owned(),
                    message: format!("row {number} follows row {last}"),
                });
            }
            _ => self.rows.push((number, Vec::new())),
        }
        let Some((_, cells)) = self.rows.last_mut() else {
            return Ok(());
        };
        let added = (column as usize + 1).saturating_sub(cells.len());
        let text = match &cell {
            Cell::Text(text) => text.len(),
            _ => 0,
        };
        self.bytes += (added * size_of::<Cell>() + text) as u64;
        self.limits
            .check_memory(self.name, "the sheet", self.bytes)?;
        if cells.len() <= column as usize {
            cells.resize(column as usize + 1, Cell::Empty);
        }
        cells[column as usize] = cell;
        Ok(())
    }

    fn corrupt(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Corrupt {
            file: self.name.to_owned(),
            message: error.to_string(),
        }
    }
}

fn from_xlsx(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Int(value) => Cell::Integer(*value),
        DataRef::Float(value) => number(*value),
        DataRef::String(value) => text(value),
        DataRef::SharedString(value) => text(value),
        DataRef::Bool(value) => Cell::Boolean(*value),
        DataRef::DateTime(value) => date_time(value),
        DataRef::DateTimeIso(value) => iso(value),
        DataRef::DurationIso(value) => text(value),
        DataRef::Error(error) => Cell::Text(error.to_string()),
        DataRef::Empty => Cell::Empty,
    }
}

fn from_ods(value: &Data) -> Cell {
    match value {
        Data::Int(value) => Cell::Integer(*value),
        Data::Float(value) => number(*value),
        Data::String(value) => text(value),
        Data::Bool(value) => Cell::Boolean(*value),
        Data::DateTime(value) => date_time(value),
        Data::DateTimeIso(value) => iso(value),
        Data::DurationIso(value) => text(value),
        Data::Error(error) => Cell::Text(error.to_string()),
        Data::Empty => Cell::Empty,
    }
}

fn text(value: &str) -> Cell {
    if value.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(value.to_owned())
    }
}

/// A sheet has only floats: one without a fraction was an integer.
fn number(value: f64) -> Cell {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT_INTEGER {
        Cell::Integer(value as i64)
    } else {
        Cell::Float(value)
    }
}

/// A date, or a time of day and a duration as text, for which a column of dates has no room.
fn date_time(value: &ExcelDateTime) -> Cell {
    let days = value.as_f64();
    if days < 0.0 && !value.is_duration() {
        // A number that was formatted as a date; Excel has none before 1900.
        return number(days);
    }
    if value.is_duration() || (0.0..1.0).contains(&days) {
        return Cell::Text(time_text(days));
    }
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let time = NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day)).and_then(
        |date| {
            date.and_hms_milli_opt(
                u32::from(hour),
                u32::from(minute),
                u32::from(second),
                u32::from(milli),
            )
        },
    );
    match time {
        Some(time) => Cell::DateTime(time.and_utc().timestamp_micros()),
        // 1900-02-29, which only Excel knows.
        None => Cell::Text(format!("{year:04}-{month:02}-{day:02}")),
    }
}

fn time_text(days: f64) -> String {
    let sign = if days < 0.0 { "-" } else { "" };
    let millis = (days.abs() * SECONDS_PER_DAY * 1000.0).round() as u64;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let whole = format!(
        "{sign}{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    match millis {
        0 => whole,
        millis => format!("{whole}.{millis:03}"),
    }
}

/// What `.ods` has for dates.
fn iso(value: &str) -> Cell {
    let date = value.parse::<NaiveDate>().ok();
    let time = date
        .and_then(|date| date.and_hms_opt(0, 0, 0))
        .or_else(|| value.parse::<chrono::NaiveDateTime>().ok());
    match time {
        Some(time) => Cell::DateTime(time.and_utc().timestamp_micros()),
        None => text(value),
    }
}

/// How a cell of a text column is written.
pub(super) fn written(cell: &Cell) -> Option<String> {
    Some(match cell {
        Cell::Empty => return None,
        Cell::Boolean(value) => value.to_string(),
        Cell::Integer(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::DateTime(micros) => {
            let time = chrono::DateTime::from_timestamp_micros(*micros)?;
            if micros % (86_400 * MICROS_PER_SECOND) == 0 {
                time.format("%Y-%m-%d").to_string()
            } else {
                time.format("%Y-%m-%d %H:%M:%S%.f").to_string()
            }
        }
        Cell::Text(text) => text.clone(),
    })
}
