//! The side that compiles: a process of its own that gives up all it does not need, reads a component, writes
//! machine code and ends.
//!
//! Before it reads a byte it can open no file and no socket, start no process, and use no more processor time and memory
//! than the order says. What it inherits are three pipes, and whatever the host's own parent left open to all
//! that it starts; what the host opened itself is closed.

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasmtime::{Engine, InstanceAllocationStrategy, OutOfMemory};

use super::CompileLimits;
use crate::cache::compatibility;
use crate::error::{Error, Result};
use crate::plugin::{Meter, engine_config};

/// First byte of an answer that goes on with machine code.
pub(super) const COMPILED: u8 = b'C';
/// First byte of an answer that goes on with the reason, in UTF-8.
pub(super) const REFUSED: u8 = b'R';

/// What the worker is told on its command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    cpu_seconds: u64,
    memory_bytes: u64,
    module_bytes: u64,
    /// Of the engine that will load the code.
    compatibility: String,
}

impl Order {
    pub(super) fn new(limits: &CompileLimits, compatibility: String) -> Self {
        // RLIMIT_CPU counts whole seconds.
        let part = u64::from(limits.cpu_time.subsec_nanos() > 0);
        Self {
            cpu_seconds: limits.cpu_time.as_secs().saturating_add(part).max(1),
            memory_bytes: limits.memory_bytes,
            module_bytes: limits.module_bytes as u64,
            compatibility,
        }
    }

    /// As words of a command line.
    pub(super) fn words(&self) -> [String; 4] {
        [
            self.cpu_seconds.to_string(),
            self.memory_bytes.to_string(),
            self.module_bytes.to_string(),
            self.compatibility.clone(),
        ]
    }

    fn parse(words: &[String]) -> Option<Self> {
        let [cpu_seconds, memory_bytes, module_bytes, compatibility] = words else {
            return None;
        };
        Some(Self {
            cpu_seconds: cpu_seconds.parse().ok()?,
            memory_bytes: memory_bytes.parse().ok()?,
            module_bytes: module_bytes.parse().ok()?,
            compatibility: compatibility.clone(),
        })
    }
}

/// What the compiling process does, from start to end: it confines itself as `words` say, reads a component from
/// standard input and writes the answer to standard output. A host whose compiler is [`super::Compiler::Child`]
/// starts it and writes the words.
///
/// # Errors
/// The process was not started by a host of the same build, could not confine itself, or could not write.
/// A component that cannot be compiled is an answer, not an error.
pub fn compile_worker(words: &[String]) -> Result<()> {
    let Some(order) = Order::parse(words) else {
        return Err(Error::Host(
            "this command is for tenon itself: it compiles what it reads from standard input"
                .to_owned(),
        ));
    };
    confine(&order).map_err(|e| Error::Host(format!("cannot confine the compiler: {e}")))?;
    let wasm = read(&order).map_err(|e| Error::Host(format!("cannot read the component: {e}")))?;
    let (kind, answer) = answer(&order, &wasm)?;
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(&[kind])
        .and_then(|()| stdout.write_all(&answer))
        .and_then(|()| stdout.flush())
        .map_err(|e| Error::Host(format!("cannot write the machine code: {e}")))
}

/// Gives up what compiling does not need, for good: a process may lower its limits and not raise them.
fn confine(order: &Order) -> rustix::io::Result<()> {
    forsake_the_system();
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nproc, 0)?;
    // The pipes are open already; nothing can be opened besides.
    lower(Resource::Nofile, 0)?;
    lower(Resource::As, order.memory_bytes)?;
    lower(Resource::Cpu, order.cpu_seconds)
}

fn lower(resource: Resource, to: u64) -> rustix::io::Result<()> {
    let hard = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    // At the soft limit of RLIMIT_CPU comes SIGXCPU, which says what happened; at the hard one SIGKILL.
    let spare = u64::from(resource == Resource::Cpu);
    let limit = Rlimit {
        current: Some(to.min(hard)),
        maximum: Some(to.saturating_add(spare).min(hard)),
    };
    setrlimit(resource, limit)
}

/// The second wall, for what the resource limits leave open: removing and renaming files, running programs, signals to
/// other processes. A kernel without it is no reason not to compile.
#[cfg(target_os = "linux")]
fn forsake_the_system() {
    use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};

    // A worker whose host is gone has nobody to answer to.
    let orphaned = rustix::process::Signal::KILL;
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(orphaned)) {
        say(&format!("the worker may outlive its host: {e}"));
    }
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self());
    match restricted {
        Ok(status) if status.ruleset == RulesetStatus::FullyEnforced => {}
        Ok(status) => say(&format!("landlock is {:?}", status.ruleset)),
        Err(e) => say(&format!("landlock is not used: {e}")),
    }
}

/// Elsewhere the resource limits are the only wall.
#[cfg(not(target_os = "linux"))]
fn forsake_the_system() {
    say("landlock is not used: this is not linux");
}

/// Tells the host, which writes it to its log.
fn say(text: &str) {
    // Nobody to tell: no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn read(order: &Order) -> std::io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(order.module_bytes).read_to_end(&mut wasm)?;
    Ok(wasm)
}

/// An engine that compiles like the host's with this meter.
fn engine(meter: Meter) -> Result<Engine> {
    let mut config = engine_config(meter);
    // Neither changes the code. Threads would each reserve address space and hide from the CPU limit's signal; this
    // engine makes no instances and must not reserve memory for them.
    config.parallel_compilation(false);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|e| Error::Host(format!("cannot start the compiler: {e:#}")))
}

fn answer(order: &Order, wasm: &[u8]) -> Result<(u8, Vec<u8>)> {
    let mut engines = [Meter::Time, Meter::Fuel].into_iter().map(engine);
    let matches = |engine: &Result<Engine>| {
        engine
            .as_ref()
            .is_ok_and(|engine| compatibility(engine) == order.compatibility)
    };
    let Some(engine) = engines.find(matches) else {
        return Err(Error::Host(
            "the compiler's process is of another build than its host; restart the host".to_owned(),
        ));
    };
    let engine = engine?;
    match engine.precompile_component(wasm) {
        Ok(code) => Ok((COMPILED, code)),
        Err(e) => match e.downcast_ref::<OutOfMemory>() {
            // In the words of an allocation that aborts, so that both end in the same error.
            Some(e) => Err(Error::Host(format!(
                "memory allocation of {} bytes failed",
                e.requested_allocation_size()
            ))),
            None => Ok((REFUSED, format!("{e:#}").into_bytes())),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_survives_the_command_line() {
        let limits = CompileLimits {
            cpu_time: Duration::from_millis(2_001),
            ..CompileLimits::default()
        };
        let order = Order::new(&limits, "abc".to_owned());
        assert_eq!(order.cpu_seconds, 3, "a part of a second counts as one");
        assert_eq!(Order::parse(&order.words()), Some(order));
        assert_eq!(Order::parse(&["1".to_owned()]), None);
    }

    #[test]
    fn without_an_order_nothing_is_read_or_given_up() {
        let error = compile_worker(&["many".to_owned()]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("this command is for tenon itself")
        );
    }
}
