//! Weights as safetensors: `layer0.weight` of shape `[out, in]`, `layer0.bias`, ..., `obs.mean`, `obs.std`, all f32.

use crate::{BundleError, Layer, Network};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The tensor file of a network.
///
/// # Errors
/// When the tensors cannot be written (they come from a checked network, so never in practice).
pub fn encode(network: &Network) -> Result<Vec<u8>, BundleError> {
    let (mean, std) = network.normaliser();
    let mut parts = vec![
        ("obs.mean".to_owned(), vec![mean.len()], bytes(mean)),
        ("obs.std".to_owned(), vec![std.len()], bytes(std)),
    ];
    for (n, layer) in network.layers().iter().enumerate() {
        let shape = vec![layer.outputs, layer.inputs];
        parts.push((format!("layer{n}.weight"), shape, bytes(&layer.weight)));
        parts.push((format!("layer{n}.bias"), vec![layer.outputs], bytes(&layer.bias)));
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

/// The network with the given widths: observation, hidden layers, scores.
///
/// # Errors
/// When a tensor is missing, superfluous, of another type or shape, or not finite.
pub fn decode(file: &[u8], widths: &[usize]) -> Result<Network, BundleError> {
    let tensors = SafeTensors::deserialize(file).map_err(BundleError::Tensors)?;
    let mut names = tensors.names();
    names.sort_unstable();
    let mut take = |name: String, shape: &[usize]| {
        names.retain(|other| *other != name);
        read(&tensors, name, shape)
    };
    let obs = widths[0];
    let mean = take("obs.mean".to_owned(), &[obs])?;
    let std = take("obs.std".to_owned(), &[obs])?;
    let mut layers = Vec::with_capacity(widths.len());
    for (n, pair) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (pair[0], pair[1]);
        layers.push(Layer {
            inputs,
            outputs,
            weight: take(format!("layer{n}.weight"), &[outputs, inputs])?,
            bias: take(format!("layer{n}.bias"), &[outputs])?,
        });
    }
    if let Some(name) = names.first() {
        return Err(BundleError::TensorSuperfluous((*name).to_owned()));
    }
    Ok(Network::new(mean, std, &layers)?)
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
