//! Estimators and gate where the truth is known exactly, on seeded logs.

#![allow(clippy::unwrap_used)]

mod bad_candidates;
mod bad_logs;
mod judged;
mod odds;
mod shop;
