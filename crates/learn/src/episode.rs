use crate::progress::Metrics;
use crate::rollout::Rollout;
use haggle_env::StepEnd;
use serde::{Deserialize, Serialize};

/// What the running episode of each copy has earned so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episodes(Vec<Episode>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Episode {
    reward: f64,
    steps: u64,
}

impl Episodes {
    pub(crate) fn new(copies: usize) -> Self {
        Self(vec![Episode::default(); copies])
    }

    pub(crate) fn copies(&self) -> usize {
        self.0.len()
    }

    /// Takes in a roll-out; means over the episodes that ended in it, if any did.
    pub(crate) fn take(&mut self, rollout: &Rollout) -> Metrics {
        let mut finished = Vec::new();
        for t in 0..rollout.horizon {
            for (copy, episode) in self.0.iter_mut().enumerate() {
                episode.reward += rollout.copy_reward(t, copy);
                episode.steps += 1;
                if rollout.ends(t)[copy] != StepEnd::Go {
                    finished.push(std::mem::take(episode));
                }
            }
        }
        if finished.is_empty() {
            return Metrics::new();
        }
        let count = finished.len() as f64;
        let rewards: f64 = finished.iter().map(|episode| episode.reward).sum();
        let steps: u64 = finished.iter().map(|episode| episode.steps).sum();
        Metrics::from([
            ("rollout/ep_rew_mean".to_owned(), rewards / count),
            ("rollout/ep_len_mean".to_owned(), steps as f64 / count),
        ])
    }
}
