//! Components that no compiler makes: imports that nobody was granted, and core modules that strike when they are
//! loaded, started or asked what they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenon_host::{FixedBudget, Host, HostConfig, Limits, Plugin};
use tenon_tests::root;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType,
    Module, RefType, StartSection, TableSection, TableType, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::compile::bombs;

/// Every one, where nothing is granted: what it imports is named.
const FORBIDDEN: &[&str] = &[
    "wasi:cli/environment@0.2.0",
    "wasi:cli/exit@0.2.0",
    "wasi:cli/stdout@0.2.0",
    "wasi:clocks/monotonic-clock@0.2.0",
    "wasi:clocks/wall-clock@0.2.0",
    "wasi:filesystem/preopens@0.2.0",
    "wasi:filesystem/types@0.2.0",
    "wasi:http/outgoing-handler@0.2.0",
    "wasi:io/streams@0.2.0",
    "wasi:random/random@0.2.0",
    "wasi:sockets/tcp@0.2.0",
    "wasi:sockets/udp@0.2.0",
    "tenon:plugin/http@0.2.0",
    "tenon:plugin/host@0.1.0",
    "tenon:plugin/host@9.9.9",
    "tenon:plugin/secrets@0.2.0",
    "nobody:knows/this",
];

/// A component that imports an interface with one function and does nothing else.
fn importing(interface: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // One type: an instance that exports `f: func()`.
    let instance = [1, 0x42, 2, 1, 0x40, 0, 1, 0, 4, 0, 1, b'f', 1, 0];
    let mut import = vec![1, 0, interface.len() as u8];
    import.extend(interface.as_bytes());
    import.extend([5, 0]);
    for (id, content) in [(7, instance.as_slice()), (10, &import)] {
        bytes.extend([id, content.len() as u8]);
        bytes.extend(content);
    }
    bytes
}

/// The parts of a core module that a handmade evil changes.
struct Core {
    memories: Vec<MemoryType>,
    table: u64,
    start: fn(&mut InstructionSink<'_>),
    describe: fn(&mut InstructionSink<'_>),
    realloc: fn(&mut InstructionSink<'_>),
    expand: fn(&mut InstructionSink<'_>),
}

impl Default for Core {
    fn default() -> Self {
        Self {
            memories: vec![pages(1)],
            table: 1,
            start: |_| {},
            // An empty list, at an address that is zero all over.
            describe: |code| {
                code.i32_const(64);
            },
            realloc: |code| {
                code.i32_const(1024);
            },
            expand: |code| {
                code.unreachable();
            },
        }
    }
}

fn pages(minimum: u64) -> MemoryType {
    MemoryType {
        minimum,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

const I32: ValType = ValType::I32;

impl Core {
    fn module(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([], [I32]);
        types.ty().function([I32; 4], [I32]);
        types.ty().function([I32; 6], [I32]);
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        let bodies = [self.start, self.describe, self.realloc, self.expand];
        for (kind, body) in bodies.into_iter().enumerate() {
            functions.function(kind as u32);
            let mut function = Function::new([(4, I32)]);
            body(&mut function.instructions());
            function.instructions().end();
            code.function(&function);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: self.table,
            maximum: None,
            shared: false,
        });
        let mut memories = MemorySection::new();
        for memory in &self.memories {
            memories.memory(*memory);
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("tenon:plugin/meta@0.2.0#describe", ExportKind::Func, 1);
        exports.export("cabi_realloc", ExportKind::Func, 2);
        exports.export("tenon:plugin/plan@0.2.0#expand", ExportKind::Func, 3);
        let mut elements = ElementSection::new();
        // The start function, which has another type than whoever calls it may think.
        elements.active(
            None,
            &ConstExpr::i32_const(0),
            Elements::Functions([0].as_slice().into()),
        );
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&tables)
            .section(&memories)
            .section(&exports)
            .section(&StartSection { function_index: 0 })
            .section(&elements)
            .section(&code);
        module.finish()
    }

    /// Whether it keeps to what tools that make components know; the others are refused as they are loaded.
    fn is_valid(&self) -> bool {
        self.memories.len() == 1 && !self.memories[0].memory64
    }

    fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        resolve.push_dir(root().join("wit")).unwrap();
        let world = "package test:handmade; world w { export tenon:plugin/meta@0.2.0; export tenon:plugin/plan@0.2.0; }";
        let package = resolve.push_str("handmade.wit", world).unwrap();
        let world = resolve.select_world(&[package], Some("w")).unwrap();
        let mut module = self.module();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .unwrap();
        let mut encoder = ComponentEncoder::default();
        encoder.validate(false).module(&module).unwrap();
        encoder.encode().unwrap()
    }
}

fn forever(code: &mut InstructionSink<'_>) {
    code.loop_(BlockType::Empty).br(0).end();
}

/// Never returns a number.
fn forever_i32(code: &mut InstructionSink<'_>) {
    forever(code);
    code.unreachable();
}

/// Loops over `work` for ever.
fn again(code: &mut InstructionSink<'_>, work: impl Fn(&mut InstructionSink<'_>)) {
    code.loop_(BlockType::Empty);
    work(code);
    code.br(0).end();
}

const AT: MemArg = MemArg {
    offset: 0xffff_ff00,
    align: 0,
    target: MemArgTarget::Memory(0),
    ordering: None,
};

/// What it is, and the words of the error that ends it, on loading or when it is asked for its functions or a plan.
fn evils() -> Vec<(&'static str, Core, &'static str)> {
    let core = Core::default;
    let start = |start| Core { start, ..core() };
    const TIME: &str = "limit call_time reached: allowed 100ms";
    vec![
        ("honest", core(), "wasm `unreachable` instruction executed"),
        ("a start function that loops", start(forever), TIME),
        (
            "a start function that traps",
            start(|code| {
                code.unreachable();
            }),
            "wasm `unreachable` instruction executed",
        ),
        (
            "a start function that divides by zero",
            start(|code| {
                code.i32_const(1).i32_const(0).i32_div_s().drop();
            }),
            "integer divide by zero",
        ),
        (
            "a start function whose quotient overflows",
            start(|code| {
                code.i32_const(i32::MIN).i32_const(-1).i32_div_s().drop();
            }),
            "integer overflow",
        ),
        (
            "a start function that converts no number",
            start(|code| {
                code.f32_const(f32::NAN.into()).i32_trunc_f32_s().drop();
            }),
            "invalid conversion to integer",
        ),
        (
            "a start function that loads from outside",
            start(|code| {
                code.i32_const(-1).i32_load(AT).drop();
            }),
            "out of bounds memory access",
        ),
        (
            "a start function that calls itself",
            start(|code| {
                code.call(0);
            }),
            "call stack exhausted",
        ),
        (
            "an indirect call of another type",
            start(|code| {
                code.i32_const(0).call_indirect(0, 1).drop();
            }),
            "indirect call type mismatch",
        ),
        (
            "an indirect call of nothing",
            start(|code| {
                code.i32_const(9).call_indirect(0, 1).drop();
            }),
            "undefined element: out of bounds table access",
        ),
        (
            "a table that grows for ever",
            start(|code| {
                again(code, |code| {
                    code.ref_null(wasm_encoder::HeapType::FUNC);
                    code.i32_const(1_000).table_grow(0).i32_const(-1).i32_eq();
                    code.if_(BlockType::Empty).unreachable().end();
                });
            }),
            "limit table_elements reached: allowed 20000",
        ),
        (
            "a memory that grows for ever",
            start(|code| {
                again(code, |code| {
                    code.i32_const(16).memory_grow(0).i32_const(-1).i32_eq();
                    code.if_(BlockType::Empty).unreachable().end();
                });
            }),
            "limit memory_bytes reached: allowed 67108864 bytes",
        ),
        (
            "a memory that is filled for ever",
            start(|code| {
                code.i32_const(1_000).memory_grow(0).drop();
                again(code, |code| {
                    code.i32_const(0)
                        .i32_const(7)
                        .i32_const(60_000_000)
                        .memory_fill(0);
                });
            }),
            TIME,
        ),
        (
            "a memory of 4 GiB",
            Core {
                memories: vec![pages(65_536)],
                ..core()
            },
            "memory",
        ),
        (
            "64 memories",
            Core {
                memories: vec![pages(1); 64],
                ..core()
            },
            "memories",
        ),
        (
            "a memory of 64 bits",
            Core {
                memories: vec![MemoryType {
                    memory64: true,
                    ..pages(1)
                }],
                ..core()
            },
            "not a plugin: ",
        ),
        (
            "a table of four billion",
            Core {
                table: u64::from(u32::MAX),
                ..core()
            },
            "table",
        ),
        (
            "a table of 90 000",
            Core {
                table: 90_000,
                ..core()
            },
            "limit table_elements reached: allowed 20000, asked for 90000",
        ),
        (
            "a description that never comes",
            Core {
                describe: forever_i32,
                ..core()
            },
            TIME,
        ),
        (
            "a description at the end of memory",
            Core {
                describe: |code| {
                    code.i32_const(-8);
                },
                ..core()
            },
            "the plugin crashed: ",
        ),
        (
            "a description of two billion functions",
            Core {
                describe: |code| {
                    let at = MemArg {
                        offset: 0,
                        align: 2,
                        ..AT
                    };
                    code.i32_const(64).i32_const(0).i32_store(at);
                    code.i32_const(68).i32_const(i32::MAX).i32_store(at);
                    code.i32_const(64);
                },
                ..core()
            },
            "the plugin crashed: ",
        ),
        (
            "an allocator that loops",
            Core {
                realloc: forever_i32,
                ..core()
            },
            TIME,
        ),
        (
            "an allocator that points behind the memory",
            Core {
                realloc: |code| {
                    code.i32_const(-1);
                },
                ..core()
            },
            "the plugin crashed: ",
        ),
        (
            "an allocator that does not align",
            Core {
                realloc: |code| {
                    code.i32_const(1025);
                },
                ..core()
            },
            "the plugin crashed: ",
        ),
        (
            "a plan at the end of memory",
            Core {
                expand: |code| {
                    code.i32_const(-4);
                },
                ..core()
            },
            "the plugin crashed: ",
        ),
    ]
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 64 << 20,
        call_time: Duration::from_millis(100),
        ..Limits::default()
    }
}

async fn ask(plugin: &Plugin) -> String {
    let limits = limits();
    if let Err(e) = plugin.functions(&limits).await {
        return e.to_string();
    }
    let budget = Arc::new(FixedBudget::new(1 << 30));
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let inputs = [("input0".to_owned(), schema)];
    let plan = plugin.expand("f", "{}", &inputs, &limits, Arc::clone(&budget) as _);
    let said = plan.await.map_or_else(|e| e.to_string(), |_| String::new());
    assert_eq!(budget.used(), 0, "{said}");
    said
}

fn said_of(host: &Host, wasm: &[u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    match host.load(wasm) {
        Err(e) => e.to_string(),
        Ok(plugin) => runtime.block_on(ask(&plugin)),
    }
}

/// Tries every one on a host.
pub(super) fn refuse_all(host: &Host) {
    let mut wrong = Vec::new();
    for interface in FORBIDDEN {
        let said = said_of(host, &importing(interface));
        let granted_nothing =
            said.starts_with("not a plugin: it imports what this host does not grant");
        if !granted_nothing || !said.contains(interface) {
            wrong.push(format!("{interface}: {said}"));
        }
    }
    for (name, core, words) in evils() {
        let started = Instant::now();
        let wasm = match core.is_valid() {
            true => core.component(),
            false => bombs::component(&core.module()),
        };
        let said = said_of(host, &wasm);
        if !said.contains(words) {
            wrong.push(format!("{name}: {said:.300}"));
        }
        if started.elapsed() > Duration::from_secs(5) {
            wrong.push(format!("{name} took {:?}", started.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn handmade_components_are_refused_or_contained() {
    refuse_all(&Host::new(&HostConfig::default()).unwrap());
}

#[tokio::test]
async fn a_function_of_another_world_is_not_called() {
    let host = Host::new(&HostConfig::default()).unwrap();
    let plugin = host.load(&Core::default().component()).unwrap();
    let budget = Arc::new(FixedBudget::new(64 << 20));
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let (inputs, limits) = ([schema], limits());
    let wrong = plugin.bind_stream("f", "{}", &inputs, &limits, budget);
    assert_eq!(
        wrong.await.unwrap_err().to_string(),
        "the plugin is of the wrong world: stream is wanted and it has only plan"
    );
}
