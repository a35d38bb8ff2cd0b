//! Core module to component, in process: no tool to install.
//!
//! The WIT that the guest was written against travels in custom sections of the core module (`wit-bindgen`
//! puts it there); `wit-component` needs nothing else. A guest of `wasm32-unknown-unknown` imports nothing
//! but our interfaces, so there is no adapter.

use tenon_registry::FunctionKind;
use wasmparser::{BinaryReader, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::error::{Explain, Failure};

/// The package of the contract, in front of `/map@0.2.0`.
const CONTRACT: &str = "tenon:plugin/";

/// What the outside of a component tells about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Exports {
    /// Which interfaces of the contract it exports.
    pub(crate) kinds: Vec<FunctionKind>,
    /// Version of the contract.
    pub(crate) contract: Option<String>,
    /// Which of the contract's interfaces that reach outside it imports.
    pub(crate) capabilities: Vec<String>,
}

/// The contract's interfaces that reach outside.
const CAPABILITIES: [&str; 1] = ["http"];

/// Makes a component of a core module; `with_names` keeps names of functions and of tools.
///
/// # Errors
/// When the module does not fit the WIT it carries.
pub(crate) fn encode(module: &[u8], with_names: bool) -> Result<Vec<u8>, Failure> {
    let slim = if with_names {
        module.to_vec()
    } else {
        strip(module)?
    };
    let component = ComponentEncoder::default()
        .validate(true)
        .debug_names(with_names)
        .module(&slim)
        .and_then(|encoder| encoder.encode())
        .what(|| "cannot make a component of the core module")
        .hint(
            "a plugin imports nothing but what tenon-sdk gives it: no WASI, no JavaScript glue",
        )?;
    if with_names {
        Ok(component)
    } else {
        strip(&component)
    }
}

/// Reads which interfaces of the contract `component` exports, and which capabilities it imports.
///
/// # Errors
/// When the bytes are not a component.
pub(crate) fn exports(component: &[u8]) -> Result<Exports, Failure> {
    let mut exports = Exports::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.what(|| "cannot read the component")? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    exports.add_import(import.what(|| "cannot read the component")?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.add(export.what(|| "cannot read the component")?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(exports)
}

impl Exports {
    fn add_import(&mut self, name: &str) {
        let interface = name.strip_prefix(CONTRACT).unwrap_or_default();
        let (interface, _) = interface.split_once('@').unwrap_or((interface, ""));
        if CAPABILITIES.contains(&interface) {
            self.capabilities.push(interface.to_owned());
        }
    }

    fn add(&mut self, name: &str) {
        let Some(interface) = name.strip_prefix(CONTRACT) else {
            return;
        };
        let (interface, version) = interface.split_once('@').unwrap_or((interface, ""));
        if !version.is_empty() {
            self.contract = Some(version.to_owned());
        }
        self.kinds.extend(match interface {
            "map" => Some(FunctionKind::Map),
            "stream" => Some(FunctionKind::Stream),
            "aggregate" => Some(FunctionKind::Aggregate),
            "table-function" => Some(FunctionKind::TableFunction),
            "plan" => Some(FunctionKind::Plan),
            "source" => Some(FunctionKind::Source),
            "sink" => Some(FunctionKind::Sink),
            _ => None,
        });
    }
}

/// A module or component without those of its outer custom sections that only tools read. All other bytes
/// stay as they are.
fn strip(wasm: &[u8]) -> Result<Vec<u8>, Failure> {
    strip_sections(wasm).what(|| "cannot read the wasm that the compiler made")
}

fn strip_sections(wasm: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut reader = BinaryReader::new(wasm, 0);
    let mut slim = reader.read_bytes(HEADER_BYTES)?.to_vec();
    while !reader.eof() {
        let rest = &wasm[wasm.len() - reader.bytes_remaining()..];
        let before = reader.bytes_remaining();
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        let content = reader.read_bytes(length)?;
        if id != CUSTOM_SECTION || !is_for_tools(custom_name(content)?) {
            slim.extend_from_slice(&rest[..before - reader.bytes_remaining()]);
        }
    }
    Ok(slim)
}

fn custom_name(content: &[u8]) -> wasmparser::Result<&str> {
    BinaryReader::new(content, 0).read_string()
}

fn is_for_tools(name: &str) -> bool {
    matches!(
        name,
        "name" | "component-name" | "producers" | "target_features"
    ) || name.starts_with(".debug")
}

/// Magic number and version.
const HEADER_BYTES: usize = 8;

/// Id of custom sections, in modules and in components.
const CUSTOM_SECTION: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let mut section = vec![
            0,
            u8::try_from(1 + name.len() + data.len()).unwrap(),
            u8::try_from(name.len()).unwrap(),
        ];
        section.extend_from_slice(name.as_bytes());
        section.extend_from_slice(data);
        section
    }

    #[test]
    fn only_sections_for_tools_are_taken_out() {
        let header = *b"\0asm\x01\0\0\0";
        let kept = custom("component-type:x", &[1, 2, 3]);
        let module = [
            &header[..],
            &custom("name", &[9]),
            &kept,
            &custom("producers", &[]),
        ]
        .concat();
        assert_eq!(strip(&module).unwrap(), [&header[..], &kept].concat());
    }

    #[test]
    fn a_cut_module_is_an_error() {
        assert!(strip(b"\0asm").is_err());
        assert!(strip(b"\0asm\x01\0\0\0\x00\x7fabc").is_err());
    }

    #[test]
    fn a_module_without_wit_exports_nothing_of_ours() {
        let component = encode(b"\0asm\x01\0\0\0", false).unwrap();
        assert_eq!(exports(&component).unwrap(), Exports::default());
    }

    #[test]
    fn kinds_and_contract_are_read_off_the_exports() {
        let mut found = Exports::default();
        for name in [
            "tenon:plugin/meta@0.2.0",
            "tenon:plugin/map@0.2.0",
            "wasi:cli/run",
        ] {
            found.add(name);
        }
        for name in ["tenon:plugin/host@0.2.0", "tenon:plugin/http@0.2.0"] {
            found.add_import(name);
        }
        assert_eq!(found.kinds, [FunctionKind::Map]);
        assert_eq!(found.capabilities, ["http"]);
        assert_eq!(found.contract.as_deref(), Some("0.2.0"));
    }
}
