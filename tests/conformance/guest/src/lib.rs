//! The functions that the conformance cases call (`tests/conformance/README.md` says what each does), one module for
//! each world.

mod aggregates;
mod maps;
mod plans;
mod sources;
mod streams;
mod tables;

tenon_sdk::export! {
    map: [maps::Identity, maps::Plain, maps::KeepEven, maps::Twice, maps::AddOne, maps::FailAt],
    stream: [streams::RunningSum, streams::CountAll, streams::Labels],
    aggregate: [aggregates::Total, aggregates::Longest],
    table_function: [tables::Series, tables::Words],
    plan: [plans::Totals, plans::Itself],
    source: [sources::Numbers],
}
