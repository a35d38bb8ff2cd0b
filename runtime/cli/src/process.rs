//! Other programs: [`capture`] runs one to its end, or to a time limit, and keeps what it said.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Captured {
    /// `None` when the time limit ended it.
    status: Option<ExitStatus>,
    stdout: String,
    stderr: String,
}

impl Captured {
    /// Whether it ended well in time.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Its standard output, trimmed, when it ended well in time.
    pub(crate) fn output(&self) -> Option<&str> {
        self.is_success().then(|| self.stdout.trim())
    }

    /// Why it did not end well: how it ended and the last thing it said.
    pub(crate) fn reason(&self) -> String {
        let ending = match self.status {
            None => "gave up waiting".to_owned(),
            Some(status) => status.to_string(),
        };
        let said = [&self.stderr, &self.stdout];
        let last = said.into_iter().find_map(|text| telling_line(text));
        match last {
            Some(line) => format!("{ending}: {}", line.trim()),
            None => ending,
        }
    }
}

/// The line that says most: the first that calls itself an error, for a backtrace may follow; else the last.
fn telling_line(said: &str) -> Option<&str> {
    let mut errors = said.lines().filter(|line| line.starts_with("error"));
    let mut ends = said.lines().rev().filter(|line| !line.trim().is_empty());
    errors.next().or_else(|| ends.next())
}

/// Runs `command` without input. After `limit` it is killed and the answer says so.
///
/// # Errors
/// When it cannot be started, such as a program that does not exist.
pub(crate) fn capture(command: &mut Command, limit: Duration) -> io::Result<Captured> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    match wait(&mut child, limit)? {
        None => Ok(Captured {
            // Grandchildren may hold the pipes open for as long as they live: do not wait for the readers.
            status: None,
            stdout: String::new(),
            stderr: String::new(),
        }),
        status => Ok(Captured {
            status,
            stdout: stdout.join().unwrap_or_default(),
            stderr: stderr.join().unwrap_or_default(),
        }),
    }
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if waited >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
        waited += POLL;
    }
}

/// Reads a pipe to its end, so that the program never waits for us.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut said);
        }
        String::from_utf8_lossy(&said).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_and_reason_are_kept() {
        let limit = Duration::from_secs(20);
        let good = capture(&mut sh("echo yes"), limit).unwrap();
        assert_eq!(good.output(), Some("yes"));
        let bad = capture(&mut sh("echo no route >&2; exit 3"), limit).unwrap();
        assert_eq!(bad.output(), None);
        assert_eq!(bad.reason(), "exit status: 3: no route");
        let traced = capture(
            &mut sh("echo 'error: no route\n 1: main' >&2; exit 1"),
            limit,
        )
        .unwrap();
        assert_eq!(traced.reason(), "exit status: 1: error: no route");
    }

    #[test]
    fn a_program_that_hangs_is_given_up() {
        let slow = capture(&mut sh("sleep 60"), Duration::from_millis(100)).unwrap();
        assert!(!slow.is_success());
        assert_eq!(slow.reason(), "gave up waiting");
    }
}
