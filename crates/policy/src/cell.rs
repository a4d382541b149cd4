//! A gated recurrent unit (Cho et al. 2014) in PyTorch's form: gates reset, update and candidate, one after another.
//!
//! `r = s(Wr x + Ur h)`, `z = s(Wz x + Uz h)`, `n = tanh(Wn x + r (Un h))`, `h' = (1 - z) n + z h`; each product has its bias.

use crate::dense::Dense;
use crate::{Layer, NetworkError};

/// What an agent carries from one step of a session to the next, and how it changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    seen: Dense,
    kept: Dense,
}

impl Cell {
    /// `seen` maps what is seen to the three gates, `kept` does so with what is remembered.
    ///
    /// # Errors
    /// When the widths do not fit.
    pub(crate) fn new(seen: &Layer, kept: &Layer, inputs: usize) -> Result<Self, NetworkError> {
        let width = |part: &str, expected, got| {
            if expected == got {
                return Ok(());
            }
            Err(NetworkError::Width {
                part: part.to_owned(),
                expected,
                got,
            })
        };
        width("inputs of memory.seen", inputs, seen.inputs)?;
        width("outputs of memory.seen", 3 * kept.inputs, seen.outputs)?;
        width("outputs of memory.kept", 3 * kept.inputs, kept.outputs)?;
        Ok(Self {
            seen: Dense::checked("memory.seen", seen)?,
            kept: Dense::checked("memory.kept", kept)?,
        })
    }

    /// Numbers that are remembered.
    pub(crate) fn width(&self) -> usize {
        self.kept.outputs() / 3
    }

    /// The two layers as a learner holds them.
    pub(crate) fn layers(&self) -> [Layer; 2] {
        [self.seen.layer(), self.kept.layer()]
    }

    /// Moves `memory` on by one step that sees `x`.
    pub(crate) fn step(&self, x: &[f32], memory: &mut [f32]) {
        let (mut seen, mut kept) = (Vec::new(), Vec::new());
        self.seen.apply(x, &mut seen);
        self.kept.apply(memory, &mut kept);
        let width = memory.len();
        for (n, h) in memory.iter_mut().enumerate() {
            let reset = sigmoid(seen[n] + kept[n]);
            let update = sigmoid(seen[width + n] + kept[width + n]);
            let candidate = (seen[2 * width + n] + reset * kept[2 * width + n]).tanh();
            *h = (1.0 - update) * candidate + update * *h;
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(inputs: usize, outputs: usize, weight: &[f32], bias: &[f32]) -> Layer {
        Layer {
            inputs,
            outputs,
            weight: weight.to_vec(),
            bias: bias.to_vec(),
        }
    }

    #[test]
    fn one_step_computed_by_hand() {
        // x = 1, h = 0.5: r = s(0) = 0.5, z = s(ln 3) = 0.75, n = tanh(0.2 + 0.5 (0.4 x 0.5 + 0.2)) = tanh(0.4).
        let seen = layer(1, 3, &[0.0, 3f32.ln(), 0.2], &[0.0; 3]);
        let kept = layer(1, 3, &[0.0, 0.0, 0.4], &[0.0, 0.0, 0.2]);
        let cell = Cell::new(&seen, &kept, 1).expect("a cell");
        let mut memory = [0.5];
        cell.step(&[1.0], &mut memory);
        let expected = 0.25 * 0.4f32.tanh() + 0.75 * 0.5;
        assert!((memory[0] - expected).abs() < 1e-6, "{memory:?}");
        assert_eq!((cell.width(), cell.layers()), (1, [seen, kept]));
    }

    #[test]
    fn misfits_are_named() {
        let seen = layer(2, 3, &[0.0; 6], &[0.0; 3]);
        let kept = layer(1, 3, &[0.0; 3], &[0.0; 3]);
        let text = |inputs| Cell::new(&seen, &kept, inputs).expect_err("a misfit").to_string();
        assert_eq!(text(5), "inputs of memory.seen: 2 values, expected 5");
    }
}
