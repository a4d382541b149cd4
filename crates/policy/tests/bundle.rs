//! A bundle on disk: what is written is read back, and whatever does not match is refused with its own sentence.

#![allow(clippy::unwrap_used)]

use haggle_core::{
    Catalog, Digest, FEATURE_WIDTH, Guardrails, Item, ItemTraits, Ladder, Mask, MemoryRates, Observation,
    Policy, PriceMinor, SavedCategory, Seeds,
};
use haggle_policy::{Bundle, BundleError, Layer, MANIFEST_FILE, Network, Provenance, TENSORS_FILE, Terms};
use proptest::prelude::*;
use serde_json::Value;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const MULTIPLES: [f64; 5] = [0.8, 0.9, 1.0, 1.1, 1.2];

fn item(id: &str, base: u32) -> Item {
    Item {
        id: id.to_owned(),
        base_minor: PriceMinor(base),
        low_minor: PriceMinor(base * 9 / 10),
        high_minor: PriceMinor(base * 12 / 10),
        cost_minor: None,
        ladder: Ladder::of_multiples(PriceMinor(base), &MULTIPLES).unwrap(),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.5,
            share: 0.5,
            sales_rate: 0.02,
        },
    }
}

fn terms() -> Terms {
    let milk = SavedCategory {
        name: "milk".to_owned(),
        items: vec![item("m1", 100), item("m2", 250)],
    };
    Terms {
        catalog: Catalog::new(vec![milk]).unwrap().into(),
        floor: 0.03,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: Some(1.0),
        multiplier: 0.7,
        provenance: Provenance {
            run: "test".to_owned(),
            seed: 7,
            identification: "R1: observational".to_owned(),
            objective: "revenue".to_owned(),
            ..Provenance::default()
        },
    }
}

fn network(scale: f32) -> Network {
    let seeds = Seeds::new(3);
    let values = |name: &str, count: usize| -> Vec<f32> {
        let value = |n: usize| scale * (seeds.named(name).uniform_of(&n.to_le_bytes()) as f32 - 0.5);
        (0..count).map(value).collect()
    };
    let mut layers = Vec::new();
    for (n, (inputs, outputs)) in [(FEATURE_WIDTH, 8), (8, 6), (6, 5)].into_iter().enumerate() {
        layers.push(Layer {
            inputs,
            outputs,
            weight: values(&format!("w{n}"), inputs * outputs),
            bias: values(&format!("b{n}"), outputs),
        });
    }
    Network::new(values("mean", FEATURE_WIDTH), vec![1.5; FEATURE_WIDTH], &layers).unwrap()
}

fn written() -> (tempfile::TempDir, Bundle, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let bundle = Bundle::mlp(terms(), &network(1.0)).unwrap();
    let (_, folder) = bundle.write(parent.path()).unwrap();
    (parent, bundle, folder)
}

/// The error of a bundle whose manifest was edited, with its sources in one line.
fn refusal_after(edit: impl FnOnce(&mut Value)) -> String {
    let (_parent, _, folder) = written();
    let mut manifest: Value = serde_json::from_slice(&fs::read(folder.join(MANIFEST_FILE)).unwrap()).unwrap();
    edit(&mut manifest);
    let tensors = fs::read(folder.join(TENSORS_FILE)).unwrap();
    sentence(&Bundle::from_bytes(&serde_json::to_vec(&manifest).unwrap(), &tensors).unwrap_err())
}

fn sentence(error: &BundleError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn assert_starts(text: &str, start: &str) {
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn what_is_written_is_read_back() {
    let (parent, bundle, folder) = written();
    let again = Bundle::load(&folder).unwrap();
    assert_eq!(again.digest(), bundle.digest());
    assert_eq!(again.manifest(), bundle.manifest());
    assert_eq!(
        folder.file_name().unwrap().to_string_lossy(),
        bundle.digest().short()
    );
    assert_eq!(
        again.write(parent.path()).unwrap().1,
        folder,
        "writing it again is no error"
    );
    let names: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft is left behind");
}

#[test]
fn the_same_content_has_the_same_digest() {
    let digest = |scale| Bundle::mlp(terms(), &network(scale)).unwrap().digest();
    assert_eq!(digest(1.0), digest(1.0));
    assert_ne!(digest(1.0), digest(2.0));
}

#[test]
fn a_missing_or_changed_file_is_named() {
    let (_parent, _, folder) = written();
    let tensors = folder.join(TENSORS_FILE);
    let mut bytes = fs::read(&tensors).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&tensors, &bytes).unwrap();
    assert!(matches!(Bundle::load(&folder), Err(BundleError::Name { .. })));
    fs::remove_file(&tensors).unwrap();
    let error = Bundle::load(&folder).unwrap_err();
    assert!(
        sentence(&error).contains("policy.safetensors: No such file"),
        "{error}"
    );
}

#[test]
fn a_renamed_folder_is_refused() {
    let (parent, _, folder) = written();
    let other = parent.path().join("best");
    fs::rename(&folder, &other).unwrap();
    assert_starts(
        &Bundle::load(&other).unwrap_err().to_string(),
        "bundle: the folder is named best",
    );
}

#[test]
fn edits_of_the_manifest_are_refused_by_name() {
    assert_starts(
        &refusal_after(|m| m["format"] = 2.into()),
        "bundle: format 2; this program reads format 1",
    );
    assert_starts(
        &refusal_after(|m| m["colour"] = 2.into()),
        "bundle: manifest.json cannot be understood: unknown field `colour`",
    );
    let other = Digest::of(b"other").to_string();
    assert_starts(
        &refusal_after(|m| m["feature_spec"] = other.into()),
        "bundle: made for feature specification",
    );
    assert_starts(
        &refusal_after(|m| m["rungs"] = 6.into()),
        "bundle: the policy scores 6 rungs, the longest ladder of the catalogue has 5",
    );
    assert_starts(
        &refusal_after(|m| m["model"]["hidden"] = vec![9, 6].into()),
        "bundle: tensor `layer0.weight` has shape [8, 33], the manifest asks for [9, 33]",
    );
    assert_starts(
        &refusal_after(|m| m["model"]["hidden"] = vec![8, 6, 6].into()),
        "bundle: tensor `layer2.weight` has shape [5, 6], the manifest asks for [6, 6]",
    );
    assert_starts(
        &refusal_after(|m| m["model"]["hidden"] = vec![8].into()),
        "bundle: tensor `layer1.weight`",
    );
    assert_starts(
        &refusal_after(|m| m["probes"][2]["logits"][1] = 3.5.into()),
        "bundle: probe 2 gives a score",
    );
    assert_starts(
        &refusal_after(|m| m["probes"] = Value::Array(vec![])),
        "bundle: the manifest has no probe vectors",
    );
    assert_starts(
        &refusal_after(|m| m["terms"]["floor"] = 1.5.into()),
        "bundle: floor is 1.5, expected 0 to 1",
    );
    assert_starts(
        &refusal_after(|m| m["terms"]["memory"]["sales"] = 0.0.into()),
        "bundle: memory.sales is 0, expected",
    );
}

#[test]
fn bad_tensor_files_are_refused_by_name() {
    use safetensors::{Dtype, tensor::TensorView};
    type Edit<'e> = dyn Fn(&str, &TensorView<'_>) -> Option<(Dtype, Vec<u8>)> + 'e;
    let bundle = Bundle::mlp(terms(), &network(1.0)).unwrap();
    let (_parent, _, folder) = written();
    let manifest = serde_json::to_vec(bundle.manifest()).unwrap();
    let file = fs::read(folder.join(TENSORS_FILE)).unwrap();
    let refusal = |edit: &Edit<'_>, extra: Option<&str>| {
        let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
        let mut parts = Vec::new();
        for (name, view) in tensors.tensors() {
            if let Some((dtype, data)) = edit(&name, &view) {
                parts.push((name, dtype, view.shape().to_vec(), data));
            }
        }
        parts.extend(extra.map(|name| (name.to_owned(), Dtype::F32, vec![1], vec![0; 4])));
        let views = parts.iter().map(|(name, dtype, shape, data)| {
            (
                name.as_str(),
                TensorView::new(*dtype, shape.clone(), data).unwrap(),
            )
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        Bundle::from_bytes(&manifest, &bytes).unwrap_err().to_string()
    };
    let same = |view: &TensorView<'_>| Some((Dtype::F32, view.data().to_vec()));
    assert_eq!(
        refusal(
            &|name, view| if name == "layer1.bias" { None } else { same(view) },
            None
        ),
        "bundle: policy.safetensors has no tensor `layer1.bias`"
    );
    assert_eq!(
        refusal(&|_, view| same(view), Some("layer9.bias")),
        "bundle: policy.safetensors has a tensor `layer9.bias` that the manifest does not ask for"
    );
    assert_eq!(
        refusal(
            &|name, view| if name == "obs.mean" {
                Some((Dtype::I32, view.data().to_vec()))
            } else {
                same(view)
            },
            None
        ),
        "bundle: tensor `obs.mean` is I32, expected F32"
    );
    let nan = |view: &TensorView<'_>| {
        let mut data = view.data().to_vec();
        data[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
        Some((Dtype::F32, data))
    };
    assert_eq!(
        refusal(
            &|name, view| if name == "layer0.weight" {
                nan(view)
            } else {
                same(view)
            },
            None
        ),
        "bundle: layer0.weight holds a value that is not finite"
    );
    let cut = Bundle::from_bytes(&manifest, &file[..file.len() - 1]).unwrap_err();
    assert_starts(
        &cut.to_string(),
        "bundle: policy.safetensors cannot be understood",
    );
}

#[test]
fn a_fixed_bundle_shows_its_rungs() {
    let parent = tempfile::tempdir().unwrap();
    let bundle = Bundle::fixed(
        Terms {
            floor: 0.0,
            ..terms()
        },
        vec![1, 4],
    )
    .unwrap();
    let (_, folder) = bundle.write(parent.path()).unwrap();
    let again = Bundle::load(&folder).unwrap();
    let mode = |item| {
        again
            .pmf(Observation { item, features: &[] }, Mask::all(5))
            .unwrap()
            .mode()
    };
    assert_eq!([mode(0), mode(1)], [1, 4]);
    let error = Bundle::fixed(terms(), vec![1, 5]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bundle: item 1 of the catalogue has no rung on its ladder"
    );
    let error = Bundle::fixed(terms(), vec![1]).unwrap_err();
    assert!(
        matches!(error, BundleError::ProbeInput { probe: 1, .. }),
        "{error}"
    );
}

#[test]
fn an_unwritable_parent_is_a_clear_error() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Bundle::fixed(terms(), vec![1, 4])
        .unwrap()
        .write(&file)
        .unwrap_err();
    assert_starts(&error.to_string(), "bundle: cannot write");
    assert!(Bundle::load(Path::new("/nonexistent")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_distribution_comes_out_of_any_observation(
        obs in prop::collection::vec(-1e6f32..1e6, FEATURE_WIDTH), bits in 1u64..32,
    ) {
        let bundle = Bundle::mlp(terms(), &network(4.0)).unwrap();
        let pmf = bundle.pmf(Observation { item: 0, features: &obs }, Mask(bits)).unwrap();
        prop_assert!((pmf.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for (rung, p) in pmf.probabilities().iter().enumerate() {
            prop_assert_eq!(*p > 0.0, Mask(bits).allows(rung));
        }
    }

    #[test]
    fn no_flipped_bit_loads(at in 0usize..6000, bit in 0u8..8) {
        let (_parent, _, folder) = written();
        let path = folder.join(MANIFEST_FILE);
        let mut bytes = fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        prop_assert!(Bundle::load(&folder).is_err());
    }
}
