//! The manifest inside the component: [`embed`] writes the `tenon:manifest` custom section, [`read_manifest`]
//! finds it.
//!
//! Only the outermost component's own sections count. A component contains other modules and components as
//! whole sections; those may carry a manifest of their own and are passed over, so a plugin composed from
//! plugins says one thing. Two manifests at the top would be ambiguous and are refused.

use std::borrow::Cow;
use std::ops::Range;

use wasm_encoder::{CustomSection, Encode, SectionId};
use wasmparser::{Chunk, Encoding, Parser, Payload, Validator};

use crate::error::{Error, Result};
use crate::manifest::Manifest;

/// Name of the custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "tenon:manifest";

/// Largest component accepted, in bytes: 50 MiB.
pub const MAX_COMPONENT_BYTES: u64 = 50 * 1024 * 1024;

/// Largest manifest accepted, in bytes of JSON: 256 KiB.
pub const MAX_MANIFEST_BYTES: u64 = 256 * 1024;

/// Returns `component` with `manifest` in its `tenon:manifest` section, replacing one that is there.
///
/// All other bytes stay as they are, and the same input gives the same output.
///
/// # Errors
/// [`Error::InvalidManifest`], [`Error::NotAComponent`], or [`Error::TooLarge`] when the result would exceed
/// [`MAX_COMPONENT_BYTES`].
pub fn embed(manifest: &Manifest, component: &[u8]) -> Result<Vec<u8>> {
    manifest.validate()?;
    let json = serde_json::to_vec(manifest).map_err(|error| Error::manifest(error.to_string()))?;
    check_size("the manifest", json.len(), MAX_MANIFEST_BYTES)?;

    let mut bytes = Vec::with_capacity(component.len() + json.len() + 32);
    let mut copied_to = 0;
    for found in manifest_sections(component)? {
        bytes.extend_from_slice(&component[copied_to..found.section.start]);
        copied_to = found.section.end;
    }
    bytes.extend_from_slice(&component[copied_to..]);
    append_section(&mut bytes, &json);
    check_size(
        "the component with its manifest",
        bytes.len(),
        MAX_COMPONENT_BYTES,
    )?;
    Ok(bytes)
}

fn append_section(bytes: &mut Vec<u8>, json: &[u8]) {
    let section = CustomSection {
        name: Cow::Borrowed(MANIFEST_SECTION),
        data: Cow::Borrowed(json),
    };
    bytes.push(SectionId::Custom.into());
    section.encode(bytes);
}

/// Reads the manifest of a component.
///
/// Looks at the outer sections only; it does not check that the code inside is valid.
///
/// # Errors
/// [`Error::NotAComponent`] with a hint when a core module is given, [`Error::NoManifest`],
/// [`Error::InvalidManifest`], or [`Error::TooLarge`].
pub fn read_manifest(component: &[u8]) -> Result<Manifest> {
    let sections = manifest_sections(component)?;
    match sections.as_slice() {
        [] => Err(Error::NoManifest {
            section: MANIFEST_SECTION,
        }),
        [only] => {
            check_size("the manifest", only.json.len(), MAX_MANIFEST_BYTES)?;
            Manifest::from_json(&component[only.json.clone()])
        }
        several => {
            let count = several.len();
            Err(Error::manifest(format!(
                "the component has {count} {MANIFEST_SECTION:?} sections, one is allowed"
            )))
        }
    }
}

/// Checks the code of a component as far as that is possible without compiling it.
///
/// # Errors
/// [`Error::NotAComponent`] with the position of the first fault.
pub(crate) fn validate_component(component: &[u8]) -> Result<()> {
    match Validator::new().validate_all(component) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_a_component(format!("it does not validate: {error}"))),
    }
}

/// Where a manifest section lies in the component: all of it, and the JSON in it.
struct Found {
    section: Range<usize>,
    json: Range<usize>,
}

fn manifest_sections(component: &[u8]) -> Result<Vec<Found>> {
    check_size("the component", component.len(), MAX_COMPONENT_BYTES)?;
    let mut parser = Parser::new(0);
    let mut found = Vec::new();
    let mut start = 0;
    loop {
        let rest = component.get(start..).ok_or_else(truncated)?;
        let (consumed, payload) = match parser.parse(rest, true) {
            Ok(Chunk::Parsed { consumed, payload }) => (consumed, payload),
            Ok(Chunk::NeedMoreData(_)) => return Err(truncated()),
            Err(error) if start == 0 => return Err(not_a_component(not_wasm(component, &error))),
            Err(error) => return Err(not_a_component(format!("it cannot be read: {error}"))),
        };
        let mut end = start + consumed;
        match payload {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } => return Err(not_a_component(CORE_MODULE)),
            Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } => {
                end = usize::try_from(unchecked_range.end).map_err(|_| truncated())?;
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                found.push(Found {
                    section: start..end,
                    json: end - section.data().len()..end,
                });
            }
            Payload::End(_) => return Ok(found),
            _ => {}
        }
        start = end;
    }
}

const CORE_MODULE: &str = "this is a core wasm module; build the plugin with `tenon plugin build`, or wrap the module \
    with `wasm-tools component new`";

fn not_a_component(reason: impl Into<String>) -> Error {
    Error::NotAComponent {
        reason: reason.into(),
    }
}

fn truncated() -> Error {
    not_a_component("the file ends in the middle of a section")
}

fn not_wasm(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> String {
    if bytes.is_empty() {
        return "the file is empty".to_owned();
    }
    if bytes.starts_with(b"\0asm") {
        return format!("its header cannot be read: {error}");
    }
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]);
    format!("the file does not start with the wasm magic number, it starts with {shown:?}")
}

fn check_size(what: &str, size: usize, limit: u64) -> Result<()> {
    let size = size as u64;
    if size > limit {
        return Err(Error::TooLarge {
            what: what.to_owned(),
            size,
            limit,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{Component, Module, ModuleSection, NestedComponentSection};

    use super::*;

    fn manifest(version: &str) -> Manifest {
        Manifest::from_json(
            format!(
                r#"{{"name":"p","version":"{version}","description":"d","license":"MIT","contract":"0.1.0",
                     "functions":[{{"name":"f","kind":"map"}}]}}"#
            )
            .as_bytes(),
        )
        .unwrap()
    }

    /// A component around a module and a component that both carry a section of our name.
    fn nested() -> Vec<u8> {
        let lie = CustomSection {
            name: MANIFEST_SECTION.into(),
            data: b"not json".as_slice().into(),
        };
        let mut module = Module::new();
        module.section(&lie);
        let mut inner = Component::new();
        inner.section(&lie);
        let mut outer = Component::new();
        outer.section(&ModuleSection(&module));
        outer.section(&NestedComponentSection(&inner));
        outer.section(&CustomSection {
            name: "name".into(),
            data: b"\0".as_slice().into(),
        });
        outer.finish()
    }

    #[test]
    fn what_is_embedded_is_read_back_and_the_rest_is_untouched() {
        let plain = nested();
        let with = embed(&manifest("0.1.0"), &plain).unwrap();
        assert_eq!(read_manifest(&with).unwrap(), manifest("0.1.0"));
        assert_eq!(with[..plain.len()], plain);
        validate_component(&with).unwrap();
    }

    #[test]
    fn embedding_again_replaces() {
        let plain = nested();
        let first = embed(&manifest("0.1.0"), &plain).unwrap();
        let second = embed(&manifest("0.2.0"), &first).unwrap();
        assert_eq!(read_manifest(&second).unwrap(), manifest("0.2.0"));
        assert_eq!(second, embed(&manifest("0.2.0"), &plain).unwrap());
    }

    #[test]
    fn a_manifest_of_a_nested_part_does_not_count() {
        assert!(matches!(
            read_manifest(&nested()),
            Err(Error::NoManifest { .. })
        ));
    }

    #[test]
    fn two_manifests_are_refused_and_embedding_repairs() {
        let mut twice = embed(&manifest("0.1.0"), &nested()).unwrap();
        append_section(&mut twice, b"{}");
        assert_eq!(
            read_manifest(&twice).unwrap_err().to_string(),
            "invalid plugin manifest: the component has 2 \"tenon:manifest\" sections, one is allowed"
        );
        assert_eq!(
            read_manifest(&embed(&manifest("0.3.0"), &twice).unwrap()).unwrap(),
            manifest("0.3.0")
        );
    }

    #[test]
    fn other_files_are_refused_with_what_to_do() {
        let module = Module::new().finish();
        let module = read_manifest(&module).unwrap_err().to_string();
        assert!(
            module.contains("core wasm module") && module.contains("tenon plugin build"),
            "{module}"
        );
        assert_eq!(
            read_manifest(b"").unwrap_err().to_string(),
            "not a wasm component: the file is empty"
        );
        assert_eq!(
            read_manifest(b"PK\x03\x04 a wheel")
                .unwrap_err()
                .to_string(),
            "not a wasm component: the file does not start with the wasm magic number, it starts with \
             \"PK\\u{3}\\u{4} a wheel\""
        );
    }

    #[test]
    fn every_truncation_is_refused_and_never_panics() {
        let whole = embed(&manifest("0.1.0"), &nested()).unwrap();
        for length in 0..whole.len() {
            assert!(
                read_manifest(&whole[..length]).is_err(),
                "{length} of {} bytes were accepted",
                whole.len()
            );
        }
    }

    #[test]
    fn no_flipped_bit_panics() {
        let whole = embed(&manifest("0.1.0"), &nested()).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = read_manifest(&damaged);
            let _ = embed(&manifest("0.1.0"), &damaged);
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let mut large = Component::new().finish();
        append_section(&mut large, &vec![b' '; MAX_MANIFEST_BYTES as usize + 1]);
        assert_eq!(
            read_manifest(&large).unwrap_err().to_string(),
            "the manifest has 262145 bytes, the limit is 262144 bytes"
        );
        let huge = vec![0; MAX_COMPONENT_BYTES as usize + 1];
        assert_eq!(
            read_manifest(&huge).unwrap_err().to_string(),
            "the component has 52428801 bytes, the limit is 52428800 bytes"
        );
    }
}
