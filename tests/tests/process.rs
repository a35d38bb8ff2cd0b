//! `tenon` as a process: signals, kills, full disks, exit codes. What a service manager or a script meets.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenon_registry::Registry;
use tenon_tests::{component, tenon};

/// Long enough for anything that ends, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a data folder, a file of people and jobs over it.
struct Shop {
    folder: TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let rows: String = (0..100).map(|i| format!("{i},name {i}\n")).collect();
        shop.write("people.csv", &format!("id,name\n{rows}"));
        shop
    }

    /// The same with the hostile plugins.
    fn with_hostile() -> Self {
        let shop = Self::new();
        let registry = Registry::open(shop.path("data/registry")).unwrap();
        registry.install(&component("tests/hostile")).unwrap();
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A job `NAME.toml` of a node `last` over `people`, into `out` and the table `t.out`.
    fn job(&self, name: &str, node: &str) {
        let text = format!(
            r#"
            name = "{name}"
            [nodes.people.S3CsvSource]
            Name = "people"
            Paths = ["people.csv"]
            [nodes.last.{node}
            Name = "last"
            Inputs = ["people"]
            [nodes.out.S3GlueParquetTarget]
            Name = "out"
            Inputs = ["last"]
            Path = "out"
            SchemaChangePolicy = {{ EnableUpdateCatalog = true, Database = "t", Table = "out" }}
            "#
        );
        self.write(&format!("{name}.toml"), &text);
    }

    fn sql_job(&self, name: &str, query: &str) {
        self.job(
            name,
            &format!(
                "SparkSQL]\nSqlQuery = \"{query}\"\nSqlAliases = [{{ From = \"people\", Alias = \"p\" }}]"
            ),
        );
    }

    /// Ten thousand million rows: it does not end by itself.
    fn endless_job(&self) {
        self.sql_job(
            "endless",
            "select a.name || b.name || c.name as x from p a, p b, p c, p d, p e",
        );
    }

    /// A file of some 30 megabytes; only one, however many cores there are, because it is sorted.
    fn large_job(&self) {
        self.sql_job(
            "large",
            "select md5(concat(a.name, b.name, c.name)) as x from p a, p b, p c order by x",
        );
    }

    fn hostile_job(&self, function: &str, more: &str) {
        self.job(
            "hostile",
            &format!(
                "DynamicTransform]\nTransformName = \"x\"\nPath = \"tenon:hostile\"\nFunctionName = \"{function}\""
            ),
        );
        let path = self.path("hostile.toml");
        let text = std::fs::read_to_string(&path).unwrap() + more;
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("TENON_DATA", self.path("data"))
            .env("NO_COLOR", "1")
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(tenon(), args).output().unwrap())
    }

    fn start(&self, args: &[&str]) -> Running {
        let child = self
            .command(tenon(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(child)
    }

    /// Files of the target, without the list of files.
    fn out(&self) -> Vec<String> {
        let mut names = names(&self.path("out"));
        names.retain(|name| name != "_tenon_files");
        names
    }

    fn staged(&self) -> usize {
        let names = self.out().into_iter();
        names.filter(|name| name.ends_with(".staged")).count()
    }

    fn count(&self) -> String {
        let ended = self.run(&["sql", "select count(*) as n from t.out", "--output", "json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.split_whitespace().collect()
    }

    fn wait_until_staged(&self) {
        let started = Instant::now();
        while self.staged() == 0 {
            assert!(started.elapsed() < PATIENCE, "nothing was staged");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A process that ended.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// A process that runs; killed when the test fails.
struct Running(Child);

impl Running {
    fn signal(&self, signal: &str) {
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {}", self.0.id()))
            .status();
        assert!(status.unwrap().success());
    }

    fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut ended = Ended {
            code: status.code(),
            stdout: String::new(),
            stderr: String::new(),
        };
        let (stdout, stderr) = (self.0.stdout.as_mut(), self.0.stderr.as_mut());
        stdout.unwrap().read_to_string(&mut ended.stdout).unwrap();
        stderr.unwrap().read_to_string(&mut ended.stderr).unwrap();
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It was told to stop while it wrote: one line, one code, nothing left, nothing registered.
fn stopped(shop: &Shop, job: &str, signal: &str) {
    let running = shop.start(&["run", job]);
    shop.wait_until_staged();
    running.signal(signal);
    let asked = Instant::now();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{signal}: {}", ended.stderr);
    assert_eq!(
        ended.stderr, "error: interrupted; nothing was written\n",
        "{signal}"
    );
    assert_eq!(ended.stdout, "", "{signal}");
    assert!(shop.out().is_empty(), "{signal}: {:?}", shop.out());
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{signal}: took {:?}",
        asked.elapsed()
    );
    let tables = shop.run(&["catalog", "ls", "--output", "json"]);
    assert_eq!(tables.stdout, "[]\n", "{signal}");
}

#[test]
fn a_run_that_is_told_to_stop_leaves_nothing() {
    let shop = Shop::new();
    shop.endless_job();
    stopped(&shop, "endless.toml", "INT");
    stopped(&shop, "endless.toml", "TERM");
}

#[test]
fn a_run_whose_plugin_spins_stops_when_told_to() {
    let shop = Shop::with_hostile();
    shop.hostile_job("spins", "");
    stopped(&shop, "hostile.toml", "INT");
}

#[test]
fn programs_are_told_of_an_interruption_in_json() {
    let shop = Shop::new();
    shop.endless_job();
    let running = shop.start(&["run", "endless.toml", "--output", "json"]);
    shop.wait_until_staged();
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(130));
    assert_eq!(
        ended.stderr,
        "{\"error\":\"interrupted; nothing was written\",\"because\":[],\"hint\":null,\"exit_code\":130}\n"
    );
}

/// What a killed process leaves is seen by nobody, and gone after the next run.
#[test]
fn a_killed_run_is_cleaned_up_by_the_next() {
    let shop = Shop::new();
    shop.sql_job("small", "select * from p");
    shop.endless_job();
    for has_results in [false, true] {
        let running = shop.start(&["run", "endless.toml"]);
        shop.wait_until_staged();
        running.signal("KILL");
        assert_eq!(running.end().code, None);
        assert!(shop.staged() > 0, "nothing to clean up: the test is void");
        if has_results {
            assert_eq!(shop.count(), r#"[{"n":100}]"#, "staged rows were read");
        } else {
            let tables = shop.run(&["catalog", "ls", "--output", "json"]);
            assert_eq!(tables.stdout, "[]\n");
        }
        let ended = shop.run(&["run", "small.toml"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(shop.staged(), 0, "{:?}", shop.out());
        assert_eq!(shop.count(), r#"[{"n":100}]"#);
    }
}

/// Killed at any moment, a run is in the way of none after it.
#[test]
fn a_run_killed_at_any_moment_is_followed_by_one_that_works() {
    let shop = Shop::new();
    shop.sql_job("small", "select a.* from p a, p b");
    let started = Instant::now();
    let ended = shop.run(&["run", "small.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let took = started.elapsed();
    let mut killed = 0;
    for step in 1..=12 {
        let running = shop.start(&["run", "small.toml"]);
        std::thread::sleep(took * step / 12);
        running.signal("KILL");
        killed += usize::from(running.end().code.is_none());
        let ended = shop.run(&["run", "small.toml"]);
        assert_eq!(ended.code, Some(0), "after {step}: {}", ended.stderr);
        assert_eq!(shop.count(), r#"[{"n":10000}]"#, "after {step}");
        assert_eq!(shop.staged(), 0, "after {step}: {:?}", shop.out());
    }
    println!("{killed} of 12 runs were killed before they ended");
}

/// The error of a run that found no room, and that nothing is left of it.
fn no_room(shop: &Shop, ended: &Ended, out: &[String], words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let start = "error: node \"out\": cannot write out/part-00000-";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
    assert!(out.is_empty(), "{out:?}");
    let tables = shop.run(&["catalog", "ls", "--output", "json"]);
    assert_eq!(tables.stdout, "[]\n");
}

/// A disk of two megabytes, where this user may make one.
#[test]
fn a_full_disk_is_one_clear_error() {
    let shop = Shop::new();
    shop.large_job();
    std::fs::create_dir(shop.path("out")).unwrap();
    // In a name space of its own, so that no disk is left when the test is killed.
    let script = "mount -t tmpfs -o size=2m tmpfs out || exit 99; \"$0\" run large.toml; \
                  code=$?; ls -A out > left; exit $code";
    let output = shop
        .command(
            "unshare",
            &["--mount", "--map-root-user", "sh", "-c", script],
        )
        .arg(tenon())
        .output();
    let ended = match output {
        Ok(output) if shop.path("left").exists() => Ended::of(output),
        other => {
            println!("skipped: no disk can be made here: {other:?}");
            return;
        }
    };
    let left = std::fs::read_to_string(shop.path("left")).unwrap();
    let left: Vec<String> = left.lines().map(str::to_owned).collect();
    let words = [
        "No space left on device (os error 28)",
        "hint: free some space there, or give the target another Path; nothing was written",
    ];
    no_room(&shop, &ended, &left, &words);
}

/// The same where files may not grow: this can be had everywhere.
#[test]
fn a_file_that_may_not_grow_is_one_clear_error() {
    let shop = Shop::new();
    shop.large_job();
    // The journal sets aside more than that, once.
    assert_eq!(shop.run(&["catalog", "ls"]).code, Some(0));
    // The signal is ignored so that the write fails, instead of ending the process.
    let script = "trap '' XFSZ; ulimit -f 16384; exec \"$0\" run large.toml";
    let output = shop
        .command("sh", &["-c", script])
        .arg(tenon())
        .output()
        .unwrap();
    let words = [
        "File too large (os error 27)",
        "hint: files may not grow that large here: see `ulimit -f`",
        "nothing was written",
    ];
    no_room(&shop, &Ended::of(output), &shop.out(), &words);
}

/// The table of exit codes, as far as it can be met without a server.
#[test]
fn every_failure_has_its_exit_code() {
    let shop = Shop::with_hostile();
    shop.sql_job("small", "select * from p");
    assert_eq!(shop.run(&["run", "small.toml"]).code, Some(0));
    shop.sql_job("failing", "select cast(name as int) as x from p");
    shop.write("broken.toml", "name = 'x'\n[nodes.a.NoSuchNode]\n");
    shop.job(
        "no-file",
        "SparkSQL]\nSqlQuery = \"select 1\"\nSqlAliases = []",
    );
    let text = std::fs::read_to_string(shop.path("no-file.toml")).unwrap();
    shop.write("no-file.toml", &text.replace("people.csv", "peple.csv"));
    shop.write(
        "no-table.toml",
        "name = 'x'\n[nodes.a.CatalogSource]\nName = 'a'\nDatabase = 't'\nTable = 'outt'\n\
         [nodes.b.S3GlueParquetTarget]\nName = 'b'\nInputs = ['a']\nPath = 'b'\n",
    );
    shop.hostile_job("no-such-function", "");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["sql", "select 1"], 0, ""),
        (&["sql", "select 1/0"], 1, "ivide by zero"),
        (&["sql", "selct 1"], 2, "selct"),
        (&["sql", "drop table t.out"], 2, "DDL not supported"),
        (&["sql", "select nope from t.out"], 2, "nope"),
        (
            &["sql", "select * from t.outt"],
            3,
            "error: there is no table t.outt\n  hint: did you mean t.out?\n",
        ),
        (
            &["sql", "select * from out"],
            3,
            "error: there is no table out\n  hint: did you mean t.out?\n",
        ),
        (
            &["sql", "select * from nowhere.out o join t.out using (id)"],
            3,
            "error: there is no table nowhere.out\n  hint: did you mean t.out?\n",
        ),
        (
            &["sql", "with q as (select 1) select * from q, zebra"],
            3,
            "error: there is no table zebra\n  hint: see what there is: `tenon catalog ls`\n",
        ),
        (&["catalog", "show", "t.nope"], 3, "tenon catalog ls"),
        (&["catalog", "show", "nope"], 2, "not database.table"),
        (&["catalog", "ls", "nope"], 3, "tenon catalog ls"),
        (&["run", "nope.toml"], 3, "there is no job file nope.toml"),
        (&["run", "broken.toml"], 2, "NoSuchNode"),
        (&["run", "failing.toml"], 1, "node \"last\""),
        (&["run", "no-file.toml"], 3, "did you mean"),
        (
            &["run", "no-table.toml"],
            3,
            "error: node \"a\": there is no table t.outt\n  hint: did you mean t.out?\n",
        ),
        (
            &["run", "hostile.toml"],
            1,
            "no function \"no-such-function\"",
        ),
        (
            &["run", "hostile.toml", "--limit", "memory_bytes=1TiB"],
            4,
            "error: node \"last\": limit memory_bytes: the run asks for 1 TiB, the maximum is 2 GiB \
             (the default)\n  hint: ask for at most 2 GiB",
        ),
        (
            &["run", "small.toml", "--limit", "memory=1"],
            2,
            "there is no limit \"memory\"",
        ),
        (
            &["run", "small.toml", "--memory", "much"],
            2,
            "\"much\" is not a size",
        ),
        (&["match", "nope.csv", "--id", "id"], 3, "nope.csv"),
        (
            &["match", "people.csv", "--id", "id"],
            3,
            "tenon plugin install plugins/find-matches",
        ),
        (&["match", "people.txt", "--id", "id"], 2, "names no format"),
        (&["plugin", "show", "nope"], 3, "tenon plugin ls"),
        (&["nope"], 2, "unrecognized subcommand"),
    ];
    for (args, code, words) in cases {
        let ended = shop.run(args);
        assert_eq!(ended.code, Some(*code), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_data_folder_in_use_is_a_conflict() {
    let shop = Shop::new();
    shop.sql_job("small", "select * from p");
    shop.endless_job();
    let running = shop.start(&["run", "endless.toml"]);
    shop.wait_until_staged();
    let second = shop.run(&["run", "small.toml"]);
    assert_eq!(second.code, Some(6), "{}", second.stderr);
    running.signal("INT");
    assert_eq!(running.end().code, Some(130));
}

/// Limits of the file, the job and the command line, as the process applies them.
#[test]
fn limits_come_from_the_file_the_job_and_the_command_line() {
    let shop = Shop::with_hostile();
    shop.write(
        "data/limits.toml",
        "[operator]\nmemory_bytes = '64 MiB'\n[plugin.hostile]\ncolumns = 100\n",
    );
    shop.hostile_job("spins", "\n[limits]\ncall_time = '2 s'\n");
    let explained = shop.run(&[
        "run",
        "hostile.toml",
        "--explain-limits",
        "--limit",
        "call_time=200ms",
        "--limit",
        "log_bytes=1kB",
    ]);
    insta::assert_snapshot!(explained.stdout, @r"
    node  plugin         limit           value         set by
    last  hostile@0.1.0  memory_bytes    64 MiB        operator
    last  hostile@0.1.0  table_elements  20000         default
    last  hostile@0.1.0  call_time       200 ms        run
    last  hostile@0.1.0  call_fuel       100000000000  default
    last  hostile@0.1.0  output_bytes    64 MiB        default
    last  hostile@0.1.0  log_bytes       1 kB          run
    last  hostile@0.1.0  message_bytes   10 kB         default
    last  hostile@0.1.0  columns         100           plugin
    ");
    let started = Instant::now();
    let spun = shop.run(&["run", "hostile.toml", "--limit", "call_time=200ms"]);
    assert_eq!(spun.code, Some(1));
    assert!(
        spun.stderr
            .contains("limit call_time reached: allowed 200ms"),
        "{}",
        spun.stderr
    );
    assert!(started.elapsed() < PATIENCE);
    let more = shop.run(&["run", "hostile.toml", "--limit", "call_time=3s"]);
    assert_eq!(more.code, Some(4));
    insta::assert_snapshot!(more.stderr, @r#"
    error: node "last": limit call_time: the run asks for 3 s, the maximum is 2 s (set by the job)
      hint: ask for at most 2 s
    "#);
    shop.write("data/limits.toml", "[operator]\nmemory_bytes = '8 GiB'\n");
    let beyond = shop.run(&["run", "hostile.toml"]);
    assert_eq!(beyond.code, Some(2));
    assert!(
        beyond.stderr.contains(
            "limits.toml: [operator]: limit memory_bytes: asked for 8 GiB, the maximum is 4 GiB"
        ),
        "{}",
        beyond.stderr
    );
}

/// Scripts read what a plugin used, and which bytes it was, from the run's report.
#[test]
fn a_run_says_what_its_plugins_used() {
    let shop = Shop::with_hostile();
    shop.hostile_job("floods-the-log", "");
    let ended = shop.run(&["run", "hostile.toml", "--output", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let nodes = report["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["id"] == "last").unwrap();
    let plugin = &node["plugin"];
    assert_eq!(plugin["name"], "hostile@0.1.0");
    let shown = shop.run(&["plugin", "show", "hostile", "--output", "json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(plugin["digest"], shown["digest"]);
    for used in [
        "calls",
        "cpu_micros",
        "sent_bytes",
        "received_bytes",
        "memory_bytes",
    ] {
        assert!(plugin[used].as_u64().unwrap() > 0, "{used}: {plugin}");
    }
    assert_eq!(node["spilled_bytes"], 0);
    let table = shop.run(&["run", "hostile.toml"]).stdout;
    let header = "node  plugin         digest               cpu";
    assert!(table.contains(header), "{table}");
    println!("{table}");
}
