//! The side that asks: starts the compiling process, talks with it, ends it in any case, and says why there is no
//! machine code when there is none.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::CompileLimits;
use super::worker::{COMPILED, Order, REFUSED};
use crate::error::{Error, Result};
use crate::guest::clip;

/// Bytes kept of what the child says on stderr.
const STDERR_BYTES: u64 = 16 << 10;
/// How often a child that has closed its stdout is looked at.
const POLL: Duration = Duration::from_millis(1);

/// How a child ended, and what it said.
struct Heard {
    /// `None`: it was ended because of the wall clock.
    status: Option<ExitStatus>,
    stdout: Vec<u8>,
    stderr: String,
}

/// Compiles in a child process. Blocks for at most [`CompileLimits::wall_time`].
pub(super) fn compile(
    program: &Path,
    args: &[OsString],
    order: &Order,
    limits: &CompileLimits,
    wasm: &[u8],
) -> Result<Vec<u8>> {
    let child = Running::start(program, args, order)?;
    // One byte in front says what follows.
    let most = limits.output_for(wasm).saturating_add(1);
    let heard = converse(child, wasm, most, limits.wall_time)
        .map_err(|e| Error::Host(format!("cannot talk to the compiler's process: {e}")))?;
    if !heard.stderr.is_empty() {
        tracing::debug!("the compiler's process said: {}", heard.stderr.trim_end());
    }
    judge(heard, limits, wasm)
}

/// A child that is killed and reaped when it is dropped, whatever happens.
struct Running(Child);

impl Running {
    fn start(program: &Path, args: &[OsString], order: &Order) -> Result<Self> {
        let child = Command::new(program)
            .args(args)
            .args(order.words())
            .env_clear()
            .current_dir("/")
            // Ctrl-C is for the process that asked: it ends its child itself.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.map(Self).map_err(|e| {
            let program = program.display();
            Error::Host(format!(
                "cannot start the compiler's process {program}: {e}"
            ))
        })
    }

    /// Waits until it has ended, or kills it at the deadline.
    fn wait_until(&mut self, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that was reaped before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Feeds the child and reads at most `most` + 1 bytes of its answer.
fn converse(
    child: Running,
    wasm: &[u8],
    most: usize,
    wall_time: Duration,
) -> std::io::Result<Heard> {
    let deadline = Instant::now() + wall_time;
    thread::scope(|scope| {
        // Dropped, and with it the child ended, before the scope waits for the threads: their pipes end then.
        let mut child = child;
        let (stdin, stdout, stderr) = (
            child.0.stdin.take(),
            child.0.stdout.take(),
            child.0.stderr.take(),
        );
        let (answered, answer) = mpsc::channel();
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("compile-in").spawn_scoped(scope, || feed(stdin, wasm))?;
        let said = spawn("compile-err").spawn_scoped(scope, || first_words(stderr))?;
        spawn("compile-out").spawn_scoped(scope, move || {
            // Nobody listens any more when the wall clock was faster.
            let _ = answered.send(read_at_most(stdout, most as u64 + 1));
        })?;
        let stdout = answer.recv_timeout(wall_time).ok();
        let is_too_long = stdout.as_ref().is_some_and(|bytes| bytes.len() > most);
        let deadline = if is_too_long {
            Instant::now()
        } else {
            deadline
        };
        let status = child.wait_until(deadline)?;
        drop(child);
        Ok(Heard {
            status,
            stdout: stdout.unwrap_or_default(),
            stderr: said.join().unwrap_or_default(),
        })
    })
}

fn feed(stdin: Option<ChildStdin>, wasm: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A child that ended early has said why elsewhere.
        let _ = stdin.write_all(wasm);
    }
}

/// What came before an error counts: the child's end says the rest.
fn read_at_most(pipe: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(most).read_to_end(&mut bytes);
    }
    bytes
}

/// Reads to the end, so that the child never waits, and keeps the beginning.
fn first_words(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let kept = read_at_most(Some(&mut pipe), STDERR_BYTES);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

/// Machine code, or whose fault it is that there is none.
fn judge(heard: Heard, limits: &CompileLimits, wasm: &[u8]) -> Result<Vec<u8>> {
    let Heard {
        status,
        mut stdout,
        stderr,
    } = heard;
    limits.check_output(wasm, stdout.len().saturating_sub(1))?;
    let Some(status) = status else {
        let allowed = limits.wall_time;
        return Err(limit("compile_wall_time", &format!("{allowed:?}"), "more"));
    };
    if status.success() && !stdout.is_empty() {
        match stdout.remove(0) {
            COMPILED => return Ok(stdout),
            REFUSED => {
                let why = String::from_utf8_lossy(&stdout);
                return Err(Error::NotAPlugin(clip(&why, 1_000)));
            }
            _ => {}
        }
    }
    if status.signal() == Some(rustix::process::Signal::XCPU.as_raw()) {
        let allowed = limits.cpu_time;
        return Err(limit("compile_cpu_time", &format!("{allowed:?}"), "more"));
    }
    if let Some(asked) = failed_allocation(&stderr) {
        let allowed = format!("{} bytes", limits.memory_bytes);
        return Err(limit("compile_memory_bytes", &allowed, &asked));
    }
    Err(Error::Compiler(clip(&last_words(status, &stderr), 1_000)))
}

fn limit(limit: &'static str, allowed: &str, asked: &str) -> Error {
    Error::Limit {
        limit,
        allowed: allowed.to_owned(),
        asked: asked.to_owned(),
    }
}

/// What the allocation asked for that ended the child: Rust's runtime says so before it aborts.
fn failed_allocation(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.split_once("memory allocation of ")?;
    let (bytes, _) = rest.split_once(" bytes failed")?;
    let bytes: u64 = bytes.parse().ok()?;
    Some(format!("{bytes} bytes more"))
}

fn last_words(status: ExitStatus, stderr: &str) -> String {
    let said = stderr.lines().rfind(|line| !line.trim().is_empty());
    match said {
        Some(said) => format!("{status}: {}", said.trim()),
        None if status.signal() == Some(rustix::process::Signal::KILL.as_raw()) => {
            format!("{status}, as the kernel does when the machine's memory runs out")
        }
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell script in the place of the compiler.
    fn said(script: &str, limits: &CompileLimits) -> String {
        let args = ["-c".into(), script.into()];
        let order = Order::new(limits, "0".to_owned());
        match compile(Path::new("/bin/sh"), &args, &order, limits, b"component") {
            Ok(code) => format!("code: {}", String::from_utf8_lossy(&code)),
            Err(e) => e.to_string(),
        }
    }

    fn limits() -> CompileLimits {
        CompileLimits {
            wall_time: Duration::from_secs(20),
            output_floor_bytes: 1_000,
            ..CompileLimits::default()
        }
    }

    #[test]
    fn each_ending_is_told_apart() {
        let said = |script: &str| said(script, &limits());
        assert_eq!(said("printf C; cat"), "code: component");
        assert_eq!(
            said("cat >/dev/null; printf Rinvalid"),
            "not a plugin: invalid"
        );
        assert_eq!(
            said("echo memory allocation of 17 bytes failed >&2; kill -ABRT $$"),
            "limit compile_memory_bytes reached: allowed 4294967296 bytes, asked for 17 bytes more"
        );
        assert_eq!(
            said("kill -XCPU $$"),
            "limit compile_cpu_time reached: allowed 60s, asked for more"
        );
        assert_eq!(
            said("kill -KILL $$"),
            "the compiler failed on this plugin: signal: 9 (SIGKILL), as the kernel does when the machine's \
             memory runs out"
        );
        assert!(said("kill -SEGV $$").contains("signal: 11 (SIGSEGV)"));
        assert_eq!(
            said("echo error: a bug >&2; exit 1"),
            "the compiler failed on this plugin: exit status: 1: error: a bug"
        );
        assert_eq!(
            said("exit 0"),
            "the compiler failed on this plugin: exit status: 0"
        );
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let started = Instant::now();
        assert_eq!(
            said("printf C; cat /dev/zero", &limits()),
            "limit compile_output_bytes reached: allowed 1000 bytes of machine code for a component of 9 \
             bytes, asked for more"
        );
        assert!(said("cat /dev/zero >&2 & printf C; cat; kill $!", &limits()).starts_with("code"));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_child_that_hangs_is_ended_by_the_wall_clock() {
        let limits = CompileLimits {
            wall_time: Duration::from_millis(200),
            ..limits()
        };
        let slow = "limit compile_wall_time reached: allowed 200ms, asked for more";
        let started = Instant::now();
        assert_eq!(said("exec sleep 60", &limits), slow);
        // It ended its answer and lives on.
        assert_eq!(said("printf C; exec sleep 60 >&- 2>&-", &limits), slow);
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_is_not_there_is_the_hosts_fault() {
        let order = Order::new(&limits(), "0".to_owned());
        let error = compile(Path::new("/nowhere/tenon"), &[], &order, &limits(), b"").unwrap_err();
        assert!(
            matches!(&error, Error::Host(text) if text.contains("/nowhere/tenon")),
            "{error}"
        );
    }
}
