//! What a fit on the true shop's sessions finds.

use super::shop::{AGENTS, KAPPA, LOYALTY, OUTSIDE, PRICE, TILTS, config, fitted, simulate, truth};
use crate::model::Member;
use crate::quantity::Quantity;
use crate::{DemandModel, FitConfig, fit};

/// The price slope of each item, loyalty, outside slope and kappa of one category under every member.
fn estimates(model: &DemandModel, category: usize) -> Vec<Vec<f64>> {
    let of = |member: &Member| {
        let (loyalty, mut all) = crate::choice::estimates(&member.choice, category, AGENTS);
        let kappa = Quantity::of(&member.quantity, category, AGENTS).kappa();
        all.extend([loyalty, crate::visit::outside(&member.visit, category), kappa]);
        all
    };
    model.content.members.iter().map(of).collect()
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[test]
fn a_known_truth_is_recovered_within_its_uncertainty() {
    let truth = truth();
    let model = fitted(&truth, 11, 9);
    for (category, price) in PRICE.iter().enumerate() {
        let members = estimates(&model, category);
        let items = (0..AGENTS).map(|agent| {
            (
                format!("price slope of item {agent}"),
                price * (1.0 + TILTS[agent]),
            )
        });
        let rest = [("loyalty", LOYALTY), ("outside", OUTSIDE), ("kappa", KAPPA)];
        let rest = rest.map(|(name, value)| (name.to_owned(), value));
        for (which, (name, true_value)) in items.chain(rest).enumerate() {
            let spread = deviation(
                &members[1..]
                    .iter()
                    .map(|member| member[which])
                    .collect::<Vec<_>>(),
            );
            let gap = (members[0][which] - true_value).abs();
            assert!(
                gap < 4.0 * spread + 0.05,
                "{name} of category {category}: off by {gap:.3}, spread {spread:.3}"
            );
            assert!(spread < 0.5, "{name} of category {category}: spread {spread:.3}");
        }
    }
}

#[test]
fn the_ensemble_spreads_like_repeated_samples() {
    let truth = truth();
    let slopes: Vec<f64> = (0..10)
        .map(|seed| estimates(&fitted(&truth, 100 + seed, 1), 1)[0][0])
        .collect();
    let members: Vec<f64> = estimates(&fitted(&truth, 100, 17), 1)[1..]
        .iter()
        .map(|member| member[0])
        .collect();
    let ratio = deviation(&members) / deviation(&slopes);
    assert!(
        (0.4..2.5).contains(&ratio),
        "members spread {ratio:.2} times as much as samples"
    );
}

#[test]
fn the_same_model_whatever_the_threads() {
    let truth = truth();
    let (history, replay) = simulate(&truth, 5);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&history, truth.selection(), &replay, &config(3)).unwrap())
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn too_little_data_is_an_error() {
    let truth = truth();
    let (history, replay) = simulate(&truth, 5);
    let none = FitConfig {
        train_weeks: 90..95,
        ..config(2)
    };
    let error = fit(&history, truth.selection(), &replay, &none)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "too little data for a demand model: weeks 90-94 hold 0 choices of selected items, at least 100 are needed; a \
         category is selected where 3 of its items have 60 lines each and 50 sessions bought just one of them"
    );
    let backwards = FitConfig {
        train_weeks: 5..5,
        ..config(2)
    };
    assert!(fit(&history, truth.selection(), &replay, &backwards).is_err());
}

#[test]
fn an_artefact_reads_back_as_itself_and_damage_is_refused() {
    let model = truth();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    model.save(&path).unwrap();
    assert_eq!(DemandModel::load(&path).unwrap(), model);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |changed: &str| {
        std::fs::write(&path, changed).unwrap();
        DemandModel::load(&path).unwrap_err().to_string()
    };
    assert!(
        refused(&text.replacen("\"format\":2", "\"format\":1", 1))
            .ends_with("its format is 1, this program reads format 2: fit it again")
    );
    assert!(refused(&text.replacen("\"seed\":1", "\"seed\":2", 1)).contains("its digest says"));
    assert!(refused(&text.replacen("[1.2,1.2,1.2]", "[1.2,1.2]", 1)).contains("multiplicities of member 0"));
    assert!(refused(&text[..text.len() / 2]).contains("EOF"));
}
