//! [`Remote`]: a server's REST interface, for commands that do to a running server what they do to a folder.
//!
//! The token comes from the environment, since others of the machine read command lines. Redirects are not followed and
//! no proxy is used: the token goes to the server that was named.

use std::env;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error::{Explain, Failure};
use crate::exit::Exit;
use crate::shell::Shell;

/// Where the token is.
const TOKEN: &str = "TENON_TOKEN";

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Longest wait for an answer, and for the next piece of one.
const ANSWER_TIME: Duration = Duration::from_secs(90);

/// No page of a list is near it.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// What commands that can ask a server have in common.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerArgs {
    /// Ask this server instead of opening the data folder: http://127.0.0.1:8080. Takes a token of its administrator,
    /// from the variable TENON_TOKEN.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TENON_SERVER",
        hide_env_values = true
    )]
    server: Option<String>,

    /// Trust the server's certificate by those in this file, in PEM, instead of by the public ones.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TENON_SERVER_CA",
        hide_env_values = true
    )]
    server_ca: Option<PathBuf>,
}

impl ServerArgs {
    /// The server, if one is named.
    pub(crate) fn remote(&self, shell: &Shell) -> Result<Option<Remote>, Failure> {
        let named = self.server.as_deref().filter(|server| !server.is_empty());
        named
            .map(|server| Remote::open(shell, server, self.server_ca.as_deref()))
            .transpose()
    }
}

/// Says what to do when a server has the data folder.
pub(crate) fn hint_in_use(failure: Failure) -> Failure {
    match failure.exit() {
        Exit::Conflict => failure.with_hint(
            "while a server runs, ask it: --server URL, or TENON_SERVER, with a token of its administrator in TENON_TOKEN",
        ),
        _ => failure,
    }
}

/// A server.
pub(crate) struct Remote {
    agent: Agent,
    base: String,
    token: String,
}

/// What a server says when it refuses.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: String,
}

impl Remote {
    fn open(shell: &Shell, server: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let base = server.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = base.parse().ok();
        let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        if !["http", "https"].contains(&scheme) || host.is_empty() {
            return Err(
                Failure::new(format!("{server:?} is no address of a server"))
                    .with_exit(Exit::Usage)
                    .with_hint("write it like http://127.0.0.1:8080"),
            );
        }
        let token = env::var(TOKEN).unwrap_or_default();
        if token.is_empty() {
            return Err(Failure::new(format!("the server {base} asks for a token"))
                .with_exit(Exit::Usage)
                .with_hint("set TENON_TOKEN to one of its administrator; `tenon token create NAME` makes one while no server runs"));
        }
        if scheme == "http" && !is_here(host) {
            shell.say(
                "the token goes to the server without encryption: anyone on the way can read it",
            );
        }
        let mut tls = TlsConfig::builder();
        if let Some(ca) = ca {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(ca)?));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .tls_config(tls.build())
            .timeout_connect(Some(CONNECT_TIME))
            .timeout_recv_response(Some(ANSWER_TIME))
            .timeout_per_read(Some(ANSWER_TIME))
            .user_agent(concat!("tenon/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            base,
            token,
        })
    }

    /// What is at a path.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json("GET", path, None)
    }

    /// The text that is at a path.
    pub(crate) fn get_text(&self, path: &str) -> Result<String, Failure> {
        self.text(self.ask("GET", path, None)?)
    }

    /// Sends a body.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        self.json(method, path, Some(body))
    }

    /// Removes what is at a path.
    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        self.ask("DELETE", path, None).map(drop)
    }

    /// Writes what a request answers to `to`, however long it is.
    pub(crate) fn download(&self, path: &str, to: &mut dyn io::Write) -> Result<(), Failure> {
        let answer = self.ask("POST", path, Some(&Value::Null))?;
        let mut body = answer
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        let copied = io::copy(&mut body, to);
        copied.what(|| format!("the answer of {} broke off", self.base))?;
        Ok(())
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let text = self.text(self.ask(method, path, body)?)?;
        let parsed = serde_json::from_str(&text);
        parsed.what(|| format!("{} is no server of this version of tenon", self.base))
    }

    fn text(&self, answer: Response<Body>) -> Result<String, Failure> {
        let mut text = String::new();
        let mut body = answer
            .into_body()
            .into_with_config()
            .limit(MAX_ANSWER_BYTES)
            .reader();
        let read = body.read_to_string(&mut text);
        read.what(|| format!("the answer of {} cannot be read", self.base))?;
        Ok(text)
    }

    /// The answer, if it is none that refuses. `Null` is an empty body.
    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Body>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token));
        let answer = match body {
            None => self
                .agent
                .run(request.body(()).what(|| "a request cannot be made")?),
            Some(body) => {
                let text = match body {
                    Value::Null => String::new(),
                    body => body.to_string(),
                };
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(text).what(|| "a request cannot be made")?)
            }
        };
        let answer = answer.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let text = self.text(answer)?;
        Err(self.refused(status, &text))
    }

    fn unreachable(&self, error: ureq::Error) -> Failure {
        Failure::from(error)
            .with_what(format!("cannot reach {}", self.base))
            .with_exit(Exit::Unreachable)
            .with_hint("check the address, and that `tenon serve` runs there")
    }

    fn refused(&self, status: u16, text: &str) -> Failure {
        let exit = match status {
            400 => Exit::Usage,
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            _ => Exit::Failed,
        };
        let said = match serde_json::from_str::<Problem>(text) {
            Ok(problem) if exit == Exit::Failed => format!("{}: {}", problem.title, problem.detail),
            Ok(problem) => problem.detail,
            Err(_) => format!(
                "{} answered {status} and is no server of tenon's",
                self.base
            ),
        };
        Failure::new(said).with_exit(exit)
    }
}

/// Whether what is sent to this host stays on this machine.
fn is_here(host: &str) -> bool {
    let address: Result<std::net::IpAddr, _> = host.trim_matches(['[', ']']).parse();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let shown = file.display().to_string();
    let pem = fs::read(file).what(|| format!("cannot read {shown}"))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.what(|| format!("{shown} is no file of certificates"))?;
        if let PemItem::Certificate(certificate) = item {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        return Err(Failure::new(format!("{shown} has no certificate")).with_exit(Exit::Usage));
    }
    Ok(found)
}

/// A part of a path or of a query as it stands in an address.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_addresses_is_escaped() {
        assert_eq!(
            escaped("arn:aws:iam::1:user/ä b"),
            "arn%3Aaws%3Aiam%3A%3A1%3Auser%2F%C3%A4%20b"
        );
        assert_eq!(escaped("A-z_0.9~"), "A-z_0.9~");
    }

    #[test]
    fn this_machine_is_told_from_others() {
        assert!(is_here("localhost") && is_here("127.0.0.1") && is_here("[::1]"));
        assert!(!is_here("localhost.example") && !is_here("10.0.0.1"));
    }
}
