//! Compilation of components, under limits.
//!
//! A component of 7 kB can take 42 s to compile and one of 500 kB can ask for 26 GB, after a validation
//! of milliseconds that shows nothing of it. The compiler has no limits of its own and cannot be
//! stopped, so it works in a process that can be:
//!
//! ```text
//! Host ──cache miss──> Compilations ──────────> child ──> compile_worker
//!                        sizes, turns,            stdin   the component
//!                        refusals                 stdout  machine code, or why there is none
//!                                                 stderr  last words
//! ```
//!
//! [`CompileLimits`] says what a compilation may cost, [`Compiler`] where it happens; `child` is the
//! side of the process that asks, `worker` the side of the one that compiles.
//!
//! Chosen: a fresh process for each component, some ten milliseconds before work that takes seconds and is
//! then cached. Refused: a pool of them, since a compiler that was fed one tenant's component must not
//! compile another's. The child is a wall against what compiling costs. It is none against a compiler that
//! computes wrong code: what it answers is believed, as if this process had compiled it.

mod child;
mod worker;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use wasmtime::Engine;

use crate::cache::compatibility;
use crate::error::{Error, Result};
use crate::guest::clip;
use crate::limits::MAX_COMPONENT_BYTES;

pub use worker::compile_worker;

/// Compilations at once in this process, whatever the number of hosts: they share one machine, and each may
/// use a processor and [`CompileLimits::memory_bytes`].
const AT_ONCE: usize = 2;
/// How long a refusal is remembered. Until then the component is refused again without being compiled.
const REFUSED_FOR: Duration = Duration::from_secs(3_600);
/// Refusals that are remembered; the oldest makes room.
const REFUSALS: usize = 256;
/// How a component's binary begins; a core module's fifth byte is 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What one compilation may cost. Every field is finite; an operator may set other values and a tenant may
/// only lower them ([`CompileLimits::lowered_to`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU time, in whole seconds (a part of one counts as one). Default 60 s. Honest plugins take about a
    /// second per MB; components that carry a language's interpreter take 20 to 40 s.
    pub cpu_time: Duration,
    /// Time from start to end. Default 90 s: more than [`Self::cpu_time`], for a machine that is busy.
    pub wall_time: Duration,
    /// Address space of the compiling process, the program itself included, in bytes. Default 4 GiB.
    /// 1 GiB is enough for components up to some 10 MB.
    pub memory_bytes: u64,
    /// The component, in bytes. Default [`MAX_COMPONENT_BYTES`].
    pub module_bytes: usize,
    /// Bytes of machine code for each byte of the component. Default 20; honest plugins need 2 to 5.
    pub output_ratio: usize,
    /// Bytes of machine code that are allowed however small the component is, because a few kB of it have a
    /// bad ratio and do no harm. Default 16 MiB.
    pub output_floor_bytes: usize,
    /// Bytes of machine code in any case. Default 512 MiB. It is also what the process that asked for the
    /// compilation may have to hold.
    pub output_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            cpu_time: Duration::from_secs(60),
            wall_time: Duration::from_secs(90),
            memory_bytes: 4 << 30,
            module_bytes: MAX_COMPONENT_BYTES,
            output_ratio: 20,
            output_floor_bytes: 16 << 20,
            output_bytes: 512 << 20,
        }
    }
}

impl CompileLimits {
    /// The stricter of the two in every field.
    #[must_use]
    pub fn lowered_to(&self, other: &Self) -> Self {
        Self {
            cpu_time: self.cpu_time.min(other.cpu_time),
            wall_time: self.wall_time.min(other.wall_time),
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            module_bytes: self.module_bytes.min(other.module_bytes),
            output_ratio: self.output_ratio.min(other.output_ratio),
            output_floor_bytes: self.output_floor_bytes.min(other.output_floor_bytes),
            output_bytes: self.output_bytes.min(other.output_bytes),
        }
    }

    /// Bytes of machine code that a component of this size may become.
    fn output_for(&self, wasm: &[u8]) -> usize {
        let by_size = wasm.len().saturating_mul(self.output_ratio);
        by_size.max(self.output_floor_bytes).min(self.output_bytes)
    }

    fn check_output(&self, wasm: &[u8], bytes: usize) -> Result<()> {
        let most = self.output_for(wasm);
        if bytes <= most {
            return Ok(());
        }
        Err(Error::Limit {
            limit: "compile_output_bytes",
            allowed: format!(
                "{most} bytes of machine code for a component of {} bytes",
                wasm.len()
            ),
            asked: "more".to_owned(),
        })
    }

    /// What can be told without compiling.
    fn check_component(&self, wasm: &[u8]) -> Result<()> {
        if wasm.len() > self.module_bytes {
            return Err(Error::Limit {
                limit: "compile_module_bytes",
                allowed: format!("{} bytes", self.module_bytes),
                asked: format!("{} bytes", wasm.len()),
            });
        }
        if !wasm.starts_with(COMPONENT) {
            return Err(Error::NotAPlugin(
                "it is not a WebAssembly component; `tenon plugin build` makes one".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Where components are compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiler {
    /// In this process. Of the limits only those on sizes hold: for programs that have no binary to start
    /// and trust their components.
    InProcess,
    /// In a process of its own for each component. It must call [`compile_worker`] with the words that
    /// follow `args`, and be of the same build.
    Child {
        /// The program. It is started with an empty environment in the folder `/`.
        program: PathBuf,
        /// What stands before the words for [`compile_worker`].
        args: Vec<OsString>,
    },
}

/// Compiles for one host: in turn, under limits, and nothing twice that was refused.
#[derive(Debug)]
pub(crate) struct Compilations {
    compiler: Compiler,
    limits: CompileLimits,
    refusals: Refusals,
}

impl Compilations {
    pub(crate) fn new(compiler: Compiler, limits: CompileLimits) -> Self {
        Self {
            compiler,
            limits,
            refusals: Refusals::default(),
        }
    }

    /// Waits until this component may be compiled: until fewer than [`AT_ONCE`] others are, and until nobody
    /// compiles this one. The caller then looks into the cache again.
    ///
    /// # Errors
    /// The component is too large, is none, or was refused within the last hour.
    pub(crate) fn turn(&self, wasm: &[u8], digest: &str) -> Result<Turn> {
        self.limits.check_component(wasm)?;
        self.refusals.check(digest)?;
        let turn = Turn::wait(digest);
        // It may have been refused while this call was waiting.
        self.refusals.check(digest)?;
        Ok(turn)
    }

    /// Compiles to machine code for `engine`.
    ///
    /// # Errors
    /// [`Error::NotAPlugin`], [`Error::Limit`] and [`Error::Compiler`] are about the component and are remembered;
    /// [`Error::Host`] is about this machine and is not.
    pub(crate) fn compile(&self, turn: &Turn, engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
        let outcome = match &self.compiler {
            Compiler::InProcess => self.compile_here(engine, wasm),
            Compiler::Child { program, args } => {
                let order = worker::Order::new(&self.limits, compatibility(engine));
                child::compile(program, args, &order, &self.limits, wasm)
            }
        };
        if let Err(error) = &outcome {
            self.refusals.remember(&turn.digest, error);
        }
        outcome
    }

    fn compile_here(&self, engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>> {
        let code = engine
            .precompile_component(wasm)
            .map_err(|e| Error::NotAPlugin(clip(&format!("{e:#}"), 1_000)))?;
        self.limits.check_output(wasm, code.len())?;
        Ok(code)
    }
}

/// Digests of the components that this process is compiling.
static RUNNING: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ENDED: Condvar = Condvar::new();

/// The right to compile one component, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    digest: String,
}

impl Turn {
    fn wait(digest: &str) -> Self {
        let mut running = RUNNING.lock();
        while running.len() >= AT_ONCE || running.iter().any(|other| other == digest) {
            ENDED.wait(&mut running);
        }
        running.push(digest.to_owned());
        Self {
            digest: digest.to_owned(),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        RUNNING.lock().retain(|digest| *digest != self.digest);
        ENDED.notify_all();
    }
}

/// Components that were refused, so that a bomb goes off once an hour and not at each attempt to use it.
#[derive(Debug, Default)]
struct Refusals {
    /// Oldest first.
    entries: Mutex<VecDeque<(Instant, String, Error)>>,
}

impl Refusals {
    /// The error of the last attempt, when that was within the hour.
    fn check(&self, digest: &str) -> Result<()> {
        let mut entries = self.entries.lock();
        entries.retain(|(since, ..)| since.elapsed() < REFUSED_FOR);
        let known = entries.iter().find(|(_, refused, _)| refused == digest);
        match known.and_then(|(.., error)| lasting(error)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn remember(&self, digest: &str, error: &Error) {
        let Some(error) = lasting(error) else { return };
        let mut entries = self.entries.lock();
        if entries.len() >= REFUSALS {
            entries.pop_front();
        }
        entries.push_back((Instant::now(), digest.to_owned(), error));
    }
}

/// A copy of an error that the same component would meet again.
fn lasting(error: &Error) -> Option<Error> {
    match error {
        Error::NotAPlugin(text) => Some(Error::NotAPlugin(text.clone())),
        Error::Compiler(text) => Some(Error::Compiler(text.clone())),
        Error::Limit {
            limit,
            allowed,
            asked,
        } => Some(Error::Limit {
            limit,
            allowed: allowed.clone(),
            asked: asked.clone(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_can_only_lower_limits() {
        let operator = CompileLimits::default();
        let wish = CompileLimits {
            cpu_time: Duration::from_secs(1),
            wall_time: Duration::MAX,
            memory_bytes: u64::MAX,
            module_bytes: usize::MAX,
            output_ratio: usize::MAX,
            output_floor_bytes: usize::MAX,
            output_bytes: usize::MAX,
        };
        let granted = operator.lowered_to(&wish);
        let expected = CompileLimits {
            cpu_time: Duration::from_secs(1),
            ..operator
        };
        assert_eq!(granted, expected);
    }

    #[test]
    fn machine_code_is_bounded_by_ratio_floor_and_total() {
        let limits = CompileLimits {
            output_ratio: 20,
            output_floor_bytes: 1_000,
            output_bytes: 5_000,
            ..CompileLimits::default()
        };
        assert_eq!(limits.output_for(&[0; 10]), 1_000);
        assert_eq!(limits.output_for(&[0; 100]), 2_000);
        assert_eq!(limits.output_for(&[0; 1_000]), 5_000);
        assert!(limits.check_output(&[0; 100], 2_000).is_ok());
        assert_eq!(
            limits
                .check_output(&[0; 100], 2_001)
                .unwrap_err()
                .to_string(),
            "limit compile_output_bytes reached: allowed 2000 bytes of machine code for a component of 100 \
             bytes, asked for more"
        );
    }

    #[test]
    fn what_is_too_large_or_no_component_is_not_compiled() {
        let limits = CompileLimits {
            module_bytes: 8,
            ..CompileLimits::default()
        };
        let said = |wasm: &[u8]| limits.check_component(wasm).unwrap_err().to_string();
        assert_eq!(
            said(&[0; 9]),
            "limit compile_module_bytes reached: allowed 8 bytes, asked for 9 bytes"
        );
        assert!(said(b"\0asm\x01\0\0\0").contains("not a WebAssembly component"));
        assert!(limits.check_component(COMPONENT).is_ok());
    }

    #[test]
    fn refusals_are_remembered_and_bounded() {
        let refusals = Refusals::default();
        refusals.remember("host", &Error::Host("no processes left".to_owned()));
        assert!(
            refusals.check("host").is_ok(),
            "not the component's fault: tried again"
        );
        for n in 0..=REFUSALS {
            refusals.remember(&n.to_string(), &Error::NotAPlugin(format!("number {n}")));
        }
        assert!(refusals.check("0").is_ok(), "the oldest made room");
        assert_eq!(
            refusals.check("1").unwrap_err().to_string(),
            "not a plugin: number 1"
        );
    }

    #[test]
    fn at_most_two_turns_at_once_and_one_for_a_component() {
        let turns = [Turn::wait("turn a"), Turn::wait("turn b")];
        let (taken, seen) = std::sync::mpsc::channel();
        let third = std::thread::spawn(move || {
            let turn = Turn::wait("turn a");
            taken.send(()).unwrap();
            drop(turn);
        });
        let waits = |for_ms| {
            seen.recv_timeout(Duration::from_millis(for_ms))
                .map_err(|_| "waits")
        };
        assert_eq!(waits(50), Err("waits"), "two are running");
        let [a, b] = turns;
        drop(b);
        assert_eq!(waits(50), Err("waits"), "the same component is running");
        drop(a);
        assert_eq!(waits(10_000), Ok(()));
        third.join().unwrap();
    }
}
