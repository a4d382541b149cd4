//! A policy improved on the log of its own offers.

mod climb;
mod columns;
mod config;
mod limits;
mod offer_table;
mod reward_model;
mod tuner;

use crate::device::to_host;
use crate::normaliser::Frozen;
use crate::{LearnError, PROGRAM, network_of};
pub use config::TuneConfig;
use haggle_core::{Offer, Policy};
use haggle_policy::{Bundle, DataSource, Network, PolicyKind};
use serde::{Deserialize, Serialize};
use tuner::Tuner;

/// What tuning did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneReport {
    /// Offers with a logged distribution.
    pub offers: usize,
    /// Occasions (a session in front of a category) among them.
    pub occasions: usize,
    /// Mean divergence of the candidate from the incumbent on the log, in nats.
    pub kl: f64,
    /// How much of the proposed step was taken, in [0, 1]; less than 1 where a limit was met.
    pub step: f64,
    /// Price index of the incumbent on the logged baskets.
    pub price_index_incumbent: f64,
    /// Price index of the candidate on the logged baskets.
    pub price_index_candidate: f64,
    /// Multiplier of the price index at the end.
    pub multiplier: f64,
    /// Doubly robust estimate of candidate - incumbent in money per offer, on the very log that was tuned on: optimistic.
    pub gain_in_sample: f64,
}

/// Improves a policy on offers that were logged with their distributions: the candidate maximises a doubly robust estimate
/// of the reward (Dudik et al. 2011) less the priced budget of the shoppers, inside a ball of divergence around the
/// incumbent. Prices outside the logged masks get nothing. The candidate names the incumbent as its parent.
///
/// # Errors
/// When the incumbent is no network, the log does not fit it, or a number stops being one.
pub fn tune(
    incumbent: &Bundle,
    offers: &[Offer],
    data: Vec<DataSource>,
    config: &TuneConfig,
) -> Result<(Bundle, TuneReport), LearnError> {
    config.validate()?;
    let PolicyKind::Mlp(policy) = incumbent.policy() else {
        return Err(LearnError::Log(
            "the incumbent is no network (it has fixed prices, or bandits that learn in the daemon); only a network can be tuned".to_owned(),
        ));
    };
    let network = policy.network();
    let mut tuner = Tuner::new(incumbent, network, offers, config)?;
    tuner.climb(config)?;
    tuner.keep_budget();
    let (step, kl) = tuner.step_back(config);
    let report = tuner.report(step, kl);
    let mut terms = incumbent.terms().clone();
    terms.multiplier = report.multiplier;
    terms.provenance.parent = Some(incumbent.digest());
    terms.provenance.data = data;
    terms.provenance.seed = config.seed;
    terms.provenance.program = PROGRAM.to_owned();
    let candidate = network_of(tuner.net.shape(), &to_host(&tuner.net.flat), &eyes_of(network))?;
    Ok((Bundle::mlp(terms, &candidate)?, report))
}

fn eyes_of(network: &Network) -> Frozen {
    let (mean, std) = network.normaliser();
    Frozen {
        mean: mean.to_vec(),
        std: std.to_vec(),
    }
}
