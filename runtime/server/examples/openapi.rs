//! Writes `docs/openapi.json`: `cargo run --release -p tenon-server --example openapi`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    std::fs::write(docs, tenon_server::openapi())
}
