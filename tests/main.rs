//! Stories across crates: one test program, one story per file.

mod floor_plan;
mod observations;
