//! A text becomes the nodes of a filter.

use super::like::Wild;
use super::value::type_name;
use super::{Kind, Node, Op, Value, kind, value};
use crate::error::{Error, Result};
use crate::model::Column;

/// Parentheses and NOTs inside each other, at most.
const MAX_DEPTH: usize = 100;

/// Reads a filter; `None` when it is empty.
pub(super) fn parse(text: &str, keys: &[Column]) -> Result<Option<Node>> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        keys,
    };
    if parser.tokens.is_empty() {
        return Ok(None);
    }
    let root = parser.any()?;
    match parser.peek() {
        None => Ok(Some(root)),
        Some(token) => Err(bad(format!("{token:?} is not expected"))),
    }
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
