//! A bundle for a market: what is written is read back, and it is never taken for a shop's.

#![allow(clippy::unwrap_used)]

use haggle_core::{Mask, Seeds};
use haggle_policy::{
    Actors, Bundle, BundleError, Layer, MANIFEST_FILE, MarketBundle, MarketTerms, Network, Provenance,
    TENSORS_FILE,
};
use std::fs;

fn layer(name: &str, inputs: usize, outputs: usize) -> Layer {
    let seeds = Seeds::new(3).named(name);
    let value = |n: usize| seeds.uniform_of(&n.to_le_bytes()) as f32 - 0.5;
    Layer {
        inputs,
        outputs,
        weight: (0..inputs * outputs).map(value).collect(),
        bias: (0..outputs).map(value).collect(),
    }
}

/// Two sellers who remember three numbers, each with a network of its own.
fn actors() -> Actors {
    let network = |name: &str| {
        let (seen, kept) = (
            layer(&format!("{name} seen"), 2, 9),
            layer(&format!("{name} kept"), 3, 9),
        );
        let layers = [layer(name, 3, 4), layer(&format!("{name} head"), 4, 5)];
        Network::with_memory(vec![0.5; 2], vec![2.0; 2], Some([&seen, &kept]), &layers).unwrap()
    };
    Actors::new(vec![network("a"), network("b")], vec![0, 1], false, 0.0).unwrap()
}

fn terms() -> MarketTerms {
    MarketTerms {
        kind: "logit-oligopoly".to_owned(),
        file: serde_json::json!({ "kind": "logit-oligopoly", "sellers": 2 }),
        obs_width: 2,
        prices: vec![Some(1.4), Some(1.5), Some(1.6), Some(1.7), None],
        multipliers: Vec::new(),
        floor: 0.0,
        provenance: Provenance {
            seed: 7,
            ..Provenance::default()
        },
    }
}

#[test]
fn what_is_written_is_read_back() {
    let parent = tempfile::tempdir().unwrap();
    let bundle = MarketBundle::new(terms(), &actors()).unwrap();
    let (digest, folder) = bundle.write(parent.path()).unwrap();
    assert_eq!(folder.file_name().unwrap().to_string_lossy(), digest.short());
    let again = MarketBundle::load(&folder).unwrap();
    assert_eq!((again.manifest(), again.actors()), (bundle.manifest(), &actors()));
    let (mut here, mut there) = ([0.0; 3], [0.0; 3]);
    for obs in [[1.0, 0.0], [0.2, 9.0]] {
        let pmf = |actors: &Actors, memory: &mut [f32]| actors.pmf(1, &obs, Mask(0b10111), memory).unwrap();
        assert_eq!(pmf(&actors(), &mut here), pmf(again.actors(), &mut there));
    }
    assert_eq!(here, there);
    assert_ne!(here, [0.0; 3], "a session is remembered");
}

#[test]
fn it_is_never_taken_for_a_shops() {
    let parent = tempfile::tempdir().unwrap();
    let (_, folder) = MarketBundle::new(terms(), &actors())
        .unwrap()
        .write(parent.path())
        .unwrap();
    let error = Bundle::load(&folder).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "bundle: it prices the market `logit-oligopoly`, not a shop's catalogue; only a policy trained on"
        ),
        "{error}"
    );
}

#[test]
fn a_changed_weight_or_manifest_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (_, folder) = MarketBundle::new(terms(), &actors())
        .unwrap()
        .write(parent.path())
        .unwrap();
    for file in [MANIFEST_FILE, TENSORS_FILE] {
        let path = folder.join(file);
        let sound = fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = MarketBundle::load(&folder).unwrap_err();
        assert!(matches!(error, BundleError::Name { .. }), "{error}");
        fs::write(&path, sound).unwrap();
    }
    let narrow = MarketTerms {
        prices: vec![Some(1.4), None],
        ..terms()
    };
    let error = MarketBundle::new(narrow, &actors()).unwrap_err();
    assert!(matches!(error, BundleError::TensorShape { .. }), "{error}");
}
