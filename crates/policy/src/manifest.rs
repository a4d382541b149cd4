use crate::BundleError;
use crate::bandit::BanditPlan;
use haggle_core::{Catalog, Digest, Guardrails, Mask, MemoryRates};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The bundle format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// What is looked at before anything else: manifests of another format, or for a market, have other fields.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    format: u32,
    pub(crate) market: Option<HeadMarket>,
}

/// The family of the market that a bundle prices.
#[derive(Debug, Deserialize)]
pub(crate) struct HeadMarket {
    pub(crate) kind: String,
}

impl Head {
    /// # Errors
    /// When it is no manifest, or one of another format.
    pub(crate) fn read(manifest: &[u8]) -> Result<Self, BundleError> {
        let head: Self = serde_json::from_slice(manifest).map_err(BundleError::Manifest)?;
        if head.format != FORMAT {
            return Err(BundleError::Format { got: head.format });
        }
        Ok(head)
    }
}

/// `manifest.json`: everything of a bundle that is not a weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the bundle format; [`FORMAT`] here.
    pub format: u32,
    /// What kind of policy it is.
    pub model: Model,
    /// The feature specification that it was trained on.
    pub feature_spec: Digest,
    /// Width of an observation.
    pub obs_width: usize,
    /// Length of the longest ladder: the number of scores that the policy gives.
    pub rungs: usize,
    /// The market that it prices, and on which terms.
    pub terms: Terms,
    /// Inputs with the scores expected for them.
    pub probes: Vec<Probe>,
}

/// The market that a policy prices and the terms on which it does; an environment and the daemon read the same ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What is priced, with ladders and traits; shared, since a swap must not copy it while prices wait.
    pub catalog: Arc<Catalog>,
    /// Share of pure exploration in every distribution, in [0, 1].
    pub floor: f64,
    /// How fast the memories of the market fade.
    pub memory: MemoryRates,
    /// The shop's standing rules.
    pub guardrails: Guardrails,
    /// Largest allowed price index (basket cost at the policy's prices / at the posted prices); none = unconstrained.
    pub price_index_limit: Option<f64>,
    /// The Lagrange multiplier of that limit at the end of training; 0 when unconstrained.
    pub multiplier: f64,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// What kind of policy a bundle holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Model {
    /// A multi-layer perceptron; its weights are in the tensor file.
    Mlp {
        /// Between layers.
        activation: Activation,
        /// Widths of the hidden layers, first to last.
        hidden: Vec<usize>,
    },
    /// One rung per item, in the catalogue's order.
    Fixed {
        /// The rungs.
        rungs: Vec<u8>,
    },
    /// A bandit per item, which has learnt nothing yet.
    Bandit(BanditPlan),
}

/// What stands between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
}

/// Where a bundle comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The bundle that it was tuned from.
    pub parent: Option<Digest>,
    /// What it learnt from.
    pub data: Vec<DataSource>,
    /// The demand model of the environment that it was trained in.
    pub demand_model: Option<Digest>,
    /// What the run was about: environment, algorithm and seed, as its folder's name begins. Its `run.json` has the bundle's digest.
    pub run: String,
    /// Root seed of the run.
    pub seed: u64,
    /// How the demand model's price effects are identified, e.g. `R1: observational`.
    pub identification: String,
    /// What was maximised, e.g. `revenue`.
    pub objective: String,
    /// The program that wrote it, with its version.
    pub program: String,
}

/// A data set by name and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// What it is, e.g. `session store` or the name of a segment.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// One input with the scores that its maker computed for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Index of the item in the catalogue.
    pub item: usize,
    /// The observation.
    pub features: Vec<f32>,
    /// The allowed rungs.
    pub mask: Mask,
    /// One score per rung; of a bandit the probabilities that it begins with.
    pub logits: Vec<f32>,
}
