//! A multi-layer perceptron in the form that the kernel reads. Each width is padded with zeros to whole vectors; padding
//! never moves: what it is multiplied with is 0, and so is its gradient.

use super::aligned::Aligned;
use super::kernel::{Left, Start, multiply};
use super::math::tanh;
use pulp::Simd;
use std::array::from_fn;
use std::ops::Range;

/// Rows that go through all layers together while their activations stay in cache: whole vectors.
pub(crate) const BLOCK: usize = 64;

/// Weights are turned in squares of this side.
const SQUARE: usize = 4;

/// One dense layer. Its weights are stored as `inputs x width` or, behind the first layer, as `outputs x input_width`
/// where that is less; the other form stands in the turned copy.
#[derive(Clone, Copy, Debug)]
struct Layer {
    inputs: usize,
    outputs: usize,
    width: usize,
    input_width: usize,
    by_inputs: bool,
    weight: usize,
    bias: usize,
    turned: usize,
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
    turned: usize,
}

/// Padded parameters, and the turned copy of all weights behind the first layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    pub(crate) stored: &'a [f32],
    pub(crate) turned: &'a [f32],
}

/// What a block of rows leaves in each layer.
#[derive(Clone, Debug)]
pub(crate) struct Activations {
    /// Outputs of each layer: `BLOCK x width`.
    outputs: Vec<Aligned>,
    slopes: Vec<Aligned>,
}

impl Layer {
    /// `(rows, columns, width)` of the stored form.
    fn form(&self) -> (usize, usize, usize) {
        if self.by_inputs {
            (self.inputs, self.outputs, self.width)
        } else {
            (self.outputs, self.inputs, self.input_width)
        }
    }

    /// `(rows, width)` of the turned form.
    fn turned_form(&self) -> (usize, usize) {
        if self.by_inputs {
            (self.outputs, self.input_width)
        } else {
            (self.inputs, self.width)
        }
    }

    fn weight(&self) -> Range<usize> {
        self.weight..self.bias
    }

    fn bias(&self) -> Range<usize> {
        self.bias..self.bias + self.width
    }

    fn turned<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
        let (rows, width) = self.turned_form();
        &weights.turned[self.turned..][..rows * width]
    }

    fn forward_weight<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
        if self.by_inputs {
            &weights.stored[self.weight()]
        } else {
            self.turned(weights)
        }
    }

    fn backward_weight<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
        if self.by_inputs {
            self.turned(weights)
        } else {
            &weights.stored[self.weight()]
        }
    }
}

impl Layout {
    /// `widths` of each network: inputs, hidden layers, outputs; each is padded to vectors of `lanes` numbers.
    pub(crate) fn new(widths: &[Vec<usize>], lanes: usize) -> Self {
        let (mut at, mut turned) = (0, 0);
        let mut nets = Vec::new();
        for widths in widths {
            let mut layers = Vec::new();
            for pair in widths.windows(2) {
                let (inputs, outputs) = (pair[0], pair[1]);
                let (input_width, width) = (inputs.next_multiple_of(lanes), outputs.next_multiple_of(lanes));
                let mut layer = Layer {
                    inputs,
                    outputs,
                    width,
                    input_width,
                    by_inputs: layers.is_empty() || inputs * width <= outputs * input_width,
                    weight: at,
                    bias: at,
                    turned,
                };
                let (rows, _, stored_width) = layer.form();
                layer.bias += rows * stored_width;
                at = layer.bias().end;
                if !layers.is_empty() {
                    let (rows, width) = layer.turned_form();
                    turned += rows.next_multiple_of(SQUARE) * width;
                }
                layers.push(layer);
            }
            nets.push(Net { layers });
        }
        Self {
            nets,
            parameters: at,
            turned,
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
                    let place = if layer.by_inputs {
                        input * layer.width + out
                    } else {
                        out * layer.input_width + input
                    };
                    visit(at, layer.weight + place);
                    at += 1;
                }
            }
            for out in 0..layer.outputs {
                visit(at, layer.bias + out);
                at += 1;
            }
        }
    }

    /// A turned copy of nothing yet.
    pub(crate) fn turned(&self) -> Aligned {
        Aligned::zeros(self.turned)
    }

    /// Writes the turned copy of the weights.
    #[inline(always)]
    pub(crate) fn turn(&self, stored: &[f32], turned: &mut [f32]) {
        for net in &self.nets {
            for layer in &net.layers[1..] {
                let (rows, columns, width) = layer.form();
                let stored = &stored[layer.weight()];
                let turned = &mut turned[layer.turned..];
                turn((rows, columns, width), stored, layer.turned_form().1, turned);
            }
        }
    }
}

/// Transposes a matrix of lines `width` apart to lines `turned_width` apart. Four by four, which becomes shuffles of short
/// vectors; one by one it would become gathers, which are slow.
#[inline(always)]
fn turn(
    (rows, columns, width): (usize, usize, usize),
    stored: &[f32],
    turned_width: usize,
    turned: &mut [f32],
) {
    for row in (0..rows).step_by(SQUARE) {
        let lines: [&[f32]; SQUARE] = from_fn(|n| &stored[(row + n).min(rows - 1) * width..][..width]);
        let targets = turned.chunks_exact_mut(SQUARE * turned_width);
        for (column, target) in (0..columns).step_by(SQUARE).zip(targets) {
            let square: [[f32; SQUARE]; SQUARE] = from_fn(|n| {
                let line = &lines[n][column..column + SQUARE];
                let live = if row + n < rows { 1.0 } else { 0.0 };
                from_fn(|column| line[column] * live)
            });
            for (n, target) in target.chunks_exact_mut(turned_width).enumerate() {
                target[row..row + SQUARE].copy_from_slice(&from_fn::<_, SQUARE, _>(|row| square[row][n]));
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
    pub(crate) fn head(&self) -> Option<(Range<usize>, Range<usize>)> {
        let layer = self.layers.last()?;
        Some((layer.weight(), layer.bias()))
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
