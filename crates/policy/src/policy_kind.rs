use crate::bandit::Bandits;
use crate::manifest::{Activation, Manifest, Model};
use crate::terms_check::check_fixed;
use crate::{BundleError, FixedPolicy, MlpPolicy, tensors};
use haggle_core::{Digest, Mask, Observation, Pmf, Policy, PolicyError};

/// The policy inside a bundle.
#[derive(Clone, Debug)]
pub enum PolicyKind {
    /// A network.
    Mlp(MlpPolicy),
    /// One rung per item.
    Fixed(FixedPolicy),
    /// Bandits as they begin: what they learn is kept by whoever serves them.
    Bandit(Bandits),
}

impl PolicyKind {
    pub(crate) fn of(manifest: &Manifest, tensor_bytes: &[u8], digest: Digest) -> Result<Self, BundleError> {
        let floor = manifest.terms.floor;
        match &manifest.model {
            Model::Mlp {
                activation: Activation::Tanh,
                hidden,
            } => {
                let widths = tensors::Widths {
                    obs: manifest.obs_width,
                    memory: 0,
                    hidden: hidden.clone(),
                    rungs: manifest.rungs,
                };
                let mut networks = tensors::decode(tensor_bytes, &[""], &widths)?;
                Ok(Self::Mlp(MlpPolicy::new(networks.remove(0), floor, digest)))
            }
            Model::Fixed { rungs } => {
                tensors::decode_empty(tensor_bytes)?;
                check_fixed(manifest, rungs)?;
                let policy = FixedPolicy::new(rungs.clone(), manifest.rungs, floor, digest);
                Ok(Self::Fixed(policy))
            }
            Model::Bandit(plan) => {
                tensors::decode_empty(tensor_bytes)?;
                Ok(Self::Bandit(Bandits::new(plan, &manifest.terms, digest)?))
            }
        }
    }

    /// The distribution over rungs; of bandits the one that they begin with.
    pub(crate) fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        match self {
            Self::Mlp(policy) => policy.pmf(observation, allowed),
            Self::Fixed(policy) => policy.pmf(observation, allowed),
            Self::Bandit(bandits) => bandits.of(observation.item, None)?.pmf(observation, allowed),
        }
    }

    pub(crate) fn logits(
        &self,
        observation: Observation<'_>,
        allowed: Mask,
    ) -> Result<Vec<f32>, PolicyError> {
        match self {
            Self::Mlp(policy) => policy.logits(observation.features),
            Self::Fixed(policy) => policy.logits(observation.item, allowed),
            Self::Bandit(_) => {
                let pmf = self.pmf(observation, allowed)?;
                Ok(pmf.probabilities().iter().map(|p| *p as f32).collect())
            }
        }
    }
}
