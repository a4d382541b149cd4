use haggle_core::Seeds;
use rand::RngExt;
use std::f64::consts::TAU;
use tch::{Device, Kind, Tensor, no_grad};

/// How far the last layer of the policy is scaled down, so that it begins near the uniform distribution.
const POLICY_GAIN: f64 = 0.01;

/// Widths of policy and critic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) obs: usize,
    /// What the critic sees; 0: there is no critic (a policy that is tuned offline).
    pub(crate) critic: usize,
    /// Numbers that each of the two networks remembers, in a gated recurrent unit before its hidden layers; 0: nothing.
    pub(crate) memory: usize,
    pub(crate) hidden: Vec<usize>,
    /// Scores of the policy: one per rung, or the two of a multiplier's distribution.
    pub(crate) rungs: usize,
    /// Whether the policy sets a multiplier.
    pub(crate) multiplier: bool,
}

/// Policy and critic on one flat parameter tensor; the layers are views of it. One optimiser step, one norm, one copy
/// is then one operation. Order: policy, then critic; layer by layer, weight `[out, in]` before bias. A memory is two layers
/// in front of the others: what is seen to the three gates, what is remembered to the three gates.
#[derive(Debug)]
pub(crate) struct ActorCritic {
    pub(crate) flat: Tensor,
    shape: Shape,
    leaves: Vec<Tensor>,
}

/// Layers of a memory.
const CELL: usize = 2;

impl Shape {
    /// Widths of the policy's dense layers.
    pub(crate) fn policy_widths(&self) -> Vec<usize> {
        self.widths(self.obs, self.rungs)
    }

    pub(crate) fn critic_widths(&self) -> Vec<usize> {
        self.widths(self.critic, 1)
    }

    fn widths(&self, input: usize, output: usize) -> Vec<usize> {
        let first = if self.memory > 0 { self.memory } else { input };
        [&[first], &self.hidden[..], &[output]].concat()
    }

    /// Layers of the memory of each of the two networks.
    fn cell(&self) -> usize {
        if self.memory > 0 { CELL } else { 0 }
    }

    /// Layers of each of the two networks.
    fn layers(&self) -> usize {
        self.cell() + self.hidden.len() + 1
    }

    /// `(out, in)` of every layer, policy first.
    fn all_layers(&self) -> Vec<(usize, usize)> {
        let networks = if self.critic > 0 { 2 } else { 1 };
        let both = [
            (self.obs, self.policy_widths()),
            (self.critic, self.critic_widths()),
        ];
        let gates = 3 * self.memory;
        let of = |(input, widths): &(usize, Vec<usize>)| {
            let cell = [(gates, *input), (gates, self.memory)];
            let dense = widths.windows(2).map(|pair| (pair[1], pair[0]));
            cell[..self.cell()]
                .iter()
                .copied()
                .chain(dense)
                .collect::<Vec<_>>()
        };
        both[..networks].iter().flat_map(of).collect()
    }

    /// Numbers in the flat tensor.
    pub(crate) fn parameters(&self) -> usize {
        self.all_layers()
            .iter()
            .map(|(out, input)| out * input + out)
            .sum()
    }

    /// Orthogonal weights (Saxe et al. 2014), gain sqrt 2 (a memory's gates: 1), the policy's last layer almost 0; biases 0.
    pub(crate) fn initial(&self, seeds: &Seeds) -> Vec<f32> {
        let layers = self.all_layers();
        let mut flat = Vec::with_capacity(self.parameters());
        for (number, (out, input)) in layers.iter().enumerate() {
            let gain = match (number + 1) as isize - self.layers() as isize {
                0 => POLICY_GAIN,
                _ if number + 1 == layers.len() || number % self.layers() < self.cell() => 1.0,
                _ => 2f64.sqrt(),
            };
            let matrix = orthogonal(*out, *input, &seeds.indexed(number as u64));
            flat.extend(matrix.iter().map(|x| (x * gain) as f32));
            flat.resize(flat.len() + out, 0.0);
        }
        flat
    }
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

fn forward(leaves: &[Tensor], x: &Tensor) -> Tensor {
    let mut layers = leaves.chunks_exact(2);
    let first = layers
        .next()
        .map_or_else(|| x.shallow_clone(), |layer| x.linear(&layer[0], Some(&layer[1])));
    layers.fold(first, |x, layer| x.tanh().linear(&layer[0], Some(&layer[1])))
}

/// A forward pass: what went into each layer, and what came out of the last.
pub(crate) struct Pass {
    inputs: Vec<Tensor>,
    pub(crate) out: Tensor,
}

fn pass(leaves: &[Tensor], x: &Tensor) -> Pass {
    let mut inputs = Vec::with_capacity(leaves.len() / 2);
    let mut out = x.shallow_clone();
    for (n, layer) in leaves.chunks_exact(2).enumerate() {
        let input = if n == 0 { out } else { bend(out) };
        out = input.linear(&layer[0], Some(&layer[1]));
        inputs.push(input);
    }
    Pass { inputs, out }
}

/// `tanh`, in place and without a gradient: on a processor `1 - 2 / (e^2x + 1)`, which libtorch makes in half the time that its own
/// takes (the error is 1e-7).
fn bend(mut x: Tensor) -> Tensor {
    if x.device() != Device::Cpu {
        return x.tanh_();
    }
    let _ = x.g_mul_scalar_(2.0).exp_().g_add_scalar_(1.0);
    let _ = x.reciprocal_().g_mul_scalar_(-2.0).g_add_scalar_(1.0);
    x
}

/// Gradients of weight and bias of every layer, flattened, first layer first.
fn backward(leaves: &[Tensor], pass: &Pass, slope: &Tensor) -> Vec<Tensor> {
    let mut slope = slope.shallow_clone();
    let mut parts = Vec::with_capacity(leaves.len());
    for (n, input) in pass.inputs.iter().enumerate().rev() {
        parts.push(slope.sum_dim_intlist(0i64, false, Kind::Float));
        parts.push(slope.tr().mm(input).flatten(0, -1));
        if n > 0 {
            slope = Tensor::tanh_backward(&slope.mm(&leaves[2 * n]), input);
        }
    }
    parts.reverse();
    parts
}

/// A matrix of orthonormal rows (or columns, whichever are fewer): Gram-Schmidt on Gaussian vectors.
fn orthogonal(rows: usize, columns: usize, seeds: &Seeds) -> Vec<f64> {
    let (vectors, length) = (rows.min(columns), rows.max(columns));
    let mut rng = seeds.rng();
    let mut gaussian =
        || (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * (TAU * rng.random::<f64>()).cos();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(vectors);
    for _ in 0..vectors {
        let mut vector: Vec<f64> = (0..length).map(|_| gaussian()).collect();
        for other in &basis {
            let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        basis.push(vector);
    }
    let at = |row: usize, column: usize| {
        if rows <= columns {
            basis[row][column]
        } else {
            basis[column][row]
        }
    };
    (0..rows * columns)
        .map(|n| at(n / columns, n % columns))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adam::to_host;

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
    fn rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(3, 7), (7, 3)] {
            let matrix = orthogonal(rows, columns, &Seeds::new(1));
            let at = |vector: usize, n: usize| {
                if rows <= columns {
                    matrix[vector * columns + n]
                } else {
                    matrix[n * columns + vector]
                }
            };
            for (a, b) in [(0, 0), (0, 1), (1, 2), (2, 2)] {
                let dot: f64 = (0..7).map(|n| at(a, n) * at(b, n)).sum();
                assert!(
                    (dot - f64::from(a == b)).abs() < 1e-12,
                    "{rows}x{columns}: {a}.{b} = {dot}"
                );
            }
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
