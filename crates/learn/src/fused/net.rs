//! A multi-layer perceptron in the form that the kernel reads: weights transposed (`inputs x width`), each width padded
//! with zeros to whole vectors. Padding never moves: what it is multiplied with is 0, and so is its gradient.

use super::aligned::Aligned;
use super::kernel::{LANES, Left, Start, multiply};
use super::math::tanh;
use pulp::Simd;

/// Rows that go through all layers together while their activations stay in cache.
pub(crate) const BLOCK: usize = 48;

/// One dense layer and where its numbers stand in the padded parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    inputs: usize,
    outputs: usize,
    width: usize,
    weight: usize,
    bias: usize,
    /// Where the weights stand untransposed (`outputs x input_width`) in the backward copy; not for the first layer.
    back: usize,
    input_width: usize,
}

/// The layers of one network.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    layers: Vec<Layer>,
}

/// Padded parameters of several networks, one after another.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) nets: Vec<Net>,
    pub(crate) parameters: usize,
    /// Numbers of the untransposed copy that slopes flow back through.
    back: usize,
}

/// What a block of rows leaves in each layer.
#[derive(Clone, Debug)]
pub(crate) struct Activations {
    /// Outputs of each layer: `BLOCK x width`.
    outputs: Vec<Aligned>,
    slopes: Vec<Aligned>,
}

impl Layout {
    /// `widths` of each network: inputs, hidden layers, outputs.
    pub(crate) fn new(widths: &[Vec<usize>]) -> Self {
        let (mut at, mut back) = (0, 0);
        let mut nets = Vec::new();
        for widths in widths {
            let mut layers = Vec::new();
            for pair in widths.windows(2) {
                let width = pair[1].next_multiple_of(LANES);
                let input_width = pair[0].next_multiple_of(LANES);
                layers.push(Layer {
                    inputs: pair[0],
                    outputs: pair[1],
                    width,
                    weight: at,
                    bias: at + pair[0] * width,
                    back,
                    input_width,
                });
                at += (pair[0] + 1) * width;
                if layers.len() > 1 {
                    back += pair[1] * input_width;
                }
            }
            nets.push(Net { layers });
        }
        Self {
            nets,
            parameters: at,
            back,
        }
    }

    /// From the order of [`crate::network::Shape`] (weight `[out, in]`, bias, layer by layer) to the padded one.
    pub(crate) fn padded(&self, flat: &[f32]) -> Aligned {
        let mut padded = Aligned::zeros(self.parameters);
        self.pair(|flat_at, padded_at| padded[padded_at] = flat[flat_at]);
        padded
    }

    /// The way back from [`Layout::padded`].
    pub(crate) fn flat(&self, padded: &[f32]) -> Vec<f32> {
        let layers = self.nets.iter().flat_map(|net| &net.layers);
        let mut flat = vec![0.0; layers.map(|layer| (layer.inputs + 1) * layer.outputs).sum()];
        self.pair(|flat_at, padded_at| flat[flat_at] = padded[padded_at]);
        flat
    }

    fn pair(&self, mut visit: impl FnMut(usize, usize)) {
        let mut at = 0;
        for layer in self.nets.iter().flat_map(|net| &net.layers) {
            for out in 0..layer.outputs {
                for input in 0..layer.inputs {
                    visit(at, layer.weight + input * layer.width + out);
                    at += 1;
                }
            }
            for out in 0..layer.outputs {
                visit(at, layer.bias + out);
                at += 1;
            }
        }
    }

    pub(crate) fn back_copy(&self) -> Aligned {
        Aligned::zeros(self.back)
    }

    /// Writes the untransposed weights that [`Net::backward`] reads.
    #[inline(always)]
    pub(crate) fn refresh_back(&self, padded: &[f32], back: &mut [f32]) {
        for layer in self.nets.iter().flat_map(|net| &net.layers[1..]) {
            let weight = &padded[layer.weight..][..layer.inputs * layer.width];
            let back = &mut back[layer.back..][..layer.outputs * layer.input_width];
            for (out, row) in back.chunks_exact_mut(layer.input_width).enumerate() {
                for (input, number) in row[..layer.inputs].iter_mut().enumerate() {
                    *number = weight[input * layer.width + out];
                }
            }
        }
    }
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

    /// Numbers between two rows of the last layer's outputs.
    pub(crate) fn out_width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.width)
    }

    /// Where the last layer's weights and then its biases stand.
    pub(crate) fn head(&self) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let layer = self.layers.last()?;
        Some((layer.weight..layer.bias, layer.bias..layer.bias + layer.width))
    }

    /// All layers on `rows` (at most [`BLOCK`]) rows that stand `stride` numbers apart; hidden units go through `tanh`.
    #[inline(always)]
    pub(crate) fn forward<S: Simd>(
        &self,
        simd: S,
        padded: &[f32],
        (rows, stride): (usize, usize),
        seen: &[f32],
        activations: &mut Activations,
    ) {
        for (n, layer) in self.layers.iter().enumerate() {
            let (before, here) = activations.outputs.split_at_mut(n);
            let left = match n {
                0 => Left::by_rows(seen, stride),
                _ => Left::by_rows(&before[n - 1], layer.input_width),
            };
            let weight = &padded[layer.weight..layer.bias];
            let bias = &padded[layer.bias..][..layer.width];
            let out = &mut here[0][..rows * layer.width];
            multiply(
                simd,
                (rows, layer.inputs, layer.width),
                left,
                weight,
                Start::Row(bias),
                out,
            );
            if n + 1 < self.layers.len() {
                for x in out {
                    *x = tanh(*x);
                }
            }
        }
    }

    /// Adds the gradient of a loss whose slopes in the outputs stand in [`Activations::out_slopes`].
    #[inline(always)]
    pub(crate) fn backward<S: Simd>(
        &self,
        simd: S,
        back: &[f32],
        (rows, stride): (usize, usize),
        seen: &[f32],
        activations: &mut Activations,
        gradient: &mut [f32],
    ) {
        for (n, layer) in self.layers.iter().enumerate().rev() {
            let (before, here) = activations.slopes.split_at_mut(n);
            let slope = &here[0][..rows * layer.width];
            let left = match n {
                0 => Left::transposed(seen, stride),
                _ => Left::transposed(&activations.outputs[n - 1], layer.input_width),
            };
            let weight = &mut gradient[layer.weight..layer.bias];
            multiply(
                simd,
                (layer.inputs, rows, layer.width),
                left,
                slope,
                Start::Result,
                weight,
            );
            let bias = &mut gradient[layer.bias..][..layer.width];
            for row in slope.chunks_exact(layer.width) {
                for (sum, x) in bias.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            if n > 0 {
                let below = &mut before[n - 1][..rows * layer.input_width];
                let weight = &back[layer.back..][..layer.outputs * layer.input_width];
                let left = Left::by_rows(slope, layer.width);
                multiply(
                    simd,
                    (rows, layer.outputs, layer.input_width),
                    left,
                    weight,
                    Start::Zero,
                    below,
                );
                let outputs = &activations.outputs[n - 1];
                for (slope, y) in below.iter_mut().zip(&**outputs) {
                    *slope *= 1.0 - y * y;
                }
            }
        }
    }
}

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
