use crate::{Digest, Mask, Pmf, PmfError};

/// What a policy is asked about: one item in front of one visit.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Index of the item in the catalogue, for policies that keep something per item.
    pub item: usize,
    /// The encoded features ([`crate::encode`] in replay; the environment's own elsewhere).
    pub features: &'a [f32],
}

/// Why a policy has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// Features of another width than the policy was made for.
    #[error("the policy expects {expected} features, this observation has {got}")]
    Width {
        /// What the policy was made for.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// An item that the policy does not know.
    #[error("the policy knows {known} items; there is no item number {item}")]
    Item {
        /// The item asked for.
        item: usize,
        /// How many are known.
        known: usize,
    },
    /// An observation that the policy cannot look at.
    #[error("the policy has no answer: {0}")]
    NoAnswer(String),
    /// A bandit's bundle, asked by itself.
    #[error("a bandit learns while a daemon serves it: its bundle alone has no prices to be judged by")]
    Learns,
    /// No distribution comes out.
    #[error(transparent)]
    Pmf(#[from] PmfError),
}

/// A pure function from features and mask to probabilities over rungs. It knows nothing of learning, files or time.
pub trait Policy: Send + Sync {
    /// The name of exactly this policy: logged with each decision.
    fn digest(&self) -> Digest;

    /// The distribution over rungs; 0 outside `allowed`.
    ///
    /// # Errors
    /// When the observation does not fit the policy or no distribution comes out of it.
    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError>;
}
