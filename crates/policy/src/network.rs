//! The forward pass: `x = clamp((obs - mean) / std, -10, 10)`, a memory where there is one, dense layers with tanh between
//! them, linear scores.

use crate::cell::Cell;
use crate::dense::{Dense, Layer, check, tanh};
use pulp::{Arch, Simd, WithSimd};

/// Normalised observations are clamped to this many standard deviations.
const CLAMP: f32 = 10.0;

/// A multi-layer perceptron with its input normaliser, and in front of it a memory where there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    mean: Vec<f32>,
    std: Vec<f32>,
    cell: Option<Cell>,
    layers: Vec<Dense>,
    widest: usize,
}

/// Why layers are no network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// There is no layer, or one of width 0.
    #[error("layer {0} is missing or empty")]
    Empty(usize),
    /// Widths that do not fit.
    #[error("{part}: {got} values, expected {expected}")]
    Width {
        /// Which part.
        part: String,
        /// What the neighbouring part needs.
        expected: usize,
        /// What there is.
        got: usize,
    },
    /// NaN or an infinity.
    #[error("{0} holds a value that is not finite")]
    NotFinite(String),
    /// A standard deviation of 0 or less.
    #[error("obs.std of feature {0} is not positive")]
    Std(usize),
}

impl Network {
    /// A network of a normaliser and at least one layer, input side first.
    ///
    /// # Errors
    /// When widths do not fit, a value is not finite, or a standard deviation is not positive.
    pub fn new(mean: Vec<f32>, std: Vec<f32>, layers: &[Layer]) -> Result<Self, NetworkError> {
        Self::with_memory(mean, std, None, layers)
    }

    /// As [`Network::new`], with a gated recurrent unit between normaliser and layers: its two layers map what is seen and
    /// what is remembered to three gates (reset, update, candidate), so that they have three outputs per number remembered.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn with_memory(
        mean: Vec<f32>,
        std: Vec<f32>,
        memory: Option<[&Layer; 2]>,
        layers: &[Layer],
    ) -> Result<Self, NetworkError> {
        let mut width = mean.len();
        check("obs.mean", &mean, width)?;
        check("obs.std", &std, width)?;
        let cell = memory
            .map(|[seen, kept]| Cell::new(seen, kept, mean.len()))
            .transpose()?;
        width = cell.as_ref().map_or(width, Cell::width);
        if let Some(feature) = std.iter().position(|std| *std <= 0.0) {
            return Err(NetworkError::Std(feature));
        }
        let mut widest = width.max(mean.len());
        let mut dense = Vec::with_capacity(layers.len());
        for (n, layer) in layers.iter().enumerate() {
            if layer.inputs == 0 || layer.outputs == 0 {
                return Err(NetworkError::Empty(n));
            }
            if layer.inputs != width {
                return Err(NetworkError::Width {
                    part: format!("inputs of layer{n}"),
                    expected: width,
                    got: layer.inputs,
                });
            }
            dense.push(Dense::checked(&format!("layer{n}"), layer)?);
            width = layer.outputs;
            widest = widest.max(width);
        }
        if layers.is_empty() {
            return Err(NetworkError::Empty(0));
        }
        Ok(Self {
            mean,
            std,
            cell,
            layers: dense,
            widest,
        })
    }

    /// Width of an observation.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.mean.len()
    }

    /// Number of scores.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, Dense::outputs)
    }

    /// Widths of the hidden layers.
    #[must_use]
    pub fn hidden(&self) -> Vec<usize> {
        let (_, hidden) = self.layers.split_last().expect("a network has a layer");
        hidden.iter().map(Dense::outputs).collect()
    }

    /// The normaliser: mean and standard deviation per feature.
    #[must_use]
    pub fn normaliser(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.std)
    }

    /// The layers as a learner holds them, input side first.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        self.layers.iter().map(Dense::layer).collect()
    }

    /// The two layers of its memory, what is seen first; none without one.
    #[must_use]
    pub fn memory_layers(&self) -> Option<[Layer; 2]> {
        self.cell.as_ref().map(Cell::layers)
    }

    /// Numbers that it remembers from step to step; 0 without a memory.
    #[must_use]
    pub fn memory_width(&self) -> usize {
        self.cell.as_ref().map_or(0, Cell::width)
    }

    /// The scores of an observation, one per rung; of an agent's first one where there is a memory.
    ///
    /// # Panics
    /// When `obs` has another width than [`Network::inputs`].
    #[must_use]
    pub fn logits(&self, obs: &[f32]) -> Vec<f32> {
        self.step(obs, &mut vec![0.0; self.memory_width()])
    }

    /// The scores of the next observation, one per rung; moves the memory on. A session begins with a memory of zeros.
    ///
    /// # Panics
    /// When `obs` or `memory` has another width than [`Network::inputs`], [`Network::memory_width`].
    #[must_use]
    pub fn step(&self, obs: &[f32], memory: &mut [f32]) -> Vec<f32> {
        assert_eq!(obs.len(), self.inputs(), "width of the observation");
        assert_eq!(memory.len(), self.memory_width(), "width of the memory");
        let network = self;
        Arch::new().dispatch(Step { network, obs, memory })
    }
}

/// One step, with the widest vectors of this processor. No product is fused with its sum: the bits are the same on all.
struct Step<'a> {
    network: &'a Network,
    obs: &'a [f32],
    memory: &'a mut [f32],
}

impl WithSimd for Step<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<f32> {
        let Self { network, obs, memory } = self;
        let (mean, std) = network.normaliser();
        let mut x = Vec::with_capacity(network.widest);
        let mut y = Vec::with_capacity(network.widest);
        x.extend((0..obs.len()).map(|n| ((obs[n] - mean[n]) / std[n]).clamp(-CLAMP, CLAMP)));
        if let Some(cell) = &network.cell {
            cell.step(&x, memory);
            x.clear();
            x.extend_from_slice(memory);
        }
        for (n, layer) in network.layers.iter().enumerate() {
            if n > 0 {
                x.iter_mut().for_each(|value| *value = tanh(*value));
            }
            layer.apply(&x, &mut y);
            std::mem::swap(&mut x, &mut y);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(inputs: usize, outputs: usize, weight: &[f32], bias: &[f32]) -> Layer {
        Layer {
            inputs,
            outputs,
            weight: weight.to_vec(),
            bias: bias.to_vec(),
        }
    }

    #[test]
    fn a_tiny_net_computed_by_hand() {
        // x = ((3-1)/2, clamp(99)) = (1, 10); hidden = tanh(1 + 2*10 - 20.5, 0.1*1 + 0) = tanh(0.5, 0.1)
        // scores = (h0 + 10 h1, -h0 + 1)
        let first = layer(2, 2, &[1.0, 2.0, 0.1, 0.0], &[-20.5, 0.0]);
        let last = layer(2, 2, &[1.0, 10.0, -1.0, 0.0], &[0.0, 1.0]);
        let net = Network::new(vec![1.0, 0.0], vec![2.0, 1.0], &[first, last]).expect("a network");
        let logits = net.logits(&[3.0, 99.0]);
        assert!((logits[0] - (0.462_117_2 + 0.996_680)).abs() < 1e-5, "{logits:?}");
        assert!((logits[1] - (1.0 - 0.462_117_2)).abs() < 1e-6, "{logits:?}");
        assert_eq!(net.hidden(), [2]);
    }

    #[test]
    fn misfits_are_named() {
        let net = |std: f32, weight: &[f32]| {
            Network::new(vec![0.0], vec![std], &[layer(1, 2, weight, &[0.0, 0.0])])
        };
        let text = |std, weight: &[f32]| net(std, weight).expect_err("a misfit").to_string();
        assert_eq!(text(0.0, &[1.0, 1.0]), "obs.std of feature 0 is not positive");
        assert_eq!(text(1.0, &[1.0]), "layer0.weight: 1 values, expected 2");
        assert_eq!(
            text(1.0, &[1.0, f32::NAN]),
            "layer0.weight holds a value that is not finite"
        );
        assert_eq!(
            Network::new(vec![0.0], vec![1.0], &[]),
            Err(NetworkError::Empty(0))
        );
    }

    proptest! {
        #[test]
        fn the_transposed_loop_agrees_with_the_definition(
            weight in prop::collection::vec(-2f32..2.0, 30), bias in prop::collection::vec(-2f32..2.0, 5),
            obs in prop::collection::vec(-9f32..9.0, 6),
        ) {
            let net = Network::new(vec![0.0; 6], vec![1.0; 6], &[layer(6, 5, &weight, &bias)]).expect("a network");
            for (row, score) in net.logits(&obs).iter().enumerate() {
                let expected = bias[row] + (0..6).map(|n| weight[row * 6 + n] * obs[n]).sum::<f32>();
                prop_assert!((score - expected).abs() < 1e-4);
            }
            prop_assert_eq!(&net.layers()[0].weight, &weight);
        }
    }
}
