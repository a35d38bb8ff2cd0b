//! [`Wall`]: what a process that works on files of tenants can open at all, whatever its code does: the kernel's
//! [Landlock](https://docs.kernel.org/userspace-api/landlock.html), where it is offered.
//!
//! ```text
//! granted folder       read, write      the tenant's
//! scratch, own folder  read, write      the run's
//! registry             read             plugins
//! compiled             read, write      their machine code, made when one is first used
//! the program, libraries, /proc/self, time zones; with a network names and certificates      read
//! everything else      nothing
//! ```
//!
//! It holds for the thread that raises it and for all that this one starts from then on: threads and processes.

use std::fs::File;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// What is asked of the kernel; of an older one as much as it has.
const KERNEL: ABI = ABI::V6;

/// What every process reads: its libraries, and what the standard library looks at.
const SYSTEM: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/sys/fs/cgroup",
    "/dev/urandom",
];

/// What a process with a network reads: how names are resolved, and whom to trust.
const NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// The process itself: what it used, and the program that it starts to compile.
const ITSELF: &str = "/proc/self";

/// What may be opened.
#[derive(Debug, Default)]
pub(super) struct Wall {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    run: Vec<PathBuf>,
    is_networked: bool,
}

impl Wall {
    /// Nothing but what every process needs.
    pub(super) fn new() -> Self {
        let mut wall = Self::default();
        wall.read.extend(SYSTEM.iter().map(PathBuf::from));
        wall.read.push(ITSELF.into());
        wall
    }

    /// What lies below a folder, or a file, may be read.
    pub(super) fn reads(mut self, path: &Path) -> Self {
        self.read.push(path.to_path_buf());
        self
    }

    /// What lies below a folder may be read, made, changed and removed.
    pub(super) fn writes(mut self, folder: &Path) -> Self {
        self.write.push(folder.to_path_buf());
        self
    }

    /// The program may be started again, as to compile.
    pub(super) fn runs_itself(mut self) -> Self {
        let libraries = SYSTEM.iter().filter(|path| path.contains("/lib"));
        self.run.extend(libraries.map(PathBuf::from));
        self.run.push("/proc/self/exe".into());
        self
    }

    /// Connections may be made.
    pub(super) fn connects(mut self) -> Self {
        self.read.extend(NETWORK.iter().map(PathBuf::from));
        self.is_networked = true;
        self
    }

    /// Gives everything else up, for good: for this thread and what it starts. Says whether the kernel keeps to it.
    ///
    /// # Errors
    /// The kernel offers it and refuses.
    pub(super) fn raise(&self) -> Result<bool, RulesetError> {
        // The rule is about the entry of this process as long as somebody has it open.
        std::mem::forget(File::open(ITSELF));
        let network = match self.is_networked {
            true => AccessNet::BindTcp.into(),
            false => AccessNet::from_all(KERNEL),
        };
        let execute = BitFlags::from(AccessFs::Execute);
        let read = AccessFs::from_read(KERNEL) & !execute;
        let write = AccessFs::from_all(KERNEL) & !(execute | AccessFs::IoctlDev);
        let program = execute | AccessFs::ReadFile;
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KERNEL))?
            .handle_access(network)?
            .scope(Scope::from_all(KERNEL))?
            .create()?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(&self.write, write))?
            .add_rules(path_beneath_rules(&self.run, program))?;
        let status = rules.restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

/// Whether the kernel offers it.
pub(super) fn is_offered() -> bool {
    // A thread of its own: what it gives up goes with it.
    let tried = std::thread::spawn(|| Wall::default().raise());
    matches!(tried.join(), Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::PermissionDenied;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use landlock::LandlockStatus;

    use super::*;

    /// Runs in a thread that has raised the wall, where the kernel has Landlock: there the wall holds.
    fn behind(wall: Wall, work: impl FnOnce() + Send + 'static) {
        let is_known = has_landlock();
        let done = std::thread::spawn(move || {
            let holds = wall.raise().unwrap();
            assert_eq!(holds, is_known, "whether it holds, and whether it can");
            if holds {
                work();
            } else {
                println!("skipped: the kernel has no Landlock");
            }
        });
        done.join().unwrap();
    }

    /// Whether the kernel names a version of Landlock, whatever becomes of a wall.
    fn has_landlock() -> bool {
        let tried = std::thread::spawn(|| {
            let rules = Ruleset::default().handle_access(AccessFs::Execute);
            rules.unwrap().create().unwrap().restrict_self().unwrap()
        });
        matches!(
            tried.join().unwrap().landlock,
            LandlockStatus::Available { .. }
        )
    }

    #[test]
    fn only_what_was_named_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let [outside, read, write] = ["outside", "read", "write"].map(|name| {
            std::fs::create_dir_all(folder.path().join(name).join("deep")).unwrap();
            std::fs::write(folder.path().join(name).join("file"), name).unwrap();
            folder.path().join(name)
        });
        std::os::unix::fs::symlink(&outside, write.join("link")).unwrap();
        behind(Wall::new().reads(&read).writes(&write), move || {
            let denied = |outcome: std::io::Result<()>| {
                assert_eq!(outcome.unwrap_err().kind(), PermissionDenied);
            };
            for path in [
                outside.join("file"),
                write.join("link/file"),
                "/etc/passwd".into(),
            ] {
                denied(std::fs::read(path).map(drop));
            }
            denied(std::fs::read_dir(&outside).map(drop));
            denied(std::fs::write(outside.join("new"), "x"));
            denied(std::fs::remove_file(outside.join("file")));
            assert_eq!(std::fs::read(read.join("file")).unwrap(), b"read");
            denied(std::fs::write(read.join("file"), "x"));
            std::fs::write(write.join("deep/new"), "x").unwrap();
            std::fs::rename(write.join("deep/new"), write.join("moved")).unwrap();
            std::fs::remove_file(write.join("moved")).unwrap();
            tempfile::tempfile_in(&write).unwrap();
            assert!(std::fs::read_to_string("/proc/self/status").is_ok());
            // Also what it starts.
            let inner = std::thread::spawn(move || std::fs::read(outside.join("file")));
            denied(inner.join().unwrap().map(drop));
        });
    }

    #[test]
    fn no_program_is_started_and_nothing_is_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        behind(Wall::new(), move || {
            let started = Command::new("/bin/sh").args(["-c", "true"]).status();
            assert_eq!(started.unwrap_err().kind(), PermissionDenied);
            assert_eq!(
                TcpStream::connect(address).unwrap_err().kind(),
                PermissionDenied
            );
        });
        behind(Wall::new().connects(), move || {
            TcpStream::connect(address).unwrap();
            assert!(std::fs::read("/etc/shadow").is_err());
        });
    }

    #[test]
    fn whoever_asks_whether_it_is_offered_gives_nothing_up() {
        assert_eq!(is_offered(), has_landlock());
        std::fs::read_dir("/").unwrap();
    }
}
