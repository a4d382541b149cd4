//! What a person sees while a policy is trained: a progress bar on a terminal, else a table, a row every few seconds.

use crate::output::Output;
use haggle_learn::{Iteration, Metrics, Progress};
use haggle_policy::Actors;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::time::{Duration, Instant};

const ROW_EVERY: Duration = Duration::from_secs(10);

/// Values a policy as it stands; the scalars come under their tags.
pub type Valuation<'a> = Box<dyn FnMut(&Actors, &[f64]) -> Result<Metrics, String> + 'a>;

/// The console of one training run.
pub struct Console<'a> {
    output: Output,
    bar: ProgressBar,
    valuation: Valuation<'a>,
    last_row: Option<Instant>,
    /// Steps per second of the last iteration.
    pub steps_per_second: f64,
}

impl<'a> Console<'a> {
    /// A console that values policies with `valuation`.
    pub fn new(output: Output, steps: u64, valuation: Valuation<'a>) -> Self {
        let bar = if output.is_shared() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(steps) // draws only on a terminal
        };
        let style = "{bar:32} {pos}/{len} steps  {per_sec}  {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self {
            output,
            bar,
            valuation,
            last_row: None,
            steps_per_second: 0.0,
        }
    }

    fn row(&mut self, iteration: &Iteration) {
        let value = |tag: &str| iteration.scalars.get(tag).copied().unwrap_or(f64::NAN);
        if self.last_row.is_none() {
            self.output.progress(format_args!(
                "{:>10} {:>9} {:>10} {:>9} {:>9} {:>9} {:>7} {:>7}",
                "steps", "steps/s", "reward", "entropy", "kl", "multipl.", "env %", "learn %"
            ));
        }
        // No constraint, or several (they are in metrics.jsonl): nothing to show here.
        let multiplier = iteration.scalars.get("pricing/multiplier");
        let multiplier = multiplier.map_or_else(|| "-".to_owned(), |price| format!("{price:.3}"));
        let share = |seconds: f64| 100.0 * seconds / iteration.phases.total_s.max(1e-9);
        self.output.progress(format_args!(
            "{:>10} {:>9.0} {:>10.4} {:>9.4} {:>9.5} {multiplier:>9} {:>7.0} {:>7.0}",
            iteration.steps,
            value("time/fps"),
            value("rollout/reward_mean"),
            -value("train/entropy_loss"),
            value("train/approx_kl"),
            share(iteration.phases.environment_s),
            share(iteration.phases.training_s),
        ));
        self.last_row = Some(Instant::now());
    }
}

impl Progress for Console<'_> {
    fn iteration(&mut self, iteration: &Iteration) {
        self.steps_per_second = iteration.scalars.get("time/fps").copied().unwrap_or(0.0);
        self.bar.set_position(iteration.steps.min(iteration.steps_total));
        let last = iteration.steps >= iteration.steps_total;
        let due = self.last_row.is_none_or(|last| last.elapsed() >= ROW_EVERY);
        if self.bar.is_hidden() && (due || last) {
            self.row(iteration);
        }
        if last {
            self.bar.finish_and_clear();
        }
    }

    fn evaluate(&mut self, _: u64, policy: &Actors, multipliers: &[f64]) -> Result<Metrics, String> {
        (self.valuation)(policy, multipliers)
    }

    fn checkpoint(&mut self, path: &Path) {
        self.bar.set_message(format!(
            "checkpoint {}",
            path.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
}
