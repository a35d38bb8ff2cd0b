//! Real clients from PyPI against servers in this process: every script in `tests/clients`, all at once, each with
//! a server and a store of its own.
//!
//! Where pip cannot install them the test says so and passes.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

#[path = "../../../tests/clients/environment.rs"]
mod environment;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;
use support::Running;
use tenon_server::{AuditQuery, Identity, Server, ServerConfig, ServerError, TlsFiles};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients")
}

/// The environment's Python.
fn python() -> Option<PathBuf> {
    environment::python(&scripts())
}

/// Runs one script against a server of its own; what it said when it failed.
fn run(python: &Path, script: &Path) -> Result<(), String> {
    run_against(Running::start(), python, script, &[])
}

/// The same against this server, with what the script finds in its environment.
fn run_against(
    server: Running,
    python: &Path,
    script: &Path,
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let started = std::time::Instant::now();
    let output = Command::new(python)
        .arg(script)
        .arg(format!("http://{}", server.address))
        .envs(environment.iter().copied())
        // No compiled modules in the checkout.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("python");
    server.stop();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (name, said) = (script.display(), text(&output.stdout));
    println!("{name} in {:.1?}\n{said}", started.elapsed());
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{name} failed:\n{said}{}", text(&output.stderr)))
    }
}

#[test]
fn every_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    all_pass(&scripts(), |script| run(&python, script));
}

/// Runs every script of a folder, all at once.
fn all_pass(folder: &Path, run: impl Fn(&Path) -> Result<(), String> + Sync) {
    let files = fs::read_dir(folder).expect("scripts").flatten();
    let files: Vec<_> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    assert!(!files.is_empty(), "there is no script");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = files
            .iter()
            .map(|script| scope.spawn(move || run(script).err()))
            .collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        ended.flatten().collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Scripts that sign, for two accounts.
#[test]
fn every_signed_script_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    all_pass(&scripts().join("signed"), |script| {
        let dir = tempfile::tempdir().expect("a folder");
        let identity = support::identity(dir.path());
        let account = |id: &str| {
            let (account, key) = identity
                .create_account("test", Some(id), "a test")
                .expect("an account");
            json!({"id": account.id, "key": key.key.id, "secret": key.secret.reveal()})
        };
        let accounts = json!([account("111111111111"), account("222222222222")]).to_string();
        let server = Running::over(identity.clone(), dir);
        // Ids, keys and secrets that it may sign with.
        run_against(server, &python, script, &[("TENON_ACCOUNTS", &accounts)])?;
        if script.ends_with(AUDITED) {
            audit_says_who_did_what(&identity);
        }
        Ok(())
    });
}

/// Writes what an operator has: an authority of the house, and a certificate it gave this server.
fn certificates(dir: &Path) -> (TlsFiles, PathBuf) {
    let named = |name: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut authority = named("a test's authority", &[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate().expect("a key");
    let own = authority
        .self_signed(&authority_key)
        .expect("a certificate");
    let issuer = Issuer::new(authority, authority_key);
    let mut server = named("a test's server", &["localhost", "127.0.0.1"]);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let signed = server.signed_by(&key, &issuer).expect("a certificate");
    let files = TlsFiles::new(dir.join("cert.pem"), dir.join("key.pem"));
    let authority = dir.join("authority.pem");
    fs::write(&files.certificate, signed.pem()).expect("written");
    fs::write(&files.key, key.serialize_pem()).expect("written");
    fs::write(&authority, own.pem()).expect("written");
    (files, authority)
}

/// Scripts that speak TLS, trusting the authority of the house only.
#[test]
fn every_script_over_tls_passes() {
    let Some(python) = python() else {
        println!("skipped: pip cannot install tests/clients/requirements.txt here");
        return;
    };
    all_pass(&scripts().join("tls"), |script| {
        let dir = tempfile::tempdir().expect("a folder");
        let (files, authority) = certificates(dir.path());
        let server = Running::with_tls(support::identity(dir.path()), dir, Some(files));
        let authority = authority.display().to_string();
        run_against(server, &python, script, &[("TENON_AUTHORITY", &authority)])
    });
}

/// The script whose changes [`audit_says_who_did_what`] looks for.
const AUDITED: &str = "boto3_accounts.py";

fn audit_says_who_did_what(identity: &Identity) {
    let list = |account: &str, operation: &str| {
        let query = AuditQuery {
            operation: Some(operation.to_owned()),
            limit: 1000,
            ..AuditQuery::default()
        };
        let page = identity.audit(Some(account), &query).expect("a log");
        let said =
            |entry: &tenon_server::AuditEntry| (entry.principal.clone(), entry.outcome.clone());
        page.entries.iter().map(said).collect::<Vec<_>>()
    };
    let root = "arn:aws:iam::111111111111:root".to_owned();
    let created = list("111111111111", "glue:CreateDatabase");
    assert_eq!(created, vec![(root.clone(), "Success".to_owned()); 2]);
    let role = "arn:aws:sts::111111111111:assumed-role/r/ab".to_owned();
    let updated = list("111111111111", "glue:UpdateDatabase");
    assert_eq!(updated, [(role, "Success".to_owned())]);
    let assumed = list("111111111111", "sts:AssumeRole");
    let refused = (root.clone(), "AccessDeniedException".to_owned());
    assert_eq!(
        assumed,
        [(root, "Success".to_owned()), refused.clone(), refused]
    );
    assert_eq!(list("222222222222", "sts:AssumeRole"), []);
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = ServerConfig {
        listen: "0.0.0.0:0".parse().expect("an address"),
        ..ServerConfig::default()
    };
    let bound = runtime.block_on(Server::bind(&config, support::identity(dir.path())));
    let error = bound.expect_err("refused");
    assert!(matches!(error, ServerError::OpenToAll(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("no access keys are set up; listen on 127.0.0.1"),
        "{error}"
    );
}
