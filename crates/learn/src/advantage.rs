use haggle_env::StepEnd;

/// What one agent went through in a roll-out, step by step.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// Reward of each step.
    pub rewards: &'a [f32],
    /// Value of what the agent saw at each step.
    pub values: &'a [f32],
    /// How each step ended.
    pub ends: &'a [StepEnd],
    /// What followed each step was worth this much: the value of the final observation where the step was truncated, the
    /// value of the next observation after the last step; not looked at elsewhere.
    pub bootstrap: &'a [f32],
}

/// Generalised advantage estimation (Schulman et al. 2016, eq. 11-16), newest step first:
/// `delta = r + gamma V' - V`, `A = delta + gamma lambda A'`.
///
/// After termination nothing follows (`V' = 0`, `A' = 0`); after truncation what follows is worth `bootstrap`, and the
/// sum stops there too, since the next step belongs to another episode. Values and rewards are in the same units: a value
/// normaliser must have been undone. `out` gets one advantage per step; the return of a step is advantage + value.
pub fn advantages(track: &Track<'_>, gamma: f32, lambda: f32, out: &mut [f32]) {
    let last = track.rewards.len().saturating_sub(1);
    let mut later = 0.0;
    for t in (0..track.rewards.len()).rev() {
        let (next_value, carried) = match track.ends[t] {
            StepEnd::Terminated => (0.0, 0.0),
            StepEnd::Truncated => (track.bootstrap[t], 0.0),
            StepEnd::Go if t == last => (track.bootstrap[t], 0.0),
            StepEnd::Go => (track.values[t + 1], later),
        };
        let delta = track.rewards[t] + gamma * next_value - track.values[t];
        later = delta + gamma * lambda * carried;
        out[t] = later;
    }
}

/// Shifts and scales to mean 0 and deviation 1. A constant list becomes zeros.
pub fn standardise(numbers: &mut [f32]) {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = numbers
        .iter()
        .map(|x| (f64::from(*x) - mean).powi(2))
        .sum::<f64>()
        / count;
    let scale = 1.0 / (variance.sqrt() + 1e-8);
    for number in numbers {
        *number = ((f64::from(*number) - mean) * scale) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StepEnd::{Go, Terminated, Truncated};

    fn returns(rewards: &[f32], ends: &[StepEnd], bootstrap: &[f32], gamma: f32) -> Vec<f32> {
        let values = vec![0.0; rewards.len()];
        let track = Track {
            rewards,
            values: &values,
            ends,
            bootstrap,
        };
        let mut out = values.clone();
        advantages(&track, gamma, 1.0, &mut out);
        out
    }

    fn assert_close(got: &[f32], expected: &[f32]) {
        let same = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(same && got.len() == expected.len(), "{got:?} is not {expected:?}");
    }

    // gamma = 0.1 puts every reward into its own decimal place.
    #[test]
    fn each_reward_has_its_own_decimal_place() {
        let got = returns(&[1.0, 2.0, 3.0], &[Go, Go, Terminated], &[9.0; 3], 0.1);
        assert_close(&got, &[1.23, 2.3, 3.0]);
    }

    #[test]
    fn truncation_bootstraps_and_termination_does_not() {
        let got = returns(&[1.0, 2.0, 3.0], &[Go, Go, Truncated], &[0.0, 0.0, 4.0], 0.1);
        assert_close(&got, &[1.234, 2.34, 3.4]);
    }

    #[test]
    fn an_unfinished_episode_bootstraps_at_the_end_of_the_rollout() {
        let got = returns(&[1.0, 2.0], &[Go, Go], &[7.0, 3.0], 0.1);
        assert_close(&got, &[1.23, 2.3]);
    }

    #[test]
    fn nothing_leaks_from_one_episode_into_the_one_before() {
        let got = returns(&[1.0, 2.0, 5.0], &[Go, Terminated, Go], &[0.0; 3], 0.1);
        assert_close(&got, &[1.2, 2.0, 5.0]);
        let got = returns(&[1.0, 2.0, 5.0], &[Go, Truncated, Go], &[0.0, 4.0, 0.0], 0.1);
        assert_close(&got, &[1.24, 2.4, 5.0]);
    }

    #[test]
    fn lambda_zero_looks_one_step_ahead() {
        let track = Track {
            rewards: &[1.0, 2.0],
            values: &[10.0, 20.0],
            ends: &[Go, Terminated],
            bootstrap: &[0.0; 2],
        };
        let mut out = [0.0; 2];
        advantages(&track, 0.1, 0.0, &mut out);
        assert_close(&out, &[1.0 + 2.0 - 10.0, 2.0 - 20.0]);
    }

    #[test]
    fn standardised_numbers_have_mean_zero_and_deviation_one() {
        let mut numbers = [1.0, 3.0];
        standardise(&mut numbers);
        assert_close(&numbers, &[-1.0, 1.0]);
        let mut same = [5.0, 5.0];
        standardise(&mut same);
        assert_eq!(same, [0.0, 0.0]);
    }
}
