//! Stories across crates: one test program, one story per file.
#![allow(
    clippy::unwrap_used,
    reason = "a story that cannot go on fails where it stands"
)]

mod bandit_bundle;
mod bench_serve;
mod configs;
mod demo;
mod evaluation;
mod floor_plan;
mod learning;
mod observations;
mod runs;
mod schema;
