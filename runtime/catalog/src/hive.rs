//! [`HiveType`]: the type strings of Hive and Glue, parsed and printed.
//!
//! ```text
//! type      = primitive | "array<" type ">" | "map<" primitive "," type ">" | "struct<" [field ("," field)*] ">"
//! primitive = boolean | tinyint | smallint | int | bigint | float | double | string | binary | date | timestamp
//!           | decimal [ "(" precision [ "," scale ] ")" ] | char "(" length ")" | varchar "(" length ")"
//! field     = name ":" type
//! name      = anything but : , < > ` | "`" anything, with ` doubled "`"
//! ```
//!
//! Words are read in any case, with spaces between tokens; also `integer`, `long`, `short`, `byte`, `bool`,
//! `numeric`, `dec` and `double precision`, which other tools write. Printed is the form above, so text that
//! was printed reads back to the same type. Names keep their case.
//!
//! Not understood: `uniontype`, intervals, `void`, and timestamps with a time zone. The parser does not recurse
//! deeper than [`MAX_TYPE_DEPTH`], whatever it is given.
//!
//! Reference: <https://cwiki.apache.org/confluence/display/Hive/LanguageManual+Types>

use std::fmt::{self, Write};
use std::str::FromStr;

/// Levels of nesting a type may have; `array<int>` has two.
pub const MAX_TYPE_DEPTH: usize = 64;

/// Longest text that is parsed, in bytes; also Glue's limit.
const MAX_TYPE_BYTES: usize = 131_072;

const MAX_PRECISION: u8 = 38;
const MAX_CHAR: u32 = 255;
const MAX_VARCHAR: u32 = 65_535;

/// A column type, as Hive and Glue know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HiveType {
    /// `boolean`
    Boolean,
    /// `tinyint`: 8 bits, signed.
    TinyInt,
    /// `smallint`: 16 bits, signed.
    SmallInt,
    /// `int`: 32 bits, signed.
    Int,
    /// `bigint`: 64 bits, signed.
    BigInt,
    /// `float`: 32 bits.
    Float,
    /// `double`: 64 bits.
    Double,
    /// `decimal(precision,scale)`: at most 38 digits, scale not above precision.
    Decimal {
        /// Digits in total.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// `string`
    String,
    /// `char(n)`: n characters, 1 to 255.
    Char(u32),
    /// `varchar(n)`: up to n characters, 1 to 65535.
    VarChar(u32),
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `timestamp`: without a time zone.
    Timestamp,
    /// `array<element>`
    Array(Box<HiveType>),
    /// `map<key,value>`; the key is primitive.
    Map(Box<HiveType>, Box<HiveType>),
    /// `struct<name:type,...>`
    Struct(Vec<(String, HiveType)>),
}

impl HiveType {
    /// Whether the type has no parts.
    #[must_use]
    pub const fn is_primitive(&self) -> bool {
        !matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }
}

impl fmt::Display for HiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::TinyInt => f.write_str("tinyint"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Int => f.write_str("int"),
            Self::BigInt => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Char(length) => write!(f, "char({length})"),
            Self::VarChar(length) => write!(f, "varchar({length})"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => print_struct(f, fields),
        }
    }
}

fn print_struct(f: &mut fmt::Formatter<'_>, fields: &[(String, HiveType)]) -> fmt::Result {
    f.write_str("struct<")?;
    for (index, (name, field_type)) in fields.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { "," })?;
        print_name(f, name)?;
        write!(f, ":{field_type}")?;
    }
    f.write_str(">")
}

fn print_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name.trim() == name && !name.contains(is_special) {
        return f.write_str(name);
    }
    f.write_char('`')?;
    f.write_str(&name.replace('`', "``"))?;
    f.write_char('`')
}

const fn is_special(c: char) -> bool {
    matches!(c, ':' | ',' | '<' | '>' | '`')
}

/// Why a text is not a type, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid type {text:?} at character {position}: {reason}")]
pub struct ParseTypeError {
    /// The text, cut to a readable length.
    pub text: String,
    /// Where the fault is, in characters from 1.
    pub position: usize,
    /// What is wrong there.
    pub reason: String,
}

impl FromStr for HiveType {
    type Err = ParseTypeError;

    fn from_str(text: &str) -> Result<Self, ParseTypeError> {
        let mut parser = Parser { text, at: 0 };
        if text.len() > MAX_TYPE_BYTES {
            let size = text.len();
            return Err(parser.error_at(
                0,
                format!("it has {size} bytes, the limit is {MAX_TYPE_BYTES}"),
            ));
        }
        let parsed = parser.parse_type(1)?;
        parser.skip_space();
        match parser.peek() {
            None => Ok(parsed),
            Some(c) => Err(parser.error(format!("expected the end, found {c:?}"))),
        }
    }
}

/// Reads `text` from byte `at`, which is always a character boundary.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, ParseTypeError>;

impl<'a> Parser<'a> {
    fn parse_type(&mut self, depth: usize) -> Parsed<HiveType> {
        self.skip_space();
        let start = self.at;
        if depth > MAX_TYPE_DEPTH {
            return Err(self.error(format!(
                "types are nested deeper than {MAX_TYPE_DEPTH} levels"
            )));
        }
        let word = self.word();
        match word.as_str() {
            "array" => self.parse_array(depth),
            "map" => self.parse_map(depth),
            "struct" => self.parse_struct(depth),
            "decimal" | "numeric" | "dec" => self.parse_decimal(),
            "char" => self.parse_length(MAX_CHAR).map(HiveType::Char),
            "varchar" => self.parse_length(MAX_VARCHAR).map(HiveType::VarChar),
            "double" => {
                self.skip_precision();
                Ok(HiveType::Double)
            }
            "" => Err(self.expected("a type")),
            word => primitive(word)
                .ok_or_else(|| self.error_at(start, format!("unknown type {word:?}"))),
        }
    }

    fn parse_array(&mut self, depth: usize) -> Parsed<HiveType> {
        self.take('<')?;
        let element = self.parse_type(depth + 1)?;
        self.take('>')?;
        Ok(HiveType::Array(Box::new(element)))
    }

    fn parse_map(&mut self, depth: usize) -> Parsed<HiveType> {
        self.take('<')?;
        self.skip_space();
        let start = self.at;
        let key = self.parse_type(depth + 1)?;
        if !key.is_primitive() {
            return Err(self.error_at(start, format!("the key of a map is primitive, not {key}")));
        }
        self.take(',')?;
        let value = self.parse_type(depth + 1)?;
        self.take('>')?;
        Ok(HiveType::Map(Box::new(key), Box::new(value)))
    }

    fn parse_struct(&mut self, depth: usize) -> Parsed<HiveType> {
        self.take('<')?;
        let mut fields = Vec::new();
        if self.take_if('>') {
            return Ok(HiveType::Struct(fields));
        }
        loop {
            let name = self.parse_name()?;
            self.take(':')?;
            fields.push((name, self.parse_type(depth + 1)?));
            if self.take_if('>') {
                return Ok(HiveType::Struct(fields));
            }
            if !self.take_if(',') {
                return Err(self.expected("',' or '>'"));
            }
        }
    }

    fn parse_name(&mut self) -> Parsed<String> {
        self.skip_space();
        if self.peek() == Some('`') {
            // Spaces behind the quote belong to the name.
            self.at += 1;
            return self.parse_quoted_name();
        }
        let rest = self.rest();
        let length = rest.find(is_special).unwrap_or(rest.len());
        let name = rest[..length].trim_end().to_owned();
        if name.is_empty() {
            return Err(self.expected("a field name"));
        }
        self.at += length;
        Ok(name)
    }

    fn parse_quoted_name(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut name = String::new();
        loop {
            let Some((before, after)) = self.rest().split_once('`') else {
                return Err(self.error_at(start, "the quoted field name has no closing `"));
            };
            name.push_str(before);
            self.at = self.text.len() - after.len();
            if !after.starts_with('`') {
                return Ok(name);
            }
            name.push('`');
            self.at += 1;
        }
    }

    fn parse_decimal(&mut self) -> Parsed<HiveType> {
        // Hive's default.
        let (mut precision, mut scale) = (10, 0);
        if self.take_if('(') {
            precision = self.parse_number("precision", 1, MAX_PRECISION.into())? as u8;
            if self.take_if(',') {
                scale = self.parse_number("scale", 0, precision.into())? as u8;
            }
            self.take(')')?;
        }
        Ok(HiveType::Decimal { precision, scale })
    }

    fn parse_length(&mut self, limit: u32) -> Parsed<u32> {
        self.take('(')?;
        let length = self.parse_number("length", 1, limit)?;
        self.take(')')?;
        Ok(length)
    }

    fn parse_number(&mut self, what: &str, least: u32, most: u32) -> Parsed<u32> {
        self.skip_space();
        let start = self.at;
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let digits = rest[..length].to_owned();
        if digits.is_empty() {
            return Err(self.expected("a number"));
        }
        self.at += length;
        match digits.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(self.error_at(
                start,
                format!("the {what} is {digits}, allowed is {least} to {most}"),
            )),
        }
    }

    /// Passes over the second word of `double precision`.
    fn skip_precision(&mut self) {
        let after_double = self.at;
        self.skip_space();
        if self.word() != "precision" {
            self.at = after_double;
        }
    }

    /// Letters, digits and underscores, in lower case.
    fn word(&mut self) -> String {
        let rest = self.rest();
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let word = rest[..length].to_lowercase();
        self.at += length;
        word
    }

    fn take(&mut self, wanted: char) -> Parsed<()> {
        if self.take_if(wanted) {
            Ok(())
        } else {
            Err(self.expected(&format!("{wanted:?}")))
        }
    }

    fn take_if(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        self.skip_space();
        found
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn expected(&self, what: &str) -> ParseTypeError {
        match self.peek() {
            None => self.error(format!("expected {what}, found the end")),
            Some(c) => self.error(format!("expected {what}, found {c:?}")),
        }
    }

    fn error(&self, reason: impl Into<String>) -> ParseTypeError {
        self.error_at(self.at, reason)
    }

    fn error_at(&self, at: usize, reason: impl Into<String>) -> ParseTypeError {
        const SHOWN_CHARS: usize = 200;
        let mut text: String = self.text.chars().take(SHOWN_CHARS).collect();
        if text.len() < self.text.len() {
            text.push_str("...");
        }
        ParseTypeError {
            text,
            position: self.text[..at].chars().count() + 1,
            reason: reason.into(),
        }
    }
}

fn primitive(word: &str) -> Option<HiveType> {
    Some(match word {
        "boolean" | "bool" => HiveType::Boolean,
        "tinyint" | "byte" => HiveType::TinyInt,
        "smallint" | "short" => HiveType::SmallInt,
        "int" | "integer" => HiveType::Int,
        "bigint" | "long" => HiveType::BigInt,
        "float" => HiveType::Float,
        "string" => HiveType::String,
        "binary" => HiveType::Binary,
        "date" => HiveType::Date,
        "timestamp" => HiveType::Timestamp,
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn primitive() -> impl Strategy<Value = HiveType> {
        prop_oneof![
            Just(HiveType::Boolean),
            Just(HiveType::TinyInt),
            Just(HiveType::SmallInt),
            Just(HiveType::Int),
            Just(HiveType::BigInt),
            Just(HiveType::Float),
            Just(HiveType::Double),
            Just(HiveType::String),
            Just(HiveType::Binary),
            Just(HiveType::Date),
            Just(HiveType::Timestamp),
            (1..=38_u8)
                .prop_flat_map(|precision| (Just(precision), 0..=precision))
                .prop_map(|(precision, scale)| HiveType::Decimal { precision, scale }),
            (1..=MAX_CHAR).prop_map(HiveType::Char),
            (1..=MAX_VARCHAR).prop_map(HiveType::VarChar),
        ]
    }

    /// Any type, with field names that need quotes now and then.
    pub(crate) fn any_type() -> impl Strategy<Value = HiveType> {
        primitive().prop_recursive(4, 24, 4, |inner| {
            let name = prop_oneof!["[a-zA-Z_][a-zA-Z0-9_ -]{0,6}[a-z]", "[:,<>` a\\\\'ä]{0,4}"];
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|element| HiveType::Array(Box::new(element))),
                (primitive(), inner.clone())
                    .prop_map(|(key, value)| HiveType::Map(Box::new(key), Box::new(value))),
                prop::collection::vec((name, inner), 0..4).prop_map(HiveType::Struct),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_reads_back(hive_type in any_type()) {
            prop_assert_eq!(hive_type.to_string().parse(), Ok(hive_type));
        }

        #[test]
        fn any_text_is_parsed_or_refused_at_a_position_within_it(
            text in "(array<|map<|struct<|int|string|decimal\\(|[0-9]|[<>:,()` ]|a|ä|char){0,12}"
        ) {
            if let Err(error) = text.parse::<HiveType>() {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.position), "{}", error);
            }
        }
    }

    #[test]
    fn other_spellings_are_read() {
        let cases = [
            ("INTEGER", "int"),
            (" Long ", "bigint"),
            ("decimal", "decimal(10,0)"),
            ("DECIMAL ( 5 )", "decimal(5,0)"),
            ("numeric(38,38)", "decimal(38,38)"),
            ("double  precision", "double"),
            (
                "array < map<string , struct<a : int, b:array<date>> > >",
                "array<map<string,struct<a:int,b:array<date>>>>",
            ),
            ("struct<>", "struct<>"),
            (
                "struct<my field:int,Order-Id:long>",
                "struct<my field:int,Order-Id:bigint>",
            ),
            ("struct<`a``:b`:int>", "struct<`a``:b`:int>"),
            (
                "struct<double:double,precision:int>",
                "struct<double:double,precision:int>",
            ),
        ];
        for (text, canonical) in cases {
            assert_eq!(
                text.parse::<HiveType>().unwrap().to_string(),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn faults_are_named_with_their_position() {
        let cases = [
            ("", 1, "expected a type, found the end"),
            ("strnig", 1, "unknown type \"strnig\""),
            ("array<strnig>", 7, "unknown type \"strnig\""),
            ("array", 6, "expected '<', found the end"),
            ("array<int", 10, "expected '>', found the end"),
            ("array<int>>", 11, "expected the end, found '>'"),
            ("map<int>", 8, "expected ',', found '>'"),
            (
                "map<array<int>,int>",
                5,
                "the key of a map is primitive, not array<int>",
            ),
            ("struct<a>", 9, "expected ':', found '>'"),
            ("struct<:int>", 8, "expected a field name, found ':'"),
            ("struct<ä:int,>", 14, "expected a field name, found '>'"),
            ("struct<a:int;b:int>", 13, "expected ',' or '>', found ';'"),
            (
                "struct<`a:int>",
                9,
                "the quoted field name has no closing `",
            ),
            (
                "decimal(39,1)",
                9,
                "the precision is 39, allowed is 1 to 38",
            ),
            ("decimal(5,6)", 11, "the scale is 6, allowed is 0 to 5"),
            ("decimal(5,-1)", 11, "expected a number, found '-'"),
            ("varchar", 8, "expected '(', found the end"),
            (
                "varchar(99999999999)",
                9,
                "the length is 99999999999, allowed is 1 to 65535",
            ),
            ("uniontype<int,string>", 1, "unknown type \"uniontype\""),
        ];
        for (text, position, reason) in cases {
            let error = text.parse::<HiveType>().unwrap_err();
            assert_eq!(
                (error.position, error.reason.as_str()),
                (position, reason),
                "{text}"
            );
        }
        assert_eq!(
            "array<strnig>".parse::<HiveType>().unwrap_err().to_string(),
            "invalid type \"array<strnig>\" at character 7: unknown type \"strnig\""
        );
    }

    #[test]
    fn depth_and_length_are_limited() {
        let nested = |depth: usize| "array<".repeat(depth - 1) + "int" + &">".repeat(depth - 1);
        nested(MAX_TYPE_DEPTH).parse::<HiveType>().unwrap();
        let error = nested(MAX_TYPE_DEPTH + 1).parse::<HiveType>().unwrap_err();
        assert_eq!(
            (error.position, error.reason.as_str()),
            (385, "types are nested deeper than 64 levels")
        );
        assert!("array<".repeat(20_000).parse::<HiveType>().is_err());
        assert!("a".repeat(MAX_TYPE_BYTES + 1).parse::<HiveType>().is_err());
    }
}
