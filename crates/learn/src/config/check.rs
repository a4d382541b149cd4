//! Ranges, and pairs of values that could disagree.

use super::error::{in_range, not_negative, positive, unit};
use super::size::STEP_NUMBERS;
use super::{ConfigError, DeviceChoice, EngineChoice, TrainConfig};

/// Copies of an environment at most.
const COPIES_MAX: usize = 1 << 24;

impl TrainConfig {
    /// Checks every range, and the pairs of values that could disagree.
    ///
    /// # Errors
    /// The first value out of range, or the first two that disagree.
    pub fn validate(&self) -> Result<(), ConfigError> {
        in_range("steps", self.steps, self.steps >= 1, "at least 1")?;
        let copies = (1..=COPIES_MAX).contains(&self.copies);
        in_range("copies", self.copies, copies, "1 to 16,777,216")?;
        in_range("horizon", self.horizon, self.horizon >= 1, "at least 1")?;
        self.fits(STEP_NUMBERS)?;
        in_range(
            "epochs",
            self.epochs,
            (1..=100).contains(&self.epochs),
            "1 to 100",
        )?;
        let rows = self.minibatch_rows;
        in_range("minibatch_rows", rows, rows >= 1, "at least 1")?;
        unit("gamma", self.gamma)?;
        unit("lambda", self.lambda)?;
        let clip = self.clip_ratio;
        in_range(
            "clip_ratio",
            clip,
            clip > 0.0 && clip < 1.0,
            "above 0 and below 1",
        )?;
        not_negative("value_clip", self.value_clip)?;
        self.entropy
            .validate(["entropy.start", "entropy.end", "entropy.until"])?;
        positive("learning_rate.start", self.learning_rate.start)?;
        self.learning_rate
            .validate(["learning_rate.start", "learning_rate.end", "learning_rate.until"])?;
        self.validate_hidden()?;
        positive("grad_norm_max", self.grad_norm_max)?;
        positive("huber", self.huber)?;
        not_negative("target_kl", self.target_kl)?;
        let floor = self.exploration;
        in_range("exploration", floor, (0.0..1.0).contains(&floor), "0 to below 1")?;
        in_range("threads", self.threads, self.threads <= 1024, "0 to 1024")?;
        let kept = self.checkpoints_keep;
        in_range("checkpoints_keep", kept, kept >= 1, "at least 1")?;
        let milestones = &self.checkpoint_milestones;
        in_range(
            "checkpoint_milestones",
            format!("{milestones:?}"),
            milestones.iter().all(|step| *step >= 1),
            "at least 1 each",
        )?;
        self.validate_memory()?;
        self.multiplier.validate()
    }

    fn validate_memory(&self) -> Result<(), ConfigError> {
        in_range("memory", self.memory, self.memory <= 1024, "0 to 1024")?;
        if self.memory == 0 {
            return Ok(());
        }
        let chunk = self.memory_chunk;
        in_range(
            "memory_chunk",
            chunk,
            (1..=self.horizon).contains(&chunk),
            "1 to horizon",
        )?;
        let disagree = |second: &str, why| {
            Err(ConfigError::Disagree {
                first: format!("memory = {}", self.memory),
                second: second.to_owned(),
                why,
            })
        };
        if self.engine == EngineChoice::Fused {
            return disagree("engine = \"fused\"", "the fused engine has no memory");
        }
        if self.device == DeviceChoice::Cuda {
            return disagree("device = \"cuda\"", "a memory is trained on the processor");
        }
        Ok(())
    }

    fn validate_hidden(&self) -> Result<(), ConfigError> {
        let sound =
            (1..=4).contains(&self.hidden.len()) && self.hidden.iter().all(|n| (1..=1024).contains(n));
        in_range(
            "hidden",
            format!("{:?}", self.hidden),
            sound,
            "1 to 4 layers of 1 to 1024 units",
        )
    }

    /// Checks what an environment forbids whose agents set multipliers.
    pub(crate) fn validate_for_multipliers(&self) -> Result<(), ConfigError> {
        let disagree = |first: String, why| {
            Err(ConfigError::Disagree {
                first,
                second: "the environment's action = \"multiplier\"".to_owned(),
                why,
            })
        };
        if self.exploration > 0.0 {
            let first = format!("exploration = {}", self.exploration);
            return disagree(
                first,
                "a multiplier is explored by its own spread; set exploration = 0",
            );
        }
        if self.memory > 0 {
            return disagree(
                format!("memory = {}", self.memory),
                "a multiplier is set without a memory",
            );
        }
        if self.engine == EngineChoice::Fused {
            return disagree(
                "engine = \"fused\"".to_owned(),
                "multipliers are learnt by libtorch",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;

    #[test]
    fn what_single_precision_cannot_count_is_refused() {
        let said = |config: TrainConfig| config.validate().expect_err("refused").to_string();
        let rate = TrainConfig {
            learning_rate: Schedule::linear(1e39, 0.0),
            ..TrainConfig::default()
        };
        assert!(said(rate).ends_with(": a number above 0, up to 3.4e38 expected"));
        let entropy = TrainConfig {
            entropy: Schedule::linear(0.01, 1e39),
            ..TrainConfig::default()
        };
        assert!(said(entropy).starts_with("entropy.end = 1"));
    }

    #[test]
    fn a_disagreement_names_both_values() {
        let mut config = TrainConfig::default();
        config.multiplier.start = 3.0;
        config.multiplier.max = 2.0;
        let text = config.validate().expect_err("disagree").to_string();
        assert!(text.contains("multiplier.start = 3") && text.contains("multiplier.max = 2"));
    }
}
