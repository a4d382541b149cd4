//! A bundle that prices a market of `envs/`: the same two files, named by their digest, with another manifest. Nobody serves
//! it: it is evaluated, compared and reported.

use crate::files::Files;
use crate::manifest::{FORMAT, Head, Provenance};
use crate::probe::compare_probe;
use crate::tensors::{self, Widths};
use crate::{Actors, BundleError, Network};
use haggle_core::{Digest, LADDER_RUNGS_MAX, PolicyError, Seeds};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const PROBES: usize = 16;

/// `manifest.json` of a bundle for a market.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketManifest {
    /// Version of the bundle format; [`FORMAT`] here.
    pub format: u32,
    /// What it prices.
    pub market: MarketTerms,
    /// How the networks are made.
    pub model: MarketModel,
    /// Inputs with the scores expected for them.
    pub probes: Vec<MarketProbe>,
}

/// The market that a policy prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketTerms {
    /// The family, as in the market's file, e.g. `single-arrivals`; `probe` for a probe environment.
    pub kind: String,
    /// The content of the market's file.
    pub file: serde_json::Value,
    /// Width of an observation.
    pub obs_width: usize,
    /// The price of each rung; none: no offer, or another price for each agent.
    pub prices: Vec<Option<f64>>,
    /// Lowest and highest multiplier of each agent's base price, where agents set multipliers instead of rungs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipliers: Vec<[f32; 2]>,
    /// Share of pure exploration in every distribution, in [0, 1].
    pub floor: f64,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// How the networks of a market's bundle are made: multi-layer perceptrons with tanh between layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketModel {
    /// Which network each agent plays by.
    pub network_of: Vec<usize>,
    /// Whether an agent sees, behind its observation, which one it is.
    pub agent_id: bool,
    /// Numbers that an agent remembers from step to step (a gated recurrent unit); 0: nothing.
    pub memory: usize,
    /// Widths of the hidden layers, first to last.
    pub hidden: Vec<usize>,
}

/// One input with the scores that its maker computed for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketProbe {
    /// Who looks.
    pub agent: usize,
    /// What it sees.
    pub obs: Vec<f32>,
    /// What it remembers.
    pub memory: Vec<f32>,
    /// One score per rung.
    pub logits: Vec<f32>,
}

/// An immutable policy for a market; its digest is its name.
#[derive(Clone, Debug)]
pub struct MarketBundle {
    manifest: MarketManifest,
    actors: Actors,
    files: Files,
}

impl MarketBundle {
    /// A bundle around the actors of a market, with probe vectors computed here.
    ///
    /// # Errors
    /// When actors and terms do not fit each other.
    pub fn new(market: MarketTerms, actors: &Actors) -> Result<Self, BundleError> {
        let model = MarketModel {
            network_of: actors.network_of().to_vec(),
            agent_id: actors.agent_id(),
            memory: actors.memory_width(),
            hidden: actors.networks()[0].hidden(),
        };
        let probes = (0..PROBES)
            .map(|number| probe(number, market.provenance.seed, actors))
            .collect::<Result<_, _>>()?;
        let prefixes = prefixes(actors.networks().len());
        let networks: Vec<(&str, &Network)> = prefixes
            .iter()
            .map(String::as_str)
            .zip(actors.networks())
            .collect();
        let tensors = tensors::encode(&networks)?;
        let manifest = MarketManifest {
            format: FORMAT,
            market,
            model,
            probes,
        };
        let mut manifest = serde_json::to_vec_pretty(&manifest).map_err(BundleError::Manifest)?;
        manifest.push(b'\n');
        Self::of_files(Files::new(manifest, tensors))
    }

    /// The bundle in a folder, after all checks; the folder must bear the bundle's digest as its name.
    ///
    /// # Errors
    /// When a file cannot be read or any of the checks fails; see [`BundleError`].
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        Self::of_files(Files::read(folder)?)
    }

    /// Writes the bundle into `parent`, in a folder named by the first 12 digits of its digest: whole or not at all.
    ///
    /// # Errors
    /// When something cannot be written, or the folder exists and holds something else.
    pub fn write(&self, parent: &Path) -> Result<(Digest, PathBuf), BundleError> {
        self.files.write(parent)
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> &MarketManifest {
        &self.manifest
    }

    /// What its agents play by.
    #[must_use]
    pub fn actors(&self) -> &Actors {
        &self.actors
    }

    fn of_files(files: Files) -> Result<Self, BundleError> {
        if Head::read(&files.manifest)?.market.is_none() {
            return Err(BundleError::NoMarket);
        }
        let manifest: MarketManifest =
            serde_json::from_slice(&files.manifest).map_err(BundleError::Manifest)?;
        let actors = manifest.actors(&files.tensors)?;
        let bundle = Self {
            manifest,
            actors,
            files,
        };
        bundle.check_probes()?;
        Ok(bundle)
    }

    fn check_probes(&self) -> Result<(), BundleError> {
        if self.manifest.probes.is_empty() {
            return Err(BundleError::NoProbes);
        }
        for (number, probe) in self.manifest.probes.iter().enumerate() {
            let logits = self
                .actors
                .logits(probe.agent, &probe.obs, &mut probe.memory.clone())
                .map_err(|source| BundleError::ProbeInput {
                    probe: number,
                    source,
                })?;
            compare_probe(number, &logits, &probe.logits)?;
        }
        Ok(())
    }
}

impl MarketManifest {
    /// The networks of the tensor file as this manifest describes them.
    fn actors(&self, tensors: &[u8]) -> Result<Actors, BundleError> {
        let (market, model) = (&self.market, &self.model);
        let floor = market.floor;
        if !(0.0..=1.0).contains(&floor) {
            return Err(BundleError::Range {
                name: "market.floor",
                got: floor,
                expected: "0 to 1",
            });
        }
        // With multipliers a network's scores are a mean and a spread.
        let rungs = if market.multipliers.is_empty() {
            market.prices.len()
        } else {
            2
        };
        if rungs == 0 || rungs > LADDER_RUNGS_MAX {
            return Err(BundleError::Range {
                name: "number of market.prices",
                got: rungs as f64,
                expected: "1 to 64",
            });
        }
        let agents = model.network_of.len();
        let widths = Widths {
            obs: market.obs_width + if model.agent_id { agents } else { 0 },
            memory: model.memory,
            hidden: model.hidden.clone(),
            rungs,
        };
        let networks = model.network_of.iter().max().map_or(0, |most| most + 1);
        let prefixes = prefixes(networks);
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let networks = tensors::decode(tensors, &prefixes, &widths)?;
        Ok(
            Actors::new(networks, model.network_of.clone(), model.agent_id, floor)?
                .with_multipliers(market.multipliers.clone())?,
        )
    }
}

fn prefixes(networks: usize) -> Vec<String> {
    (0..networks).map(|n| format!("actor{n}.")).collect()
}

/// An input spread around the normaliser, drawn from the run's seed, agents in turn; memories lie in (-1, 1).
fn probe(number: usize, seed: u64, actors: &Actors) -> Result<MarketProbe, BundleError> {
    let seeds = Seeds::new(seed).named("probes").indexed(number as u64);
    let agent = number % actors.agents().max(1);
    let uniform = |name: &str, n: usize| seeds.named(name).uniform_of(&n.to_le_bytes()) as f32;
    let (mean, std) = actors.networks()[0].normaliser();
    let obs: Vec<f32> = (0..actors.obs_width())
        .map(|n| mean[n] + std[n] * (6.0 * uniform("obs", n) - 3.0))
        .collect();
    let memory: Vec<f32> = (0..actors.memory_width())
        .map(|n| 2.0 * uniform("memory", n) - 1.0)
        .collect();
    let logits = actors
        .logits(agent, &obs, &mut memory.clone())
        .map_err(|source: PolicyError| BundleError::ProbeInput {
            probe: number,
            source,
        })?;
    Ok(MarketProbe {
        agent,
        obs,
        memory,
        logits,
    })
}
