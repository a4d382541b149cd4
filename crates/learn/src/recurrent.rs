//! Policy and critic with a memory each (a gated recurrent unit in front of the dense layers), on libtorch and the
//! processor. Gradients come from automatic differentiation and flow back to the beginning of a chunk of an agent's life;
//! what was remembered there is taken as it was when the roll-out was played (as in Yu et al. 2022, section A).

use crate::TrainConfig;
use crate::adam::{Adam, AdamState, clip_norm};
use crate::device::{set_threads, to_host};
use crate::distribution::{entropy, logs, probabilities};
use crate::gradient::VALUE_WEIGHT;
use crate::looks::Facts;
use crate::minibatch::minibatch;
use crate::network::{ActorCritic, Shape};
use crate::rows::Rows;
use crate::sequence::{PAD, Sequences};
use crate::table::Table;
use crate::update::{Sums, Updated};
use crate::{clipped_policy_loss, clipped_value_loss};
use tch::{Device, Kind, Tensor, no_grad, no_grad_guard};

/// Networks and optimiser.
#[derive(Debug)]
pub(crate) struct Recurrent {
    net: ActorCritic,
    adam: Adam,
}

impl Recurrent {
    pub(crate) fn new(shape: Shape, parameters: &[f32], threads: usize) -> Self {
        set_threads(threads);
        Self {
            net: ActorCritic::new(shape, parameters, Device::Cpu),
            adam: Adam::new(parameters.len(), Device::Cpu),
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        self.net.shape()
    }

    pub(crate) fn parameters(&self) -> Vec<f32> {
        to_host(&self.net.flat)
    }

    pub(crate) fn optimiser(&self) -> AdamState {
        self.adam.save()
    }

    pub(crate) fn load(&mut self, parameters: &[f32], state: &AdamState) {
        no_grad(|| self.net.set(parameters));
        self.adam.load(state);
    }

    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        self.net.rescale_values(old, new);
    }

    /// Scores of rows and what both networks will remember: the policy, then the critic.
    pub(crate) fn logits(&self, rows: &Rows<'_>, out: &mut [f32], next: &mut [f32]) {
        let _guard = no_grad_guard();
        let (seen, kept) = tensors(rows);
        let [policy, critic] = self.remember(&seen, &kept);
        let count = out.len();
        self.net.logits(&policy).copy_data(out, count);
        next.copy_from_slice(&to_host(&Tensor::cat(&[policy, critic], 1)));
    }

    /// Values of rows, in the critic's units.
    pub(crate) fn values(&self, rows: &Rows<'_>, out: &mut [f32]) {
        let _guard = no_grad_guard();
        let (seen, kept) = tensors(rows);
        let [_, critic] = self.remember(&seen, &kept);
        out.copy_from_slice(&to_host(&self.net.values(&critic)));
    }

    /// One step of both memories; `kept` is the policy's, then the critic's.
    fn remember(&self, seen: &Tensor, kept: &Tensor) -> [Tensor; 2] {
        let (obs, units) = (self.shape().obs as i64, self.shape().memory as i64);
        [
            cell(
                self.net.policy_cell(),
                &seen.narrow(1, 0, obs),
                &kept.narrow(1, 0, units),
            ),
            cell(self.net.critic_cell(), seen, &kept.narrow(1, units, units)),
        ]
    }

    /// As [`crate::torch::Torch::update`], over chunks; a chunk of `order` is a number in the table's sequences.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        orders: &[Vec<u32>],
        batches: usize,
        config: &TrainConfig,
        rates: (f64, f64),
    ) -> Updated {
        let all = Numbers::of(table);
        let mut sums = Sums::new(orders.len(), batches, Device::Cpu);
        for order in orders {
            for batch in 0..batches {
                let block = Block::new(
                    &table.sequences,
                    minibatch(order, batch, batches),
                    self.shape().memory,
                );
                sums.add(Some(&self.gradient_step(&all, table, &block, config, rates)));
            }
            if sums.moved_too_far(config.target_kl) {
                break;
            }
        }
        sums.end()
    }

    fn gradient_step(
        &mut self,
        all: &Numbers,
        table: &Table,
        block: &Block,
        config: &TrainConfig,
        (learning_rate, entropy_weight): (f64, f64),
    ) -> Tensor {
        let seen = all
            .sights
            .index_select(0, &all.of_row.index_select(0, &block.index));
        let (width, rungs) = (table.width as i64, table.rungs as i64);
        let [policy, critic] = self.lives(&seen.narrow(1, 0, width), block);
        let log_uniform = seen.narrow(1, width, rungs).index_select(0, &block.real);
        let rows = block.index.index_select(0, &block.real);
        let facts = Facts::of(&all.facts.index_select(0, &rows));
        let p = probabilities(
            &self.net.logits(&policy.index_select(0, &block.real)),
            &log_uniform,
            config.exploration,
        );
        let values = self.net.values(&critic.index_select(0, &block.real));
        let logs = logs(&p);
        let log_ratio = logs.gather(1, &facts.rung.unsqueeze(1), false).squeeze_dim(1) - &facts.old_log_prob;
        let ratio = log_ratio.exp();
        let clip = config.clip_ratio;
        let surrogate = clipped_policy_loss(&ratio, &facts.advantage, clip).mean(Kind::Float);
        let (old, target) = (&facts.old_value, &facts.target);
        let value_loss =
            clipped_value_loss(&values, old, target, config.value_clip, config.huber).mean(Kind::Float);
        let entropy = entropy(&p, &logs).mean(Kind::Float);
        let mut gradient = self
            .net
            .gradient(&(&surrogate - &entropy * entropy_weight + &value_loss * VALUE_WEIGHT));
        let _guard = no_grad_guard();
        let norm = clip_norm(&mut gradient, config.grad_norm_max);
        self.adam.step(&mut self.net.flat, &gradient, learning_rate);
        let clipped = (&ratio - 1.0).abs().gt(clip).to_kind(Kind::Float);
        let divergence = (&ratio - 1.0 - &log_ratio).mean(Kind::Float);
        let clipped = clipped.mean(Kind::Float);
        Tensor::stack(&[surrogate, value_loss, -entropy, divergence, clipped, norm], 0).detach()
    }

    /// What both networks remember at every step of the chunks: `length x chunks` rows each.
    fn lives(&self, seen: &Tensor, block: &Block) -> [Tensor; 2] {
        let seen = seen.view([block.length, block.chunks, -1]);
        let mut kept = block.start.shallow_clone();
        let mut lives = [Vec::new(), Vec::new()];
        for step in 0..block.length {
            let [policy, critic] = self.remember(&seen.get(step), &(kept * block.goes_on.get(step)));
            kept = Tensor::cat(&[&policy, &critic], 1);
            lives[0].push(policy);
            lives[1].push(critic);
        }
        lives.map(|steps| Tensor::cat(&steps, 0))
    }
}

fn tensors(rows: &Rows<'_>) -> (Tensor, Tensor) {
    (
        Tensor::from_slice(rows.seen).view([-1, rows.width as i64]),
        Tensor::from_slice(rows.kept).view([-1, rows.kept_width as i64]),
    )
}

fn cell(leaves: &[Tensor], seen: &Tensor, kept: &Tensor) -> Tensor {
    seen.gru_cell(kept, &leaves[0], &leaves[2], Some(&leaves[1]), Some(&leaves[3]))
}

/// A table as tensors.
struct Numbers {
    sights: Tensor,
    /// The sight of each row.
    of_row: Tensor,
    facts: Tensor,
}

impl Numbers {
    fn of(table: &Table) -> Self {
        let of_row: Vec<i64> = table
            .sights
            .of_row
            .iter()
            .map(|sight| i64::from(*sight))
            .collect();
        Self {
            sights: table.sights_tensor(),
            of_row: Tensor::from_slice(&of_row),
            facts: table.facts_tensor(),
        }
    }
}

/// Some chunks as tensors, step by step.
struct Block {
    length: i64,
    chunks: i64,
    /// `length x chunks`: rows of the table; any where there is none.
    index: Tensor,
    /// Which of them are rows.
    real: Tensor,
    /// `length x chunks x 1`: 0 where an episode begins.
    goes_on: Tensor,
    /// `chunks x kept_width`.
    start: Tensor,
}

impl Block {
    fn new(sequences: &Sequences, chunks: &[u32], units: usize) -> Self {
        let length = sequences.length;
        let places =
            (0..length).flat_map(|step| chunks.iter().map(move |chunk| *chunk as usize * length + step));
        let places: Vec<usize> = places.collect();
        let rows = places.iter().map(|place| sequences.rows[*place]);
        let index: Vec<i64> = rows
            .clone()
            .map(|row| if row == PAD { 0 } else { i64::from(row) })
            .collect();
        let real: Vec<i64> = (0..)
            .zip(rows)
            .filter(|(_, row)| *row != PAD)
            .map(|(n, _)| n)
            .collect();
        let goes_on: Vec<f32> = places
            .iter()
            .map(|place| if sequences.begins[*place] { 0.0 } else { 1.0 })
            .collect();
        let width = 2 * units;
        let start: Vec<f32> = chunks
            .iter()
            .flat_map(|chunk| &sequences.start[*chunk as usize * width..][..width])
            .copied()
            .collect();
        let (length, chunks) = (length as i64, chunks.len() as i64);
        Self {
            length,
            chunks,
            index: Tensor::from_slice(&index),
            real: Tensor::from_slice(&real),
            goes_on: Tensor::from_slice(&goes_on).view([length, chunks, 1]),
            start: Tensor::from_slice(&start).view([chunks, width as i64]),
        }
    }
}
