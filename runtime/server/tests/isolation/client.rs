//! A client that signs by its own code, not the server's, and keeps every byte it hears.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::inputs::Names;

/// 2015-08-30 12:36:00, when all of it happens.
pub(crate) const NOW: u64 = 1_440_938_160;
const TIME: &str = "20150830T123600Z";
const SCOPE: &str = "20150830/us-east-1/glue/aws4_request";

/// An answer, without what differs between any two: the request's id and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let same = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            name != "date" && name != "x-amzn-requestid"
        };
        Self {
            status: status.expect("a status").parse().expect("a number"),
            headers: lines.filter(same).map(str::to_lowercase).collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn error(&self) -> String {
        self.json()["__type"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.status, super::shown(&self.json()))
    }

    /// The answer as it would be to other names. All names are of one length, so lengths stay.
    pub(crate) fn with_names(self, from: &Names, to: &Names) -> Self {
        let pairs = from.all().into_iter().zip(to.all());
        pairs.fold(self, |answer, (from, to)| answer.with_text(from, to))
    }

    pub(crate) fn with_text(mut self, from: &str, to: &str) -> Self {
        let text = String::from_utf8_lossy(&self.body).replace(from, to);
        self.body = text.into_bytes();
        self
    }
}

pub(crate) struct Client {
    address: SocketAddr,
    /// `None` does not sign.
    key: Option<(String, String)>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str, secret: &str) -> Self {
        Self {
            address,
            key: Some((key.to_owned(), secret.to_owned())),
            heard: Arc::default(),
        }
    }

    /// Someone without a key.
    pub(crate) fn unsigned(&self) -> Self {
        Self {
            address: self.address,
            key: None,
            heard: Arc::clone(&self.heard),
        }
    }

    /// Someone whose key nobody knows.
    pub(crate) fn unknown(&self) -> Self {
        Self {
            key: Some(("AKIAIOSFODNN7EXAMPLE".to_owned(), "secret".to_owned())),
            ..self.unsigned()
        }
    }

    pub(crate) fn call(&self, operation: &str, input: &Value) -> Answer {
        let body = input.to_string();
        let target = format!("AWSGlue.{operation}");
        let host = self.address.to_string();
        let mut head = format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {TIME}\r\nx-amz-target: {target}\r\n\
             content-length: {}\r\nconnection: close\r\n",
            body.len()
        );
        if let Some((key, secret)) = &self.key {
            let names = "host;x-amz-date;x-amz-target";
            let canonical = format!(
                "POST\n/\n\nhost:{host}\nx-amz-date:{TIME}\nx-amz-target:{target}\n\n{names}\n{}",
                hex(&Sha256::digest(&body))
            );
            let signature = sign(secret, &canonical);
            head.push_str(&format!(
                "authorization: AWS4-HMAC-SHA256 Credential={key}/{SCOPE}, SignedHeaders={names}, \
                 Signature={signature}\r\n"
            ));
        }
        Answer::read(&self.exchange(&format!("{head}\r\n{body}")))
    }

    /// Whatever an address answers to a request that is not signed.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let host = self.address;
        self.exchange(&format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        ))
    }

    /// Whether a word was in any answer.
    pub(crate) fn heard(&self, word: &str) -> bool {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        super::has(&heard, word)
    }

    fn exchange(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(&answer);
        answer
    }
}

fn sign(secret: &str, canonical: &str) -> String {
    let hash = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{TIME}\n{SCOPE}\n{hash}");
    let key = SCOPE
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
            hmac(&key, part)
        });
    hex(&hmac(&key, &text))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
