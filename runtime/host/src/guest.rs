//! One running instance: its store, what it is charged, what it said, and how it is called.
//!
//! ```text
//! Guest ── Store<State> ── limiter ── Budget (the run's memory pool)
//!              │                └─ Limits
//!              ├─ epoch: every 10 ms yield to other tasks, after `call_time` trap
//!              └─ host imports: log, run-started, run-seed, panicked, http (`http.rs`)
//! ```
//!
//! A guest that trapped, ran out of a limit or was cancelled in the middle of a call is finished:
//! later calls are refused, its memory goes back to the budget when it is dropped.

use std::sync::Arc;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{AsContextMut, Engine, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::bindings::tenon::plugin::host::{Host as HostImports, Level};
use crate::bindings::tenon::plugin::types::Error as GuestError;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::http::{Http, MAX_REQUESTS};
use crate::limits::Limits;
use crate::plugin::MAX_INSTANCES;

/// What the guests of a run are told about it: equal for all of them, so that a run can be repeated and nobody has
/// a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run {
    /// When it started, in milliseconds since 1970-01-01 00:00 UTC.
    pub started_millis: u64,
    /// A seed for random numbers.
    pub seed: u64,
}

/// What a store carries for its guest.
pub(crate) struct State {
    run: Run,
    http: Option<Arc<dyn Http>>,
    /// Requests over HTTP of the call in hand.
    requests: u32,
    limits: Limits,
    budget: Arc<dyn Budget>,
    /// Bytes taken from the budget.
    charged: usize,
    /// High-water mark of linear memory.
    memory: usize,
    table_elements: usize,
    /// The limit that refused the guest something; explains the trap that usually follows.
    refused: Option<Error>,
    /// Ticks that the call in hand may still use.
    ticks_left: u64,
    /// Fuel that all calls used so far.
    fuel: u64,
    panic: Option<String>,
    log: Log,
}

impl State {
    fn new(run: Run, http: Option<Arc<dyn Http>>, limits: Limits, budget: Arc<dyn Budget>) -> Self {
        let log = Log::new(limits.log_bytes);
        Self {
            run,
            http,
            requests: 0,
            limits,
            budget,
            charged: 0,
            memory: 0,
            table_elements: 0,
            refused: None,
            ticks_left: 0,
            fuel: 0,
            panic: None,
            log,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who sends requests over HTTP, if anybody.
    pub(crate) fn http(&self) -> Option<Arc<dyn Http>> {
        self.http.clone()
    }

    /// # Errors
    /// There were too many in this call.
    pub(crate) fn count_request(&mut self) -> wasmtime::Result<()> {
        self.requests += 1;
        if self.requests <= MAX_REQUESTS {
            return Ok(());
        }
        self.refuse(
            "http_requests",
            format!("{MAX_REQUESTS} in one call"),
            "one more".to_owned(),
        );
        Err(wasmtime::Error::msg("too many requests"))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.budget.shrink(self.charged);
    }
}

/// Lines that a guest logged, up to a number of bytes.
#[derive(Debug, Default)]
struct Log {
    lines: Vec<LogLine>,
    bytes_left: usize,
    dropped: u64,
}

/// One line of a guest's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The text, with control characters escaped.
    pub message: String,
}

impl Log {
    fn new(bytes: usize) -> Self {
        Self {
            lines: Vec::new(),
            bytes_left: bytes,
            dropped: 0,
        }
    }

    fn push(&mut self, level: &'static str, message: &str) {
        // A line costs at least its bookkeeping, so that empty lines cannot be had for free.
        let cost = |text: &str| text.len() + 16;
        if cost(message) > self.bytes_left {
            self.dropped += 1;
            return;
        }
        let message = escape(message);
        if cost(&message) > self.bytes_left {
            self.dropped += 1;
            return;
        }
        self.bytes_left -= cost(&message);
        self.lines.push(LogLine { level, message });
    }

    fn take(&mut self) -> Vec<LogLine> {
        let mut lines = std::mem::take(&mut self.lines);
        if self.dropped > 0 {
            let message = format!("{} lines dropped: the log is full", self.dropped);
            lines.push(LogLine {
                level: "warn",
                message,
            });
            self.dropped = 0;
        }
        lines
    }
}

/// Makes control characters visible, so that a guest cannot forge lines or drive a terminal.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let (escaped, plain) = if c.is_control() {
                (Some(c.escape_default()), None)
            } else {
                (None, Some(c))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Escapes a text of the guest's and cuts it to `bytes`, on a character boundary: an escaped character is up to ten
/// times as long as it was.
pub(crate) fn clip(text: &str, bytes: usize) -> String {
    let mut kept = escape(&text[..text.floor_char_boundary(bytes)]);
    if text.len() <= bytes && kept.len() <= bytes {
        return kept;
    }
    kept.truncate(kept.floor_char_boundary(bytes));
    format!("{kept}… ({} bytes in all)", text.len())
}

impl HostImports for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.log.push(level, &message);
        Ok(())
    }

    fn run_started(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.started_millis)
    }

    fn run_seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.seed)
    }

    fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        self.panic = Some(clip(&message, self.limits.message_bytes));
        Ok(())
    }
}

impl crate::bindings::tenon::plugin::types::Host for State {}

impl wasmtime::ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.memory_bytes {
            self.refuse(
                "memory_bytes",
                format!("{} bytes", self.limits.memory_bytes),
                format!("{desired} bytes"),
            );
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        if let Err(why) = self.budget.grow(more) {
            self.refuse("memory of the run", why, format!("{more} more bytes"));
            return Ok(false);
        }
        self.charged += more;
        self.memory = self.memory.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let sum = self.table_elements.saturating_add(more);
        if sum > self.limits.table_elements {
            self.refuse(
                "table_elements",
                self.limits.table_elements.to_string(),
                sum.to_string(),
            );
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        64
    }
}

impl State {
    fn refuse(&mut self, limit: &'static str, allowed: String, asked: String) {
        self.refused = Some(Error::Limit {
            limit,
            allowed,
            asked,
        });
    }
}

/// A live instance of a component.
pub(crate) struct Guest {
    store: Store<State>,
    instance: Instance,
    finished: bool,
}

impl Guest {
    /// Instantiates. The start function and initialisers run under the same limits as a call.
    pub(crate) async fn start(
        pre: &InstancePre<State>,
        run: Run,
        http: Option<Arc<dyn Http>>,
        limits: &Limits,
        budget: Arc<dyn Budget>,
    ) -> Result<Self> {
        let state = State::new(run, http, limits.clone(), budget);
        let mut store = new_store(pre.engine(), state)?;
        begin_call(&mut store);
        let started = pre.instantiate_async(&mut store).await;
        end_call(&mut store);
        match started {
            Ok(instance) => Ok(Self {
                store,
                instance,
                finished: false,
            }),
            Err(e) => Err(explain(store.data_mut(), &e)),
        }
    }

    pub(crate) fn instance(&self) -> &Instance {
        &self.instance
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.store.data().limits
    }

    /// The store, for looking up exports.
    pub(crate) fn context(&mut self) -> StoreContextMut<'_, State> {
        self.store.as_context_mut()
    }

    /// High-water mark of linear memory, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory
    }

    /// Fuel that all calls used so far; 0 where time is the meter.
    pub(crate) fn fuel(&self) -> u64 {
        self.store.data().fuel
    }

    /// Log lines since the last time.
    pub(crate) fn take_log(&mut self) -> Vec<LogLine> {
        self.store.data_mut().log.take()
    }

    /// Makes one call. `call` gets the store and awaits one generated binding.
    ///
    /// Not cancel-safe on purpose: when the future is dropped half-way, the guest is finished.
    pub(crate) async fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        if self.finished {
            return Err(Error::Cancelled);
        }
        begin_call(&mut self.store);
        self.finished = true;
        let answer = call(&mut self.store).await;
        end_call(&mut self.store);
        match answer {
            Ok(value) => {
                self.finished = false;
                Ok(value)
            }
            Err(e) => Err(explain(self.store.data_mut(), &e)),
        }
    }
}

/// Most calls in a row that say that there is more and bring no row.
pub(crate) const MAX_IDLE_STEPS: u32 = 1_000_000;

/// Counts the calls in a row that promised more and brought no row: each of them is short, so that no other limit would
/// end them.
#[derive(Debug, Default)]
pub(crate) struct Idle(u32);

impl Idle {
    /// A call brought `rows` rows and said whether there is more.
    ///
    /// # Errors
    /// [`Error::Limit`] when there were too many without a row.
    pub(crate) fn step(&mut self, rows: usize, more: bool) -> Result<()> {
        if rows > 0 || !more {
            self.0 = 0;
            return Ok(());
        }
        self.0 += 1;
        if self.0 <= MAX_IDLE_STEPS {
            return Ok(());
        }
        Err(Error::Limit {
            limit: "steps_without_rows",
            allowed: format!("{MAX_IDLE_STEPS} calls in a row"),
            asked: "one more".to_owned(),
        })
    }
}

fn new_store(engine: &Engine, state: State) -> Result<Store<State>> {
    let output_bytes = state.limits.output_bytes;
    let mut store = Store::try_new(engine, state)
        .map_err(|e| Error::Host(format!("no room for an instance: {e}")))?;
    store.limiter(|state| state);
    store.set_hostcall_fuel(output_bytes);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.ticks_left = state.ticks_left.saturating_sub(1);
        if state.ticks_left > 0 {
            return Ok(UpdateDeadline::Yield(1));
        }
        let allowed = format!("{:?}", state.limits.call_time);
        state.refuse("call_time", allowed, "more".to_owned());
        Ok(UpdateDeadline::Interrupt)
    });
    Ok(store)
}

fn begin_call(store: &mut Store<State>) {
    let state = store.data_mut();
    // One tick more than asked: the first one may come at once.
    state.ticks_left = state.limits.call_ticks() + 1;
    state.refused = None;
    state.requests = 0;
    state.panic = None;
    let fuel = state.limits.call_fuel;
    // An error says that this engine does not count fuel.
    let _ = store.set_fuel(fuel);
}

fn end_call(store: &mut Store<State>) {
    if let Ok(left) = store.get_fuel() {
        let state = store.data_mut();
        state.fuel += state.limits.call_fuel.saturating_sub(left);
    }
}

/// Turns wasmtime's error into ours: the limit that was refused, the panic's own words, or the trap.
fn explain(state: &mut State, error: &wasmtime::Error) -> Error {
    if let Some(panic) = state.panic.take().filter(|_| state.refused.is_none()) {
        return Error::Trap(format!("panic: {panic}"));
    }
    if let Some(limit) = state.refused.take() {
        return limit;
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Error::Limit {
            limit: "instances",
            allowed: format!("{MAX_INSTANCES} in this process"),
            asked: "one more".to_owned(),
        };
    }
    if let Some(Trap::OutOfFuel) = error.downcast_ref::<Trap>() {
        return Error::Limit {
            limit: "call_fuel",
            allowed: format!("{} units in one call", state.limits.call_fuel),
            asked: "more".to_owned(),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Error::Trap(trap.to_string());
    }
    let text = format!("{error:#}");
    if text.contains("fuel allocated for hostcalls") {
        let allowed = format!("{} bytes in one call", state.limits.output_bytes);
        return Error::Limit {
            limit: "output_bytes",
            allowed,
            asked: "more".to_owned(),
        };
    }
    Error::Trap(clip(&text, state.limits.message_bytes))
}

/// Converts the contract's error, cutting the guest's texts to their limits.
pub(crate) fn guest_error(error: GuestError, limits: &Limits) -> Error {
    let clip = |text: String| clip(&text, limits.message_bytes);
    match error {
        GuestError::User(e) => Error::User {
            code: self::clip(&e.code, 64),
            message: clip(e.message),
            row: e.row,
        },
        GuestError::Config(text) => Error::Config(clip(text)),
        GuestError::Unsupported(text) => Error::Unsupported(clip(text)),
        GuestError::Internal(text) => Error::Trap(clip(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_cannot_forge_lines_or_grow() {
        let mut log = Log::new(72);
        log.push("info", "one\nERROR two\u{1b}[31m");
        (0..10).for_each(|_| log.push("info", "a line that does not fit any more"));
        let lines = log.take();
        assert_eq!(lines[0].message, r"one\nERROR two\u{1b}[31m");
        assert_eq!(
            lines.last().unwrap().message,
            "10 lines dropped: the log is full"
        );
    }

    #[test]
    fn steps_without_rows_come_to_an_end() {
        let mut idle = Idle::default();
        for _ in 0..3 {
            (0..MAX_IDLE_STEPS).for_each(|_| idle.step(0, true).unwrap());
            idle.step(1, true).unwrap();
        }
        (0..MAX_IDLE_STEPS).for_each(|_| idle.step(0, true).unwrap());
        assert_eq!(
            idle.step(0, true).unwrap_err().to_string(),
            "limit steps_without_rows reached: allowed 1000000 calls in a row, asked for one more"
        );
    }

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clip("äöü", 3), "ä… (6 bytes in all)");
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("\0\0", 7), r"\u{0}\u… (2 bytes in all)");
    }
}
