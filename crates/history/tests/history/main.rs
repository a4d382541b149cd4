//! haggle-history from outside: source folders, stores, segments, and the bundled sessions.
#![allow(clippy::unwrap_used, reason = "tests may")]

mod bundled;
mod defects;
mod past;
mod shop;
mod store;
