//! An HTTP server whose answers a test writes, one by one: [`Server`].
//!
//! It is written by hand so that it can do what no library lets a server do: cut a body off, fall silent, lie.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a client asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The bounds of `Range: bytes=a-b`, as a half-open range.
    pub(crate) fn range(&self, size: usize) -> Option<std::ops::Range<usize>> {
        let (start, end) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let end: usize = end.parse().ok()?;
        Some(start.parse().ok()?..(end + 1).min(size))
    }
}

/// What it is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// After so many bytes of the body the connection is closed.
    pub(crate) cut_at: Option<usize>,
    /// After so many bytes of the body nothing more comes, until the client has gone.
    pub(crate) silent_at: Option<usize>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The object, or the range of it that is asked for, if the request wants this tag.
    pub(crate) fn object(request: &Request, body: &[u8], tag: &str) -> Self {
        if request
            .header("if-match")
            .is_some_and(|wanted| wanted != tag)
        {
            return Self::new(412, "");
        }
        let reply = match request.range(body.len()) {
            Some(range) => Self::new(206, &body[range.clone()]).with(
                "content-range",
                &format!("bytes {}-{}/{}", range.start, range.end - 1, body.len()),
            ),
            None => Self::new(200, body),
        };
        reply
            .with("etag", tag)
            .with("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT")
    }
}

type Answer = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// Answers until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is told how many requests there were before this one.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (kept, answer) = (
            Arc::clone(&requests),
            Arc::<Answer>::from(Box::new(answer) as Box<Answer>),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.ok()?, &kept, &*answer));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// `GET /x?y` of every request.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |r: &Request| format!("{} {}", r.method, r.target);
        self.requests().iter().map(line).collect()
    }
}

/// Serves one connection until the client has gone.
fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let request = read_request(&mut reader)?;
        let before = {
            let mut kept = kept.lock().unwrap();
            kept.push(request.clone());
            kept.len() - 1
        };
        write_reply(&mut writer, &mut reader, &request, answer(before, &request))?;
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next()?,
        target: words.next()?,
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    request.body = match request.header("transfer-encoding") {
        Some(_) => read_chunks(reader)?,
        None => {
            let length = request.header("content-length").unwrap_or("0").parse();
            let mut body = vec![0; length.ok()?];
            reader.read_exact(&mut body).ok()?;
            body
        }
    };
    Some(request)
}

fn read_chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

/// None when the connection is to be closed.
fn write_reply(
    writer: &mut TcpStream,
    reader: &mut impl Read,
    request: &Request,
    reply: Reply,
) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} .\r\n", reply.status);
    let is_known = |name: &str| reply.headers.iter().any(|(known, _)| known == name);
    if !is_known("content-length") {
        head += &format!("content-length: {}\r\n", reply.body.len());
    }
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    writer.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    if request.method == "HEAD" {
        return Some(());
    }
    let end = reply.cut_at.or(reply.silent_at).unwrap_or(reply.body.len());
    writer.write_all(&reply.body[..end]).ok()?;
    writer.flush().ok()?;
    if reply.silent_at.is_some() {
        // Whatever comes, it is the end of the connection.
        let _ = reader.read(&mut [0]);
        return None;
    }
    match reply.cut_at {
        Some(_) => None,
        None => Some(()),
    }
}
