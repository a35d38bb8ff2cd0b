//! Loading: bytes to a checked, compiled, linked component that says what it offers.

use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::exports::tenon::plugin::{
    aggregate, map, meta, plan, sink, source, stream, table_function,
};
use crate::bindings::tenon::plugin::{host, http};
use crate::budget::{Budget, FixedBudget};
use crate::cache::Cache;
use crate::compile::{Compilations, CompileLimits, Compiler};
use crate::error::{Error, Result};
use crate::guest::{Guest, Run, State, clip};
use crate::http::Http;
use crate::limits::{Limits, TICK};

/// Settings of a [`Host`].
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where compiled components are kept. `None`: nothing is kept, each load compiles.
    pub cache_dir: Option<PathBuf>,
    /// What the folder may hold, in bytes; what was used longest ago makes room. Default 1 GiB, enough for some
    /// hundred plugins. Less costs time: a plugin that was evicted is compiled again.
    pub cache_bytes: u64,
    /// Where components are compiled. Default [`Compiler::InProcess`], for tests and for programs that load
    /// only their own components: whoever loads others' names a [`Compiler::Child`].
    pub compiler: Compiler,
    /// What one compilation may cost.
    pub compile_limits: CompileLimits,
    /// What a call is measured by. Default time.
    pub meter: Meter,
}

/// What a call of a guest is measured, and limited, by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Meter {
    /// Time, by `call_time`: the fastest code.
    #[default]
    Time,
    /// Fuel, by `call_fuel`, with one bit pattern for all NaNs: equal calls give equal bytes and use equal fuel, on every
    /// machine. Up to twice slower. Time stays limited too, for the safety of the host.
    Fuel,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_bytes: 1 << 30,
            compiler: Compiler::InProcess,
            compile_limits: CompileLimits::default(),
            meter: Meter::Time,
        }
    }
}

/// The sandbox: one wasmtime engine, its clock and its cache. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Arc<Linker<State>>,
    cache: Option<Arc<Cache>>,
    compilations: Arc<Compilations>,
    _ticker: Arc<Ticker>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// Makes a host.
    ///
    /// # Errors
    /// The CPU or kernel lacks what wasmtime needs, or the cache folder cannot be used.
    pub fn new(config: &HostConfig) -> Result<Self> {
        let host_error = |e: wasmtime::Error| Error::Host(format!("cannot start wasmtime: {e:#}"));
        let engine = Engine::new(&engine_config(config.meter)).map_err(host_error)?;
        let mut linker = Linker::new(&engine);
        host::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .map_err(host_error)?;
        // Every component may import it; what an instance may reach is asked with each request.
        http::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
            .map_err(host_error)?;
        let cache = match &config.cache_dir {
            Some(dir) => Some(Arc::new(Cache::open(dir, config.cache_bytes).map_err(
                |e| {
                    Error::Host(format!(
                        "cannot use the cache folder {}: {e}",
                        dir.display()
                    ))
                },
            )?)),
            None => None,
        };
        let compilations =
            Compilations::new(config.compiler.clone(), config.compile_limits.clone());
        let ticker = Arc::new(Ticker::start(&engine)?);
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            cache,
            compilations: Arc::new(compilations),
            _ticker: ticker,
        })
    }

    /// Loads a component: from the cache when it was compiled before, else it is compiled now
    /// (about a second per MB, and at most [`CompileLimits::wall_time`]), two at a time in this process.
    /// Blocks; call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::NotAPlugin`] when the bytes are no component of this contract; [`Error::Limit`] when
    /// compiling them costs too much. Both are remembered for an hour.
    pub fn load(&self, wasm: &[u8]) -> Result<Plugin> {
        let digest = hex(&Sha256::digest(wasm));
        let component = self.component(wasm, &digest)?;
        self.link(&component, digest)
    }

    /// The same for a component that this host has compiled before, without its bytes. `digest` is their SHA-256 in
    /// hexadecimal digits. Blocks on reading a file. `None` when it is not in the cache.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn load_compiled(&self, digest: &str) -> Result<Option<Plugin>> {
        let component = self.cached(digest);
        let plugin = component.map(|component| self.link(&component, digest.to_owned()));
        plugin.transpose()
    }

    fn link(&self, component: &Component, digest: String) -> Result<Plugin> {
        let pre = self.linker.instantiate_pre(component).map_err(|e| {
            Error::NotAPlugin(format!(
                "it imports what this host does not grant: {}",
                clip(&format!("{e:#}"), 1_000)
            ))
        })?;
        Plugin::link(pre, digest)
    }

    fn component(&self, wasm: &[u8], digest: &str) -> Result<Component> {
        match self.cached(digest) {
            Some(component) => Ok(component),
            None => self.compile(wasm, digest),
        }
    }

    fn cached(&self, digest: &str) -> Option<Component> {
        let code = self.cache.as_ref()?.get(&self.engine, digest)?;
        code.load(&self.engine).ok()
    }

    fn compile(&self, wasm: &[u8], digest: &str) -> Result<Component> {
        let turn = self.compilations.turn(wasm, digest)?;
        // Whoever had the turn before may have compiled this one.
        if let Some(component) = self.cached(digest) {
            return Ok(component);
        }
        let code = self.compilations.compile(&turn, &self.engine, wasm)?;
        if let Some(cache) = &self.cache
            && let Err(e) = cache.put(&self.engine, digest, &code)
        {
            tracing::warn!("the compiled plugin was not kept: {e}");
        }
        crate::door::Authentic::vouched(code)
            .load(&self.engine)
            .map_err(|e| Error::Host(format!("cannot load what was compiled: {e:#}")))
    }
}

/// Most instances that live at once in a process. Each reserves 4 GiB of address space and takes what it
/// touches.
pub const MAX_INSTANCES: u32 = 1_000;

/// Slots for instances, made once: a new instance takes one that another has left, with its pages mapped.
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // A component is its main module and up to two small ones that wit-component puts around it; guests in other
    // languages are not made of more.
    pool.total_component_instances(MAX_INSTANCES);
    pool.total_core_instances(4 * MAX_INSTANCES);
    pool.total_memories(MAX_INSTANCES);
    pool.total_tables(2 * MAX_INSTANCES);
    pool.total_stacks(MAX_INSTANCES);
    pool.table_elements(100_000);
    pool.max_memories_per_component(1);
    pool.max_tables_per_component(4);
    pool.max_core_instances_per_component(8);
    pool.max_unused_warm_slots(64);
    // Zeroed in place when an instance goes, instead of given back to the kernel and faulted in again.
    pool.linear_memory_keep_resident(256 << 10);
    pool.table_keep_resident(16 << 10);
    pool
}

/// The engine's settings; each departs from wasmtime's default for a reason.
pub(crate) fn engine_config(meter: Meter) -> Config {
    let mut config = Config::new();
    config.consume_fuel(meter == Meter::Fuel);
    config.cranelift_nan_canonicalization(meter == Meter::Fuel);
    // No async component functions: a call costs 145 ns instead of 855 ns.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config.max_wasm_stack(512 << 10);
    config.async_stack_size(2 << 20);
    // Nothing that a guest of this contract needs: less to attack.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_tail_call(false);
    config.relaxed_simd_deterministic(true);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    config.wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable);
    // Backtraces name functions; the offsets within them would be an eighth of every compiled component.
    config.generate_address_map(false);
    // Instances of a run share the pages of the module's initial memory.
    config.memory_init_cow(true);
    config
}

/// A thread that advances the engine's epoch while any host lives.
struct Ticker {
    stop: std::sync::mpsc::Sender<()>,
}

impl Ticker {
    fn start(engine: &Engine) -> Result<Self> {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let engine = engine.weak();
        let tick = move || {
            while let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        };
        let spawned = std::thread::Builder::new()
            .name("tenon-epoch".to_owned())
            .spawn(tick);
        spawned.map_err(|e| Error::Host(format!("cannot start the epoch thread: {e}")))?;
        Ok(Self { stop })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread has ended already when nobody listens.
        let _ = self.stop.send(());
    }
}

/// The world that a function belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Batch to batch, stateless between rows.
    Map,
    /// Stateful, any rows in and out.
    Stream,
    /// Groups of rows to one row each.
    Aggregate,
    /// Arguments to rows.
    TableFunction,
    /// SQL over its inputs and the component's other functions.
    Plan,
    /// Rows from outside.
    Source,
    /// Rows to outside.
    Sink,
}

impl Kind {
    /// All of them, in the order of `wit/`.
    pub const ALL: [Self; 7] = [
        Self::Map,
        Self::Stream,
        Self::Aggregate,
        Self::TableFunction,
        Self::Plan,
        Self::Source,
        Self::Sink,
    ];

    /// The world's name in `wit/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Stream => "stream",
            Self::Aggregate => "aggregate",
            Self::TableFunction => "table-function",
            Self::Plan => "plan",
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl From<meta::Kind> for Kind {
    fn from(kind: meta::Kind) -> Self {
        match kind {
            meta::Kind::Map => Self::Map,
            meta::Kind::Stream => Self::Stream,
            meta::Kind::Aggregate => Self::Aggregate,
            meta::Kind::TableFunction => Self::TableFunction,
            meta::Kind::Plan => Self::Plan,
            meta::Kind::Source => Self::Source,
            meta::Kind::Sink => Self::Sink,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One function that a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `[a-z][a-z0-9-]*`.
    pub name: String,
    /// Its world.
    pub kind: Kind,
    /// For a person.
    pub docs: String,
}

/// A loaded component. Cheap to clone; instances are made from it.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
    run: Run,
    http: Option<Arc<dyn Http>>,
}

struct Inner {
    digest: String,
    pre: InstancePre<State>,
    meta: meta::GuestIndices,
    exports: Exports,
}

/// The interfaces that a component exports.
struct Exports {
    map: Option<map::GuestIndices>,
    stream: Option<stream::GuestIndices>,
    aggregate: Option<aggregate::GuestIndices>,
    table_function: Option<table_function::GuestIndices>,
    plan: Option<plan::GuestIndices>,
    source: Option<source::GuestIndices>,
    sink: Option<sink::GuestIndices>,
}

impl Exports {
    fn of(pre: &InstancePre<State>) -> Self {
        Self {
            map: map::GuestIndices::new(pre).ok(),
            stream: stream::GuestIndices::new(pre).ok(),
            aggregate: aggregate::GuestIndices::new(pre).ok(),
            table_function: table_function::GuestIndices::new(pre).ok(),
            plan: plan::GuestIndices::new(pre).ok(),
            source: source::GuestIndices::new(pre).ok(),
            sink: sink::GuestIndices::new(pre).ok(),
        }
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Map => self.map.is_some(),
            Kind::Stream => self.stream.is_some(),
            Kind::Aggregate => self.aggregate.is_some(),
            Kind::TableFunction => self.table_function.is_some(),
            Kind::Plan => self.plan.is_some(),
            Kind::Source => self.source.is_some(),
            Kind::Sink => self.sink.is_some(),
        }
    }

    fn kinds(&self) -> String {
        let there = Kind::ALL.into_iter().filter(|kind| self.has(*kind));
        there.map(Kind::name).collect::<Vec<_>>().join(", ")
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("digest", &self.inner.digest)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    fn link(pre: InstancePre<State>, digest: String) -> Result<Self> {
        let meta = meta::GuestIndices::new(&pre).map_err(|e| {
            Error::NotAPlugin(format!(
                "it does not export tenon:plugin/meta@0.2.0: {}",
                clip(&format!("{e:#}"), 500)
            ))
        })?;
        let exports = Exports::of(&pre);
        if exports.kinds().is_empty() {
            return Err(Error::NotAPlugin(format!(
                "it exports none of the interfaces {} of tenon:plugin@0.2.0",
                Kind::ALL.map(Kind::name).join(", ")
            )));
        }
        let inner = Inner {
            digest,
            meta,
            exports,
            pre,
        };
        Ok(Self {
            inner: Arc::new(inner),
            run: Run::default(),
            http: None,
        })
    }

    /// The same plugin, whose instances are told this about their run.
    #[must_use]
    pub fn in_run(&self, run: Run) -> Self {
        Self {
            run,
            ..self.clone()
        }
    }

    /// The same plugin, whose instances' requests over HTTP go there. Without it, all are denied.
    #[must_use]
    pub fn with_http(&self, http: Arc<dyn Http>) -> Self {
        Self {
            http: Some(http),
            ..self.clone()
        }
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// What the component offers.
    ///
    /// # Errors
    /// The guest crashed, or described itself wrongly.
    pub async fn functions(&self, limits: &Limits) -> Result<Vec<Function>> {
        let mut guest = self
            .start(limits, Arc::new(FixedBudget::new(limits.memory_bytes)))
            .await?;
        let instance = *guest.instance();
        let meta = self
            .inner
            .meta
            .load(guest.context(), &instance)
            .map_err(link_error)?;
        let functions = guest
            .call(async |store| meta.call_describe(store).await)
            .await?;
        self.checked(functions)
    }

    fn checked(&self, functions: Vec<meta::Function>) -> Result<Vec<Function>> {
        if functions.len() > 64 {
            return Err(Error::contract(format!(
                "it describes {} functions; 64 are allowed",
                functions.len()
            )));
        }
        let mut checked: Vec<Function> = Vec::with_capacity(functions.len());
        for function in functions {
            let function = self.checked_function(function)?;
            if checked.iter().any(|other| other.name == function.name) {
                return Err(Error::contract(format!(
                    "it describes two functions named {:?}",
                    function.name
                )));
            }
            checked.push(function);
        }
        Ok(checked)
    }

    fn checked_function(&self, function: meta::Function) -> Result<Function> {
        if !is_function_name(&function.name) {
            return Err(Error::contract(format!(
                "it names a function {:?}; names are like split-name, at most 64 bytes",
                clip(&function.name, 80)
            )));
        }
        let kind = Kind::from(function.kind);
        if !self.inner.exports.has(kind) {
            return Err(Error::contract(format!(
                "it describes {} as a {kind} function and does not export {kind}",
                function.name
            )));
        }
        Ok(Function {
            name: function.name,
            kind,
            docs: clip(&function.docs, 1_000),
        })
    }

    pub(crate) async fn start(&self, limits: &Limits, budget: Arc<dyn Budget>) -> Result<Guest> {
        Guest::start(&self.inner.pre, self.run, self.http.clone(), limits, budget).await
    }

    pub(crate) fn map_export(&self) -> Result<&map::GuestIndices> {
        self.export(self.inner.exports.map.as_ref(), Kind::Map)
    }

    pub(crate) fn stream_export(&self) -> Result<&stream::GuestIndices> {
        self.export(self.inner.exports.stream.as_ref(), Kind::Stream)
    }

    pub(crate) fn aggregate_export(&self) -> Result<&aggregate::GuestIndices> {
        self.export(self.inner.exports.aggregate.as_ref(), Kind::Aggregate)
    }

    pub(crate) fn table_function_export(&self) -> Result<&table_function::GuestIndices> {
        self.export(
            self.inner.exports.table_function.as_ref(),
            Kind::TableFunction,
        )
    }

    pub(crate) fn source_export(&self) -> Result<&source::GuestIndices> {
        self.export(self.inner.exports.source.as_ref(), Kind::Source)
    }

    pub(crate) fn plan_export(&self) -> Result<&plan::GuestIndices> {
        self.export(self.inner.exports.plan.as_ref(), Kind::Plan)
    }

    fn export<'a, E>(&self, export: Option<&'a E>, wanted: Kind) -> Result<&'a E> {
        export.ok_or_else(|| {
            Error::NoSuchFunction(format!(
                "the plugin is of the wrong world: {wanted} is wanted and it has only {}",
                self.inner.exports.kinds()
            ))
        })
    }
}

pub(crate) fn link_error(e: wasmtime::Error) -> Error {
    Error::Host(format!("cannot look up an export: {e:#}"))
}

fn is_function_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(legal)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
