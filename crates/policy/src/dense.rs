//! One dense layer, and the tangent between two of them.

use crate::NetworkError;

/// One dense layer as a learner holds it: `y = W x + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Width of `x`.
    pub inputs: usize,
    /// Width of `y`.
    pub outputs: usize,
    /// `W`, row by row: `outputs x inputs`.
    pub weight: Vec<f32>,
    /// `b`.
    pub bias: Vec<f32>,
}

/// A layer with its weights column by column: the inner loop runs over outputs, which are neighbours in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dense {
    columns: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    /// A layer whose numbers are as many as its widths say, and finite.
    pub(crate) fn checked(name: &str, layer: &Layer) -> Result<Self, NetworkError> {
        let weights = layer.inputs * layer.outputs;
        check(&format!("{name}.weight"), &layer.weight, weights)?;
        check(&format!("{name}.bias"), &layer.bias, layer.outputs)?;
        Ok(Self::new(layer))
    }

    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    fn new(layer: &Layer) -> Self {
        let mut columns = vec![0.0; layer.weight.len()];
        for (output, row) in layer.weight.chunks_exact(layer.inputs).enumerate() {
            for (input, weight) in row.iter().enumerate() {
                columns[input * layer.outputs + output] = *weight;
            }
        }
        Self {
            columns,
            bias: layer.bias.clone(),
        }
    }

    pub(crate) fn layer(&self) -> Layer {
        let outputs = self.bias.len();
        let inputs = self.columns.len() / outputs;
        let of = |at: usize| self.columns[at % inputs * outputs + at / inputs];
        Layer {
            inputs,
            outputs,
            weight: (0..self.columns.len()).map(of).collect(),
            bias: self.bias.clone(),
        }
    }

    /// Four columns at a time: each output is read and written a quarter as often.
    #[inline(always)]
    pub(crate) fn apply(&self, x: &[f32], y: &mut Vec<f32>) {
        y.clear();
        y.extend_from_slice(&self.bias);
        let outputs = self.bias.len();
        for (x, block) in x.chunks_exact(4).zip(self.columns.chunks_exact(4 * outputs)) {
            add_four([x[0], x[1], x[2], x[3]], block, y);
        }
        let done = x.len() / 4 * 4;
        let columns = self.columns[done * outputs..].chunks_exact(outputs);
        for (x, column) in x[done..].iter().zip(columns) {
            for (y, weight) in y.iter_mut().zip(column) {
                *y += x * weight;
            }
        }
    }
}

/// `y += x[0] a + x[1] b + x[2] c + x[3] d` for the four columns of a block. A function of its own: only for arguments
/// does the compiler know that `y` overlaps nothing else, and uses vector instructions.
#[inline(always)]
fn add_four(x: [f32; 4], block: &[f32], y: &mut [f32]) {
    let (a, rest) = block.split_at(y.len());
    let (b, rest) = rest.split_at(y.len());
    let (c, d) = rest.split_at(y.len());
    for ((((y, a), b), c), d) in y.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *y += (x[0] * a + x[1] * b) + (x[2] * c + x[3] * d);
    }
}

/// Rational approximation of the hyperbolic tangent (as in Eigen's `ptanh`), absolute error below 5e-7. Only sums and products:
/// it comes to the same bits on every machine, which a system's own `tanhf` does not, and becomes vector instructions.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    /// Beyond this the result is 1 in single precision.
    const FLAT: f32 = 7.905_311;
    const TOP: [f32; 7] = [
        -2.760_768_5e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_4e-5,
        6.372_619_4e-4,
        4.893_525e-3,
    ];
    const BOTTOM: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_7e-3, 4.893_525_3e-3];
    let x = x.clamp(-FLAT, FLAT);
    let square = x * x;
    let polynomial = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, next| sum * square + next);
    x * polynomial(&TOP) / polynomial(&BOTTOM)
}

pub(crate) fn check(part: &str, values: &[f32], expected: usize) -> Result<(), NetworkError> {
    if values.len() != expected {
        return Err(NetworkError::Width {
            part: part.to_owned(),
            expected,
            got: values.len(),
        });
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(NetworkError::NotFinite(part.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tangent_is_right_to_a_few_bits() {
        let worst = (-1_200_000..=1_200_000)
            .map(|n| f64::from(n) * 1e-5)
            .map(|x| (f64::from(tanh(x as f32)) - f64::from(x as f32).tanh()).abs())
            .fold(0.0, f64::max);
        assert!(worst < 5e-7, "{worst}");
        assert_eq!((tanh(0.0), tanh(40.0), tanh(-40.0)), (0.0, 1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
    }
}
