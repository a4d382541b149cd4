//! The daemon: answers price requests over a Unix socket, takes rewards, journals both, and swaps policies.
//!
//! [`Engine`] is the daemon without sockets; [`run`] puts it behind two of them; [`Client`] talks to it. [`Market`] is
//! what it remembers, and [`decide`] how a price comes about: both are plain functions of what they are given.
//! **Invariant:** nothing in here knows that a tensor library exists.

mod admin;
mod answer;
mod archive;
mod asked;
mod async_client;
mod bundles;
mod canary;
mod checkpoint;
mod checkpointer;
mod client;
mod clock;
mod committer;
mod connection;
mod counts;
mod decide;
mod dispatch;
mod engine;
mod envelope;
mod error;
mod explain;
mod export;
mod forget;
mod frames;
mod history;
mod http;
mod inbox;
mod index;
mod journal;
mod known;
mod learner;
mod ledger;
mod lessons;
mod lines;
mod made;
mod market;
mod metrics;
mod modes;
mod opening;
mod price_request;
mod prime;
mod protocol;
mod quote;
mod record;
mod recovery;
mod refusal;
mod reply;
mod request;
mod retention;
mod rewarding;
mod server;
mod service;
mod sessions;
mod settings;
mod shapley;
mod shown;
mod socket;
mod stages;
mod state;
mod store_error;
mod strict;
mod swap;
mod trial;
mod view;
mod waiting;
mod whole_file;
mod wire;

pub use admin::{AdminReply, AdminRequest};
pub use answer::{Answer, ClientError};
pub use async_client::AsyncClient;
pub use client::Client;
pub use committer::Ticket;
pub use decide::{Decision, Mode, Question, Source, decide};
pub use engine::Engine;
pub use error::ServeError;
pub use explain::{Card, LadderPrice};
pub use export::{Exported, export};
pub use forget::{Forgotten, forget};
pub use index::Index;
pub use journal::{Checked, Journal, JournalReader, backup, check};
pub use lessons::Progress;
pub use market::Market;
pub use opening::EngineConfig;
pub use price_request::{LogMode, PriceRequest, ShelfNews, WireContext};
pub use prime::Primed;
pub use protocol::{
    BATCH_MAX, ID_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, PROTOCOL, RequestId, TIME_S_MAX, UNITS_MAX,
    VALUE_MINOR_MAX,
};
pub use quote::{Arrival, Quote};
pub use record::*;
pub use refusal::{Code, Refusal};
pub use reply::*;
pub use request::{DecisionName, HelloRequest, Nothing, Op, Request, RewardRequest, RewardsRequest};
pub use server::run;
pub use settings::{
    DaemonConfig, LawConfig, PriceConfig, RewardConfig, Settings, SettingsFiles, StoreConfig, load_rulebook,
};
pub use shapley::Contribution;
pub use socket::{Sockets, admin_path, http_path};
pub use store_error::StoreError;
pub use swap::Swapped;
pub use trial::{ArmStatus, CanaryStatus};
pub use view::{Ask, View};
pub use wire::{FRAME_HEADER_BYTES, FRAME_VERSION, REFUSAL_TYPE, REPLY_TYPE};
