//! Batches and bindings that are wrong in one place each, and what else can be done in a call: `map` functions by the
//! name `lies`, told apart by their configuration.

use tenon_sdk::bindings::base::tenon::plugin::host::{Level, log, panicked, run_seed, run_started};
use tenon_sdk::bindings::base::tenon::plugin::types::{Batch, Encoding, Field, Node};
use tenon_sdk::bindings::map::exports::tenon::plugin::map::{Binding, Keep, Mapped, Selection};

use crate::evil::{honest, opens};
use crate::{Evil, binding, field};

/// A binding and an answer to each batch, which has 100 rows.
macro_rules! lies {
    ($($name:literal: $fields:expr, $apply:expr;)*) => {
        /// Every one.
        pub(crate) const ALL: &[Evil] = &[$(Evil {
            name: $name,
            bind: || binds($fields),
            open: opens,
            apply: $apply,
        }),*];
    };
}

lies! {
    // An honest neighbour.
    "honest": text(), |batch| honest(&batch);

    // Forms of columns.
    "constant-from-a-guest": numbers(),
        |_| batch(vec![encoded(ROWS, Encoding::Constant)], vec![vec![], vec![0; 8]]);
    "defines-what-is-no-dictionary": numbers(),
        |_| batch(vec![encoded(ROWS, Encoding::Define(1))], vec![vec![], vec![0; 800]]);
    "reuses-what-was-never-defined": dictionary("C", "u"),
        |_| batch(vec![node(ROWS), encoded(1, Encoding::Reuse(7))], vec![vec![], vec![0; 100]]);
    "reuses-another-column-s-dictionary": [dictionary("C", "u"), renamed(dictionary("C", "u"), "two")].concat(), |_| {
        let defined = [node(ROWS), encoded(1, Encoding::Define(1))];
        let reused = [node(ROWS), encoded(1, Encoding::Reuse(1))];
        let first = [vec![], vec![0; 100], vec![], offsets(&[0, 1]), b"x".to_vec()];
        batch([defined, reused].concat(), [first.to_vec(), vec![vec![], vec![0; 100]]].concat())
    };
    "keys-beyond-the-dictionary": dictionary("C", "u"),
        |_| batch(vec![node(ROWS), node(1)], vec![vec![], vec![1; 100], vec![], offsets(&[0, 1]), b"x".to_vec()]);
    "negative-keys": dictionary("c", "u"),
        |_| batch(vec![node(ROWS), node(1)], vec![vec![], vec![0xff; 100], vec![], offsets(&[0, 1]), b"x".to_vec()]);
    "keys-into-an-empty-dictionary": dictionary("l", "u"),
        |_| batch(vec![node(ROWS), node(0)], vec![vec![], vec![0; 800], vec![], offsets(&[0]), vec![]]);
    "runs-that-decrease": runs(), |_| of_runs(&[50, 40, 100]);
    "runs-of-no-rows": runs(), |_| of_runs(&[0, 100]);
    "runs-that-end-too-early": runs(), |_| of_runs(&[50, 99]);
    "negative-runs": runs(), |_| of_runs(&[-1, 100]);
    "no-runs-at-all": runs(), |_| of_runs(&[]);
    "runs-that-are-missing": runs(), |_| {
        let mut lie = of_runs(&[50, 100]);
        lie.columns.nodes[1].nulls = 1;
        lie.columns.buffers[0] = vec![1];
        lie
    };
    "unknown-type-ids": union("+ud:1,5"), |_| of_union(vec![3; 100], vec![0; 400]);
    "negative-type-ids": union("+ud:1,5"), |_| of_union(vec![0xff; 100], vec![0; 400]);
    "dense-offsets-out-of-range": union("+ud:1,5"), |_| of_union(vec![5; 100], [1, 0, 0, 0].repeat(100));
    "negative-dense-offsets": union("+ud:1,5"), |_| of_union(vec![5; 100], vec![0xff; 400]);
    "sparse-union-of-short-children": union("+us:1,5"),
        |_| batch(vec![node(ROWS), node(1), node(1)], vec![vec![1; 100], vec![], vec![0; 8], vec![], vec![0; 8]]);
    "list-views-out-of-range": list("+vl", "l"),
        |_| batch(vec![node(ROWS), node(1)], vec![vec![], vec![0; 400], [2, 0, 0, 0].repeat(100), vec![], vec![0; 8]]);
    "negative-list-views": list("+vl", "l"),
        |_| batch(vec![node(ROWS), node(1)], vec![vec![], vec![0xff; 400], vec![0; 400], vec![], vec![0; 8]]);
    "views-of-another-buffer": views(), |_| of_views(view(20, 7, 0), vec![b'x'; 100]);
    "views-beyond-the-bytes": views(), |_| of_views(view(20, 0, 90), vec![b'x'; 100]);
    "views-of-four-billion-bytes": views(), |_| of_views(view(u32::MAX, 0, 0), vec![b'x'; 100]);
    "views-with-another-prefix": views(), |_| of_views(view(20, 0, 0), vec![b'y'; 100]);
    "views-of-no-text": views(), |_| of_views(view(20, 0, 0), [b"xxxx".as_slice(), &[0xff; 96]].concat());
    "lists-that-decrease": list("+l", "l"), |_| {
        let ends = [vec![0, 2, 1], vec![1; 98]].concat();
        batch(vec![node(ROWS), node(2)], vec![vec![], offsets(&ends), vec![], vec![0; 16]])
    };
    "lists-beyond-their-values": list("+l", "l"), |_| {
        let ends: Vec<i32> = (0..=100).collect();
        batch(vec![node(ROWS), node(1)], vec![vec![], offsets(&ends), vec![], vec![0; 8]])
    };
    "a-child-claims-nulls": list("+l", "l"), |_| {
        let mut lie = batch(vec![node(ROWS), node(0)], vec![vec![], vec![0; 404], vec![], vec![]]);
        lie.columns.nodes[1].nulls = 1;
        lie
    };
    "a-child-hides-nulls": list("+l", "l"), |_| {
        let ends = [vec![0], vec![8; 100]].concat();
        batch(vec![node(ROWS), node(8)], vec![vec![], offsets(&ends), vec![0], vec![0; 64]])
    };
    "missing-values-in-a-struct": structure(), |_| {
        let mut lie = batch(vec![node(ROWS), node(ROWS)], vec![vec![], vec![0; 13], vec![0; 800]]);
        lie.columns.nodes[1].nulls = ROWS;
        lie
    };
    "four-billion-nothings-in-a-list": list("+l", "n"), |_| {
        let mut lie = batch(vec![node(ROWS), node(u32::MAX)], vec![vec![], vec![0; 404]]);
        lie.columns.nodes[1].nulls = u32::MAX;
        lie
    };
    "four-billion-values-without-width": list("+l", "w:0"),
        |_| batch(vec![node(ROWS), node(u32::MAX)], vec![vec![], vec![0; 404], vec![], vec![]]);
    "four-billion-rows": nothing(), |_| {
        let mut lie = batch(vec![node(u32::MAX)], vec![]);
        lie.columns.nodes[0].nulls = u32::MAX;
        lie.columns.rows = u32::MAX;
        lie.selection = Some(Selection::Indices(vec![0; 400]));
        lie
    };
    "unaligned-decimals": vec![field("out", "d:38,10")], |_| batch(vec![node(ROWS)], vec![vec![], vec![0; 1_600]]);

    // Much out of little.
    "a-dictionary-of-one-long-value": dictionary("C", "U"), |_| {
        let ends = [0_i64, LONG as i64].into_iter().flat_map(i64::to_le_bytes).collect();
        batch(vec![node(ROWS), node(1)], vec![vec![], vec![0; 100], vec![], ends, vec![b'x'; LONG]])
    };
    "a-run-of-one-long-value": long_runs(), |_| {
        let nodes = vec![node(ROWS), node(1), node(1)];
        let ends = ROWS.to_le_bytes().to_vec();
        batch(nodes, vec![vec![], ends, vec![], offsets(&[0, LONG as i32]), vec![b'x'; LONG]])
    };
    "views-of-one-long-value": views(), |_| of_views(view(LONG as u32, 0, 0), vec![b'x'; LONG]);
    "list-views-of-one-long-list": list("+vl", "c"), |_| {
        let sizes = (LONG as i32).to_le_bytes().repeat(100);
        batch(vec![node(ROWS), node(LONG as u32)], vec![vec![], vec![0; 400], sizes, vec![], vec![0; LONG]])
    };
    "a-union-of-one-long-value": long_union(), |_| {
        let values = [vec![], offsets(&[0, LONG as i32]), vec![b'x'; LONG]];
        batch(vec![node(ROWS), node(1)], [vec![vec![0; 100], vec![0; 400]], values.to_vec()].concat())
    };

    // Schemas.
    "too-many-columns": (0..4_097).map(|n| field(&n.to_string(), "l")).collect(), unreached;
    "a-name-of-a-megabyte": vec![field(&"x".repeat(1 << 20), "l")], unreached;
    "a-format-of-a-megabyte": vec![field("out", &"x".repeat(1 << 20))], unreached;
    "a-time-zone-of-a-megabyte": vec![field("out", &format!("tss:{}", "x".repeat(1 << 20)))], unreached;
    "a-hundred-thousand-notes": vec![Field {
        metadata: vec![("k".to_owned(), "v".to_owned()); 100_000],
        ..field("out", "l")
    }], unreached;
    "a-note-of-a-megabyte": vec![Field {
        metadata: vec![("k".to_owned(), "v".repeat(1 << 20))],
        ..field("out", "l")
    }], unreached;
    "two-columns-of-one-name": [numbers(), numbers()].concat(), unreached;
    "a-column-of-two-hundred-thousand-fields": {
        let mut wide = vec![parent("out", "+s", 200_000)];
        wide.extend(vec![field("x", "c"); 200_000]);
        wide
    }, unreached;
    "announces-four-billion-children": vec![parent("out", "+s", u32::MAX)], unreached;
    "a-list-of-two-children": [vec![parent("out", "+l", 2)], numbers(), numbers()].concat(), unreached;
    "a-dictionary-of-dictionaries": [vec![parent("out", "c", 1), parent("x", "c", 1)], text()].concat(), unreached;
    "a-union-of-one-id-twice": [vec![parent("out", "+us:1,1", 2)], numbers(), numbers()].concat(), unreached;
    "a-union-of-negative-ids": [vec![parent("out", "+us:-1", 1)], numbers()].concat(), unreached;
    "a-decimal-of-no-digits": vec![field("out", "d:0,0")], unreached;
    "a-fixed-size-of-two-billion": vec![field("out", "w:2147483647")], unreached;
    "a-negative-fixed-size": vec![field("out", "w:-1")], unreached;
    "no-format-at-all": vec![field("out", "")], unreached;

    // Selections.
    "a-selection-that-is-too-short": text(), |batch| selecting(&batch, Selection::Bitmap(vec![0xff; 12]));
    "a-selection-of-five-bytes": text(), |batch| selecting(&batch, Selection::Indices(vec![0; 5]));

    // Lists and strings.
    "a-list-of-two-gigabytes": text(), |batch| {
        let mut lie = honest(&batch);
        // SAFETY: none; the sandbox is to stop it.
        lie.columns.buffers[2] = unsafe { Vec::from_raw_parts(64 as *mut u8, 0x7fff_ffff, 0x7fff_ffff) };
        lie
    };
    "a-million-empty-buffers": text(), |batch| {
        let mut lie = honest(&batch);
        lie.columns.buffers.extend(vec![Vec::new(); 1_000_000]);
        lie
    };
    "a-million-nodes": text(), |batch| {
        let mut lie = honest(&batch);
        lie.columns.nodes.extend(vec![node(0); 1_000_000]);
        lie
    };

    // Calls of the host, as many as the time allows.
    "ten-million-empty-lines": text(), |batch| flood(&batch, || log(Level::Debug, ""));
    "lines-of-a-megabyte": text(), |batch| {
        let line = "x".repeat(1 << 20);
        flood(&batch, || log(Level::Error, &line))
    };
    "asks-the-time-ten-million-times": text(), |batch| flood(&batch, || _ = std::hint::black_box(run_started()));
    "asks-for-the-seed-ten-million-times": text(), |batch| flood(&batch, || _ = std::hint::black_box(run_seed()));
    "panics-by-mouth-ten-million-times": text(), |batch| flood(&batch, || panicked("not really"));
    "panics-with-ten-megabytes": text(), |_| panic!("{}", "\u{1b}x".repeat(5 << 20));

    // Traps.
    "calls-a-function-of-another-type": text(), |batch| {
        let plus: fn(i64, f64) -> i64 = |a, b| a + b as i64;
        // SAFETY: none; the sandbox is to stop it.
        let wrong: fn() = unsafe { std::mem::transmute(std::hint::black_box(plus)) };
        wrong();
        honest(&batch)
    };
    "calls-a-function-that-is-not-there": text(), |batch| {
        // SAFETY: none; the sandbox is to stop it.
        let wild: fn() = unsafe { std::mem::transmute(std::hint::black_box(0x7fff_ffff_usize)) };
        wild();
        honest(&batch)
    };
    "writes-wild-memory": text(), |batch| {
        let wild = std::hint::black_box(usize::MAX - 64) as *mut u64;
        // SAFETY: none; the sandbox is to stop it.
        unsafe { std::ptr::write_volatile(wild, 7) };
        honest(&batch)
    };
    "exits": text(), |_| std::process::exit(0);
    "aborts": text(), |_| std::process::abort();
    "fills-its-memory-for-ever": text(), |batch| {
        let mut memory = vec![0_u8; 16 << 20];
        let mut value = 0_u8;
        while std::hint::black_box(memory.len()) > 0 {
            value = value.wrapping_add(1);
            memory.fill(value);
        }
        honest(&batch)
    };
}

const ROWS: u32 = 100;

/// A hundred of these are more than one batch may be in full.
const LONG: usize = 6 << 20;

fn unreached(batch: Batch) -> Mapped {
    honest(&batch)
}

fn binds(output: Vec<Field>) -> Binding {
    Binding {
        output,
        keep: Keep::None,
        ..binding()
    }
}

fn text() -> Vec<Field> {
    vec![field("out", "u")]
}

fn numbers() -> Vec<Field> {
    vec![field("out", "l")]
}

fn nothing() -> Vec<Field> {
    vec![Field {
        nullable: true,
        ..field("out", "n")
    }]
}

fn views() -> Vec<Field> {
    vec![field("out", "vu")]
}

fn parent(name: &str, format: &str, children: u32) -> Field {
    Field {
        nullable: true,
        children,
        ..field(name, format)
    }
}

fn list(format: &str, item: &str) -> Vec<Field> {
    let item = Field {
        nullable: true,
        ..field("item", item)
    };
    vec![parent("out", format, 1), item]
}

fn dictionary(keys: &str, values: &str) -> Vec<Field> {
    vec![parent("out", keys, 1), field("values", values)]
}

fn renamed(mut fields: Vec<Field>, name: &str) -> Vec<Field> {
    name.clone_into(&mut fields[0].name);
    fields
}

fn structure() -> Vec<Field> {
    vec![parent("out", "+s", 1), field("inner", "l")]
}

fn runs() -> Vec<Field> {
    let values = Field {
        nullable: true,
        ..field("values", "l")
    };
    vec![parent("out", "+r", 2), field("run_ends", "i"), values]
}

fn long_runs() -> Vec<Field> {
    vec![
        parent("out", "+r", 2),
        field("run_ends", "i"),
        field("values", "u"),
    ]
}

fn union(format: &str) -> Vec<Field> {
    vec![
        parent("out", format, 2),
        field("one", "l"),
        field("five", "l"),
    ]
}

fn long_union() -> Vec<Field> {
    vec![parent("out", "+ud:0", 1), field("text", "u")]
}

fn node(length: u32) -> Node {
    encoded(length, Encoding::Plain)
}

fn encoded(length: u32, encoding: Encoding) -> Node {
    Node {
        length,
        nulls: 0,
        encoding,
    }
}

fn offsets(ends: &[i32]) -> Vec<u8> {
    ends.iter().flat_map(|end| end.to_le_bytes()).collect()
}

fn batch(nodes: Vec<Node>, buffers: Vec<Vec<u8>>) -> Mapped {
    Mapped {
        columns: Batch {
            rows: ROWS,
            nodes,
            buffers,
        },
        selection: None,
    }
}

fn of_runs(ends: &[i32]) -> Mapped {
    let runs = ends.len() as u32;
    let values = vec![0; ends.len() * 8];
    batch(
        vec![node(ROWS), node(runs), node(runs)],
        vec![vec![], offsets(ends), vec![], values],
    )
}

fn of_union(ids: Vec<u8>, at: Vec<u8>) -> Mapped {
    let one = || [vec![], vec![0; 8]];
    let buffers = [[ids, at], one(), one()].concat();
    batch(vec![node(ROWS), node(1), node(1)], buffers)
}

/// A view of a long string that begins with xxxx.
fn view(length: u32, buffer: u32, offset: u32) -> Vec<u8> {
    let prefix = u32::from_le_bytes(*b"xxxx");
    let words = [length, prefix, buffer, offset];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn of_views(view: Vec<u8>, bytes: Vec<u8>) -> Mapped {
    batch(vec![node(ROWS)], vec![vec![], view.repeat(100), bytes])
}

fn selecting(batch: &Batch, selection: Selection) -> Mapped {
    let mut mapped = honest(batch);
    mapped.selection = Some(selection);
    mapped
}

fn flood(batch: &Batch, call: impl Fn()) -> Mapped {
    (0..10_000_000).for_each(|_| call());
    honest(batch)
}
