//! Weights as safetensors: `layer0.weight` of shape `[out, in]`, `layer0.bias`, ..., `obs.mean`, `obs.std`, all f32.

use crate::{BundleError, Layer, Network};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The tensor file of networks, each under its prefix (`""`, `actor1.`).
///
/// # Errors
/// When the tensors cannot be written (they come from a checked network, so never in practice).
pub fn encode(networks: &[(&str, &Network)]) -> Result<Vec<u8>, BundleError> {
    let mut parts = Vec::new();
    for (prefix, network) in networks {
        let (mean, std) = network.normaliser();
        parts.push((format!("{prefix}obs.mean"), vec![mean.len()], bytes(mean)));
        parts.push((format!("{prefix}obs.std"), vec![std.len()], bytes(std)));
        let memory = network.memory_layers().into_iter().flatten();
        let memory = ["memory.seen", "memory.kept"]
            .map(str::to_owned)
            .into_iter()
            .zip(memory);
        let layers = network.layers().into_iter().enumerate();
        for (name, layer) in memory.chain(layers.map(|(n, layer)| (format!("layer{n}"), layer))) {
            let shape = vec![layer.outputs, layer.inputs];
            parts.push((format!("{prefix}{name}.weight"), shape, bytes(&layer.weight)));
            parts.push((
                format!("{prefix}{name}.bias"),
                vec![layer.outputs],
                bytes(&layer.bias),
            ));
        }
    }
    let views = parts
        .iter()
        .map(|(name, shape, data)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(BundleError::Tensors)?;
    safetensors::serialize(views, None).map_err(BundleError::Tensors)
}

/// The tensor file of a policy without weights.
///
/// # Errors
/// When an empty file cannot be written (never in practice).
pub fn encode_empty() -> Result<Vec<u8>, BundleError> {
    let none: [(&str, TensorView<'_>); 0] = [];
    safetensors::serialize(none, None).map_err(BundleError::Tensors)
}

/// The widths of a network: what it sees, what it remembers (0: nothing), its hidden layers, its scores.
#[derive(Clone, Debug)]
pub struct Widths {
    pub obs: usize,
    pub memory: usize,
    pub hidden: Vec<usize>,
    pub rungs: usize,
}

/// The networks under the given prefixes, all of the same widths.
///
/// # Errors
/// When a tensor is missing, superfluous, of another type or shape, or not finite.
pub fn decode(file: &[u8], prefixes: &[&str], widths: &Widths) -> Result<Vec<Network>, BundleError> {
    let tensors = SafeTensors::deserialize(file).map_err(BundleError::Tensors)?;
    let mut names = tensors.names();
    names.sort_unstable();
    let mut take = |name: String, shape: &[usize]| {
        names.retain(|other| *other != name);
        read(&tensors, name, shape)
    };
    let mut networks = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        let mut layer = |name: &str, inputs, outputs| {
            Ok::<_, BundleError>(Layer {
                inputs,
                outputs,
                weight: take(format!("{prefix}{name}.weight"), &[outputs, inputs])?,
                bias: take(format!("{prefix}{name}.bias"), &[outputs])?,
            })
        };
        let (obs, memory) = (widths.obs, widths.memory);
        let cell = match memory {
            0 => None,
            _ => Some((
                layer("memory.seen", obs, 3 * memory)?,
                layer("memory.kept", memory, 3 * memory)?,
            )),
        };
        let first = if memory > 0 { memory } else { obs };
        let all = [&[first], &widths.hidden[..], &[widths.rungs]].concat();
        let pairs = all.windows(2).enumerate();
        let layers = pairs
            .map(|(n, pair)| layer(&format!("layer{n}"), pair[0], pair[1]))
            .collect::<Result<Vec<_>, _>>()?;
        let mean = take(format!("{prefix}obs.mean"), &[obs])?;
        let std = take(format!("{prefix}obs.std"), &[obs])?;
        let cell = cell.as_ref().map(|(seen, kept)| [seen, kept]);
        networks.push(Network::with_memory(mean, std, cell, &layers)?);
    }
    if let Some(name) = names.first() {
        return Err(BundleError::TensorSuperfluous((*name).to_owned()));
    }
    Ok(networks)
}

/// Checks that a tensor file holds no tensor.
///
/// # Errors
/// When it is no tensor file or holds one.
pub fn decode_empty(file: &[u8]) -> Result<(), BundleError> {
    let tensors = SafeTensors::deserialize(file).map_err(BundleError::Tensors)?;
    match tensors.names().into_iter().min() {
        Some(name) => Err(BundleError::TensorSuperfluous(name.to_owned())),
        None => Ok(()),
    }
}

fn read(tensors: &SafeTensors<'_>, name: String, shape: &[usize]) -> Result<Vec<f32>, BundleError> {
    let Ok(view) = tensors.tensor(&name) else {
        return Err(BundleError::TensorMissing(name));
    };
    if view.dtype() != Dtype::F32 {
        return Err(BundleError::TensorType {
            name,
            got: view.dtype(),
        });
    }
    if view.shape() != shape {
        return Err(BundleError::TensorShape {
            name,
            expected: shape.to_vec(),
            got: view.shape().to_vec(),
        });
    }
    let values = view.data().chunks_exact(4);
    Ok(values
        .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect())
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
