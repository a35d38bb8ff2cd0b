//! Compilation of hostile components: each bomb ends at a limit that its error names, the process that asked lives,
//! holds no more memory than before and has no child left, and the worker can do nothing but compile.

pub(super) mod bombs;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tenon_host::{CompileLimits, Compiler, Error, Host, HostConfig};
use tenon_tests::{compiler, component, tenon};

/// Enough for an honest plugin, little enough for tests. The wall clock is for a machine that does much else.
fn limits() -> CompileLimits {
    CompileLimits {
        cpu_time: Duration::from_secs(3),
        wall_time: Duration::from_secs(60),
        memory_bytes: 512 << 20,
        ..CompileLimits::default()
    }
}

fn host_with(compiler: Compiler, compile_limits: CompileLimits) -> Host {
    Host::new(&HostConfig {
        compiler,
        compile_limits,
        ..HostConfig::default()
    })
    .unwrap()
}

fn host() -> Host {
    host_with(compiler(), limits())
}

/// What `load` says of a component that is compiled: these here export nothing.
const COMPILED: &str = "not a plugin: it does not export tenon:plugin/meta";
const CPU: &str = "limit compile_cpu_time reached: allowed 3s, asked for more";
const MEMORY: &str = "limit compile_memory_bytes reached: allowed 536870912 bytes, asked for ";
const OUTPUT: &str = "limit compile_output_bytes reached: allowed ";

/// Name, the idea in small, in large, and how the large one may end.
type Bomb = (
    &'static str,
    fn() -> Vec<u8>,
    fn() -> Vec<u8>,
    &'static [&'static str],
);

const BOMBS: [Bomb; 8] = [
    (
        "500 nested loops that change 500 locals, 7 kB",
        || bombs::nested_loops(20),
        || bombs::nested_loops(500),
        // Which comes first depends on the machine.
        &[CPU, MEMORY],
    ),
    (
        "40 000 locals and 20 000 branches, 500 kB that ask for 26 GB",
        || bombs::locals_and_branches(40, 20),
        || bombs::locals_and_branches(40_000, 20_000),
        &[MEMORY],
    ),
    (
        "one straight function of 7 MB",
        || bombs::straight_line(7_000),
        || bombs::straight_line(7_000_000),
        &[CPU, MEMORY],
    ),
    (
        "100 000 types",
        || bombs::types(100),
        || bombs::types(100_000),
        &[CPU, MEMORY, OUTPUT],
    ),
    (
        "200 000 tiny functions",
        || bombs::tiny_functions(200),
        || bombs::tiny_functions(200_000),
        &[CPU, MEMORY, OUTPUT],
    ),
    (
        "100 000 nested blocks",
        || bombs::nested_blocks(100),
        || bombs::nested_blocks(100_000),
        &[COMPILED, CPU, MEMORY],
    ),
    (
        "a jump table of 65 000 targets",
        || bombs::jump_table(1_000, 10),
        || bombs::jump_table(65_000, 1_000),
        &[COMPILED, CPU, MEMORY],
    ),
    (
        "a component that is larger than any may be",
        || bombs::component(b"\0asm\x01\0\0\0"),
        || [bombs::component(b"\0asm\x01\0\0\0"), vec![0; 51 << 20]].concat(),
        &["limit compile_module_bytes reached: allowed 52428800 bytes, asked for "],
    ),
];

#[test]
fn bombs_are_contained() {
    run_alone("compile::bombs_in_a_process_of_their_own");
}

/// A test in a process of its own, where memory and children are those of this test only.
pub(super) fn run_alone(name: &str) {
    let output = alone(name).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(said.contains("1 passed"), "{name} is no test");
}

fn alone(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command
}

#[test]
#[ignore = "started by another test, in a process of its own"]
fn bombs_in_a_process_of_their_own() {
    let plugin = component("tests/hostile");
    let host = host();
    for (name, small, ..) in BOMBS {
        assert_contains(&refused(&host, &small()), &[COMPILED], name);
    }
    let before = peak_memory();
    for (name, _, large, endings) in BOMBS {
        let bomb = large();
        let started = Instant::now();
        let said = refused(&host, &bomb);
        let took = started.elapsed();
        println!("{name} ({} bytes): {took:.1?}: {said}", bomb.len());
        assert_contains(&said, endings, name);
        assert!(children().is_empty(), "{name} left a child");
        let again = Instant::now();
        assert_eq!(refused(&host, &bomb), said);
        // Hashing it is what this takes.
        assert!(
            again.elapsed() < Duration::from_millis(500),
            "{name} was compiled again: {:?}",
            again.elapsed()
        );
    }
    let grown = peak_memory() - before;
    println!("the peak of this process's memory grew by {grown} bytes");
    // The largest of them has 51 MB and is there twice.
    assert!(grown < 160 << 20, "{grown} bytes");
    host.load(&plugin).unwrap();
    assert!(children().is_empty(), "a child is left");
}

fn refused(host: &Host, wasm: &[u8]) -> String {
    host.load(wasm).unwrap_err().to_string()
}

fn assert_contains(said: &str, any: &[&str], name: &str) {
    assert!(
        any.iter().any(|words| said.contains(words)),
        "{name}: {said}"
    );
}

/// Of this process, in bytes.
fn peak_memory() -> u64 {
    let line = proc_line(Path::new("/proc/self"), "status", "VmHWM:").unwrap();
    let kilobytes = line.split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}

fn proc_line(process: &Path, file: &str, start: &str) -> Option<String> {
    let text = std::fs::read_to_string(process.join(file)).ok()?;
    let line = text.lines().find(|line| line.starts_with(start))?;
    Some(line.to_owned())
}

/// Processes that this one started, the dead that nobody reaped among them.
fn children() -> Vec<u32> {
    children_of(std::process::id())
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let status = proc_line(&process(*id), "status", "PPid:");
        status.is_some_and(|line| line == format!("PPid:\t{parent}"))
    })
    .collect()
}

fn process(id: u32) -> std::path::PathBuf {
    Path::new("/proc").join(id.to_string())
}

/// Those children that compile.
fn workers(parent: u32) -> Vec<u32> {
    let mut workers = children_of(parent);
    workers.retain(|id| {
        let words = std::fs::read(process(*id).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("compile-worker")
    });
    workers
}

/// Waits for something that happens within seconds.
fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

const CLOSE_ON_EXEC: u32 = 0o2_000_000;

/// What a process has open, of those files whose flags are wanted.
fn open_files(process: &Path, wanted: impl Fn(u32) -> bool) -> Vec<String> {
    let open = std::fs::read_dir(process.join("fd")).unwrap();
    let wanted = open.filter_map(|entry| {
        let file = entry.ok()?;
        let number = file.file_name().into_string().ok()?;
        let flags = proc_line(process, &format!("fdinfo/{number}"), "flags:")?;
        let flags = u32::from_str_radix(flags.split_whitespace().nth(1)?, 8).ok()?;
        let path = std::fs::read_link(file.path()).ok()?;
        wanted(flags).then(|| path.to_string_lossy().into_owned())
    });
    wanted.collect()
}

#[test]
fn a_worker_can_only_compile() {
    run_alone("compile::a_worker_seen_from_outside");
}

#[test]
#[ignore = "started by another test, in a process of its own"]
fn a_worker_seen_from_outside() {
    // What whoever started this process left open to all that it starts; our own files are not.
    let inherited = open_files(Path::new("/proc/self"), |flags| flags & CLOSE_ON_EXEC == 0);
    // Less than it takes until its memory is used up, on any machine.
    let cpu_time = Duration::from_secs(1);
    let host = host_with(
        compiler(),
        CompileLimits {
            cpu_time,
            ..limits()
        },
    );
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| refused(&host, &bombs::nested_loops(500)));
        let worker = eventually("a worker that confined itself", || {
            let worker = process(*workers(std::process::id()).first()?);
            // The last limit that it takes upon itself.
            let cpu = proc_line(&worker, "limits", "Max cpu time")?;
            (!cpu.contains("unlimited")).then_some(worker)
        });
        let limit = |name: &str| {
            let line = proc_line(&worker, "limits", name).unwrap();
            let values = line[26..].split_whitespace().take(2).map(str::to_owned);
            values.collect::<Vec<_>>()
        };
        assert_eq!(limit("Max open files"), ["0", "0"], "files and sockets");
        assert_eq!(limit("Max file size"), ["0", "0"]);
        assert_eq!(limit("Max core file size"), ["0", "0"]);
        assert_eq!(limit("Max processes"), ["0", "0"]);
        assert_eq!(limit("Max address space"), ["536870912", "536870912"]);
        assert_eq!(limit("Max cpu time"), ["1", "2"]);
        let status = proc_line(&worker, "status", "NoNewPrivs:").unwrap();
        assert_eq!(status, "NoNewPrivs:\t1");
        assert_eq!(std::fs::read(worker.join("environ")).unwrap(), b"");
        assert_eq!(
            std::fs::read_link(worker.join("cwd")).unwrap(),
            Path::new("/")
        );
        let mut open = open_files(&worker, |_| true);
        open.retain(|file| !inherited.contains(file));
        assert_eq!(open.len(), 3, "{open:?}");
        assert!(
            open.iter().all(|file| file.starts_with("pipe:")),
            "{open:?}"
        );
        assert_eq!(
            loading.join().unwrap(),
            "limit compile_cpu_time reached: allowed 1s, asked for more"
        );
    });
}

#[test]
fn a_little_code_that_becomes_much_is_refused() {
    let limits = CompileLimits {
        output_ratio: 10,
        output_floor_bytes: 1_000,
        ..limits()
    };
    // Its functions of 7 bytes become some 200 each.
    let wasm = bombs::tiny_functions(2_000);
    for compiler in [compiler(), Compiler::InProcess] {
        let said = refused(&host_with(compiler, limits.clone()), &wasm);
        assert_contains(&said, &[OUTPUT], "output");
    }
}

#[test]
fn at_most_two_compile_at_once() {
    run_alone("compile::four_bombs_at_once");
}

#[test]
#[ignore = "started by another test, in a process of its own"]
fn four_bombs_at_once() {
    let limits = CompileLimits {
        cpu_time: Duration::from_secs(1),
        ..limits()
    };
    // Two hosts share one machine.
    let hosts = [limits.clone(), limits].map(|limits| host_with(compiler(), limits));
    let (done, mut said) = (AtomicBool::new(false), Vec::new());
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(workers(std::process::id()).len());
                std::thread::sleep(Duration::from_millis(1));
            }
            most
        });
        let loading = (0..4).map(|n| {
            let host = &hosts[n % 2];
            scope.spawn(move || refused(host, &bombs::nested_loops(500 + n as u32)))
        });
        for outcome in loading.collect::<Vec<_>>() {
            said.push(outcome.join().unwrap());
        }
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    // Not before: whoever watches would never be told.
    for said in said {
        assert_contains(
            &said,
            &["compile_cpu_time", "compile_memory_bytes"],
            "a bomb",
        );
    }
    assert_eq!(most, 2);
    assert!(children().is_empty(), "a child is left");
}

#[test]
fn one_component_that_many_want_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let wasm = bombs::tiny_functions(500);
    let counted = folder.path().join("count");
    // Counts its starts, then is the worker.
    let script = format!("echo >> {}; exec \"$@\"", counted.display());
    let Compiler::Child { program, args } = compiler() else {
        panic!("a child");
    };
    let mut words = vec!["-c".into(), script.into(), "sh".into(), program.into()];
    words.extend(args);
    let host = Host::new(&HostConfig {
        cache_dir: Some(folder.path().join("cache")),
        compiler: Compiler::Child {
            program: "/bin/sh".into(),
            args: words,
        },
        compile_limits: limits(),
        ..HostConfig::default()
    })
    .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_contains(&refused(&host, &wasm), &[COMPILED], "honest"));
        }
    });
    assert_eq!(std::fs::read(counted).unwrap(), b"\n");
}

#[test]
fn a_worker_ends_with_its_host() {
    let mut asks = alone("compile::asks_for_long");
    let mut asks = asks.stdout(Stdio::null()).spawn().unwrap();
    let worker = eventually("a worker", || workers(asks.id()).first().copied());
    // Let it begin, so that it has asked the kernel to end it.
    eventually("a worker that confined itself", || {
        proc_line(&process(worker), "status", "NoNewPrivs:\t1")
    });
    asks.kill().unwrap();
    asks.wait().unwrap();
    eventually("the end of the worker", || {
        let state = proc_line(&process(worker), "status", "State:");
        // Whoever inherits it may reap it late.
        state.is_none_or(|state| state.contains('Z')).then_some(())
    });
}

#[test]
#[ignore = "started by another test, in a process of its own"]
fn asks_for_long() {
    let said = refused(
        &host_with(compiler(), CompileLimits::default()),
        &bombs::nested_loops(500),
    );
    panic!("it ended by itself: {said}");
}

#[test]
fn damaged_components_are_refused_or_compiled() {
    let hosts = [host(), host_with(Compiler::InProcess, limits())];
    let whole = bombs::honest();
    for host in &hosts {
        assert_contains(&refused(host, &whole), &[COMPILED], "undamaged");
    }
    let mut random = StdRng::seed_from_u64(42);
    let mut outcomes = [0, 0];
    for n in 0..200 {
        let mut damaged = whole.clone();
        if n % 4 == 0 {
            damaged.truncate(random.random_range(0..whole.len()));
        } else {
            let bit = random.random_range(64..whole.len() * 8);
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        let [by_child, by_this] = hosts
            .each_ref()
            .map(|host| host.load(&damaged).unwrap_err());
        assert!(
            matches!(by_child, Error::NotAPlugin(_)),
            "number {n}: {by_child}"
        );
        assert_eq!(by_child.to_string(), by_this.to_string(), "number {n}");
        outcomes[usize::from(by_child.to_string().contains(COMPILED))] += 1;
    }
    println!("{outcomes:?} refused, compiled");
    assert!(outcomes.iter().all(|count| *count >= 10), "{outcomes:?}");
}

#[test]
fn a_real_plugin_that_was_cut_is_refused() {
    let whole = component("tests/hostile");
    let host = host();
    for eighth in 0..8 {
        let cut = &whole[..whole.len() / 8 * eighth];
        let said = refused(&host, cut);
        assert!(said.starts_with("not a plugin: "), "{eighth}: {said}");
    }
    host.load(&whole).unwrap();
}

#[test]
fn a_worker_of_another_build_says_so() {
    let worker = |order: &[&str]| {
        let mut worker = Command::new(tenon())
            .arg("compile-worker")
            .args(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = worker.stdin.take().unwrap();
        // A worker that refuses does not read.
        let _ = stdin.write_all(&bombs::honest());
        drop(stdin);
        let output = worker.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let other = worker(&["10", "1000000000", "1000000", "0123456789abcdef"]);
    assert!(other.contains("of another build"), "{other}");
    let by_hand = worker(&[]);
    assert!(
        by_hand.contains("this command is for tenon itself"),
        "{by_hand}"
    );
}
