//! Policies as they are served: the bundle (a folder named by its digest), its checks, and the forward pass in plain
//! Rust. Nothing here knows a tensor library, a clock or a socket.
//!
//! A bundle is the only thing that crosses from learning to serving. Whoever loads one has seen its digest, shapes,
//! feature specification, ladders and probe vectors checked.

mod actors;
pub mod bandit;
mod bundle;
mod cell;
mod dense;
mod error;
mod files;
mod fixed;
mod manifest;
mod market_bundle;
mod mlp;
mod network;
mod policy_kind;
mod probe;
mod squashed;
mod tensors;
mod terms_check;
mod verdict;

pub use actors::{Actors, ActorsError};
pub use bundle::Bundle;
pub use dense::Layer;
pub use error::BundleError;
pub use files::{MANIFEST_FILE, TENSORS_FILE};
pub use fixed::FixedPolicy;
pub use manifest::{Activation, DataSource, FORMAT, Manifest, Model, Probe, Provenance, Terms};
pub use market_bundle::{MarketBundle, MarketManifest, MarketModel, MarketProbe, MarketTerms};
pub use mlp::MlpPolicy;
pub use network::{Network, NetworkError};
pub use policy_kind::PolicyKind;
pub use squashed::{LOG_STD, SquashedNormal, multiplier};
pub use verdict::{GATE_FILE, VERDICT_FORMAT, Verdict};
