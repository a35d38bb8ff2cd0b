//! Commands while a server has the data folder: what they say then, and that with `--server` they print what they print
//! over a folder.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A data folder, and the environment of who works with it.
struct Desk {
    folder: TempDir,
    /// `TENON_SERVER` and `TENON_TOKEN`.
    server: Option<(String, String)>,
}

/// A server; killed when the test fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
        command
            .args(args)
            .env("TENON_DATA", self.path("data"))
            .env("NO_COLOR", "1")
            .env_remove("TENON_SERVER")
            .env_remove("TENON_TOKEN")
            .current_dir(self.folder.path());
        if let Some((server, token)) = &self.server {
            command
                .env("TENON_SERVER", server)
                .env("TENON_TOKEN", token);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command prints, as JSON.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--output", "json"]].concat());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        stderr
    }

    /// A server over the folder, and its address.
    fn serve(&self) -> (Server, String) {
        let mut child = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = said.next().expect("the server says where it is").unwrap();
            if let Some((_, rest)) = line.split_once("serving Glue on ") {
                break rest.split(": ").next().unwrap_or_default().to_owned();
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        (Server(child), address)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without what differs each time.
fn comparable(mut value: Value) -> Value {
    let drawn = [
        "created",
        "time",
        "id",
        "access_key_id",
        "secret_access_key",
        "token",
        "expires",
        "request_id",
        "deleted",
        "revoked",
        "principal",
        "resource",
        "digest",
        "file",
    ];
    match &mut value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = comparable(item.take())),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                if drawn.contains(&name.as_str()) && value.is_string() {
                    *value = Value::from("drawn");
                }
            }
            members.remove("resource");
        }
        _ => {}
    }
    value
}

/// What a person does with accounts, and what is printed.
fn work(desk: &Desk) -> Vec<Value> {
    let mut printed = Vec::new();
    let mut say = |args: &[&str]| {
        let value = desk.json(args);
        printed.push(comparable(value.clone()));
        value
    };
    say(&["account", "create", "analytics", "--id", "111122223333"]);
    say(&["account", "create", "other", "--id", "444455556666"]);
    say(&[
        "account",
        "limit",
        "111122223333",
        "--tables",
        "5",
        "--partitions-per-table",
        "7",
    ]);
    say(&["account", "ls"]);
    let key = say(&["key", "create", "111122223333", "--user", "etl"]);
    let key = key["access_key_id"].as_str().unwrap().to_owned();
    say(&["key", "disable", &key]);
    say(&["key", "enable", &key]);
    say(&["key", "rm", &key]);
    say(&["key", "ls", "111122223333"]);
    let token = say(&[
        "token",
        "create",
        "a reader",
        "--account",
        "111122223333",
        "--days",
        "0",
    ]);
    say(&["token", "revoke", token["id"].as_str().unwrap()]);
    say(&["audit", "--operation", "tenon:CreateAccount"]);
    say(&["audit", "--limit", "3"]);
    say(&["account", "rm", "444455556666", "--yes"]);
    say(&["account", "ls"]);
    printed
}

#[test]
fn a_server_is_asked_and_says_what_a_folder_says() {
    let here = Desk::new();
    // As many tokens as the other has.
    here.json(&["token", "create", "operator"]);
    let expected = work(&here);

    let mut there = Desk::new();
    let token = there.json(&["token", "create", "operator"])["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_server, address) = there.serve();
    let busy = there.refused(&["account", "ls"], 6);
    assert!(busy.contains("--server URL, or TENON_SERVER"), "{busy}");
    let busy = there.refused(&["backup", "late"], 6);
    assert!(busy.contains("--server URL, or TENON_SERVER"), "{busy}");
    there.server = Some((address, token));
    assert_eq!(work(&there), expected);

    let absent = there.refused(&["key", "ls", "999999999999"], 3);
    assert!(
        absent.contains("account 999999999999 does not exist"),
        "{absent}"
    );
    let again = there.refused(&["account", "create", "x", "--id", "111122223333"], 6);
    assert!(again.contains("already exists"), "{again}");
    let bad = there.refused(&["account", "create", "x", "--id", "12"], 2);
    assert!(bad.contains("is not twelve digits"), "{bad}");
}

#[test]
fn a_backup_of_a_running_server_is_restored() {
    let mut desk = Desk::new();
    let token = desk.json(&["token", "create", "operator"])["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (server, address) = desk.serve();
    desk.server = Some((address, token));
    desk.json(&["account", "create", "analytics", "--id", "111122223333"]);
    let report = desk.json(&["backup", "saved"]);
    assert_eq!(report["file"], "saved");
    let bytes = std::fs::metadata(desk.path("saved")).unwrap().len();
    assert_eq!(report["size_bytes"], bytes);
    let exists = desk.refused(&["backup", "saved"], 6);
    assert!(exists.contains("saved exists"), "{exists}");
    drop(server);
    desk.server = None;

    let restored = Desk::new();
    std::fs::create_dir(restored.path("data")).unwrap();
    std::fs::copy(
        desk.path("data/master.key"),
        restored.path("data/master.key"),
    )
    .unwrap();
    let file = desk.path("saved").display().to_string();
    let back = restored.json(&["restore", &file]);
    assert_eq!(
        (&back["last_seq"], &back["digest"]),
        (&report["last_seq"], &report["digest"])
    );
    assert_eq!(restored.json(&["account", "ls"])[0]["name"], "analytics");
}

#[test]
fn a_server_that_is_not_there_or_does_not_know_the_caller_is_one_clear_error() {
    let mut desk = Desk::new();
    let no_token = desk.refused(&["account", "ls", "--server", "http://127.0.0.1:1"], 2);
    assert!(no_token.contains("set TENON_TOKEN"), "{no_token}");
    desk.server = Some(("http://127.0.0.1:1".to_owned(), "tn_x".to_owned()));
    let absent = desk.refused(&["account", "ls"], 5);
    assert!(
        absent.contains("cannot reach http://127.0.0.1:1"),
        "{absent}"
    );
    desk.server = Some(("127.0.0.1:8080".to_owned(), "tn_x".to_owned()));
    let odd = desk.refused(&["account", "ls"], 2);
    assert!(odd.contains("is no address of a server"), "{odd}");
    let (_server, address) = {
        desk.server = None;
        desk.serve()
    };
    desk.server = Some((address, "tn_unknown".to_owned()));
    let unknown = desk.refused(&["account", "ls"], 4);
    assert!(unknown.contains("the token is unknown"), "{unknown}");
    assert!(!unknown.contains("tn_unknown"), "{unknown}");
    let failed = desk.refused(&["backup", "none"], 4);
    assert!(failed.contains("the token is unknown"), "{failed}");
    assert!(left_in(desk.folder.path()).is_empty(), "nothing is left");
}

/// Files beside the data folder.
fn left_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name != "data").collect()
}
