//! [`Rows`]: XML bytes to the element of one row after the other, streaming.
//!
//! Memory is bounded by the largest row, and that by the limits. Elements outside of rows are passed over,
//! but must be well formed: a document that is cut off anywhere is an error.

use std::io::{self, BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::error::{Error, Result};
use crate::locate::SourceFile;
use crate::xml::XmlOptions;

const BUFFER_BYTES: usize = 64 << 10;

/// An element of a row, or the row itself.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Element {
    /// Names with the prefix of attributes, and values.
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<(String, Element)>,
    /// All text directly inside, without the blanks around it.
    pub(super) text: String,
}

impl Element {
    /// Whether it holds nothing but text.
    pub(super) fn is_text(&self) -> bool {
        self.attributes.is_empty() && self.children.is_empty()
    }
}

/// Reads the rows of one file.
pub(super) struct Rows {
    reader: Reader<BufReader<Rationed>>,
    name: String,
    options: XmlOptions,
    buffer: Vec<u8>,
    /// The elements that are open, rows and what is in them left out.
    depth: u64,
    row_start: u64,
}

impl Rows {
    pub(super) fn open(file: &SourceFile, options: &XmlOptions) -> Result<Self> {
        Ok(Self::new(
            file.read(&options.limits)?,
            file.name(),
            options.clone(),
        ))
    }

    pub(super) fn new(input: Box<dyn Read + Send>, name: String, options: XmlOptions) -> Self {
        let input = Rationed {
            input,
            left: u64::MAX,
            file: name.clone(),
            ration: options.limits.value_bytes,
        };
        let mut reader = Reader::from_reader(BufReader::with_capacity(BUFFER_BYTES, input));
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            name,
            options,
            buffer: Vec::new(),
            depth: 0,
            row_start: 0,
        }
    }

    /// Where the last row begins, for errors.
    pub(super) fn place(&self) -> String {
        format!("{}: row at byte {}", self.name, self.row_start)
    }

    /// Bytes read so far.
    pub(super) fn consumed(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// The next row; None at the end of the document.
    pub(super) fn read(&mut self) -> Result<Option<Element>> {
        loop {
            self.row_start = self.consumed();
            match self.event()? {
                Event::Start(start) if start.name().as_ref() == self.options.row_tag => {
                    let element = self.opened(&start)?;
                    return self.element(element).map(Some);
                }
                Event::Start(_) => {
                    self.depth += 1;
                    self.options.limits.check_depth(&self.name, self.depth)?;
                }
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                Event::Eof if self.depth > 0 => return Err(self.cut_off()),
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    /// What follows the start of `row` up to its end.
    fn element(&mut self, row: Element) -> Result<Element> {
        let mut open: Vec<(String, Element)> = vec![(String::new(), row)];
        loop {
            let event = self.event()?;
            self.options.limits.check_record(
                &self.place(),
                "the row",
                self.consumed() - self.row_start,
            )?;
            let Some((_, current)) = open.last_mut() else {
                return Err(self.cut_off());
            };
            match event {
                Event::Start(start) => {
                    let depth = self.depth + open.len() as u64 + 1;
                    self.options.limits.check_depth(&self.place(), depth)?;
                    open.push((start.name().as_ref().to_owned(), self.opened(&start)?));
                }
                Event::End(_) => {
                    let Some((name, mut element)) = open.pop() else {
                        return Err(self.cut_off());
                    };
                    trim(&mut element.text);
                    match open.last_mut() {
                        Some((_, parent)) => parent.children.push((name, element)),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => current.text.push_str(&text.xml10_content()),
                Event::CData(text) => current.text.push_str(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let resolved = self.resolve(&reference)?;
                    current.text.push(resolved);
                }
                Event::Eof => return Err(self.cut_off()),
                _ => {}
            }
        }
    }

    fn opened(&self, start: &BytesStart<'_>) -> Result<Element> {
        let mut element = Element::default();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| self.invalid(&e))?;
            let name = attribute.key.as_ref();
            // Declarations of name spaces are about names, not data.
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|e| self.invalid(&e))?;
            let name = format!("{}{name}", self.options.attribute_prefix);
            element.attributes.push((name, value.into_owned()));
        }
        Ok(element)
    }

    fn resolve(&self, reference: &BytesRef<'_>) -> Result<char> {
        if let Some(character) = reference.resolve_char_ref().map_err(|e| self.invalid(&e))? {
            return Ok(character);
        }
        match reference.xml10_content().as_ref() {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "apos" => Ok('\''),
            "quot" => Ok('"'),
            other => Err(Error::Unsupported(format!(
                "{}: the entity &{other}; is not one of XML's own; entities that a document declares are not \
                 expanded, write out what it stands for",
                self.at()
            ))),
        }
    }

    /// The next event, which owns what it needs.
    fn event(&mut self) -> Result<Event<'static>> {
        self.buffer.clear();
        let ration = self.options.limits.value_bytes + BUFFER_BYTES as u64;
        self.reader.get_mut().get_mut().left = ration;
        let event = self.reader.read_event_into(&mut self.buffer);
        match event {
            Ok(event) => Ok(event.into_owned()),
            Err(quick_xml::Error::Io(e)) => Err(Error::io("read", &self.name, shared(e))),
            Err(e) => Err(self.invalid(&e)),
        }
    }

    fn at(&self) -> String {
        format!("{}: byte {}", self.name, self.consumed())
    }

    fn invalid(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Invalid(format!("{}: {error}", self.at()))
    }

    fn cut_off(&self) -> Error {
        Error::Corrupt {
            file: self.name.clone(),
            message: format!(
                "the document ends inside an element, at byte {}",
                self.consumed()
            ),
        }
    }
}

/// The parser shares the error of its input; ours must come out as it went in.
fn shared(error: std::sync::Arc<io::Error>) -> io::Error {
    std::sync::Arc::try_unwrap(error).unwrap_or_else(|e| io::Error::new(e.kind(), e.to_string()))
}

fn trim(text: &mut String) {
    let trimmed = text.trim();
    if trimmed.len() < text.len() {
        *text = trimmed.to_owned();
    }
}

/// Gives no more than `left` bytes, so that one tag or text cannot fill the memory.
struct Rationed {
    input: Box<dyn Read + Send>,
    left: u64,
    ration: u64,
    file: String,
}

impl Read for Rationed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(Error::Limit {
                file: self.file.clone(),
                limit: "value_bytes",
                value: self.ration,
                asked: "a tag or a text is longer".into(),
            }));
        }
        let length = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.input.read(&mut buffer[..length])?;
        self.left -= read as u64;
        Ok(read)
    }
}
