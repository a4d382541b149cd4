use super::aligned::Aligned;
use super::layout::{Layout, Weights};
use crate::adam::{AdamState, BETA_1, BETA_2, EPSILON, NORM_MIN};

/// Partial sums of a norm: as many as keep a processor's adders busy.
const PARTS: usize = 64;

/// Padded parameters, turned copy and the moments of Adam; the steps are those of [`crate::adam::Adam`].
#[derive(Clone, Debug)]
pub(crate) struct Optimiser {
    parameters: Aligned,
    turned: Aligned,
    mean: Aligned,
    square: Aligned,
    steps: u32,
}

impl Optimiser {
    pub(crate) fn new(layout: &Layout, flat: &[f32]) -> Self {
        let zeros = || Aligned::zeros(layout.parameters);
        let mut optimiser = Self {
            parameters: layout.padded(flat),
            turned: layout.turned(),
            mean: zeros(),
            square: zeros(),
            steps: 0,
        };
        optimiser.turn(layout);
        optimiser
    }

    pub(crate) fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// [`Optimiser::turn`] must follow what is changed here.
    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    pub(crate) fn weights(&self) -> Weights<'_> {
        Weights {
            stored: &self.parameters,
            turned: &self.turned,
        }
    }

    /// Makes the turned copy follow the parameters.
    #[inline(always)]
    pub(crate) fn turn(&mut self, layout: &Layout) {
        layout.turn(&self.parameters, &mut self.turned);
    }

    /// Shortens the gradient to `norm_max` and makes one step down; returns the norm that it had.
    #[inline(always)]
    pub(crate) fn step(&mut self, gradient: &mut [f32], norm_max: f64, learning_rate: f64) -> f32 {
        let norm = norm(gradient);
        let scale = (norm_max as f32 / (norm + NORM_MIN as f32)).min(1.0);
        self.steps += 1;
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(self.steps));
        let rate = (-learning_rate / correction(BETA_1)) as f32;
        let spread = (1.0 / correction(BETA_2)) as f32;
        let moments = self.mean.iter_mut().zip(self.square.iter_mut());
        for ((x, (mean, square)), slope) in self.parameters.iter_mut().zip(moments).zip(gradient) {
            let slope = *slope * scale;
            *mean += (slope - *mean) * (1.0 - BETA_1) as f32;
            *square += (slope * slope - *square) * (1.0 - BETA_2) as f32;
            *x += rate * *mean / ((*square * spread).sqrt() + EPSILON as f32);
        }
        norm
    }

    pub(crate) fn save(&self, layout: &Layout) -> AdamState {
        AdamState {
            mean: layout.flat(&self.mean),
            square: layout.flat(&self.square),
            steps: self.steps,
        }
    }

    pub(crate) fn load(&mut self, layout: &Layout, parameters: &[f32], state: &AdamState) {
        self.parameters = layout.padded(parameters);
        self.mean = layout.padded(&state.mean);
        self.square = layout.padded(&state.square);
        self.steps = state.steps;
        self.turn(layout);
    }
}

#[inline(always)]
fn norm(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; PARTS];
    for chunk in numbers.chunks(PARTS) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    sums.iter().sum::<f32>().sqrt()
}
