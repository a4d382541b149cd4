//! A candidate beside its incumbent, and what both are worth on the log.

use super::columns::{Columns, blocks, columns};
use super::offer_table::OfferTable;
use super::{TuneConfig, TuneReport, eyes_of};
use crate::device::{set_threads, to_host};
use crate::distribution::probabilities;
use crate::export::policy_parameters;
use crate::multiplier::Multipliers;
use crate::network::{ActorCritic, Shape};
use crate::{LearnError, choose_device};
use haggle_core::{Offer, Seeds};
use haggle_policy::{Bundle, Network};
use tch::{Device, no_grad_guard};

pub(super) struct Tuner {
    pub(super) table: OfferTable,
    pub(super) columns: Columns,
    pub(super) net: ActorCritic,
    pub(super) start: Vec<f32>,
    pub(super) floor: f64,
    /// The largest price index that the candidate may have: the incumbent's on the same baskets. Baskets that were
    /// bought at drawn prices hold more of what was cheap, so an index on them tells two policies apart but says little
    /// about the limit itself.
    pub(super) index_max: f64,
    /// What the incumbent's prices cost the shoppers' budget per offer.
    pub(super) cost_incumbent: f64,
    pub(super) incumbent: Vec<f32>,
    pub(super) prices: Multipliers,
    pub(super) device: Device,
    /// Mean reward of an offer: the unit of the objective.
    pub(super) unit: f64,
    pub(super) seeds: Seeds,
}

impl Tuner {
    pub(super) fn new(
        incumbent: &Bundle,
        network: &Network,
        offers: &[Offer],
        config: &TuneConfig,
    ) -> Result<Self, LearnError> {
        let device = choose_device(config.device)?;
        set_threads(config.threads);
        let table = OfferTable::new(incumbent, offers, config.common_share)?.normalised(&eyes_of(network))?;
        let shape = Shape {
            multiplier: false,
            obs: network.inputs(),
            critic: 0,
            memory: 0,
            hidden: network.hidden(),
            rungs: network.outputs(),
        };
        let start = policy_parameters(network);
        let net = ActorCritic::new(shape, &start, device);
        let constrained = incumbent.terms().price_index_limit;
        let floor = incumbent.terms().floor;
        let columns = columns(&table, &net, floor, device);
        let mut tuner = Self {
            unit: table.reward.iter().sum::<f64>().abs() / table.rows as f64 + 1e-9,
            prices: Multipliers::new(usize::from(constrained.is_some()), incumbent.terms().multiplier),
            incumbent: Vec::new(),
            index_max: f64::INFINITY,
            cost_incumbent: 0.0,
            seeds: Seeds::new(config.seed).named("tune"),
            table,
            columns,
            net,
            start,
            floor,
            device,
        };
        tuner.incumbent = tuner.all_probabilities();
        if constrained.is_some() {
            tuner.index_max = tuner.table.price_index(&tuner.incumbent);
            let costs = tuner.incumbent.iter().zip(&tuner.table.cost);
            let total: f64 = costs.map(|(p, cost)| f64::from(*p) * f64::from(*cost)).sum();
            tuner.cost_incumbent = total / tuner.table.rows as f64;
        }
        Ok(tuner)
    }

    pub(super) fn divergence(&self, p: &[f32]) -> f64 {
        let of = |(p, q): (&f32, &f32)| {
            if *p > 0.0 {
                f64::from(*p) * (f64::from(*p) / f64::from(*q)).ln()
            } else {
                0.0
            }
        };
        p.iter().zip(&self.incumbent).map(of).sum::<f64>() / self.table.rows as f64
    }

    pub(super) fn all_probabilities(&self) -> Vec<f32> {
        let _guard = no_grad_guard();
        blocks(self.table.rows as i64)
            .flat_map(|(from, count)| {
                let logits = self.net.logits(&self.columns.obs.narrow(0, from, count));
                to_host(&probabilities(
                    &logits,
                    &self.columns.log_uniform.narrow(0, from, count),
                    self.floor,
                ))
            })
            .collect()
    }

    pub(super) fn report(&self, step: f64, kl: f64) -> TuneReport {
        let p = self.all_probabilities();
        TuneReport {
            offers: self.table.rows,
            occasions: self.table.occasions,
            kl,
            step,
            price_index_incumbent: self.table.price_index(&self.incumbent),
            price_index_candidate: self.table.price_index(&p),
            multiplier: self.prices.values.first().copied().unwrap_or(0.0),
            gain_in_sample: self.estimate(&p) - self.estimate(&self.incumbent),
        }
    }

    /// Doubly robust estimate of a policy's reward per offer, weights unclipped.
    pub(super) fn estimate(&self, p: &[f32]) -> f64 {
        let rungs = self.table.rungs;
        let expected = to_host(&self.columns.expected);
        let residual = to_host(&self.columns.residual);
        let of = |row: usize| {
            let own = &p[row * rungs..][..rungs];
            let direct: f64 = own
                .iter()
                .zip(&expected[row * rungs..])
                .map(|(p, q)| f64::from(*p) * f64::from(*q))
                .sum();
            let weight = own[usize::from(self.table.rung[row])] / self.table.propensity[row];
            direct + f64::from(weight) * f64::from(residual[row])
        };
        (0..self.table.rows).map(of).sum::<f64>() / self.table.rows as f64
    }
}
