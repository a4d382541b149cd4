//! How large a roll-out may be, and whether an environment is the one that a configuration speaks of.

use super::error::in_range;
use super::{ConfigError, TrainConfig};
use haggle_env::EnvSpec;

/// Numbers that a roll-out keeps at most.
const ROLLOUT_MAX: usize = 1 << 31;
/// Numbers that a roll-out keeps of a step at least, whatever the environment.
pub(super) const STEP_NUMBERS: usize = 16;

impl TrainConfig {
    /// Checks that an environment is the one this configuration speaks of.
    ///
    /// # Errors
    /// When the number of copies differs, or a central critic has no global state to look at.
    pub fn validate_for(&self, spec: &EnvSpec) -> Result<(), ConfigError> {
        if spec.copies != self.copies {
            return Err(ConfigError::Disagree {
                first: format!("copies = {}", self.copies),
                second: format!("the environment's {} copies", spec.copies),
                why: "a roll-out steps every copy once per step",
            });
        }
        let shape = [spec.agents, spec.obs_width, spec.rungs];
        let sound = shape.iter().all(|n| *n >= 1) && spec.rungs <= haggle_core::LADDER_RUNGS_MAX;
        in_range(
            "environment agents, obs_width, rungs",
            format!("{shape:?}"),
            sound,
            "at least 1 each, at most 64 rungs",
        )?;
        let id = if self.agent_id { spec.agents } else { 0 };
        let of_agent = spec.obs_width + id + spec.state_width + 2 * self.memory + spec.constraints;
        self.fits(of_agent.saturating_mul(spec.agents))
    }

    /// Refuses roll-outs that no machine holds; `numbers` are those that it keeps of one step.
    pub(super) fn fits(&self, numbers: usize) -> Result<(), ConfigError> {
        let whole = self.copies.checked_mul(self.horizon);
        match whole.and_then(|steps| steps.checked_mul(numbers)) {
            Some(whole) if whole <= ROLLOUT_MAX => Ok(()),
            _ => Err(ConfigError::Disagree {
                first: format!("copies = {}", self.copies),
                second: format!("horizon = {}", self.horizon),
                why: "copies x horizon x agents x columns of a roll-out may be up to 2,147,483,648",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_env::{Env, ProbeConfig, ProbeEnv};

    #[test]
    fn a_roll_out_that_no_machine_holds_is_refused() {
        let sized = |copies, horizon| TrainConfig {
            copies,
            horizon,
            ..TrainConfig::default()
        };
        sized(1 << 24, 1).validate().expect("sound");
        sized(64, 1 << 20).validate().expect("sound");
        for (copies, horizon) in [(1_000_000_000, 128), (64, i64::MAX as usize), (1 << 24, 16)] {
            let error = sized(copies, horizon).validate().expect_err("too large");
            assert_eq!(error.field(), "copies", "{error}");
        }
        let probe: ProbeConfig =
            toml::from_str(include_str!("../../../../envs/probe/late-sale.toml")).expect("a probe config");
        let wide = EnvSpec {
            agents: 8,
            obs_width: 512,
            ..ProbeEnv::new(probe).expect("an environment").spec().clone()
        };
        let long = sized(wide.copies, (1 << 26) / wide.copies);
        long.validate().expect("sound by itself");
        let error = long.validate_for(&wide).expect_err("too wide").to_string();
        assert!(
            error.contains("copies = ") && error.contains("horizon = "),
            "{error}"
        );
    }
}
