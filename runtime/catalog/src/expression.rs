//! [`Expression`]: filters over partitions, in the grammar of Glue's `GetPartitions`.
//!
//! ```text
//! or        = and (OR and)*
//! and       = not (AND not)*
//! not       = NOT not | "(" or ")" | predicate
//! predicate = column (= | <> | != | < | <= | > | >=) literal  |  literal comparison column
//!           | column [NOT] IN "(" literal, ... ")"  |  column [NOT] BETWEEN literal AND literal
//!           | column [NOT] LIKE literal             |  column IS [NOT] NULL
//! column    = name | `name` | "name" | "(" column ")"
//! literal   = 'text' | "text" | number | DATE 'text' | TIMESTAMP 'text'
//! ```
//!
//! Values compare by the key's type, quoted or not. No stored value is null. A value that cannot be read as its
//! key's type is the request's fault when it stands in the filter, and the catalog's when it is stored.
//!
//! Rules: <https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html>

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use crate::error::{Error, Result};
use crate::model::Column;

/// Parentheses and NOTs inside each other, at most.
const MAX_DEPTH: usize = 100;

/// A filter, resolved against the keys of a table.
#[derive(Debug)]
pub(crate) struct Expression<'a> {
    keys: &'a [Column],
    /// `None` lets everything pass.
    root: Option<Node>,
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Constant(bool),
    Compare(usize, Op, Value),
    In(usize, Vec<Value>),
    Between(usize, Value, Value),
    Like(usize, Vec<Wild>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Op {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }

    /// What holds when the sides change places.
    const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }
}

/// A value in the order of its key's type. Values of one key are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Decimal(Decimal),
}

/// A decimal number of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| {
            (
                number.whole.len(),
                number.whole.clone(),
                number.fraction.clone(),
            )
        };
        match (self.negative, other.negative) {
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    Many,
    One,
    Char(char),
}

impl<'a> Expression<'a> {
    /// Reads `text` for a table with these partition keys.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it breaks the grammar, names another column, or compares a value that is not
    /// of the column's type.
    pub(crate) fn parse(text: &str, keys: &'a [Column]) -> Result<Self> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
            keys,
        };
        if parser.tokens.is_empty() {
            return Ok(Self { keys, root: None });
        }
        let root = parser.any()?;
        match parser.peek() {
            None => Ok(Self {
                keys,
                root: Some(root),
            }),
            Some(token) => Err(bad(format!("{token:?} is not expected"))),
        }
    }

    /// What must all hold for a partition to pass.
    pub(crate) fn conjuncts(&self) -> Vec<Conjunct<'_>> {
        let mut nodes = Vec::new();
        if let Some(root) = &self.root {
            flatten(root, &mut nodes);
        }
        nodes.into_iter().map(Conjunct::new).collect()
    }

    /// Whether one of [`Expression::conjuncts`] holds.
    ///
    /// # Errors
    /// [`Error::InvalidState`] when a value it looks at is not of its column's type.
    pub(crate) fn holds(&self, conjunct: &Conjunct<'_>, values: &[String]) -> Result<bool> {
        self.node(conjunct.node, values)
    }

    fn node(&self, node: &Node, values: &[String]) -> Result<bool> {
        Ok(match node {
            Node::Constant(holds) => *holds,
            Node::Not(inner) => !self.node(inner, values)?,
            Node::All(nodes) => {
                for node in nodes {
                    if !self.node(node, values)? {
                        return Ok(false);
                    }
                }
                true
            }
            Node::Any(nodes) => {
                for node in nodes {
                    if self.node(node, values)? {
                        return Ok(true);
                    }
                }
                false
            }
            Node::Compare(column, op, value) => op.holds(self.stored(*column, values)?.cmp(value)),
            Node::In(column, list) => list.contains(&self.stored(*column, values)?),
            Node::Between(column, low, high) => {
                let found = self.stored(*column, values)?;
                *low <= found && found <= *high
            }
            Node::Like(column, pattern) => {
                let text: Vec<char> = values
                    .get(*column)
                    .map(String::as_str)
                    .unwrap_or_default()
                    .chars()
                    .collect();
                is_like(&text, pattern)
            }
        })
    }

    fn stored(&self, column: usize, values: &[String]) -> Result<Value> {
        let text = values.get(column).map(String::as_str).unwrap_or_default();
        let key = &self.keys[column];
        value(key, text).ok_or_else(|| Error::InvalidState {
            reason: format!(
                "the stored value {text:?} of partition key {} is not of type {}",
                key.name,
                type_name(key)
            ),
        })
    }
}

/// One of the parts of a filter that must all hold.
#[derive(Debug)]
pub(crate) struct Conjunct<'e> {
    node: &'e Node,
    /// Positions of the keys it looks at.
    pub(crate) columns: BTreeSet<usize>,
}

impl<'e> Conjunct<'e> {
    fn new(node: &'e Node) -> Self {
        let mut columns = BTreeSet::new();
        columns_of(node, &mut columns);
        Self { node, columns }
    }

    /// The values of which the key at `column` must have one, when it says so.
    pub(crate) fn points(&self, column: usize) -> Option<BTreeSet<Value>> {
        points(self.node, column)
    }

    /// Between what the key at `column` must lie, as far as it says so.
    pub(crate) fn range(&self, column: usize) -> (Bound<Value>, Bound<Value>) {
        use Bound::{Excluded, Included, Unbounded};
        match self.node {
            Node::Compare(at, op, value) if *at == column => {
                let value = value.clone();
                match op {
                    Op::Less => (Unbounded, Excluded(value)),
                    Op::LessEqual => (Unbounded, Included(value)),
                    Op::Greater => (Excluded(value), Unbounded),
                    Op::GreaterEqual => (Included(value), Unbounded),
                    Op::Equal => (Included(value.clone()), Included(value)),
                    Op::NotEqual => (Unbounded, Unbounded),
                }
            }
            Node::Between(at, low, high) if *at == column => {
                (Included(low.clone()), Included(high.clone()))
            }
            Node::Like(at, pattern) if *at == column => beginning(pattern),
            _ => (Unbounded, Unbounded),
        }
    }
}

fn points(node: &Node, column: usize) -> Option<BTreeSet<Value>> {
    match node {
        Node::Compare(at, Op::Equal, value) if *at == column => Some([value.clone()].into()),
        Node::In(at, list) if *at == column => Some(list.iter().cloned().collect()),
        Node::Any(nodes) => {
            let mut all = BTreeSet::new();
            for node in nodes {
                all.extend(points(node, column)?);
            }
            Some(all)
        }
        Node::All(nodes) => nodes.iter().find_map(|node| points(node, column)),
        _ => None,
    }
}

/// The texts that begin as the pattern does before its first wildcard.
fn beginning(pattern: &[Wild]) -> (Bound<Value>, Bound<Value>) {
    let fixed = pattern.iter().map_while(|wild| match wild {
        Wild::Char(c) => Some(*c),
        _ => None,
    });
    let mut chars: Vec<char> = fixed.collect();
    if chars.is_empty() {
        return (Bound::Unbounded, Bound::Unbounded);
    }
    let low = Bound::Included(Value::Text(chars.iter().collect()));
    // The least text that is greater than all of them.
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return (
                low,
                Bound::Excluded(Value::Text(chars.into_iter().collect())),
            );
        }
    }
    (low, Bound::Unbounded)
}

fn columns_of(node: &Node, into: &mut BTreeSet<usize>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => {
            nodes.iter().for_each(|node| columns_of(node, into));
        }
        Node::Not(inner) => columns_of(inner, into),
        Node::Constant(_) => {}
        Node::Compare(column, ..)
        | Node::In(column, _)
        | Node::Between(column, ..)
        | Node::Like(column, _) => {
            into.insert(*column);
        }
    }
}

fn flatten<'n>(node: &'n Node, into: &mut Vec<&'n Node>) {
    match node {
        Node::All(nodes) => nodes.iter().for_each(|node| flatten(node, into)),
        other => into.push(other),
    }
}

/// Matches without going back further than to the last `%`: linear space, quadratic time at worst.
fn is_like(text: &[char], pattern: &[Wild]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut retry = None;
    loop {
        match pattern.get(p) {
            Some(Wild::Many) => {
                retry = Some((p, t));
                p += 1;
                continue;
            }
            Some(Wild::One) if t < text.len() => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            Some(Wild::Char(wanted)) if text.get(t) == Some(wanted) => {
                (t, p) = (t + 1, p + 1);
                continue;
            }
            None if t == text.len() => return true,
            _ => {}
        }
        match retry {
            Some((star, from)) if from < text.len() => {
                retry = Some((star, from + 1));
                (t, p) = (from + 1, star + 1);
            }
            _ => return false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Decimal,
    Date,
    Timestamp,
}

fn type_name(key: &Column) -> String {
    key.r#type
        .as_deref()
        .unwrap_or("string")
        .trim()
        .to_lowercase()
}

/// The kind of a key's type, if values of it can be compared.
pub(crate) fn kind(key: &Column) -> Option<Kind> {
    let name = type_name(key);
    Some(match name.split('(').next().unwrap_or_default().trim() {
        "string" | "varchar" | "char" => Kind::Text,
        "tinyint" | "smallint" | "int" | "integer" | "bigint" | "long" => Kind::Integer,
        "decimal" => Kind::Decimal,
        "date" => Kind::Date,
        "timestamp" => Kind::Timestamp,
        _ => return None,
    })
}

/// Whether values of the key compare as the texts they are.
pub(crate) fn is_text(key: &Column) -> bool {
    kind(key) == Some(Kind::Text)
}

/// A text as a value of the key's type.
pub(crate) fn value(key: &Column, text: &str) -> Option<Value> {
    match kind(key)? {
        Kind::Text => Some(Value::Text(text.to_owned())),
        Kind::Integer => trim(text).parse().ok().map(Value::Integer),
        Kind::Decimal => decimal(trim(text)).map(Value::Decimal),
        Kind::Date => date(trim(text)).map(Value::Text),
        Kind::Timestamp => timestamp(trim(text)).map(Value::Text),
    }
}

/// Without blanks around it, as Java has them: the characters up to the space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    Some(Decimal {
        // There is one zero.
        negative: negative && !(whole.is_empty() && fraction.is_empty()),
        whole: whole.to_owned(),
        fraction: fraction.to_owned(),
    })
}

fn date(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '-');
    let mut part = |digits: usize, from: u32, to: u32| {
        let part = parts.next()?;
        let number: u32 = part
            .parse()
            .ok()
            .filter(|_| part.len() <= digits && part.bytes().all(|b| b.is_ascii_digit()))?;
        (from..=to).contains(&number).then_some(number)
    };
    let (year, month, day) = (part(4, 0, 9999)?, part(2, 1, 12)?, part(2, 1, 31)?);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn timestamp(text: &str) -> Option<String> {
    let (day, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.splitn(3, ':');
    let mut part = |to: u32| {
        let part = parts.next()?;
        let number: u32 = part
            .parse()
            .ok()
            .filter(|_| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()))?;
        (number <= to).then_some(number)
    };
    let (hour, minute, second) = (part(23)?, part(59)?, part(59)?);
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(format!(
        "{} {hour:02}:{minute:02}:{second:02}.{fraction:0<9}",
        date(day)?
    ))
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    /// In double quotes: a column or a text, by its place.
    Quoted(String),
    /// In backquotes: a column.
    Column(String),
    Op(Op),
    Open,
    Close,
    Comma,
}

fn bad(reason: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the partition expression cannot be used: {reason}"))
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let token = match first {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '=' => {
                rest.next_if_eq(&'=');
                Token::Op(Op::Equal)
            }
            '!' if rest.next_if_eq(&'=').is_some() => Token::Op(Op::NotEqual),
            '<' if rest.next_if_eq(&'>').is_some() => Token::Op(Op::NotEqual),
            '<' if rest.next_if_eq(&'=').is_some() => Token::Op(Op::LessEqual),
            '<' => Token::Op(Op::Less),
            '>' if rest.next_if_eq(&'=').is_some() => Token::Op(Op::GreaterEqual),
            '>' => Token::Op(Op::Greater),
            '\'' => Token::Text(quoted(&mut rest, '\'')?),
            '"' => Token::Quoted(quoted(&mut rest, '"')?),
            '`' => Token::Column(quoted(&mut rest, '`')?),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => {
                let mut number = String::from(c);
                while let Some(more) =
                    rest.next_if(|c| c.is_alphanumeric() || matches!(c, '.' | '_'))
                {
                    number.push(more);
                }
                Token::Number(number)
            }
            c if c.is_alphabetic() || c == '_' => {
                let mut word = String::from(c);
                while let Some(more) =
                    rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
                {
                    word.push(more);
                }
                Token::Word(word)
            }
            c => return Err(bad(format!("{c:?} is not expected"))),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// A doubled quote and one after a backslash stand for a quote.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Result<String> {
    let mut text = String::new();
    while let Some(c) = rest.next() {
        if c == '\\' && rest.next_if_eq(&quote).is_some() {
            text.push(quote);
        } else if c != quote {
            text.push(c);
        } else if rest.next_if_eq(&quote).is_some() {
            text.push(quote);
        } else {
            return Ok(text);
        }
    }
    Err(bad(format!("a {quote} is not closed")))
}

const RESERVED: [&str; 8] = ["and", "or", "not", "in", "between", "like", "is", "null"];

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    keys: &'a [Column],
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Node> {
        let mut nodes = vec![self.all()?];
        while self.word("or") {
            nodes.push(self.all()?);
        }
        Ok(single_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node> {
        let mut nodes = vec![self.not()?];
        while self.word("and") {
            nodes.push(self.not()?);
        }
        Ok(single_or(nodes, Node::All))
    }

    fn not(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(bad(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        let node = if self.word("not") {
            Node::Not(Box::new(self.not()?))
        } else if self.peek() == Some(&Token::Open) && !self.is_column() {
            self.at += 1;
            let inner = self.any()?;
            self.take(&Token::Close)?;
            inner
        } else {
            self.predicate()?
        };
        self.depth -= 1;
        Ok(node)
    }

    /// Whether what comes is a column in parentheses.
    fn is_column(&self) -> bool {
        let ahead = self.tokens.get(self.at..).unwrap_or_default();
        let opened = ahead
            .iter()
            .take_while(|token| **token == Token::Open)
            .count();
        let name = matches!(
            ahead.get(opened),
            Some(Token::Word(_) | Token::Quoted(_) | Token::Column(_))
        );
        let after = ahead.get(opened + 1..opened * 2 + 1);
        name && after.is_some_and(|after| after.iter().all(|token| *token == Token::Close))
    }

    fn predicate(&mut self) -> Result<Node> {
        if matches!(self.peek(), Some(Token::Text(_) | Token::Number(_))) {
            let text = self.literal()?;
            let op = self.op()?;
            let column = self.column()?;
            return Ok(Node::Compare(
                column,
                op.turned(),
                self.value(column, &text)?,
            ));
        }
        let column = self.column()?;
        if self.word("is") {
            let not = self.word("not");
            self.keyword("null")?;
            return Ok(Node::Constant(not));
        }
        let not = self.word("not");
        let node = if self.word("in") {
            Node::In(column, self.list(column)?)
        } else if self.word("between") {
            let low = self.operand(column)?;
            self.keyword("and")?;
            Node::Between(column, low, self.operand(column)?)
        } else if self.word("like") {
            self.like(column)?
        } else if not {
            return Err(bad("NOT is not followed by IN, BETWEEN or LIKE"));
        } else {
            Node::Compare(column, self.op()?, self.operand(column)?)
        };
        Ok(if not { Node::Not(Box::new(node)) } else { node })
    }

    fn list(&mut self, column: usize) -> Result<Vec<Value>> {
        self.take(&Token::Open)?;
        let mut list = vec![self.operand(column)?];
        while self.peek() == Some(&Token::Comma) {
            self.at += 1;
            list.push(self.operand(column)?);
        }
        self.take(&Token::Close)?;
        Ok(list)
    }

    fn like(&mut self, column: usize) -> Result<Node> {
        let key = &self.keys[column];
        if kind(key) != Some(Kind::Text) {
            return Err(bad(format!(
                "LIKE is for strings, {} is of type {}",
                key.name,
                type_name(key)
            )));
        }
        let wild = |c| match c {
            '%' => Wild::Many,
            '_' => Wild::One,
            c => Wild::Char(c),
        };
        Ok(Node::Like(
            column,
            self.literal()?.chars().map(wild).collect(),
        ))
    }

    fn column(&mut self) -> Result<usize> {
        if self.peek() == Some(&Token::Open) {
            if !self.is_column() {
                return Err(bad("a column is expected"));
            }
            // Counted instead of followed: parentheses around a name may be many.
            let mut opened = 0;
            while self.peek() == Some(&Token::Open) {
                self.at += 1;
                opened += 1;
            }
            let column = self.column()?;
            self.at += opened;
            return Ok(column);
        }
        let name = match self.next()? {
            Token::Word(word) if RESERVED.contains(&word.to_lowercase().as_str()) => {
                return Err(bad(format!("{word} is a reserved word")));
            }
            Token::Word(name) | Token::Quoted(name) | Token::Column(name) => name,
            token => return Err(bad(format!("{token:?} stands where a column is expected"))),
        };
        let found = self
            .keys
            .iter()
            .position(|key| key.name.to_lowercase() == name.to_lowercase());
        found.ok_or_else(|| bad(format!("{name} is not a partition key")))
    }

    fn operand(&mut self, column: usize) -> Result<Value> {
        let text = self.literal()?;
        self.value(column, &text)
    }

    fn value(&self, column: usize, text: &str) -> Result<Value> {
        let key = &self.keys[column];
        value(key, text).ok_or_else(|| {
            bad(format!(
                "{text:?} is not of type {}, which {} has",
                type_name(key),
                key.name
            ))
        })
    }

    fn literal(&mut self) -> Result<String> {
        match self.next()? {
            Token::Text(text) | Token::Quoted(text) | Token::Number(text) => Ok(text),
            Token::Word(word) if ["date", "timestamp"].contains(&word.to_lowercase().as_str()) => {
                match self.next()? {
                    Token::Text(text) | Token::Quoted(text) => Ok(text),
                    token => Err(bad(format!("{token:?} stands where a text is expected"))),
                }
            }
            token => Err(bad(format!("{token:?} stands where a value is expected"))),
        }
    }

    fn op(&mut self) -> Result<Op> {
        match self.next()? {
            Token::Op(op) => Ok(op),
            token => Err(bad(format!(
                "{token:?} stands where a comparison is expected"
            ))),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token> {
        let token = self.peek().cloned().ok_or_else(|| bad("it ends early"))?;
        self.at += 1;
        Ok(token)
    }

    fn take(&mut self, wanted: &Token) -> Result<()> {
        match self.next()? {
            token if token == *wanted => Ok(()),
            token => Err(bad(format!(
                "{token:?} stands where {wanted:?} is expected"
            ))),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<()> {
        if self.word(keyword) {
            Ok(())
        } else {
            Err(bad(format!("{} is missing", keyword.to_uppercase())))
        }
    }

    /// Takes the keyword if it comes next.
    fn word(&mut self, keyword: &str) -> bool {
        let comes =
            matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(comes);
        comes
    }
}

fn single_or(mut nodes: Vec<Node>, many: impl Fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            many(nodes)
        }
        None => Node::Constant(true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Expression<'_> {
        fn accepts(&self, values: &[String]) -> Result<bool> {
            for conjunct in self.conjuncts() {
                if !self.holds(&conjunct, values)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }

    fn keys() -> Vec<Column> {
        let key = |(name, r#type): (&str, &str)| Column {
            name: name.to_owned(),
            r#type: Some(r#type.to_owned()),
            ..Default::default()
        };
        [
            ("region", "string"),
            ("year", "int"),
            ("day", "date"),
            ("price", "decimal(10,2)"),
            ("at", "timestamp"),
            ("blob", "binary"),
        ]
        .map(key)
        .to_vec()
    }

    const VALUES: [&str; 6] = [
        "eu-'1",
        "2015",
        "2020-02-03",
        "-1.50",
        "2020-01-01 10:00:00",
        "x",
    ];

    fn holds(text: &str) -> Result<bool> {
        Expression::parse(text, &keys())?.accepts(&VALUES.map(str::to_owned))
    }

    #[test]
    fn every_form_that_clients_send() {
        for (text, expected) in [
            ("", true),
            ("  \n ", true),
            ("year = 2015", true),
            ("YEAR = '2015' and year==02015", true),
            ("year <> 2015 or year != 2015", false),
            (
                "((year >= 2012 AND year <= 2013)) OR ((region in ('a', 'eu-''1')))",
                true,
            ),
            ("((region) NOT IN ('a') and year BETWEEN 1 AND 2)", false),
            ("region = 'eu-\\'1'", true),
            (
                "region = \"eu-'1\" AND `year` > -3 AND \"year\" < 9999",
                true,
            ),
            ("not (year in (2015))", false),
            ("NOT NOT year in (2015, 3)", true),
            ("year not between 2016 and 2020", true),
            ("region like 'eu%' and region LIKE '__-_1'", true),
            ("region not like '%2'", true),
            ("region is null", false),
            ("region is not null", true),
            ("day > date '2020-02-02' and day = '2020-2-3'", true),
            ("price = -1.5 and price < -1.49 and price > '-10'", true),
            (
                "at >= timestamp '2020-01-01 10:00:00.0' and at < '2020-01-01T10:00:01'",
                true,
            ),
            ("2016 > year and 2014 < year", true),
            ("year = 1 or year = 2015 and region = 'b'", false),
        ] {
            assert_eq!(holds(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said() {
        for (text, expected) in [
            ("city = 'a'", "city is not a partition key"),
            ("year = 'x'", "\"x\" is not of type int, which year has"),
            ("year like '2%'", "LIKE is for strings, year is of type int"),
            ("blob = 'a'", "is not of type binary"),
            ("year =", "it ends early"),
            ("year = 1 year", "is not expected"),
            ("(year = 1", "it ends early"),
            ("and = 1", "and is a reserved word"),
            ("region = 'a", "a ' is not closed"),
            ("year in ()", "stands where a value is expected"),
            ("day = '2020-13-01'", "is not of type date"),
            ("year ; 1", "';' is not expected"),
            (
                &format!("{}year = 1", "(".repeat(2000)),
                "nested deeper than 100",
            ),
            (
                &format!("{}year = 1", "not ".repeat(2000)),
                "nested deeper than 100",
            ),
        ] {
            let error = holds(text).unwrap_err();
            assert!(
                matches!(error, Error::InvalidInput { .. }) && error.to_string().contains(expected),
                "{error}"
            );
        }
        let keys = keys();
        let stored = Expression::parse("year = 1", &keys).unwrap();
        let null = ["a", "__HIVE_DEFAULT_PARTITION__"].map(str::to_owned);
        assert!(matches!(
            stored.accepts(&null),
            Err(Error::InvalidState { .. })
        ));
    }

    #[test]
    fn what_a_filter_says_of_one_key_is_found() {
        let keys = keys();
        let points = |text: &str, column| {
            let expression = Expression::parse(text, &keys).unwrap();
            let conjuncts = expression.conjuncts();
            let points = conjuncts.iter().find_map(|one| one.points(column));
            points.map(|points| points.len())
        };
        assert_eq!(
            points("year = 1 and (region = 'a' and day > '2020-01-01')", 0),
            Some(1)
        );
        assert_eq!(points("region = 'a' or region in ('b', 'a')", 0), Some(2));
        assert_eq!(points("region = 'a' or year = 1", 0), None);
        assert_eq!(points("not region = 'a'", 0), None);

        let like = |text: &str| {
            let expression = Expression::parse(text, &keys).unwrap();
            expression.conjuncts()[0].range(0)
        };
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            like("region like 'az%'"),
            (Bound::Included(text("az")), Bound::Excluded(text("a{")))
        );
        assert_eq!(
            like("region like '\u{d7ff}_'").1,
            Bound::Excluded(text("\u{e000}"))
        );
        assert_eq!(like("region like '%a'").0, Bound::Unbounded);
        let last = format!("region like '{}%'", char::MAX);
        assert_eq!(like(&last).1, Bound::Unbounded);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_an_answer(text in "([a-z'\"`()=<>!,.0-9 %_-]|and |or |not |in |year |region |like )*") {
            let _ = holds(&text);
        }

        #[test]
        fn integers_compare_as_integers(a in any::<i64>(), b in any::<i64>()) {
            let keys = keys();
            let text = format!("year < {b}");
            let found = Expression::parse(&text, &keys).unwrap().accepts(&[String::new(), a.to_string()]).unwrap();
            prop_assert_eq!(found, a < b);
            let (a, b) = (i128::from(a), i128::from(b));
            prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn de_morgan_holds(x in -3..3_i64, y in -3..3_i64, v in -3..3_i64) {
            let keys = keys();
            let values = ["r".to_owned(), v.to_string()];
            let holds = |text: String| Expression::parse(&text, &keys).unwrap().accepts(&values).unwrap();
            prop_assert_eq!(
                holds(format!("not (year > {x} and year <= {y})")),
                holds(format!("not year > {x} or not year <= {y}"))
            );
            prop_assert_eq!(holds(format!("year between {x} and {y}")), x <= v && v <= y);
        }

        #[test]
        fn like_is_what_the_slow_definition_says(text in "[ab]{0,6}", pattern in "[ab%_]{0,6}") {
            fn slow(text: &[char], pattern: &[char]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some(('%', rest)) => (0..=text.len()).any(|at| slow(&text[at..], rest)),
                    Some(('_', rest)) => !text.is_empty() && slow(&text[1..], rest),
                    Some((c, rest)) => text.first() == Some(c) && slow(&text[1..], rest),
                }
            }
            let keys = keys();
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let found = Expression::parse(&format!("region like '{pattern}'"), &keys).unwrap();
            prop_assert_eq!(found.accepts(std::slice::from_ref(&text)).unwrap(), slow(&chars(&text), &chars(&pattern)));
        }
    }
}
