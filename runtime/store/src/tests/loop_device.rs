//! Power cuts under a real file system: the store lies on an ext4 on a loop device. The process that writes is
//! stopped at a random moment, the device is copied as it is, the copy is mounted, which replays the file
//! system's journal, and the store in it is opened. What the device did not have is lost, as in a power cut.
//!
//! It needs root and loop devices and is skipped, with a message, where they are missing.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, thread};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::kill::{WRITERS, Writing, busy, stored_number};
use super::*;

/// How many cuts, for a long trial.
const CUTS_VARIABLE: &str = "TENON_STORE_POWER_CUTS";
const CUTS: u64 = 30;
const IMAGE_BYTES: u64 = 48 * 1024 * 1024;

fn tool(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A mounted image; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        tool("mount", &["-o", "loop", text(image), text(at)]).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !tool("umount", &[text(&self.0)]) {
            tool("umount", &["-l", text(&self.0)]);
        }
    }
}

fn make_image(path: &Path) -> bool {
    let file = fs::File::create(path).unwrap();
    file.set_len(IMAGE_BYTES).unwrap();
    tool("mkfs.ext4", &["-q", "-F", text(path)])
}

#[test]
fn a_power_cut_under_ext4_loses_and_tears_nothing() {
    let cuts = env::var(CUTS_VARIABLE).map_or(CUTS, |cuts| cuts.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut image = path("image-0");
    let mounted = make_image(&image)
        .then(|| Mounted::new(&image, &path("live")))
        .flatten();
    let Some(mut mounted) = mounted else {
        println!("skipped: mounting an ext4 image needs root and a loop device");
        return;
    };
    let mut random = StdRng::seed_from_u64(12);
    let mut acknowledged = [0; WRITERS as usize];
    let mut rebuilt = 0;
    for cut in 0..cuts {
        let writing = Writing::start(&mounted.0.join("store"));
        writing.live(&mut random, 250);
        let process = writing.process.id().to_string();
        assert!(tool("kill", &["-STOP", &process]));
        // What was acknowledged before is in the pipe.
        thread::sleep(Duration::from_millis(15));
        let told = writing.acknowledged();
        let copy = path(&format!("image-{}", cut + 1));
        assert!(tool("cp", &["--sparse=always", text(&image), text(&copy)]));
        writing.kill();
        let after = Mounted::new(&copy, &path("after")).unwrap();
        let strict = StoreConfig {
            verify_on_open: VerifyOnOpen::Always,
            ..busy()
        };
        let store = SledStore::open(&after.0.join("store"), &strict, &clock()).unwrap();
        rebuilt += u64::from(store.status().rebuilt.is_some());
        for writer in 0..WRITERS {
            let stored = stored_number(&store, writer);
            let told = acknowledged[writer as usize].max(told[writer as usize]);
            assert!(
                stored >= told,
                "cut {cut}: writer {writer} was told {told}, stored is {stored}"
            );
            acknowledged[writer as usize] = stored;
        }
        drop(store);
        drop(after);
        // The store goes on from what the cut left.
        drop(mounted);
        fs::remove_file(&image).unwrap();
        image = copy;
        mounted = Mounted::new(&image, &path("live")).unwrap();
    }
    let total: u64 = acknowledged.iter().sum();
    println!("{cuts} power cuts, {total} transactions, rebuilt {rebuilt} times");
    assert!(total > cuts, "the child did not get to write");
}
