//! A team beside the actors that are exported of it.

use super::Team;
use crate::TrainConfig;
use crate::checkpoint::Saved;
use crate::network::Shape;
use crate::normaliser::Frozen;
use crate::rows::Rows;
use crate::{DeviceChoice, Share};
use haggle_core::Seeds;
use haggle_env::{ProbeConfig, ProbeEnv};

fn sellers() -> ProbeEnv {
    let file = include_str!("../../../../envs/probe/two-sellers.toml");
    let probe: ProbeConfig = toml::from_str(file).expect("a probe config");
    ProbeEnv::new(probe).expect("an environment")
}

fn team(change: impl FnOnce(&mut TrainConfig)) -> (Team, Shape) {
    let mut config = TrainConfig {
        device: DeviceChoice::Cpu,
        ..TrainConfig::default()
    };
    change(&mut config);
    let shape = Shape {
        multiplier: false,
        obs: 3,
        critic: 3,
        memory: config.memory,
        hidden: vec![8],
        rungs: 7,
    };
    let team = Team::new(&config, &sellers(), &shape, &Seeds::new(4)).expect("a team");
    (team, shape)
}

/// The scores of three rows here and from the actors that would be exported, twice in a row with what is remembered.
fn parity(change: impl FnOnce(&mut TrainConfig), sets: usize) {
    let (mut team, shape) = team(change);
    let saved: Vec<Saved> = team
        .save()
        .into_iter()
        .map(|mut saved| {
            saved.parameters.iter_mut().for_each(|x| *x *= 3.0); // scores well away from 0
            saved
        })
        .collect();
    team.load(&saved).expect("loads");
    let eyes = Frozen {
        mean: vec![0.0; 3],
        std: vec![1.0; 3],
    };
    let actors = team.actors(&eyes).expect("actors");
    assert_eq!(actors.networks().len(), sets);
    let agents = [1, 0, 1];
    let seen = [0.3, -1.0, 2.0, 0.7, 0.1, -0.4, -2.0, 1.5, 0.9];
    let kept_width = 2 * shape.memory;
    let mut kept = vec![0.0; 3 * kept_width];
    let mut memories = vec![vec![0.0; shape.memory]; 3];
    for _ in 0..2 {
        let rows = Rows {
            agent: &agents,
            seen: &seen,
            width: 3,
            kept: &kept,
            kept_width,
        };
        let (mut scores, mut next) = (vec![0.0; 3 * 7], kept.clone());
        team.logits(&rows, 7, &mut scores, &mut next);
        for (row, memory) in memories.iter_mut().enumerate() {
            let obs = &seen[3 * row..][..3];
            let frozen = actors.logits(usize::from(agents[row]), obs, memory);
            for (a, b) in scores[7 * row..].iter().zip(frozen.expect("scores")) {
                assert!((a - b).abs() < 1e-5, "row {row}: {a} and {b}");
            }
        }
        kept = next;
    }
}

#[test]
fn exported_actors_score_as_the_team_does() {
    parity(|_| (), 1);
    parity(|config| config.share = Share::Group, 1); // the two sellers are alike
    parity(|config| config.share = Share::None, 2);
    parity(|config| config.memory = 5, 1);
    parity(
        |config| {
            config.memory = 5;
            config.share = Share::None;
        },
        2,
    );
}
