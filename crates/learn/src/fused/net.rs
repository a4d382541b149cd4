//! The passes of a multi-layer perceptron, forward and backward, over blocks of rows.

use super::aligned::Aligned;
use super::kernel::{Left, Start, multiply};
use super::layout::{Net, Weights};
use super::math::tanh;
use pulp::Simd;

/// Rows that go through all layers together while their activations stay in cache: whole vectors.
pub(crate) const BLOCK: usize = 64;

/// What a block of rows leaves in each layer.
#[derive(Clone, Debug)]
pub(crate) struct Activations {
    /// Outputs of each layer: `BLOCK x width`.
    outputs: Vec<Aligned>,
    slopes: Vec<Aligned>,
}

impl Net {
    pub(crate) fn activations(&self) -> Activations {
        let buffers = || {
            let layers = self.layers.iter();
            layers.map(|layer| Aligned::zeros(BLOCK * layer.width)).collect()
        };
        Activations {
            outputs: buffers(),
            slopes: buffers(),
        }
    }

    /// All layers on `rows` (at most [`BLOCK`]) rows that stand `stride` numbers apart; hidden units go through `tanh`.
    #[inline(always)]
    pub(crate) fn forward<S: Simd>(
        &self,
        simd: S,
        weights: Weights<'_>,
        (rows, stride): (usize, usize),
        seen: &[f32],
        activations: &mut Activations,
    ) {
        for (n, layer) in self.layers.iter().enumerate() {
            let (before, here) = activations.outputs.split_at_mut(n);
            let left = match before.last() {
                None => Left::Rows(seen, stride),
                Some(before) => Left::Rows(before, layer.input_width),
            };
            let size = (rows, layer.inputs, layer.width);
            let bias = Start::Row(&weights.stored[layer.bias()]);
            let out = &mut here[0][..rows * layer.width];
            multiply(simd, size, left, layer.forward_weight(weights), bias, out);
            if n + 1 < self.layers.len() {
                for x in S::as_mut_simd_f32s(out).0 {
                    *x = tanh(simd, *x);
                }
            }
        }
    }

    /// Adds the gradient of a loss whose slopes in the outputs stand in [`Activations::out_slopes`].
    #[inline(always)]
    pub(crate) fn backward<S: Simd>(
        &self,
        simd: S,
        weights: Weights<'_>,
        (rows, stride): (usize, usize),
        seen: &[f32],
        activations: &mut Activations,
        gradient: &mut [f32],
    ) {
        for (n, layer) in self.layers.iter().enumerate().rev() {
            let (before, here) = activations.slopes.split_at_mut(n);
            let slope = &here[0][..rows * layer.width];
            let (inputs, input_width) = match n {
                0 => (seen, stride),
                _ => (&*activations.outputs[n - 1], layer.input_width),
            };
            let (gradient, bias) =
                gradient[layer.weight..layer.bias().end].split_at_mut(layer.bias - layer.weight);
            if layer.by_inputs {
                let size = (layer.inputs, rows, layer.width);
                let left = Left::Columns(inputs, input_width);
                multiply(simd, size, left, slope, Start::Result, gradient);
            } else {
                let size = (layer.outputs, rows, layer.input_width);
                let left = Left::Columns(slope, layer.width);
                multiply(simd, size, left, inputs, Start::Result, gradient);
            }
            multiply(
                simd,
                (1, rows, layer.width),
                Left::Rows(&ONES, BLOCK),
                slope,
                Start::Result,
                bias,
            );
            if let Some(below) = before.last_mut() {
                let below = &mut below[..rows * layer.input_width];
                let size = (rows, layer.outputs, layer.input_width);
                let left = Left::Rows(slope, layer.width);
                multiply(
                    simd,
                    size,
                    left,
                    layer.backward_weight(weights),
                    Start::Zero,
                    below,
                );
                let outputs = S::as_simd_f32s(inputs).0;
                for (slope, y) in S::as_mut_simd_f32s(below).0.iter_mut().zip(outputs) {
                    let bend = simd.negate_mul_add_e_f32s(*y, *y, simd.splat_f32s(1.0));
                    *slope = simd.mul_f32s(*slope, bend);
                }
            }
        }
    }
}

/// Summing rows is a product with ones.
const ONES: [f32; BLOCK] = [1.0; BLOCK];

impl Activations {
    /// What came out of the last layer: `BLOCK x out_width`.
    pub(crate) fn out(&self) -> &[f32] {
        self.outputs.last().map_or(&[], |out| out)
    }

    /// Outputs of the last layer, and the place for the loss's slopes in them. Padding must stay 0.
    pub(crate) fn out_slopes(&mut self) -> (&[f32], &mut [f32]) {
        match (self.outputs.last(), self.slopes.last_mut()) {
            (Some(out), Some(slopes)) => (out, slopes),
            _ => (&[], &mut []),
        }
    }
}
