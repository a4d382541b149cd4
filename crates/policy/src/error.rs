use crate::bandit::BanditError;
use crate::{ActorsError, NetworkError};
use haggle_core::{Digest, PolicyError};
use std::path::PathBuf;

/// Why a folder is no bundle that can be served, or why one could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file is not there or cannot be read.
    #[error("bundle: cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or folder cannot be written.
    #[error("bundle: cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `manifest.json` is no manifest.
    #[error("bundle: manifest.json cannot be understood")]
    Manifest(#[source] serde_json::Error),
    /// Written in another format.
    #[error("bundle: format {got}; this program reads format {}", crate::FORMAT)]
    Format {
        /// The format found.
        got: u32,
    },
    /// The folder's name is not the digest of what is in it.
    #[error(
        "bundle: the folder is named {folder}, but its content has the digest {digest}: it was changed or renamed"
    )]
    Name {
        /// The folder's name.
        folder: String,
        /// The digest of its content.
        digest: Digest,
    },
    /// Trained on other features than this program encodes.
    #[error("bundle: made for feature specification {got:?}, this program encodes {expected:?}")]
    FeatureSpec {
        /// What the bundle was made for.
        got: Digest,
        /// What this program encodes.
        expected: Digest,
    },
    /// The tensor file is none.
    #[error("bundle: policy.safetensors cannot be understood")]
    Tensors(#[source] safetensors::SafeTensorError),
    /// A tensor is not there.
    #[error("bundle: policy.safetensors has no tensor `{0}`")]
    TensorMissing(String),
    /// A tensor that the manifest does not ask for.
    #[error("bundle: policy.safetensors has a tensor `{0}` that the manifest does not ask for")]
    TensorSuperfluous(String),
    /// A tensor of another element type.
    #[error("bundle: tensor `{name}` is {got:?}, expected F32")]
    TensorType {
        /// The tensor.
        name: String,
        /// Its type.
        got: safetensors::Dtype,
    },
    /// A tensor of another shape.
    #[error("bundle: tensor `{name}` has shape {got:?}, the manifest asks for {expected:?}")]
    TensorShape {
        /// The tensor.
        name: String,
        /// What the manifest asks for.
        expected: Vec<usize>,
        /// What it is.
        got: Vec<usize>,
    },
    /// Weights that are no network.
    #[error("bundle: {0}")]
    Network(#[from] NetworkError),
    /// Networks that are no actors.
    #[error("bundle: {0}")]
    Actors(#[from] ActorsError),
    /// A plan that is none, or terms that it does not fit.
    #[error("bundle: its bandits cannot be made")]
    Bandit(#[from] BanditError),
    /// It prices a market, not a shop.
    #[error(
        "bundle: it prices the market `{kind}`, not a shop's catalogue; only a policy trained on replayed sessions can be \
         served, tuned or judged by the gate"
    )]
    Market {
        /// The market's family.
        kind: String,
    },
    /// It prices a shop, not a market.
    #[error("bundle: it prices a shop's catalogue, not a market")]
    NoMarket,
    /// Ladders that do not fit the policy.
    #[error("bundle: the policy scores {rungs} rungs, the longest ladder of the catalogue has {ladder}")]
    Rungs {
        /// What the policy scores.
        rungs: usize,
        /// The longest ladder.
        ladder: usize,
    },
    /// A fixed policy that does not fit its catalogue.
    #[error("bundle: item {item} of the catalogue has no rung on its ladder")]
    FixedRung {
        /// The item's global number.
        item: usize,
    },
    /// A number out of its range.
    #[error("bundle: {name} is {got}, expected {expected}")]
    Range {
        /// Which number.
        name: &'static str,
        /// Its value.
        got: f64,
        /// Its range in words.
        expected: &'static str,
    },
    /// No probes: parity with the learner cannot be checked.
    #[error("bundle: the manifest has no probe vectors")]
    NoProbes,
    /// A probe comes out differently.
    #[error(
        "bundle: probe {probe} gives a score {difference} away from what its maker computed (limit {})",
        crate::probe::PROBE_TOLERANCE
    )]
    Probe {
        /// Number of the probe.
        probe: usize,
        /// The largest difference.
        difference: f32,
    },
    /// A probe that the policy cannot answer.
    #[error("bundle: probe {probe} cannot be answered")]
    ProbeInput {
        /// Number of the probe.
        probe: usize,
        /// Why.
        source: PolicyError,
    },
}
