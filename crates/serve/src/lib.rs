//! The daemon: answers price requests over a Unix socket, takes rewards, journals both, and swaps policies.
//!
//! [`Engine`] is the daemon without sockets; [`run`] puts it behind two of them; [`Client`] talks to it. [`Market`] is
//! what it remembers, and [`decide`] how a price comes about: both are plain functions of what they are given.
//! **Invariant:** nothing in here knows that a tensor library exists.

mod admin;
mod client;
mod committer;
mod connection;
mod decide;
mod engine;
mod envelope;
mod error;
mod export;
mod forget;
mod journal;
mod ledger;
mod lines;
mod market;
mod protocol;
mod record;
mod recovery;
mod server;
mod sessions;
mod socket;
mod store_error;
mod swap;

pub use admin::{AdminReply, AdminRequest};
pub use client::{Client, ClientError};
pub use committer::Ticket;
pub use decide::{DecideError, Decision, Mode, decide};
pub use engine::{Engine, Status};
pub use error::ServeError;
pub use export::{Exported, export};
pub use forget::{Forgotten, forget};
pub use journal::{Checked, Journal, JournalReader, backup, check};
pub use market::{Ask, Market, Primed, View};
pub use protocol::*;
pub use record::{DecisionRecord, Record, SwapReason, SwapRecord};
pub use recovery::EngineConfig;
pub use server::run;
pub use socket::{Sockets, admin_path};
pub use store_error::StoreError;
pub use swap::Swapped;
