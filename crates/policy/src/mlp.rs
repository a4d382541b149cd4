use crate::Network;
use haggle_core::{Digest, Mask, Observation, Pmf, Policy, PolicyError};

/// A network as a policy: softmax of its scores over the allowed rungs, mixed with the exploration floor.
#[derive(Clone, Debug)]
pub struct MlpPolicy {
    network: Network,
    floor: f64,
    digest: Digest,
}

impl MlpPolicy {
    /// A policy of a network; `floor` in [0, 1] is the share of pure exploration.
    #[must_use]
    pub fn new(network: Network, floor: f64, digest: Digest) -> Self {
        Self {
            network,
            floor,
            digest,
        }
    }

    /// Its network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The scores of an observation.
    ///
    /// # Errors
    /// When the observation has another width.
    pub fn logits(&self, features: &[f32]) -> Result<Vec<f32>, PolicyError> {
        if features.len() == self.network.inputs() {
            Ok(self.network.logits(features))
        } else {
            Err(PolicyError::Width {
                expected: self.network.inputs(),
                got: features.len(),
            })
        }
    }
}

impl Policy for MlpPolicy {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        Ok(Pmf::from_logits(
            &self.logits(observation.features)?,
            allowed,
            self.floor,
        )?)
    }
}
