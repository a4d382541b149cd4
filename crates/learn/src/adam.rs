use crate::device::to_host;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

pub(crate) const BETA_1: f64 = 0.9;
pub(crate) const BETA_2: f64 = 0.999;
pub(crate) const EPSILON: f64 = 1e-5;
/// Keeps a gradient of 0 from being divided by.
pub(crate) const NORM_MIN: f64 = 1e-6;

/// Adam (Kingma and Ba 2015, algorithm 1) on one flat parameter tensor, with state that can be saved.
#[derive(Debug)]
pub(crate) struct Adam {
    mean: Tensor,
    square: Tensor,
    steps: u32,
}

/// What an optimiser remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AdamState {
    pub(crate) mean: Vec<f32>,
    pub(crate) square: Vec<f32>,
    pub(crate) steps: u32,
}

impl Adam {
    pub(crate) fn new(parameters: usize, device: Device) -> Self {
        let zeros = || Tensor::zeros([parameters as i64], (Kind::Float, device));
        Self {
            mean: zeros(),
            square: zeros(),
            steps: 0,
        }
    }

    /// One step down `gradient`. Nothing here waits for the device.
    pub(crate) fn step(&mut self, parameters: &mut Tensor, gradient: &Tensor, learning_rate: f64) {
        self.steps += 1;
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(self.steps));
        let _ = self.mean.lerp_(gradient, 1.0 - BETA_1);
        let _ = self.square.lerp_(&gradient.square(), 1.0 - BETA_2);
        let root = (&self.square / correction(BETA_2)).sqrt_() + EPSILON;
        let step = &self.mean * (-learning_rate / correction(BETA_1));
        let _ = parameters.addcdiv_(&step, &root);
    }

    pub(crate) fn save(&self) -> AdamState {
        AdamState {
            mean: to_host(&self.mean),
            square: to_host(&self.square),
            steps: self.steps,
        }
    }

    pub(crate) fn load(&mut self, state: &AdamState) {
        self.mean.copy_(&Tensor::from_slice(&state.mean));
        self.square.copy_(&Tensor::from_slice(&state.square));
        self.steps = state.steps;
    }
}

/// Scales a gradient down to the given norm, on the device; returns the norm it had.
pub(crate) fn clip_norm(gradient: &mut Tensor, norm_max: f64) -> Tensor {
    let norm = gradient.norm();
    let scale = ((&norm + NORM_MIN).reciprocal() * norm_max).clamp_max(1.0);
    let _ = gradient.g_mul_(&scale);
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_length_of_the_learning_rate_whatever_the_gradient() {
        let mut adam = Adam::new(2, Device::Cpu);
        let mut parameters = Tensor::from_slice(&[1.0f32, 1.0]);
        adam.step(&mut parameters, &Tensor::from_slice(&[100.0f32, -3.0]), 0.5);
        let got = to_host(&parameters);
        assert!(
            (got[0] - 0.5).abs() < 1e-4 && (got[1] - 1.5).abs() < 1e-4,
            "{got:?}"
        );
    }

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_left_alone() {
        let mut long = Tensor::from_slice(&[3.0f32, 4.0]);
        assert!((clip_norm(&mut long, 1.0).double_value(&[]) - 5.0).abs() < 1e-6);
        assert!((to_host(&long)[0] - 0.6).abs() < 1e-5);
        let mut short = Tensor::from_slice(&[0.3f32, 0.4]);
        let _ = clip_norm(&mut short, 1.0);
        assert_eq!(to_host(&short), [0.3, 0.4]);
    }
}
