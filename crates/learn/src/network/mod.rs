//! Policy and critic on libtorch.

mod initial;
mod pass;
mod shape;

pub(crate) use pass::Pass;
use pass::{backward, forward, pass};
pub(crate) use shape::Shape;
use tch::{Device, Tensor, no_grad};

/// Policy and critic on one flat parameter tensor; the layers are views of it. One optimiser step, one norm, one copy
/// is then one operation. Order: policy, then critic; layer by layer, weight `[out, in]` before bias. A memory is two layers
/// in front of the others: what is seen to the three gates, what is remembered to the three gates.
#[derive(Debug)]
pub(crate) struct ActorCritic {
    pub(crate) flat: Tensor,
    shape: Shape,
    leaves: Vec<Tensor>,
}

impl ActorCritic {
    pub(crate) fn new(shape: Shape, parameters: &[f32], device: Device) -> Self {
        let flat = Tensor::from_slice(parameters).to_device(device);
        let mut leaves = Vec::new();
        let mut at = 0;
        for (out, input) in shape.all_layers() {
            let mut view = |rows: usize, size: &[i64]| {
                let leaf = flat.narrow(0, at as i64, rows as i64).view(size).detach();
                at += rows;
                leaves.push(leaf.set_requires_grad(true));
            };
            view(out * input, &[out as i64, input as i64]);
            view(out, &[out as i64]);
        }
        Self { flat, shape, leaves }
    }

    /// Another handle of the same networks, for another thread. Whoever changes the parameters makes sure that nobody reads
    /// them meanwhile.
    pub(crate) fn share(&self) -> Self {
        Self {
            flat: self.flat.shallow_clone(),
            shape: self.shape.clone(),
            leaves: self.leaves.iter().map(Tensor::shallow_clone).collect(),
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Weight and bias of the two layers of the policy's memory.
    pub(crate) fn policy_cell(&self) -> &[Tensor] {
        &self.leaves[..2 * self.shape.cell()]
    }

    /// Weight and bias of the two layers of the critic's memory.
    pub(crate) fn critic_cell(&self) -> &[Tensor] {
        &self.leaves[2 * self.shape.layers()..][..2 * self.shape.cell()]
    }

    fn policy_layers(&self) -> &[Tensor] {
        &self.leaves[2 * self.shape.cell()..2 * self.shape.layers()]
    }

    fn critic_layers(&self) -> &[Tensor] {
        &self.leaves[2 * (self.shape.layers() + self.shape.cell())..]
    }

    /// One score per rung: rows x rungs. Where there is a memory, from what it holds.
    pub(crate) fn logits(&self, obs: &Tensor) -> Tensor {
        forward(self.policy_layers(), obs)
    }

    /// One value per row, in the critic's units. Where there is a memory, from what it holds.
    pub(crate) fn values(&self, seen: &Tensor) -> Tensor {
        forward(self.critic_layers(), seen).squeeze_dim(-1)
    }

    /// As [`ActorCritic::logits`], keeping what a backward pass needs.
    pub(crate) fn policy_pass(&self, obs: &Tensor) -> Pass {
        pass(self.policy_layers(), obs)
    }

    /// As [`ActorCritic::values`], keeping what a backward pass needs.
    pub(crate) fn critic_pass(&self, seen: &Tensor) -> Pass {
        pass(self.critic_layers(), seen)
    }

    /// The policy's part of the flat gradient, in pieces, from the slope of a loss in the scores.
    pub(crate) fn policy_backward(&self, pass: &Pass, slope: &Tensor) -> Vec<Tensor> {
        backward(self.policy_layers(), pass, slope)
    }

    /// The critic's part of the flat gradient, in pieces, from the slope of a loss in the values (rows x 1).
    pub(crate) fn critic_backward(&self, pass: &Pass, slope: &Tensor) -> Vec<Tensor> {
        backward(self.critic_layers(), pass, slope)
    }

    /// The gradient of a loss that reaches every layer, as one flat tensor.
    pub(crate) fn gradient(&self, loss: &Tensor) -> Tensor {
        let parts = Tensor::run_backward(&[loss], &self.leaves, false, false);
        let parts: Vec<Tensor> = parts.iter().map(|part| part.flatten(0, -1)).collect();
        Tensor::cat(&parts, 0)
    }

    /// Replaces all parameters.
    pub(crate) fn set(&mut self, parameters: &[f32]) {
        self.flat.copy_(&Tensor::from_slice(parameters));
    }

    /// Rescales the critic's last layer so that it says the same in new units (van Hasselt et al. 2016, Pop-Art):
    /// `value x old.1 + old.0` before equals `value x new.1 + new.0` after; each pair is mean and deviation.
    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        let last = self.leaves.len() - 2;
        no_grad(|| {
            let _ = self.leaves[last].g_mul_scalar_(old.1 / new.1);
            let _ = self.leaves[last + 1].g_mul_scalar_(old.1 / new.1);
            let _ = self.leaves[last + 1].g_add_scalar_((old.0 - new.0) / new.1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::to_host;
    use haggle_core::Seeds;
    use tch::Kind;

    fn shape() -> Shape {
        Shape {
            multiplier: false,
            obs: 3,
            critic: 5,
            memory: 0,
            hidden: vec![4],
            rungs: 2,
        }
    }

    #[test]
    fn the_flat_gradient_is_the_slope_of_the_loss() {
        let parameters = shape().initial(&Seeds::new(3));
        let loss_of = |parameters: &[f32]| {
            let net = ActorCritic::new(shape(), parameters, Device::Cpu);
            let obs = Tensor::from_slice(&[0.1f32, -0.4, 0.7]).view([1, 3]);
            let seen = Tensor::from_slice(&[0.1f32, -0.4, 0.7, 1.0, 0.2]).view([1, 5]);
            let loss = net.logits(&obs).square().sum(Kind::Float) * 1e3
                + net.values(&seen).square().sum(Kind::Float);
            (to_host(&net.gradient(&loss)), loss.double_value(&[]))
        };
        let (gradient, _) = loss_of(&parameters);
        for n in 0..parameters.len() {
            let (mut up, mut down) = (parameters.clone(), parameters.clone());
            up[n] += 1e-2;
            down[n] -= 1e-2;
            let slope = (loss_of(&up).1 - loss_of(&down).1) / 2e-2;
            assert!(
                (slope - f64::from(gradient[n])).abs() < 2e-2 * (1.0 + slope.abs()),
                "parameter {n}"
            );
        }
    }

    #[test]
    fn new_units_leave_the_critic_saying_the_same() {
        let mut net = ActorCritic::new(shape(), &shape().initial(&Seeds::new(3)), Device::Cpu);
        let seen = Tensor::from_slice(&[0.1f32, -0.4, 0.7, 1.0, 0.2]).view([1, 5]);
        let money =
            |net: &ActorCritic, mean: f64, std: f64| net.values(&seen).double_value(&[0]) * std + mean;
        let before = money(&net, 2.0, 3.0);
        net.rescale_values((2.0, 3.0), (-1.0, 0.5));
        assert!((money(&net, -1.0, 0.5) - before).abs() < 1e-5);
    }
}
