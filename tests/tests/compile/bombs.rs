//! Components that are valid, often small, and expensive to compile; and an honest one.
//!
//! Each takes its size, so that a test can show that the same idea in small is compiled: then it is the cost that
//! stops the large one.

use std::ops::Range;

use wasm_encoder::{
    BlockType, CodeSection, DataSection, ExportKind, ExportSection, Function, FunctionSection,
    InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// A component with one core module and one instance of it.
pub(super) fn component(module: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    section(&mut bytes, 1, module);
    // One core instance: module 0 without arguments.
    section(&mut bytes, 2, &[1, 0, 0, 0]);
    bytes
}

fn section(bytes: &mut Vec<u8>, id: u8, content: &[u8]) {
    bytes.push(id);
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
}

/// A component whose one function has `locals` of type i32 and this body.
fn function(locals: u32, body: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    let mut function = Function::new([(locals, ValType::I32)]);
    body(&mut function.instructions());
    function.instructions().end();
    let mut code = CodeSection::new();
    code.function(&function);
    module_of(1, &code)
}

fn module_of(functions: u32, code: &CodeSection) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut declared = FunctionSection::new();
    (0..functions).for_each(|_| {
        declared.function(0);
    });
    let mut module = Module::new();
    module.section(&types).section(&declared).section(code);
    component(&module.finish())
}

fn add_one(code: &mut InstructionSink<'_>, local: u32) {
    code.local_get(local)
        .i32_const(1)
        .i32_add()
        .local_set(local);
}

/// The innermost loop changes `count` locals, so the head of each of `count` loops merges them all.
pub(super) fn nested_loops(count: u32) -> Vec<u8> {
    function(count, |code| {
        (0..count).for_each(|_| {
            code.loop_(BlockType::Empty);
        });
        (0..count).for_each(|local| add_one(code, local));
        (0..count).for_each(|_| {
            code.local_get(0).br_if(0).end();
        });
    })
}

/// All branches meet at one place, where all locals are used: locals × branches values meet there.
pub(super) fn locals_and_branches(locals: u32, branches: u32) -> Vec<u8> {
    function(locals, |code| {
        code.block(BlockType::Empty);
        for branch in 0..branches {
            code.local_get(0).br_if(0);
            add_one(code, branch);
        }
        code.end();
        code.i32_const(0);
        for local in 0..locals {
            code.local_get(local).i32_add();
        }
        code.drop();
    })
}

/// One function without a branch.
pub(super) fn straight_line(bytes: u32) -> Vec<u8> {
    function(1, |code| {
        // An addition takes 7 bytes.
        (0..bytes / 7).for_each(|_| add_one(code, 0));
    })
}

/// Function types that all differ.
pub(super) fn types(count: u32) -> Vec<u8> {
    const DIGITS: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    let mut types = TypeSection::new();
    for n in 0..count {
        let parameters = (0..16).map(|digit| DIGITS[(n >> (2 * (digit % 10)) & 3) as usize]);
        types.ty().function(parameters, []);
    }
    component(Module::new().section(&types).as_slice())
}

/// Functions that do nothing.
pub(super) fn tiny_functions(count: u32) -> Vec<u8> {
    let mut code = CodeSection::new();
    let mut function = Function::new([]);
    function.instructions().i32_const(1).drop().end();
    (0..count).for_each(|_| {
        code.function(&function);
    });
    module_of(count, &code)
}

/// Blocks in blocks.
pub(super) fn nested_blocks(depth: u32) -> Vec<u8> {
    function(1, |code| {
        (0..depth).for_each(|_| {
            code.block(BlockType::Empty);
        });
        (0..depth).for_each(|_| {
            code.local_get(0).br_if(0).end();
        });
    })
}

/// A jump table whose targets are `blocks` different places, with a local each.
pub(super) fn jump_table(targets: u32, blocks: u32) -> Vec<u8> {
    function(blocks, |code| {
        (0..blocks).for_each(|_| {
            code.block(BlockType::Empty);
        });
        let labels: Vec<u32> = (0..targets).map(|target| target % blocks).collect();
        code.local_get(0).br_table(labels, 0).end();
        for local in 1..blocks {
            add_one(code, local);
            code.end();
        }
    })
}

/// What a plugin of a few kB has: functions with branches and memory access, exports, data.
pub(super) fn honest() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let (mut declared, mut exports, mut code) = (
        FunctionSection::new(),
        ExportSection::new(),
        CodeSection::new(),
    );
    let functions: Range<u32> = 0..40;
    for n in functions {
        declared.function(0);
        exports.export(&format!("f{n}"), ExportKind::Func, n);
        let mut function = Function::new([(2, ValType::I32)]);
        let mut body = function.instructions();
        body.loop_(BlockType::Empty);
        add_one(&mut body, 1);
        body.local_get(0).i32_load(MemArg {
            offset: u64::from(n),
            align: 2,
            target: MemArgTarget::Memory(0),
            ordering: None,
        });
        body.br_if(0).end().local_get(0).call(n / 2).end();
        code.function(&function);
    }
    let mut memory = MemorySection::new();
    memory.memory(MemoryType {
        minimum: 1,
        maximum: Some(2),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    data.active(0, &wasm_encoder::ConstExpr::i32_const(16), *b"some data");
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&memory);
    module.section(&exports).section(&code).section(&data);
    component(&module.finish())
}
