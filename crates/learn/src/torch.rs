//! Gradient steps on libtorch. On a GPU a minibatch is one pass. On a processor each of some threads takes its share of every
//! minibatch, in chunks whose activations stay in its cache, with libtorch itself on one thread: its own teams of threads meet
//! after every operation, and stall where another program wants a processor.

use crate::TrainConfig;
use crate::adam::{Adam, AdamState, clip_norm, to_host};
use crate::device::{processors, set_threads};
use crate::engine::{UPDATE_METRICS, Updated};
use crate::fused::{KL_SLACK, SpinBarrier};
use crate::gradient::{self, Columns, MEANS};
use crate::network::{ActorCritic, Shape};
use crate::table::Table;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use tch::{Device, Kind, Tensor, no_grad, no_grad_guard};

/// Rows of one pass through the networks on a processor.
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

/// What all threads of an update look at.
struct Job<'a> {
    config: &'a TrainConfig,
    entropy_weight: f64,
    width: usize,
    rungs: usize,
    /// Rows of the table.
    rows: usize,
    epochs: usize,
    batches: usize,
    /// Rows of one pass.
    chunk: usize,
    /// Where gradients meet, one place per thread.
    places: Vec<Mutex<Option<Tensor>>>,
    barrier: SpinBarrier,
    /// The policy has moved far enough: no more epochs.
    ended: AtomicBool,
}

/// One thread of an update, with its own handles of the same tensors.
struct Worker {
    number: usize,
    net: ActorCritic,
    /// The table: rows x columns.
    numbers: Tensor,
    /// Rows in the order of each epoch.
    orders: Vec<Tensor>,
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

    pub(crate) fn logits(&self, seen: &[f32], width: usize, out: &mut [f32]) {
        let _guard = no_grad_guard();
        let net = self.acting.as_ref().unwrap_or(&self.net);
        let rows = Tensor::from_slice(seen).view([-1, width as i64]);
        let obs = rows.narrow(1, 0, net.shape().obs as i64);
        let count = out.len();
        net.policy_pass(&obs).out.copy_data(out, count);
    }

    pub(crate) fn values(&self, seen: &[f32], out: &mut [f32]) {
        let width = self.shape().critic;
        if self.device != Device::Cpu {
            return values(&self.net, self.device, width, seen, out);
        }
        let share = out.len().div_ceil(self.threads).max(1);
        thread::scope(|scope| {
            for (seen, out) in seen.chunks(share * width).zip(out.chunks_mut(share)) {
                let net = self.net.share();
                let work = move || {
                    set_threads(1);
                    for (seen, out) in seen.chunks(CHUNK * width).zip(out.chunks_mut(CHUNK)) {
                        values(&net, Device::Cpu, width, seen, out);
                    }
                };
                scope.spawn(work);
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
        let rows = table.rows();
        let job = Job {
            config,
            entropy_weight,
            width: table.width,
            rungs: table.rungs,
            rows,
            epochs: orders.len(),
            batches,
            chunk: if self.device == Device::Cpu { CHUNK } else { rows },
            places: (0..self.threads).map(|_| Mutex::new(None)).collect(),
            barrier: SpinBarrier::new(self.threads),
            ended: AtomicBool::new(false),
        };
        let mut workers = self.workers(table, orders);
        let first = workers.remove(0);
        let mut sums = Tensor::zeros([UPDATE_METRICS.len() as i64], (Kind::Float, self.device));
        let (mut batch, mut before) = (0, 0.0);
        thread::scope(|scope| {
            for worker in workers {
                let job = &job;
                scope.spawn(move || worker.run(job, || {}));
            }
            first.run(&job, || {
                let _ = sums.g_add_(&self.step(&job.sum(), config.grad_norm_max, learning_rate));
                batch += 1;
                if config.target_kl > 0.0 && batch % batches == 0 && batch < batches * job.epochs {
                    let total = f64::from(to_host(&sums)[3]);
                    let far = (total - before) / batches as f64 > KL_SLACK * config.target_kl;
                    job.ended.store(far, Ordering::Release);
                    before = total;
                }
            });
        });
        self.refresh_acting();
        let mut means = [0.0; UPDATE_METRICS.len()];
        for (mean, sum) in means.iter_mut().zip(to_host(&sums)) {
            *mean = f64::from(sum) / batch as f64;
        }
        Updated {
            means,
            epochs: batch / batches,
        }
    }

    fn workers(&self, table: &Table, orders: &[Vec<u32>]) -> Vec<Worker> {
        let size = [table.rows() as i64, table.columns() as i64];
        let numbers = Tensor::from_slice(&table.numbers).view(size);
        let numbers = numbers.to_device(self.device);
        let order = |order: &Vec<u32>| {
            let order: Vec<i64> = order.iter().map(|row| i64::from(*row)).collect();
            Tensor::from_slice(&order).to_device(self.device)
        };
        let orders: Vec<Tensor> = orders.iter().map(order).collect();
        let worker = |number| Worker {
            number,
            net: self.net.share(),
            numbers: numbers.shallow_clone(),
            orders: orders.iter().map(Tensor::shallow_clone).collect(),
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

impl Job<'_> {
    /// What all threads found, the first one's first.
    fn sum(&self) -> Tensor {
        let parts = self
            .places
            .iter()
            .filter_map(|place| place.lock().unwrap_or_else(PoisonError::into_inner).take());
        total(parts)
    }
}

impl Worker {
    /// Takes part in every minibatch; `step` is called between two meetings, when all gradients are there.
    fn run(&self, job: &Job<'_>, mut step: impl FnMut()) {
        let _guard = no_grad_guard();
        set_threads(1);
        for order in &self.orders {
            for batch in 0..job.batches {
                let gradient = self.gradient(job, order, batch);
                *job.places[self.number]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = gradient;
                job.barrier.wait();
                step();
                job.barrier.wait();
            }
            if job.ended.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// The gradient over this thread's rows of a minibatch with its means behind it; none without rows.
    fn gradient(&self, job: &Job<'_>, order: &Tensor, batch: usize) -> Option<Tensor> {
        let (from, to) = (
            batch * job.rows / job.batches,
            (batch + 1) * job.rows / job.batches,
        );
        let (count, threads) = (to - from, job.places.len());
        let own = from + self.number * count / threads..from + (self.number + 1) * count / threads;
        let chunk = |at: usize| {
            let length = job.chunk.min(own.end - at);
            let order = order.narrow(0, at as i64, length as i64);
            let columns = Columns::of(
                &self.numbers.index_select(0, &order),
                job.width as i64,
                job.rungs as i64,
            );
            let sizes = (self.net.shape().obs as i64, count as f64);
            gradient::step(&self.net, &columns, sizes, job.config, job.entropy_weight).packed()
        };
        let mut chunks = own.clone().step_by(job.chunk).map(chunk).peekable();
        chunks.peek().is_some().then(|| total(chunks))
    }
}

/// The sum of tensors alike, in order.
fn total(parts: impl Iterator<Item = Tensor>) -> Tensor {
    let mut parts = parts;
    let first = parts
        .next()
        .unwrap_or_else(|| Tensor::zeros([MEANS], (Kind::Float, Device::Cpu)));
    parts.fold(first, |mut sum, part| sum.g_add_(&part))
}

/// One value per row, in the critic's units.
fn values(net: &ActorCritic, device: Device, width: usize, seen: &[f32], out: &mut [f32]) {
    let _guard = no_grad_guard();
    let rows = Tensor::from_slice(seen).view([-1, width as i64]);
    out.copy_from_slice(&to_host(&net.critic_pass(&rows.to_device(device)).out));
}
