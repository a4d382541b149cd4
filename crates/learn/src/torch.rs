use crate::TrainConfig;
use crate::adam::{Adam, AdamState, clip_norm, to_host};
use crate::device::set_threads;
use crate::engine::{UPDATE_METRICS, Updated};
use crate::fused::KL_SLACK;
use crate::gradient::{self, Columns};
use crate::network::{ActorCritic, Shape};
use crate::table::Table;
use tch::{Device, Kind, Tensor, no_grad, no_grad_guard};

/// Networks and optimiser on libtorch.
#[derive(Debug)]
pub(crate) struct Torch {
    net: ActorCritic,
    /// A copy of the policy beside the environment, where `net` lives on a GPU.
    acting: Option<ActorCritic>,
    adam: Adam,
    device: Device,
}

impl Torch {
    pub(crate) fn new(shape: Shape, parameters: &[f32], device: Device, threads: usize) -> Self {
        set_threads(threads);
        let acting =
            (device != Device::Cpu).then(|| ActorCritic::new(shape.clone(), parameters, Device::Cpu));
        Self {
            net: ActorCritic::new(shape, parameters, device),
            acting,
            adam: Adam::new(parameters.len(), device),
            device,
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
        net.logits(&obs).copy_data(out, count);
    }

    pub(crate) fn values(&self, seen: &[f32], out: &mut [f32]) {
        let _guard = no_grad_guard();
        let rows = Tensor::from_slice(seen).view([-1, self.shape().critic as i64]);
        out.copy_from_slice(&to_host(&self.net.values(&rows.to_device(self.device))));
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
        rates: (f64, f64),
    ) -> Updated {
        let _guard = no_grad_guard();
        let rows = table.rows();
        let size = [rows as i64, table.columns() as i64];
        let numbers = Tensor::from_slice(&table.numbers)
            .view(size)
            .to_device(self.device);
        let mut sums = Tensor::zeros([UPDATE_METRICS.len() as i64], (Kind::Float, self.device));
        let mut epochs = 0;
        let mut before = 0.0;
        for order in orders {
            let order: Vec<i64> = order.iter().map(|row| i64::from(*row)).collect();
            let shuffled = numbers.index_select(0, &Tensor::from_slice(&order).to_device(self.device));
            for batch in 0..batches {
                let (from, to) = (batch * rows / batches, (batch + 1) * rows / batches);
                let block = shuffled.narrow(0, from as i64, (to - from) as i64);
                let columns = Columns::of(&block, table.width as i64, table.rungs as i64);
                let _ = sums.g_add_(&self.gradient_step(&columns, config, rates));
            }
            epochs += 1;
            if config.target_kl > 0.0 && epochs < orders.len() {
                let total = f64::from(to_host(&sums)[3]);
                if (total - before) / batches as f64 > KL_SLACK * config.target_kl {
                    break;
                }
                before = total;
            }
        }
        self.refresh_acting();
        let steps = (epochs * batches) as f64;
        let mut means = [0.0; UPDATE_METRICS.len()];
        for (mean, sum) in means.iter_mut().zip(to_host(&sums)) {
            *mean = f64::from(sum) / steps;
        }
        Updated { means, epochs }
    }

    fn gradient_step(
        &mut self,
        columns: &Columns,
        config: &TrainConfig,
        (learning_rate, entropy_weight): (f64, f64),
    ) -> Tensor {
        let obs_width = self.shape().obs as i64;
        let step = gradient::step(&self.net, columns, obs_width, config, entropy_weight);
        let mut gradient = step.gradient;
        let norm = clip_norm(&mut gradient, config.grad_norm_max);
        self.adam.step(&mut self.net.flat, &gradient, learning_rate);
        let parts = [
            step.surrogate,
            step.value_loss,
            -step.entropy,
            step.divergence,
            step.clipped,
            norm,
        ];
        Tensor::stack(&parts, 0)
    }

    fn refresh_acting(&mut self) {
        if let Some(acting) = &mut self.acting {
            no_grad(|| acting.flat.copy_(&self.net.flat));
        }
    }
}
