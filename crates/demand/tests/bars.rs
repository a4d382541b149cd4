//! The bundled sessions against the published bars.

use haggle_demand::{FitConfig, FitReport, fit};
use haggle_history::{Replay, Selection, import_complete_journey};
use std::path::Path;

#[test]
fn the_bundled_sessions_reach_the_bars() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envs/sessions/complete-journey");
    let (history, _) = import_complete_journey(&folder).unwrap();
    let selection = Selection::choose(&history, 1..31);
    let replay = Replay::new(&history, &selection);
    // The bars are the point estimate's; one more member keeps the test short.
    let config = FitConfig {
        members: 2,
        ..FitConfig::default()
    };
    let model = fit(&history, &selection, &replay, &config).unwrap();
    let report = FitReport::measure(&model, &history, &selection, &replay, &(31..41)).unwrap();
    eprintln!("{report}");
    assert!(report.choice_nats <= 0.975, "choice {}", report.choice_nats);
    assert!(
        report.incidence_nats <= 5.592,
        "incidence {}",
        report.incidence_nats
    );
    assert_eq!(report.chain_week.items, 382);
    assert_eq!(report.chain_week.purchases, 17_166);
    assert!(
        report.calibration.overall.ratio.contains(1.0),
        "expected over logged revenue {:?}",
        report.calibration.overall.ratio
    );
    assert!(report.chain_week.placebo.other_half < report.chain_week.placebo.no_price - 0.02);
    assert!(report.chain_week.placebo.permuted > report.chain_week.placebo.no_price - 0.005);
    assert_eq!(report.occasions, [29_235, 9_416]);
}
