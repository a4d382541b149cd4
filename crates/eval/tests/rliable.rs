//! Statistics over seeds against rliable 1.2.0 (scipy 1.17.1, arch 7.2.0, numpy 2.4.6), on fixed matrices. Its numbers were
//! made by `metrics.aggregate_*`, `metrics.probability_of_improvement` and `library.get_interval_estimates(..., reps=200000)`
//! (50,000 for the probability of improvement and the profile) after `np.random.seed(1)`.
#![allow(missing_docs, clippy::unwrap_used)]

use haggle_core::Seeds;
use haggle_eval::{Aggregate, Bootstrap, Interval, REPLICATES, Scores};

const AGGREGATES: [Aggregate; 4] = [
    Aggregate::InterquartileMean,
    Aggregate::Median,
    Aggregate::Mean,
    Aggregate::OptimalityGap(1.0),
];

/// Five runs on three tasks.
fn x() -> Scores {
    let rows = [
        [0.91, 0.42, 0.77],
        [0.98, 0.55, 0.81],
        [0.97, 0.31, 1.12],
        [0.62, 0.48, 0.79],
        [0.99, 0.60, 1.05],
    ];
    Scores::new(&rows.map(|row| row.to_vec())).unwrap()
}

/// Four runs on the same tasks; some tie with those of `x`.
fn y() -> Scores {
    let rows = [
        [0.93, 0.40, 0.77],
        [0.95, 0.58, 0.70],
        [0.90, 0.31, 0.95],
        [0.88, 0.44, 0.60],
    ];
    Scores::new(&rows.map(|row| row.to_vec())).unwrap()
}

/// Five runs on one task.
const Z: [f64; 5] = [0.5, 0.9, 1.0, 0.7, 0.8];

fn bootstrap() -> Bootstrap {
    Bootstrap {
        replicates: REPLICATES,
        seeds: Seeds::new(1),
    }
}

/// Whether two bootstrap intervals differ by chance only: each end by at most 4 standard errors of the difference of two
/// 2.5 % quantiles, normal with the interval's own width, from 20,000 and from `replicates` draws.
fn agree(own: Interval, value: f64, low: f64, high: f64, replicates: f64) {
    assert!((own.value - value).abs() < 1e-8, "{own:.8} instead of {value}");
    let sd = (high - low) / (2.0 * 1.959_964);
    let density = 0.058_445 / sd; // of the normal at its 2.5 % quantile
    let counts = 1.0 / REPLICATES as f64 + 1.0 / replicates;
    let slack = 4.0 * (0.025 * 0.975 * counts).sqrt() / density;
    assert!(
        (own.low - low).abs() <= slack && (own.high - high).abs() <= slack,
        "{own:.6}: rliable has [{low}, {high}], {slack:.6} is chance"
    );
}

#[test]
fn aggregates_and_their_intervals() {
    let golden = [
        (
            x(),
            [
                (0.777_777_777_8, 0.688_888_89, 0.856_666_67),
                (0.894, 0.752, 0.966),
                (0.758, 0.69, 0.822),
                (0.253_333_333_3, 0.197_333_33, 0.315_333_33),
            ],
        ),
        (
            y(),
            [
                (0.738_333_333_3, 0.66, 0.818_333_33),
                (0.755, 0.6425, 0.8875),
                (0.700_833_333_3, 0.65, 0.755_833_33),
                (0.299_166_666_7, 0.244_166_67, 0.35),
            ],
        ),
        (
            Scores::of_one_task(&Z).unwrap(),
            [
                (0.8, 0.566_666_67, 0.966_666_67),
                (0.78, 0.62, 0.92),
                (0.78, 0.62, 0.92),
                (0.22, 0.08, 0.38),
            ],
        ),
    ];
    for (scores, numbers) in golden {
        for (how, (value, low, high)) in AGGREGATES.into_iter().zip(numbers) {
            agree(bootstrap().aggregate(&scores, how), value, low, high, 200_000.0);
        }
    }
}

#[test]
fn probability_of_improvement() {
    let own = bootstrap().improvement(&x(), &y()).unwrap();
    agree(own, 0.716_666_666_7, 0.5, 0.908_333_33, 50_000.0);
    assert_eq!(x().probability_of_improvement(&x()), Ok(0.5));
}

#[test]
fn profile() {
    let thresholds = [0.4, 0.5, 0.77, 0.9, 1.0, 1.2];
    let golden = [
        (0.933_333_333_3, 0.8, 1.0),
        (0.8, 0.666_666_67, 0.933_333_33),
        (0.533_333_333_3, 0.333_333_33, 0.666_666_67),
        (0.4, 0.2, 0.6),
        (0.133_333_333_3, 0.0, 0.266_666_67),
        (0.0, 0.0, 0.0),
    ];
    let own = bootstrap().profile(&x(), &thresholds);
    for (own, (value, low, high)) in own.into_iter().zip(golden) {
        agree(own, value, low, high, 50_000.0);
    }
}

#[test]
fn the_bootstrap_of_three_runs_is_that_of_all_resamples() {
    // 3 runs on 2 tasks have 3^6 = 729 equally likely resamples; their quantiles are the interval's ends.
    let rows = [[0.0, 5.0], [1.0, 5.5], [4.0, 9.0]];
    let scores = Scores::new(&rows.map(|row| row.to_vec())).unwrap();
    let resample = |number: usize| -> Scores {
        let digit = |place: u32| number / 3usize.pow(place) % 3;
        let row = |run: u32| vec![rows[digit(2 * run)][0], rows[digit(2 * run + 1)][1]];
        Scores::new(&[row(0), row(1), row(2)]).unwrap()
    };
    for how in AGGREGATES {
        let mut all: Vec<f64> = (0..729).map(|number| resample(number).aggregate(how)).collect();
        all.sort_by(f64::total_cmp);
        let own = bootstrap().aggregate(&scores, how);
        // the 2.5 % quantile stands at place 18.2 of 0..=728; 20,000 draws find it up to 4 x sqrt(.025 * .975 / 20,000)
        // = .0044 of the probability, 3.2 places
        let within = |end: f64, first: usize, last: usize| (all[first]..=all[last]).contains(&end);
        assert!(within(own.low, 15, 22), "{how:?}: {own:.4}, all {:?}", &all[..30]);
        assert!(
            within(own.high, 706, 713),
            "{how:?}: {own:.4}, all {:?}",
            &all[700..]
        );
    }
}
