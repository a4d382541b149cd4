use crate::bandit::{BanditPlan, Bandits};
use crate::files::Files;
use crate::manifest::{Activation, FORMAT, Head, Manifest, Model, Probe, Terms};
use crate::{BundleError, FixedPolicy, MlpPolicy, Network, tensors};
use haggle_core::{
    Digest, FEATURE_WIDTH, Mask, Observation, Pmf, Policy, PolicyError, Seeds, feature_spec_digest,
};
use std::path::{Path, PathBuf};

/// Largest difference between a probe's score and the one computed here.
pub const PROBE_TOLERANCE: f32 = 1e-4;
const PROBES: usize = 16;

/// An immutable policy with everything that is needed to serve it; its digest is its name.
#[derive(Clone, Debug)]
pub struct Bundle {
    manifest: Manifest,
    policy: PolicyKind,
    digest: Digest,
    files: Files,
}

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
        Self::of_files(Files {
            manifest: manifest_bytes.to_vec(),
            tensors: tensor_bytes.to_vec(),
        })
    }

    fn of_files(files: Files) -> Result<Self, BundleError> {
        let manifest = parse(&files.manifest)?;
        check_terms(&manifest)?;
        let digest = files.digest();
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

impl PolicyKind {
    fn of(manifest: &Manifest, tensor_bytes: &[u8], digest: Digest) -> Result<Self, BundleError> {
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
    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        match self {
            Self::Mlp(policy) => policy.pmf(observation, allowed),
            Self::Fixed(policy) => policy.pmf(observation, allowed),
            Self::Bandit(bandits) => bandits.of(observation.item, None)?.pmf(observation, allowed),
        }
    }

    fn logits(&self, observation: Observation<'_>, allowed: Mask) -> Result<Vec<f32>, PolicyError> {
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

/// Checks that scores are those that a probe's maker computed.
///
/// # Errors
/// When their number differs or one of them is further away than [`PROBE_TOLERANCE`].
pub(crate) fn compare_probe(probe: usize, logits: &[f32], made: &[f32]) -> Result<(), BundleError> {
    if logits.len() != made.len() {
        let source = PolicyError::Width {
            expected: logits.len(),
            got: made.len(),
        };
        return Err(BundleError::ProbeInput { probe, source });
    }
    let apart = logits.iter().zip(made).map(|(got, made)| (got - made).abs());
    let difference = apart.fold(0.0, |worst, next| if next <= worst { worst } else { next });
    if difference.is_nan() || difference > PROBE_TOLERANCE {
        return Err(BundleError::Probe { probe, difference });
    }
    Ok(())
}

/// Inputs for probes: spread around the normaliser, drawn from the run's seed, items in turn.
struct Probes {
    seeds: Seeds,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Probes {
    fn around(terms: &Terms, mean: &[f32], std: &[f32]) -> Self {
        Self {
            seeds: Seeds::new(terms.provenance.seed).named("probes"),
            mean: mean.to_vec(),
            std: std.to_vec(),
        }
    }

    fn input(&self, terms: &Terms, probe: usize) -> (usize, Vec<f32>, Mask) {
        let items = terms.catalog.items();
        let item = probe % items.len().max(1);
        let value = |n: usize| {
            let uniform = self.seeds.uniform_of(format!("{probe}/{n}").as_bytes()) as f32;
            self.mean[n] + self.std[n] * (6.0 * uniform - 3.0)
        };
        let mask = items.get(item).map_or(Mask::NONE, haggle_core::Item::supported);
        (item, (0..self.mean.len()).map(value).collect(), mask)
    }
}

fn observe(item: usize, features: &[f32]) -> Observation<'_> {
    Observation { item, features }
}

/// Version and subject are looked at first: a manifest of another format or for a market need not have these fields.
fn parse(bytes: &[u8]) -> Result<Manifest, BundleError> {
    let head = Head::read(bytes)?;
    if let Some(market) = head.market {
        return Err(BundleError::Market { kind: market.kind });
    }
    serde_json::from_slice(bytes).map_err(BundleError::Manifest)
}

fn check_terms(manifest: &Manifest) -> Result<(), BundleError> {
    let expected = feature_spec_digest();
    let got = manifest.feature_spec;
    if got != expected || manifest.obs_width != FEATURE_WIDTH {
        return Err(BundleError::FeatureSpec { got, expected });
    }
    let terms = &manifest.terms;
    let ladder = terms.catalog.rungs_max();
    if manifest.rungs != ladder {
        return Err(BundleError::Rungs {
            rungs: manifest.rungs,
            ladder,
        });
    }
    let range = |name, got: f64, sound: bool, expected| {
        if sound {
            Ok(())
        } else {
            Err(BundleError::Range { name, got, expected })
        }
    };
    let share = |name, got: f32, sound: bool| range(name, f64::from(got), sound, "a share between 0 and 1");
    let within = |value: f32| value > 0.0 && value <= 1.0;
    let memory = &terms.memory;
    range("floor", terms.floor, (0.0..=1.0).contains(&terms.floor), "0 to 1")?;
    share("memory.reference", memory.reference, within(memory.reference))?;
    share("memory.sales", memory.sales, within(memory.sales))?;
    share(
        "memory.loyalty_decay",
        memory.loyalty_decay,
        (0.0..1.0).contains(&memory.loyalty_decay),
    )?;
    let margin = terms.guardrails.margin_min;
    range(
        "guardrails.margin_min",
        margin,
        (0.0..1.0).contains(&margin),
        "0 to below 1",
    )?;
    let limit = terms.price_index_limit.unwrap_or(1.0);
    range(
        "price_index_limit",
        limit,
        limit.is_finite() && limit > 0.0,
        "a positive number",
    )?;
    let multiplier = terms.multiplier;
    range(
        "multiplier",
        multiplier,
        multiplier.is_finite() && multiplier >= 0.0,
        "0 or more",
    )
}

fn check_fixed(manifest: &Manifest, rungs: &[u8]) -> Result<(), BundleError> {
    let items = manifest.terms.catalog.items();
    let on_ladder = |item: &usize| {
        let rung = rungs.get(*item).copied().map(usize::from);
        rung.is_some_and(|rung| rung < items[*item].ladder.rungs())
    };
    match (0..items.len()).find(|item| !on_ladder(item)) {
        Some(item) => Err(BundleError::FixedRung { item }),
        None => Ok(()),
    }
}
