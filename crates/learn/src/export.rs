use crate::LearnError;
use crate::network::Shape;
use crate::normaliser::Frozen;
use haggle_policy::{BundleError, Layer, Network};

/// The policy half of the networks with its normaliser, in the form in which bundles carry it.
pub(crate) fn network_of(shape: &Shape, parameters: &[f32], eyes: &Frozen) -> Result<Network, LearnError> {
    let mut flat = parameters.iter().copied();
    let mut layer = |inputs: usize, outputs: usize| {
        let mut take = |count: usize| flat.by_ref().take(count).collect::<Vec<f32>>();
        Layer {
            inputs,
            outputs,
            weight: take(inputs * outputs),
            bias: take(outputs),
        }
    };
    let gates = 3 * shape.memory;
    let cell = (shape.memory > 0).then(|| [layer(shape.obs, gates), layer(shape.memory, gates)]);
    let widths = shape.policy_widths();
    let layers: Vec<Layer> = widths.windows(2).map(|pair| layer(pair[0], pair[1])).collect();
    let cell = cell.as_ref().map(|[seen, kept]| [seen, kept]);
    let network = Network::with_memory(eyes.mean.clone(), eyes.std.clone(), cell, &layers);
    Ok(network.map_err(BundleError::from)?)
}

/// The parameters of a policy, in the order in which [`crate::network::ActorCritic`] holds them.
pub(crate) fn policy_parameters(network: &Network) -> Vec<f32> {
    let layers = network.layers();
    layers
        .iter()
        .flat_map(|layer| [&layer.weight[..], &layer.bias[..]].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::to_host;
    use crate::network::ActorCritic;
    use crate::normaliser::RowNormaliser;
    use haggle_core::{FEATURE_WIDTH, Seeds};
    use rand::RngExt;
    use tch::{Device, Tensor, no_grad};

    #[test]
    fn a_frozen_network_scores_like_the_one_it_came_from() {
        let shape = Shape {
            multiplier: false,
            obs: FEATURE_WIDTH,
            critic: FEATURE_WIDTH,
            memory: 0,
            hidden: vec![64, 64],
            rungs: 13,
        };
        let mut parameters = shape.initial(&Seeds::new(7));
        parameters.iter_mut().for_each(|x| *x *= 3.0); // scores well away from 0
        let net = ActorCritic::new(shape, &parameters, Device::Cpu);
        let mut rng = Seeds::new(8).rng();
        let mut observation = || {
            (0..FEATURE_WIDTH)
                .map(|n| rng.random::<f32>() * n as f32)
                .collect::<Vec<_>>()
        };
        let mut rows = RowNormaliser::new(FEATURE_WIDTH);
        (0..50).for_each(|_| rows.update(&observation()));
        let frozen = network_of(net.shape(), &to_host(&net.flat), &rows.frozen()).expect("a network");
        assert_eq!(
            policy_parameters(&frozen)[..],
            parameters[..policy_parameters(&frozen).len()]
        );
        for _ in 0..256 {
            let obs = observation();
            let mut normalised = Vec::new();
            rows.frozen().push(&obs, &mut normalised);
            let here =
                no_grad(|| net.logits(&Tensor::from_slice(&normalised).view([1, FEATURE_WIDTH as i64])));
            for (a, b) in to_host(&here).iter().zip(frozen.logits(&obs)) {
                assert!((a - b).abs() < 1e-5, "{a} and {b}");
            }
        }
    }
}
