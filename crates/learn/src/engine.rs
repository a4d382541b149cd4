//! Where the learner's mathematics run: on libtorch (any network, processor or GPU; with a memory only the processor), or
//! fused on the processor for small networks without one. All hold the same parameters in the same order and make the same steps to single precision.

use crate::TrainConfig;
use crate::adam::AdamState;
use crate::config::EngineChoice;
use crate::distribution::Draws;
use crate::error::LearnError;
use crate::fused::Fused;
use crate::network::Shape;
use crate::recurrent::Recurrent;
use crate::table::Table;
use crate::team::Rows;
use crate::torch::Torch;
use crate::{ConfigError, choose_device};
use rand::Rng;
use rand::seq::SliceRandom;

/// Means over the minibatches of an update, by their tags in `metrics.jsonl`.
pub(crate) const UPDATE_METRICS: [&str; 6] = [
    "policy_gradient_loss",
    "value_loss",
    "entropy_loss",
    "approx_kl",
    "clip_fraction",
    "grad_norm",
];

/// What an update did.
#[derive(Clone, Debug)]
pub(crate) struct Updated {
    /// In the order of [`UPDATE_METRICS`].
    pub(crate) means: [f64; UPDATE_METRICS.len()],
    /// Passes made before the divergence ended them.
    pub(crate) epochs: usize,
}

/// Networks and optimiser, wherever they live.
#[derive(Debug)]
pub(crate) enum Engine {
    Torch(Box<Torch>),
    Fused(Box<Fused>),
    Recurrent(Box<Recurrent>),
}

impl Engine {
    /// # Errors
    /// When the configured device or engine cannot be had.
    pub(crate) fn new(config: &TrainConfig, shape: Shape, parameters: &[f32]) -> Result<Self, LearnError> {
        if shape.memory > 0 {
            let recurrent = Recurrent::new(shape, parameters, config.threads);
            return Ok(Self::Recurrent(Box::new(recurrent)));
        }
        let device = choose_device(config.device)?;
        let applies = !device.is_cuda() && !shape.multiplier && Fused::applies(&shape);
        let fused = match config.engine {
            EngineChoice::Auto => applies,
            EngineChoice::Torch => false,
            EngineChoice::Fused if applies => true,
            EngineChoice::Fused => {
                return Err(ConfigError::Disagree {
                    first: "engine = \"fused\"".to_owned(),
                    second: format!("hidden = {:?} on {device:?}", config.hidden),
                    why: "the fused path runs on a processor with vector instructions, with layers and inputs of at \
                          most 256 numbers",
                }
                .into());
            }
        };
        Ok(if fused {
            Self::Fused(Box::new(Fused::new(shape, parameters, config.threads)))
        } else {
            Self::Torch(Box::new(Torch::new(shape, parameters, device, config.threads)))
        })
    }

    pub(crate) fn shape(&self) -> &Shape {
        match self {
            Self::Torch(torch) => torch.shape(),
            Self::Fused(fused) => fused.shape(),
            Self::Recurrent(recurrent) => recurrent.shape(),
        }
    }

    /// In words.
    pub(crate) fn device(&self) -> String {
        match self {
            Self::Torch(torch) => torch.device(),
            Self::Fused(_) => "cpu, fused".to_owned(),
            Self::Recurrent(_) => "cpu, recurrent".to_owned(),
        }
    }

    pub(crate) fn parameters(&self) -> Vec<f32> {
        match self {
            Self::Torch(torch) => torch.parameters(),
            Self::Fused(fused) => fused.parameters(),
            Self::Recurrent(recurrent) => recurrent.parameters(),
        }
    }

    pub(crate) fn optimiser(&self) -> AdamState {
        match self {
            Self::Torch(torch) => torch.optimiser(),
            Self::Fused(fused) => fused.optimiser(),
            Self::Recurrent(recurrent) => recurrent.optimiser(),
        }
    }

    pub(crate) fn load(&mut self, parameters: &[f32], state: &AdamState) {
        match self {
            Self::Torch(torch) => torch.load(parameters, state),
            Self::Fused(fused) => fused.load(parameters, state),
            Self::Recurrent(recurrent) => recurrent.load(parameters, state),
        }
    }

    /// Scores of rows, `rows x rungs`, and what each will remember.
    pub(crate) fn logits(&mut self, rows: &Rows<'_>, out: &mut [f32], next: &mut [f32]) {
        match self {
            Self::Torch(torch) => torch.logits(rows.seen, rows.width, out),
            Self::Fused(fused) => fused.logits(rows.seen, rows.width, out),
            Self::Recurrent(recurrent) => recurrent.logits(rows, out, next),
        }
    }

    /// Draws a rung for each row from the floored distribution. `scores` and `next` as [`Engine::logits`] fills them; the
    /// fused engine needs no place for scores.
    pub(crate) fn act(
        &mut self,
        rows: &Rows<'_>,
        floor: f32,
        draws: &mut Draws<'_>,
        scores: &mut [f32],
        next: &mut [f32],
    ) {
        if let Self::Fused(fused) = self {
            fused.sample(rows.seen, rows.width, floor, draws);
        } else {
            self.logits(rows, scores, next);
            draws.take_scores(scores, floor);
        }
    }

    /// Values of rows, in the critic's units.
    pub(crate) fn values(&mut self, rows: &Rows<'_>, out: &mut [f32]) {
        match self {
            Self::Torch(torch) => torch.values(rows.seen, out),
            Self::Fused(fused) => fused.values(rows.seen, out),
            Self::Recurrent(recurrent) => recurrent.values(rows, out),
        }
    }

    /// As [`crate::network::ActorCritic::rescale_values`].
    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        match self {
            Self::Torch(torch) => torch.rescale_values(old, new),
            Self::Fused(fused) => fused.rescale_values(old, new),
            Self::Recurrent(recurrent) => recurrent.rescale_values(old, new),
        }
    }

    /// Epochs of minibatches over a roll-out. `rates`: learning rate and weight of the entropy.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        config: &TrainConfig,
        rates: (f64, f64),
        shuffles: &mut impl Rng,
    ) -> Updated {
        let chunks = table.sequences.chunks();
        let units = if chunks > 0 { chunks } else { table.rows() };
        let batches = table.rows().div_ceil(config.minibatch_rows).clamp(1, units);
        let mut order: Vec<u32> = (0..units as u32).collect();
        let mut shuffled = || {
            order.shuffle(shuffles);
            order.clone()
        };
        let orders: Vec<Vec<u32>> = (0..config.epochs).map(|_| shuffled()).collect();
        match self {
            Self::Torch(torch) => torch.update(table, &orders, batches, config, rates),
            Self::Fused(fused) => fused.update(table, &orders, batches, config, rates),
            Self::Recurrent(recurrent) => recurrent.update(table, &orders, batches, config, rates),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adam::host_reads;
    use crate::distribution::push_uniform;
    use haggle_core::{Mask, Seeds};
    use rand::RngExt;

    fn shape() -> Shape {
        Shape {
            multiplier: false,
            obs: 7,
            critic: 11,
            memory: 0,
            hidden: vec![40, 64],
            rungs: 20,
        }
    }

    fn engine(choice: EngineChoice, threads: usize) -> Engine {
        let config = TrainConfig {
            engine: choice,
            device: crate::DeviceChoice::Cpu,
            threads,
            ..TrainConfig::default()
        };
        let mut parameters = shape().initial(&Seeds::new(5));
        parameters.iter_mut().for_each(|x| *x *= 3.0);
        Engine::new(&config, shape(), &parameters).expect("an engine")
    }

    /// Rows whose ratios, advantages, masks and values lie on all sides of every clip.
    fn table(rows: usize) -> Table {
        let mut rng = Seeds::new(6).rng();
        let mut table = Table::new(11, 20, rows);
        for row in 0..rows {
            let mut number = || 4.0 * rng.random::<f32>() - 2.0;
            table.numbers.extend((0..11).map(|_| number()));
            push_uniform(Mask(0xF_0F37 | (1 << (row % 20))), 20, &mut table.numbers);
            let rung = [0.0, 5.0, 19.0][row % 3];
            table
                .numbers
                .extend([rung, number() * 0.4 - 2.8, number(), number(), number()]);
        }
        table
    }

    fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
        assert_eq!(a.len(), b.len());
        for (n, (a, b)) in a.iter().zip(b).enumerate() {
            assert!(
                (a - b).abs() < tolerance * (1.0 + a.abs()),
                "number {n}: {a} and {b}"
            );
        }
    }

    #[test]
    fn both_engines_score_alike() {
        let table = table(131);
        let seen: Vec<f32> = (0..131).flat_map(|row| table.row(row)[..11].to_vec()).collect();
        let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
            let (mut logits, mut values) = (vec![0.0; 131 * 20], vec![0.0; 131]);
            let mut engine = engine(choice, 1);
            let rows = Rows {
                agent: &[0; 131],
                seen: &seen,
                width: 11,
                kept: &[],
                kept_width: 0,
            };
            engine.logits(&rows, &mut logits, &mut []);
            engine.rescale_values((2.0, 3.0), (-1.0, 0.5));
            engine.values(&rows, &mut values);
            (logits, values)
        });
        assert_close(&both[0].0, &both[1].0, 1e-5);
        assert_close(&both[0].1, &both[1].1, 1e-5);
    }

    #[test]
    fn both_engines_draw_alike() {
        let table = table(131);
        let seen: Vec<f32> = (0..131).flat_map(|row| table.row(row)[..11].to_vec()).collect();
        let mask: Vec<u64> = (0..131).map(|row| 0xF_0F37 | (1 << (row % 20))).collect();
        let mut rng = Seeds::new(7).rng();
        let uniform: Vec<f32> = (0..131).map(|_| rng.random::<f32>()).collect();
        let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
            let (mut rung, mut log_prob) = (vec![0; 131], vec![0.0; 131]);
            let rows = Rows {
                agent: &[0; 131],
                seen: &seen,
                width: 11,
                kept: &[],
                kept_width: 0,
            };
            let mut draws = Draws {
                mask: &mask,
                uniform: &uniform,
                rung: &mut rung,
                log_prob: &mut log_prob,
            };
            engine(choice, 1).act(&rows, 0.05, &mut draws, &mut vec![0.0; 131 * 20], &mut []);
            (rung, log_prob)
        });
        assert_eq!(both[0].0, both[1].0);
        assert!(
            both[0]
                .0
                .iter()
                .zip(&mask)
                .all(|(rung, mask)| mask >> rung & 1 == 1)
        );
        assert_close(&both[0].1, &both[1].1, 1e-5);
    }

    #[test]
    fn both_engines_make_the_same_steps() {
        for (exploration, value_clip, huber, threads) in [(0.0, 0.2, 10.0, 1), (0.1, 0.0, 0.5, 3)] {
            let config = TrainConfig {
                exploration,
                value_clip,
                huber,
                minibatch_rows: 300,
                epochs: 2,
                target_kl: 0.0,
                ..TrainConfig::default()
            };
            let table = table(900);
            let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
                let mut engine = engine(choice, threads);
                let updated = engine.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
                let saved = engine.optimiser();
                (engine.parameters(), saved, updated.means.map(|mean| mean as f32))
            });
            assert_close(&both[0].0, &both[1].0, 1e-5);
            assert_close(&both[0].1.mean, &both[1].1.mean, 1e-5);
            assert_close(&both[0].2, &both[1].2, 1e-5);
        }
    }

    #[test]
    fn gradient_steps_wait_for_the_device_once_and_once_per_watched_epoch() {
        let table = table(600);
        for (target_kl, expected) in [(0.0, 1), (1e9, 3)] {
            let config = TrainConfig {
                minibatch_rows: 100,
                epochs: 3,
                target_kl,
                ..TrainConfig::default()
            };
            let mut torch = engine(EngineChoice::Torch, 1);
            let before = host_reads();
            torch.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
            assert_eq!(host_reads() - before, expected, "target_kl {target_kl}");
        }
    }

    #[test]
    fn one_engine_goes_on_where_the_other_stopped() {
        let config = TrainConfig {
            minibatch_rows: 300,
            epochs: 1,
            ..TrainConfig::default()
        };
        let table = table(600);
        let step = |engine: &mut Engine| {
            engine.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
        };
        let mut torch = engine(EngineChoice::Torch, 1);
        step(&mut torch);
        let mut fused = engine(EngineChoice::Fused, 2);
        fused.load(&torch.parameters(), &torch.optimiser());
        step(&mut torch);
        step(&mut fused);
        assert_close(&torch.parameters(), &fused.parameters(), 1e-5);
    }
}
