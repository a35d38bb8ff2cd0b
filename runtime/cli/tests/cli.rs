//! What users see: help texts, exit codes and errors, as files under `cmd/`.
//!
//! Each case runs in a folder of its own (`NAME.in`, copied), with the data folder inside it. After an
//! intended change: `TRYCMD=overwrite cargo test --release -p tenon-cli --test cli`.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop"
)]

mod served;

#[test]
fn command_line() {
    trycmd::TestCases::new()
        .env("TENON_DATA", "data")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}
