//! [`Served`]: `tenon serve`, the real binary over a data folder of its own, spoken to over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tenon_tests::tenon;

/// Long enough for anything that ends, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The account of a server without accounts.
pub(crate) const ACCOUNT: &str = "000000000000";

/// A server over a data folder, and a folder that it may read and write for its account.
pub(crate) struct Served {
    pub(crate) folder: TempDir,
    server: Option<Child>,
    pub(crate) address: String,
    /// More of the command that starts it.
    more: Vec<&'static str>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// Started with these arguments too.
    pub(crate) fn with(more: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        let mut served = Self {
            folder,
            server: None,
            address: String::new(),
            more: more.to_vec(),
        };
        served.start();
        served
    }

    /// A path below the folder that was granted.
    pub(crate) fn lake(&self, name: &str) -> PathBuf {
        self.folder.path().join("lake").join(name)
    }

    /// Starts it again over what it has.
    pub(crate) fn start(&mut self) {
        let root = format!("{ACCOUNT}={}", self.lake("").display());
        let mut server = Command::new(tenon())
            .args(["serve", "--listen", "127.0.0.1:0", "--data-root", &root])
            .args(&self.more)
            .env("TENON_DATA", self.folder.path().join("data"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let said = lines.by_ref().map(|line| line.unwrap());
        let line = said
            .into_iter()
            .find(|line| line.contains("http://"))
            .unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        let address: String = address
            .chars()
            .take_while(|c| *c == '.' || *c == ':' || c.is_ascii_digit())
            .collect();
        self.address = address.trim_end_matches(':').to_owned();
        // Read on, so that the server never waits.
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(server);
    }

    /// Ends it as a power cut would end its process.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// What a command over the same data folder prints: with `token` of the running server, else of nobody's.
    pub(crate) fn command(&self, token: Option<&str>, args: &[&str]) -> (bool, String) {
        let mut command = Command::new(tenon());
        command
            .args(args)
            .env("TENON_DATA", self.folder.path().join("data"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        if let Some(token) = token {
            command
                .env("TENON_SERVER", format!("http://{}", self.address))
                .env("TENON_TOKEN", token);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    /// The server's child processes that run this command of the program.
    pub(crate) fn workers(&self, command: &str) -> Vec<u32> {
        let server = self.server.as_ref().unwrap().id();
        let tasks = std::fs::read_dir(format!("/proc/{server}/task")).unwrap();
        let mut found = Vec::new();
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children"));
            for id in children.unwrap_or_default().split_whitespace() {
                let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
                if line
                    .split(|byte| *byte == 0)
                    .any(|word| word == command.as_bytes())
                {
                    found.push(id.parse().unwrap());
                }
            }
        }
        found
    }

    /// The answer, and whether it is one of success.
    pub(crate) fn ask(&self, operation: &str, input: &Value) -> (bool, Value) {
        let body = input.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Amz-Target: AWSGlue.{operation}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.starts_with("HTTP/1.1 200"),
            serde_json::from_str(body).unwrap(),
        )
    }

    /// All that a path of the REST interface sends, which ends the connection.
    pub(crate) fn get(&self, token: &str, path: &str) -> String {
        self.send("GET", token, path)
    }

    /// The same for a request of another method, without a body.
    pub(crate) fn send(&self, method: &str, token: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 0\r\n\
             Authorization: Bearer {token}\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn call(&self, operation: &str, input: Value) -> Value {
        let (succeeded, answer) = self.ask(operation, &input);
        assert!(succeeded, "{operation}: {answer}");
        answer
    }

    pub(crate) fn refused(&self, operation: &str, input: Value) -> String {
        let (succeeded, answer) = self.ask(operation, &input);
        assert!(!succeeded, "{operation}: {answer}");
        format!(
            "{} {}",
            answer["__type"],
            answer["message"]
                .as_str()
                .or(answer["Message"].as_str())
                .unwrap()
        )
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
