//! Where the parameters of multi-layer perceptrons stand for the kernel. Each width is padded with zeros to whole vectors;
//! padding never moves: what it is multiplied with is 0, and so is its gradient.

use super::aligned::Aligned;
use std::array::from_fn;
use std::ops::Range;

/// Weights are turned in squares of this side.
const SQUARE: usize = 4;

/// One dense layer. Its weights are stored as `inputs x width` or, behind the first layer, as `outputs x input_width`
/// where that is less; the other form stands in the turned copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) width: usize,
    pub(super) input_width: usize,
    pub(super) by_inputs: bool,
    pub(super) weight: usize,
    pub(super) bias: usize,
    turned: usize,
}

/// The layers of one network.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub(super) layers: Vec<Layer>,
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

    pub(super) fn bias(&self) -> Range<usize> {
        self.bias..self.bias + self.width
    }

    fn turned<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
        let (rows, width) = self.turned_form();
        &weights.turned[self.turned..][..rows * width]
    }

    pub(super) fn forward_weight<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
        if self.by_inputs {
            &weights.stored[self.weight()]
        } else {
            self.turned(weights)
        }
    }

    pub(super) fn backward_weight<'a>(&self, weights: Weights<'a>) -> &'a [f32] {
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
    /// Numbers between two rows of the last layer's outputs.
    pub(crate) fn out_width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.width)
    }

    /// Where the last layer's weights and then its biases stand.
    pub(crate) fn head(&self) -> Option<(Range<usize>, Range<usize>)> {
        let layer = self.layers.last()?;
        Some((layer.weight(), layer.bias()))
    }
}
