//! Gradient steps on libtorch. On a GPU a minibatch is one pass. On a processor each of some threads takes its share of every
//! minibatch, in chunks whose activations stay in its cache, with libtorch itself on one thread: its own teams of threads meet
//! after every operation, and stall where another program wants a processor.

mod job;
mod pieces;
mod worker;

use crate::TrainConfig;
use crate::adam::{Adam, AdamState, clip_norm};
use crate::device::{processors, set_threads, to_host};
use crate::gradient::MEANS;
use crate::network::{ActorCritic, Shape};
use crate::table::Table;
use crate::update::{Sums, Updated};
use job::{Exchange, Job};
use rayon::prelude::*;
use std::thread;
use tch::{Device, Tensor, no_grad, no_grad_guard};
use worker::Worker;

/// Fewer rows than this are not worth another thread.
const ROWS_MIN: usize = 64;

/// What one pass through the networks looks at on a processor.
const CHUNK: usize = 1024;

/// Networks and optimiser on libtorch.
#[derive(Debug)]
pub(crate) struct Torch {
    net: ActorCritic,
    /// A copy of the policy beside the environment, where `net` lives on a GPU.
    acting: Option<ActorCritic>,
    adam: Adam,
    device: Device,
    /// On a processor; a GPU is driven by one.
    threads: usize,
}

impl Torch {
    pub(crate) fn new(shape: Shape, parameters: &[f32], device: Device, threads: usize) -> Self {
        set_threads(1);
        let acting =
            (device != Device::Cpu).then(|| ActorCritic::new(shape.clone(), parameters, Device::Cpu));
        Self {
            net: ActorCritic::new(shape, parameters, device),
            acting,
            adam: Adam::new(parameters.len(), device),
            device,
            threads: match device {
                Device::Cpu => processors(threads),
                _ => 1,
            },
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        self.net.shape()
    }

    pub(crate) fn device(&self) -> String {
        format!("{:?}", self.device).to_lowercase()
    }

    pub(crate) fn parameters(&self) -> Vec<f32> {
        to_host(&self.net.flat)
    }

    pub(crate) fn optimiser(&self) -> AdamState {
        self.adam.save()
    }

    pub(crate) fn load(&mut self, parameters: &[f32], state: &AdamState) {
        no_grad(|| self.net.set(parameters));
        self.refresh_acting();
        self.adam.load(state);
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// One score per rung of each row of what the policy sees.
    pub(crate) fn logits(&self, seen: &[f32], out: &mut [f32]) {
        let net = self.acting.as_ref().unwrap_or(&self.net);
        let (width, rungs) = (net.shape().obs, net.shape().rungs);
        let share = (seen.len() / width).div_ceil(self.threads).max(ROWS_MIN);
        let parts = seen.chunks(share * width).zip(out.chunks_mut(share * rungs));
        let parts: Vec<_> = parts.map(|(seen, out)| (net.share(), seen, out)).collect();
        parts
            .into_par_iter()
            .for_each(|(net, seen, out)| logits(&net, seen, out));
    }

    pub(crate) fn values(&self, seen: &[f32], out: &mut [f32]) {
        let width = self.shape().critic;
        let share = out.len().div_ceil(self.threads).max(1);
        thread::scope(|scope| {
            let mut shares = seen.chunks(share * width).zip(out.chunks_mut(share));
            let own = shares.next();
            for (seen, out) in shares {
                let net = self.net.share();
                scope.spawn(move || values(&net, (Device::Cpu, width), seen, out));
            }
            if let Some((seen, out)) = own {
                values(&self.net, (self.device, width), seen, out);
            }
        });
    }

    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        self.net.rescale_values(old, new);
    }

    /// The device is waited for once at the end, and once per epoch if a divergence is watched.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        orders: &[Vec<u32>],
        batches: usize,
        config: &TrainConfig,
        (learning_rate, entropy_weight): (f64, f64),
    ) -> Updated {
        let _guard = no_grad_guard();
        let job = Job {
            config,
            entropy_weight,
            table,
            orders,
            batches,
            chunk: if self.device == Device::Cpu {
                CHUNK
            } else {
                usize::MAX
            },
            device: self.device,
            exchange: Exchange::new(self.threads),
        };
        let mut workers = self.workers(table);
        let first = workers.remove(0);
        let mut sums = Sums::new(orders.len(), batches, self.device);
        thread::scope(|scope| {
            for worker in workers {
                let job = &job;
                scope.spawn(move || worker.run(job, || {}));
            }
            first.run(&job, || {
                let packed = job.exchange.sum();
                let means = packed.map(|packed| self.step(&packed, config.grad_norm_max, learning_rate));
                sums.add(means.as_ref());
                job.exchange.end_if(sums.moved_too_far(config.target_kl));
            });
        });
        self.refresh_acting();
        sums.end()
    }

    fn workers(&self, table: &Table) -> Vec<Worker> {
        let sights = table.sights_tensor().to_device(self.device);
        let facts = table.facts_tensor().to_device(self.device);
        let worker = |number| Worker {
            number,
            net: self.net.share(),
            sights: sights.shallow_clone(),
            facts: facts.shallow_clone(),
        };
        (0..self.threads).map(worker).collect()
    }

    /// One step down a gradient with its means behind it; returns the means and the gradient's norm.
    fn step(&mut self, packed: &Tensor, norm_max: f64, learning_rate: f64) -> Tensor {
        let size = packed.size1().unwrap_or(0) - MEANS;
        let mut gradient = packed.narrow(0, 0, size);
        let norm = clip_norm(&mut gradient, norm_max);
        self.adam.step(&mut self.net.flat, &gradient, learning_rate);
        Tensor::cat(&[packed.narrow(0, size, MEANS), norm.view(1)], 0)
    }

    fn refresh_acting(&mut self) {
        if let Some(acting) = &mut self.acting {
            no_grad(|| acting.flat.copy_(&self.net.flat));
        }
    }
}

/// One score per rung of each row.
fn logits(net: &ActorCritic, seen: &[f32], out: &mut [f32]) {
    let _guard = no_grad_guard();
    set_threads(1);
    let obs = Tensor::from_slice(seen).view([-1, net.shape().obs as i64]);
    let count = out.len();
    net.policy_pass(&obs).out.copy_data(out, count);
}

/// One value per row, in the critic's units.
fn values(net: &ActorCritic, (device, width): (Device, usize), seen: &[f32], out: &mut [f32]) {
    let _guard = no_grad_guard();
    set_threads(1);
    let pass = |seen: &[f32]| {
        let rows = Tensor::from_slice(seen).view([-1, width as i64]);
        net.critic_pass(&rows.to_device(device)).out
    };
    let parts: Vec<Tensor> = match device {
        Device::Cpu => seen.chunks(CHUNK * width).map(pass).collect(),
        _ => vec![pass(seen)],
    };
    out.copy_from_slice(&to_host(&Tensor::cat(&parts, 0)));
}
