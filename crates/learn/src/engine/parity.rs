//! Both engines on the same rows.

use super::Engine;
use crate::TrainConfig;
use crate::config::EngineChoice;
use crate::device::host_reads;
use crate::distribution::Draws;
use crate::fused::{Choices, draw_by_rows};
use crate::network::Shape;
use crate::rows::Rows;
use crate::table::Table;
use haggle_core::Seeds;
use rand::RngExt;

fn shape() -> Shape {
    Shape {
        multiplier: false,
        obs: 7,
        critic: 11,
        memory: 0,
        hidden: vec![40, 64],
        rungs: 20,
    }
}

fn engine(choice: EngineChoice, threads: usize) -> Engine {
    let config = TrainConfig {
        engine: choice,
        device: crate::DeviceChoice::Cpu,
        threads,
        ..TrainConfig::default()
    };
    let mut parameters = shape().initial(&Seeds::new(5));
    parameters.iter_mut().for_each(|x| *x *= 3.0);
    Engine::new(&config, shape(), &parameters).expect("an engine")
}

/// Rows whose ratios, advantages, masks and values lie on all sides of every clip.
fn table(rows: usize) -> Table {
    let mut rng = Seeds::new(6).rng();
    let mut number = || 4.0 * rng.random::<f32>() - 2.0;
    let seen: Vec<f32> = (0..11 * SIGHTS).map(|_| number()).collect();
    let mut table = Table::new(11, 20, rows);
    for row in 0..rows {
        let rung = [0.0, 5.0, 19.0][row % 3];
        let facts = [rung, number() * 0.4 - 2.8, number(), number(), number()];
        let sight = row * row % SIGHTS; // some are seen often, some never
        table.push(&seen[sight * 11..][..11], 0xF_0F37 | (1 << (row % 20)), facts);
    }
    table
}

/// Fewer than rows, and more than one block of the fused engine.
const SIGHTS: usize = 101;

/// What 131 rows see.
fn seen() -> Vec<f32> {
    let sights = table(131).sights;
    sights
        .of_row
        .iter()
        .flat_map(|sight| sights.seen(*sight).to_vec())
        .collect()
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (n, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() < tolerance * (1.0 + a.abs()),
            "number {n}: {a} and {b}"
        );
    }
}

#[test]
fn both_engines_score_alike() {
    let seen = seen();
    let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
        let (mut logits, mut values) = (vec![0.0; 131 * 20], vec![0.0; 131]);
        let mut engine = engine(choice, 1);
        let rows = Rows {
            agent: &[0; 131],
            seen: &seen,
            width: 11,
            kept: &[],
            kept_width: 0,
        };
        engine.logits(&rows, &mut logits, &mut []);
        engine.rescale_values((2.0, 3.0), (-1.0, 0.5));
        engine.values(&rows, &mut values);
        (logits, values)
    });
    assert_close(&both[0].0, &both[1].0, 1e-5);
    assert_close(&both[0].1, &both[1].1, 1e-5);
}

#[test]
fn both_engines_draw_alike() {
    let seen = seen();
    let mask: Vec<u64> = (0..131).map(|row| 0xF_0F37 | (1 << (row % 20))).collect();
    let mut rng = Seeds::new(7).rng();
    let uniform: Vec<f32> = (0..131).map(|_| rng.random::<f32>()).collect();
    let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
        let (mut rung, mut log_prob) = (vec![0; 131], vec![0.0; 131]);
        let rows = Rows {
            agent: &[0; 131],
            seen: &seen,
            width: 11,
            kept: &[],
            kept_width: 0,
        };
        let mut draws = Draws {
            mask: &mask,
            uniform: &uniform,
            rung: &mut rung,
            log_prob: &mut log_prob,
        };
        let (mut choices, mut scores) = (Choices::new(7, 20), vec![0.0; 131 * 20]);
        let mut engine = engine(choice, 1);
        engine.act(&rows, 0.05, &mut draws, &mut choices, (&mut scores, &mut []));
        let (mut each_rung, mut each_log_prob) = (vec![0; 131], vec![0.0; 131]);
        let mut each = Draws {
            rung: &mut each_rung,
            log_prob: &mut each_log_prob,
            ..draws
        };
        engine.logits(&rows, &mut scores, &mut []);
        draw_by_rows(&scores, 0.05, &mut each);
        assert_eq!(
            (&each_rung, &each_log_prob),
            (&rung, &log_prob),
            "sight by sight or row by row"
        );
        (rung, log_prob)
    });
    assert_eq!(both[0].0, both[1].0);
    assert!(
        both[0]
            .0
            .iter()
            .zip(&mask)
            .all(|(rung, mask)| mask >> rung & 1 == 1)
    );
    assert_close(&both[0].1, &both[1].1, 1e-5);
}

#[test]
fn both_engines_make_the_same_steps() {
    for (exploration, value_clip, huber, threads) in [(0.0, 0.2, 10.0, 1), (0.1, 0.0, 0.5, 3)] {
        let config = TrainConfig {
            exploration,
            value_clip,
            huber,
            minibatch_rows: 300,
            epochs: 2,
            target_kl: 0.0,
            ..TrainConfig::default()
        };
        let table = table(900);
        let both = [EngineChoice::Torch, EngineChoice::Fused].map(|choice| {
            let mut engine = engine(choice, threads);
            let updated = engine.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
            let saved = engine.optimiser();
            (engine.parameters(), saved, updated.means.map(|mean| mean as f32))
        });
        assert_close(&both[0].0, &both[1].0, 1e-5);
        assert_close(&both[0].1.mean, &both[1].1.mean, 1e-5);
        assert_close(&both[0].2, &both[1].2, 1e-5);
    }
}

#[test]
fn gradient_steps_wait_for_the_device_once_and_once_per_watched_epoch() {
    let table = table(600);
    for (target_kl, expected) in [(0.0, 1), (1e9, 3)] {
        let config = TrainConfig {
            minibatch_rows: 100,
            epochs: 3,
            target_kl,
            ..TrainConfig::default()
        };
        let mut torch = engine(EngineChoice::Torch, 1);
        let before = host_reads();
        torch.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
        assert_eq!(host_reads() - before, expected, "target_kl {target_kl}");
    }
}

#[test]
fn one_engine_goes_on_where_the_other_stopped() {
    let config = TrainConfig {
        minibatch_rows: 300,
        epochs: 1,
        ..TrainConfig::default()
    };
    let table = table(600);
    let step = |engine: &mut Engine| {
        engine.update(&table, &config, (1e-3, 0.01), &mut Seeds::new(9).rng());
    };
    let mut torch = engine(EngineChoice::Torch, 1);
    step(&mut torch);
    let mut fused = engine(EngineChoice::Fused, 2);
    fused.load(&torch.parameters(), &torch.optimiser());
    step(&mut torch);
    step(&mut fused);
    assert_close(&torch.parameters(), &fused.parameters(), 1e-5);
}
