//! A registry in a temporary folder: what is installed is found, and what is wrong is refused with a reason.

use std::sync::{Arc, Barrier};
use std::thread;

use tempfile::TempDir;
use wasm_encoder::{Component, CustomSection, Module};

use super::*;
use crate::section::embed;

fn plugin(name: &str, version: &str) -> Vec<u8> {
    plugin_with(name, version, b"")
}

/// A component whose bytes differ by `content`.
fn plugin_with(name: &str, version: &str, content: &[u8]) -> Vec<u8> {
    let manifest = Manifest::from_json(
        format!(
            r#"{{"name":"{name}","version":"{version}","description":"d","license":"MIT","contract":"0.1.0",
                 "functions":[{{"name":"f","kind":"map"}}]}}"#
        )
        .as_bytes(),
    );
    let mut component = Component::new();
    component.section(&CustomSection {
        name: "content".into(),
        data: content.into(),
    });
    embed(&manifest.unwrap(), &component.finish()).unwrap()
}

fn open(folder: &TempDir) -> Registry {
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    Registry::open_with_clock(folder.path().join("registry"), clock).unwrap()
}

fn with(plugins: &[(&str, &str)]) -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(&folder);
    for (name, version) in plugins {
        registry.install(&plugin(name, version)).unwrap();
    }
    (folder, registry)
}

fn version_of(registry: &Registry, reference: &str) -> String {
    registry.resolve(reference).unwrap().version.to_string()
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            found.push(entry.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[test]
fn an_installed_plugin_is_found_and_loaded_also_after_reopening() {
    let (folder, registry) = with(&[]);
    let bytes = plugin("find-matches", "0.1.0");
    let installed = registry.install(&bytes).unwrap();
    assert_eq!(installed.digest, Digest::of(&bytes));

    let reopened = open(&folder);
    let resolved = reopened.resolve("tenon:find-matches@^0.1").unwrap();
    assert_eq!(
        (resolved.digest, resolved.size_bytes),
        (installed.digest, bytes.len() as u64)
    );
    assert_eq!(reopened.load(&resolved).unwrap(), bytes);

    let list = reopened.list().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].manifest, resolved.manifest);
    assert_eq!(list[0].installed_unix_millis, 1_700_000_000_123);
}

#[test]
fn the_folder_layout_is_the_documented_one() {
    let (_folder, registry) = with(&[("p", "1.2.3")]);
    let digest = registry.resolve("p").unwrap().digest;
    assert!(registry.root().join("plugins/p/1.2.3.json").is_file());
    assert!(
        registry
            .root()
            .join(format!("blobs/sha256/{}.wasm", digest.hex()))
            .is_file()
    );
    assert_eq!(
        files(registry.root()).len(),
        2,
        "nothing temporary is left behind"
    );
}

#[test]
fn the_newest_matching_version_wins_by_semver_not_by_text() {
    let (_folder, registry) = with(&[
        ("p", "0.9.0"),
        ("p", "0.10.0"),
        ("p", "1.2.0"),
        ("p", "1.10.0"),
        ("p", "2.0.0-rc.1"),
        ("q", "9.0.0"),
    ]);
    assert_eq!(version_of(&registry, "p"), "1.10.0");
    assert_eq!(version_of(&registry, "p@1"), "1.10.0");
    assert_eq!(version_of(&registry, "p@<1"), "0.10.0");
    assert_eq!(version_of(&registry, "p@1.2.0"), "1.2.0");
    assert_eq!(version_of(&registry, "p@2.0.0-rc.1"), "2.0.0-rc.1");
    let digest = registry.resolve("p@0.9.0").unwrap().digest;
    assert_eq!(version_of(&registry, &format!("p@{digest}")), "0.9.0");
    let order: Vec<_> = registry
        .list()
        .unwrap()
        .iter()
        .map(|r| r.manifest.version.to_string())
        .collect();
    assert_eq!(
        order,
        ["0.9.0", "0.10.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "9.0.0"]
    );
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let (_folder, registry) = with(&[]);
    let error = |reference: &str| registry.resolve(reference).unwrap_err().to_string();
    assert_eq!(
        error("p"),
        "no plugin matches \"p\": no plugin is installed"
    );

    for (name, version) in [
        ("find-matches", "0.1.0"),
        ("find-matches", "0.2.0"),
        ("mask", "1.0.0"),
    ] {
        registry.install(&plugin(name, version)).unwrap();
    }
    assert_eq!(
        error("find-matches@1"),
        "no plugin matches \"find-matches@1\": installed versions of find-matches: 0.2.0, 0.1.0"
    );
    assert_eq!(
        error("tenon:find-mathces@0.1"),
        "no plugin matches \"tenon:find-mathces@0.1\": did you mean \"find-matches\"? installed plugins: \
         find-matches, mask"
    );
    assert_eq!(
        error("zzz"),
        "no plugin matches \"zzz\": installed plugins: find-matches, mask"
    );
}

#[test]
fn a_version_is_immutable_and_the_same_bytes_are_welcome_again() {
    let (_folder, registry) = with(&[]);
    let (first, second) = (
        plugin_with("p", "1.0.0", b"one"),
        plugin_with("p", "1.0.0", b"two"),
    );
    let installed = registry.install(&first).unwrap();
    let record = fs::read(registry.root().join("plugins/p/1.0.0.json")).unwrap();
    assert_eq!(registry.install(&first).unwrap(), installed);
    let error = registry.install(&second).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "p@1.0.0 is already installed as {}, refusing {}: raise the version",
            Digest::of(&first),
            Digest::of(&second)
        )
    );
    assert_eq!(
        fs::read(registry.root().join("plugins/p/1.0.0.json")).unwrap(),
        record
    );
    assert_eq!(
        files(registry.root()).len(),
        2,
        "the refused bytes were not kept"
    );
}

#[test]
fn a_changed_component_is_refused_and_installing_again_repairs() {
    let (_folder, registry) = with(&[]);
    let bytes = plugin("p", "1.0.0");
    let digest = registry.install(&bytes).unwrap().digest;
    let path = registry.blob_path(&digest);
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&path, &changed).unwrap();

    let resolved = registry.resolve("p").unwrap();
    assert_eq!(
        registry.load(&resolved).unwrap_err().to_string(),
        format!(
            "{} is damaged or was changed: expected {digest}, found {}; install the plugin again",
            path.display(),
            Digest::of(&changed)
        )
    );
    registry.install(&bytes).unwrap();
    assert_eq!(registry.load(&resolved).unwrap(), bytes);
    fs::remove_file(&path).unwrap();
    assert!(matches!(registry.load(&resolved), Err(Error::Io { .. })));
}

#[test]
fn damaged_records_are_named() {
    let (_folder, registry) = with(&[("p", "1.0.0")]);
    let path = registry.root().join("plugins/p/1.0.0.json");
    let record = fs::read_to_string(&path).unwrap();
    let cases = [
        (record[..record.len() / 2].to_owned(), "EOF while parsing"),
        (
            record.replace("\"format\": 1", "\"format\": 2"),
            "it has format 2, this build reads up to 1",
        ),
        (
            record.replace("\"version\": \"1.0.0\"", "\"version\": \"1.0.1\""),
            "it describes p@1.0.1",
        ),
        (
            record.replace("\"name\": \"p\"", "\"name\": \"../p\""),
            "invalid plugin name",
        ),
    ];
    for (content, expected) in cases {
        fs::write(&path, content).unwrap();
        let error = registry.list().unwrap_err().to_string();
        assert!(
            error.starts_with(&path.display().to_string()) && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn leftovers_of_a_killed_process_do_no_harm() {
    let (folder, registry) = with(&[("p", "1.0.0")]);
    fs::write(registry.root().join("plugins/p/.tmp-x1"), "{").unwrap();
    fs::write(registry.root().join("plugins/README.txt"), "hello").unwrap();
    let orphan = plugin("p", "1.1.0");
    fs::write(registry.blob_path(&Digest::of(&orphan)), &orphan[..10]).unwrap();
    fs::create_dir(registry.root().join("plugins/p2")).unwrap();

    let registry = open(&folder);
    assert_eq!(registry.list().unwrap().len(), 1);
    registry.install(&orphan).unwrap();
    assert_eq!(
        registry.load(&registry.resolve("p@1.1").unwrap()).unwrap(),
        orphan
    );
}

#[test]
fn files_that_are_not_plugins_are_refused_and_leave_nothing() {
    let (_folder, registry) = with(&[]);
    let module = Module::new().finish();
    assert!(
        registry
            .install(&module)
            .unwrap_err()
            .to_string()
            .contains("this is a core wasm module")
    );
    assert!(matches!(
        registry.install(&Component::new().finish()),
        Err(Error::NoManifest { .. })
    ));
    assert!(matches!(
        registry.install(&vec![0; 50 * 1024 * 1024 + 1]),
        Err(Error::TooLarge { .. })
    ));
    let mut invalid = plugin("p", "1.0.0");
    // A canonical function section that names a core function which does not exist.
    invalid.extend([8, 6, 1, 0, 0, 9, 0, 9]);
    let error = registry.install(&invalid).unwrap_err().to_string();
    assert!(
        error.starts_with("not a wasm component: it does not validate"),
        "{error}"
    );
    assert!(files(registry.root()).is_empty());
}

#[test]
fn a_yanked_version_answers_only_to_what_pins_it_and_its_number_stays_taken() {
    let (folder, registry) = with(&[("p", "1.0.0"), ("p", "1.1.0")]);
    let (name, version) = (PluginName::new("p").unwrap(), Version::new(1, 1, 0));
    let pinned = registry.resolve("p@1.1.0").unwrap();
    assert!(registry.yank(&name, &version, true).unwrap().yanked);
    let reopened = open(&folder);
    for reference in ["p", "p@1", "p@^1.0", "p@>=1.0.0, <2"] {
        assert_eq!(version_of(&reopened, reference), "1.0.0", "{reference}");
    }
    let by_digest = format!("p@{}", pinned.digest);
    for reference in ["p@1.1.0", "p@=1.1.0", by_digest.as_str()] {
        assert_eq!(reopened.resolve(reference).unwrap(), pinned, "{reference}");
    }
    reopened.load(&pinned).unwrap();
    let other = plugin_with("p", "1.1.0", b"other");
    assert!(matches!(
        reopened.install(&other),
        Err(Error::Conflict { .. })
    ));
    // The same bytes are the same version, and it stays withdrawn.
    reopened.install(&plugin("p", "1.1.0")).unwrap();
    assert_eq!(version_of(&reopened, "p"), "1.0.0");
    assert_eq!(reopened.list().unwrap().len(), 2);
    reopened.yank(&name, &version, false).unwrap();
    assert_eq!(version_of(&reopened, "p"), "1.1.0");

    let absent = Version::new(9, 0, 0);
    let error = reopened.yank(&name, &absent, true).unwrap_err().to_string();
    assert_eq!(
        error,
        "no plugin matches \"p@9.0.0\": installed versions of p: 1.1.0, 1.0.0"
    );
}

#[test]
fn of_many_racing_installs_of_one_version_exactly_one_wins() {
    let (folder, _) = with(&[]);
    const WRITERS: usize = 8;
    let barrier = Arc::new(Barrier::new(WRITERS));
    let threads: Vec<_> = (0..WRITERS)
        .map(|writer| {
            // Each has its own handle, as separate processes would: nothing is shared but the folder.
            let (registry, barrier) = (open(&folder), Arc::clone(&barrier));
            thread::spawn(move || {
                let bytes = plugin_with("p", "1.0.0", format!("writer {}", writer / 2).as_bytes());
                barrier.wait();
                registry.install(&bytes)
            })
        })
        .collect();
    let outcomes: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();

    let registry = open(&folder);
    let winner = registry.resolve("p").unwrap();
    registry.load(&winner).unwrap();
    let won: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().ok())
        .collect();
    assert_eq!(won.len(), 2, "the two that brought the same bytes");
    assert!(
        won.iter()
            .all(|installed| installed.digest == winner.digest)
    );
    let lost = |outcome: &&Result<Installed>| matches!(outcome, Err(Error::Conflict { .. }));
    assert_eq!(outcomes.iter().filter(lost).count(), WRITERS - 2);
}
