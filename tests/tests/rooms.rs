//! The rule between rooms: who may use whom, which crate may name which heavy dependency, and one version of
//! each. Read from `cargo metadata`, so that the folders cannot say one thing and the code another.

#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each room may use of ours. (`tests` may use everything.)
const ROOMS: &[(&str, &[&str])] = &[
    ("tenon-sdk-macros", &[]),
    ("tenon-sdk", &["tenon-sdk-macros"]),
    ("tenon-calendar", &["tenon-sdk"]),
    ("tenon-find-matches", &["tenon-sdk"]),
    ("tenon-http-json", &["tenon-sdk"]),
    ("tenon-mask", &["tenon-sdk"]),
    ("tenon-most-frequent", &["tenon-sdk"]),
    ("tenon-sessionize", &["tenon-sdk"]),
    ("tenon-conformance", &["tenon-sdk"]),
    ("tenon-hostile", &["tenon-sdk"]),
    ("tenon-bench-guest", &["tenon-sdk"]),
    ("tenon-registry", &[]),
    ("tenon-store", &[]),
    ("tenon-host", &[]),
    ("tenon-connect", &[]),
    ("tenon-catalog", &["tenon-store"]),
    ("tenon-jobs", &["tenon-store"]),
    (
        "tenon-engine",
        &[
            "tenon-host",
            "tenon-connect",
            "tenon-catalog",
            "tenon-registry",
        ],
    ),
    (
        "tenon-server",
        &[
            "tenon-catalog",
            "tenon-jobs",
            "tenon-registry",
            "tenon-store",
        ],
    ),
    (
        "tenon-cli",
        &[
            "tenon-host",
            "tenon-connect",
            "tenon-catalog",
            "tenon-registry",
            "tenon-jobs",
            "tenon-store",
            "tenon-engine",
            "tenon-server",
        ],
    ),
];

/// The only rooms that may name these.
const HEAVY: &[(&str, &[&str])] = &[
    ("wasmtime", &["tenon-host"]),
    ("sled", &["tenon-store"]),
    ("cap-std", &["tenon-connect"]),
    ("object_store", &["tenon-connect"]),
    ("ureq", &["tenon-connect", "tenon-cli"]),
    ("datafusion", &["tenon-connect", "tenon-engine"]),
    ("clap", &["tenon-cli"]),
    ("axum", &["tenon-server"]),
    ("wit-bindgen", &["tenon-sdk"]),
    ("wit-component", &["tenon-cli"]),
];

/// Two versions of one of these would not exchange values.
const ONE_VERSION: &[&str] = &[
    "arrow",
    "arrow-array",
    "arrow-schema",
    "datafusion",
    "datafusion-common",
    "object_store",
    "parquet",
    "wasmtime",
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn ours(metadata: &Metadata) -> Vec<&Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .filter(|p| p.name.as_str() != "tenon-tests")
        .collect()
}

fn normal(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal)
        .map(|d| d.name.as_str())
}

#[test]
fn rooms_use_only_whom_they_may() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut broken = Vec::new();
    for package in ours(&metadata) {
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            broken.push(format!("{} is in no rule: add it to ROOMS", package.name));
            continue;
        };
        let uses = package
            .dependencies
            .iter()
            .map(|d| d.name.as_str())
            .filter(|name| name.starts_with("tenon-"));
        broken.extend(
            uses.filter(|name| !allowed.contains(name))
                .map(|name| format!("{} uses {name}", package.name)),
        );
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(
        ours(&metadata).len(),
        ROOMS.len(),
        "a rule names a room that is not there"
    );
}

#[test]
fn heavy_dependencies_stay_in_their_room() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in ours(&metadata) {
        for (heavy, rooms) in HEAVY {
            if normal(package).any(|name| name == *heavy) && !rooms.contains(&package.name.as_str())
            {
                broken.push(format!(
                    "{} names {heavy}; only {rooms:?} may",
                    package.name
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn there_is_one_version_of_each() {
    let metadata = metadata();
    for name in ONE_VERSION {
        let versions: BTreeSet<String> = metadata
            .packages
            .iter()
            .filter(|p| p.name.as_str() == *name)
            .map(|p| p.version.to_string())
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn versions_stand_in_the_root_only() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
                continue;
            }
            if !in_dependencies || !line.contains('=') || line.starts_with('#') {
                continue;
            }
            let inherits = line.contains("workspace = true");
            assert!(
                inherits,
                "{}: {line:?} does not take its version from the root",
                package.name
            );
        }
    }
}
