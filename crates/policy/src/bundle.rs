use crate::bandit::{BanditPlan, Bandits};
use crate::files::Files;
use crate::manifest::{Activation, FORMAT, Manifest, Model, Probe, Terms};
use crate::policy_kind::PolicyKind;
use crate::probe::{PROBES, Probes, compare_probe};
use crate::terms_check::{check_terms, parse};
use crate::{BundleError, FixedPolicy, MlpPolicy, Network, tensors};
use haggle_core::{Digest, FEATURE_WIDTH, Mask, Observation, Pmf, Policy, PolicyError, feature_spec_digest};
use std::path::{Path, PathBuf};

/// An immutable policy with everything that is needed to serve it; its digest is its name.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    policy: PolicyKind,
    digest: Digest,
    files: Files,
}

impl Bundle {
    /// A bundle around a network, with probe vectors computed here.
    ///
    /// # Errors
    /// When network and terms do not fit each other.
    pub fn mlp(terms: Terms, network: &Network) -> Result<Self, BundleError> {
        let model = Model::Mlp {
            activation: Activation::Tanh,
            hidden: network.hidden(),
        };
        let (mean, std) = network.normaliser();
        let probe = Probes::around(&terms, mean, std);
        let policy = MlpPolicy::new(network.clone(), terms.floor, Digest::of(&[]));
        let policy = PolicyKind::Mlp(policy);
        Self::with_probes(
            terms,
            model,
            network.outputs(),
            &policy,
            &probe,
            &tensors::encode(&[("", network)])?,
        )
    }

    /// A bundle that shows `rungs[item]`, items in the catalogue's order.
    ///
    /// # Errors
    /// When rungs and terms do not fit each other.
    pub fn fixed(terms: Terms, rungs: Vec<u8>) -> Result<Self, BundleError> {
        let width = terms.catalog.rungs_max();
        let probe = Probes::around(&terms, &[0.0; FEATURE_WIDTH], &[1.0; FEATURE_WIDTH]);
        let policy = FixedPolicy::new(rungs.clone(), width, terms.floor, Digest::of(&[]));
        let policy = PolicyKind::Fixed(policy);
        let model = Model::Fixed { rungs };
        Self::with_probes(terms, model, width, &policy, &probe, &tensors::encode_empty()?)
    }

    /// A bundle of bandits that have learnt nothing yet.
    ///
    /// # Errors
    /// When plan and terms do not fit each other.
    pub fn bandit(terms: Terms, plan: BanditPlan) -> Result<Self, BundleError> {
        let width = terms.catalog.rungs_max();
        let probe = Probes::around(&terms, &[0.0; FEATURE_WIDTH], &[1.0; FEATURE_WIDTH]);
        let policy = PolicyKind::Bandit(Bandits::new(&plan, &terms, Digest::of(&[]))?);
        let model = Model::Bandit(plan);
        Self::with_probes(terms, model, width, &policy, &probe, &tensors::encode_empty()?)
    }

    fn with_probes(
        terms: Terms,
        model: Model,
        rungs: usize,
        policy: &PolicyKind,
        probes: &Probes,
        tensor_bytes: &[u8],
    ) -> Result<Self, BundleError> {
        let answer = |probe| {
            let (item, features, mask) = probes.input(&terms, probe);
            let logits = policy
                .logits(observe(item, &features), mask)
                .map_err(|source| BundleError::ProbeInput { probe, source })?;
            Ok(Probe {
                item,
                features,
                mask,
                logits,
            })
        };
        let probes = (0..PROBES).map(answer).collect::<Result<_, BundleError>>()?;
        let manifest = Manifest {
            format: FORMAT,
            model,
            feature_spec: feature_spec_digest(),
            obs_width: FEATURE_WIDTH,
            rungs,
            terms,
            probes,
        };
        let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(BundleError::Manifest)?;
        bytes.push(b'\n');
        Self::from_bytes(&bytes, tensor_bytes)
    }

    /// A bundle from the content of its two files, after all checks.
    ///
    /// # Errors
    /// When any of the checks fails; see [`BundleError`].
    pub fn from_bytes(manifest_bytes: &[u8], tensor_bytes: &[u8]) -> Result<Self, BundleError> {
        Self::of_files(Files::new(manifest_bytes.to_vec(), tensor_bytes.to_vec()))
    }

    fn of_files(files: Files) -> Result<Self, BundleError> {
        let manifest = parse(&files.manifest)?;
        check_terms(&manifest)?;
        let digest = files.digest;
        let bundle = Self {
            policy: PolicyKind::of(&manifest, &files.tensors, digest)?,
            digest,
            files,
            manifest,
        };
        bundle.check_probes()?;
        Ok(bundle)
    }

    /// The bundle in a folder, after all checks; the folder must bear the bundle's digest as its name.
    ///
    /// # Errors
    /// When a file cannot be read or any of the checks fails; see [`BundleError`].
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::of_files(Files::read(folder)?)
    }

    /// Writes the bundle into `parent`, in a folder named by the first 12 digits of its digest: whole or not at all.
    /// A folder that already holds this bundle is left alone.
    ///
    /// # Errors
    /// When something cannot be written, or the folder exists and holds something else.
    pub fn write(&self, parent: &Path) -> Result<(Digest, PathBuf), BundleError> {
        self.files.write(parent)
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The market that it prices, and on which terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.manifest.terms
    }

    /// The policy inside.
    #[must_use]
    pub fn policy(&self) -> &PolicyKind {
        &self.policy
    }

    /// The scores of an observation, one per rung, before mask and floor.
    ///
    /// # Errors
    /// When the observation does not fit the policy.
    pub fn logits(&self, observation: Observation<'_>, allowed: Mask) -> Result<Vec<f32>, PolicyError> {
        self.policy.logits(observation, allowed)
    }

    fn check_probes(&self) -> Result<(), BundleError> {
        if self.manifest.probes.is_empty() {
            return Err(BundleError::NoProbes);
        }
        for (number, probe) in self.manifest.probes.iter().enumerate() {
            let input = |source| BundleError::ProbeInput {
                probe: number,
                source,
            };
            let observation = observe(probe.item, &probe.features);
            let logits = self.logits(observation, probe.mask).map_err(input)?;
            self.policy.pmf(observation, probe.mask).map_err(input)?;
            compare_probe(number, &logits, &probe.logits)?;
        }
        Ok(())
    }
}

impl Policy for Bundle {
    fn digest(&self) -> Digest {
        self.digest
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        match &self.policy {
            PolicyKind::Bandit(_) => Err(PolicyError::Learns),
            policy => policy.pmf(observation, allowed),
        }
    }
}

fn observe(item: usize, features: &[f32]) -> Observation<'_> {
    Observation { item, features }
}
