//! The cache under tampering, pressure, company and sudden death.

use std::process::{Child, Command, Stdio};

use super::*;

/// Where a process that was started by a test finds the folder.
const FOLDER: &str = "TENON_TEST_CACHE";
const ROOMY: u64 = 1 << 30;

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Sets when a file was used last, in seconds of some epoch.
fn used(dir: &Path, name: &str, seconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::futimens(File::open(dir.join(name)).unwrap(), &times).unwrap();
}

#[test]
fn what_was_put_is_got_by_another_that_shares_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::default();
    let cache = Cache::open(folder.path(), ROOMY).unwrap();
    assert!(cache.get(&engine, "abc").is_none());
    cache.put(&engine, "abc", b"code").unwrap();
    let other = Cache::open(folder.path(), ROOMY).unwrap();
    assert!(other.get(&engine, "abc").is_some());
    assert_eq!(other.read(&file_name(&engine, "abc")).unwrap(), b"code");
}

#[test]
fn a_changed_byte_a_cut_an_addition_and_another_name_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), ROOMY).unwrap();
    cache.write("a.aot", b"machine code").unwrap();
    let path = folder.path().join("a.aot");
    let good = std::fs::read(&path).unwrap();
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert_eq!(cache.read("a.aot"), None, "byte {position}");
        std::fs::write(&path, &good[..position]).unwrap();
        assert_eq!(cache.read("a.aot"), None, "cut to {position}");
    }
    std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    assert_eq!(cache.read("a.aot"), None);
    std::fs::write(&path, &good).unwrap();
    std::fs::copy(&path, folder.path().join("b.aot")).unwrap();
    assert_eq!(cache.read("b.aot"), None, "code of another component");
    assert_eq!(cache.read("a.aot").unwrap(), b"machine code");
}

#[test]
fn code_under_another_key_is_not_loaded() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let caches = folders
        .each_ref()
        .map(|folder| Cache::open(folder.path(), ROOMY).unwrap());
    caches[0].write("a.aot", b"code").unwrap();
    let foreign = folders[1].path().join("a.aot");
    std::fs::copy(folders[0].path().join("a.aot"), foreign).unwrap();
    assert_eq!(caches[1].read("a.aot"), None);
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    // Three files of 100 bytes.
    let cache = Cache::open(dir, 300).unwrap();
    let code = [7; 100 - MAC_BYTES];
    for (name, seconds) in [("a.aot", 1_000), ("b.aot", 2_000), ("c.aot", 3_000)] {
        cache.write(name, &code).unwrap();
        used(dir, name, seconds);
    }
    assert!(cache.read("a.aot").is_some(), "which makes it the youngest");
    cache.write("d.aot", &code).unwrap();
    assert_eq!(names(dir), ["a.aot", "c.aot", "d.aot", "key", "lock"]);
    // Replacing a file needs no room.
    cache.write("d.aot", &code).unwrap();
    assert_eq!(names(dir), ["a.aot", "c.aot", "d.aot", "key", "lock"]);
    // As many go as must.
    cache.write("e.aot", &[7; 200 - MAC_BYTES]).unwrap();
    assert_eq!(names(dir), ["d.aot", "e.aot", "key", "lock"]);
    assert!(cache.read("e.aot").is_some(), "what was just written stays");
}

#[test]
fn what_is_larger_than_the_cache_is_not_kept_and_evicts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 100).unwrap();
    cache.write("a.aot", b"code").unwrap();
    let error = cache.write("b.aot", &[0; 100]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it has 132 bytes and the whole cache may have 100"
    );
    assert_eq!(names(folder.path()), ["a.aot", "key", "lock"]);
}

#[test]
fn leftovers_of_a_crash_are_removed_by_the_next_writer() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), ROOMY).unwrap();
    std::fs::write(folder.path().join(".tmpAbCdEf"), [0; 1000]).unwrap();
    cache.write("a.aot", b"code").unwrap();
    assert_eq!(names(folder.path()), ["a.aot", "key", "lock"]);
}

#[test]
fn a_key_is_made_once_and_kept_private() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made/on/demand");
    let keys = std::thread::scope(|scope| {
        let open = || Cache::open(&dir, ROOMY).unwrap().key;
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(open)).collect();
        let keys = threads.into_iter().map(|thread| thread.join().unwrap());
        keys.collect::<Vec<_>>()
    });
    assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]));
    assert_eq!(names(&dir), ["key", "lock"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("key"))), (0o700, 0o600));
}

#[test]
fn a_key_that_is_cut_or_open_to_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let refused = || Cache::open(folder.path(), ROOMY).unwrap_err().to_string();
    std::fs::write(&key, [1; 31]).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert!(refused().contains("does not hold a key of 32 bytes"));
    std::fs::write(&key, [1; 32]).unwrap();
    assert!(Cache::open(folder.path(), ROOMY).is_ok());
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(refused().contains("is open to every user of this machine"));
}

/// Not a test of its own: what a process does that is started by the tests below.
#[test]
#[ignore = "started by other tests in a process of its own"]
fn hammers() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    hammer(&Cache::open(Path::new(&dir), 40_000).unwrap(), 100);
}

/// Writes and reads eight names, of which six fit.
fn hammer(cache: &Cache, rounds: usize) {
    for round in 0..rounds {
        let name = format!("{}.aot", round % 8);
        cache.write(&name, &code_of(round % 8)).unwrap();
        let other = (round * 5 + 3) % 8;
        if let Some(code) = cache.read(&format!("{other}.aot")) {
            assert_eq!(code, code_of(other));
        }
    }
}

fn code_of(name: usize) -> Vec<u8> {
    vec![name as u8; 6_000]
}

fn hammering_process(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::tests::hammers", "--ignored", "--quiet"])
        .env(FOLDER, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn check_whole(dir: &Path) {
    let cache = Cache::open(dir, 40_000).unwrap();
    let aot = names(dir).into_iter().filter(|name| name.ends_with(".aot"));
    let mut bytes = 0;
    for name in aot {
        let code = cache
            .read(&name)
            .unwrap_or_else(|| panic!("{name} is damaged"));
        bytes += code.len() + MAC_BYTES;
    }
    assert!(bytes <= 40_000, "{bytes} bytes");
}

#[test]
fn processes_and_threads_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut processes = [(); 3].map(|()| hammering_process(dir));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| hammer(&Cache::open(dir, 40_000).unwrap(), 100));
        }
    });
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    check_whole(dir);
    assert!(!names(dir).iter().any(|name| name.starts_with(TEMPORARY)));
}

#[test]
fn a_writer_that_dies_leaves_the_old_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for n in 0..20 {
        let mut process = hammering_process(dir);
        std::thread::sleep(Duration::from_millis(5 + n * 7 % 40));
        process.kill().unwrap();
        process.wait().unwrap();
        check_whole(dir);
    }
    // The lock died with its holder.
    hammer(&Cache::open(dir, 40_000).unwrap(), 8);
    check_whole(dir);
    assert!(!names(dir).iter().any(|name| name.starts_with(TEMPORARY)));
}
