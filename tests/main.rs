//! Stories across crates: one test program, one story per file.

mod configs;
mod demo;
mod floor_plan;
mod observations;
