use haggle_policy::Actors;
use std::collections::BTreeMap;
use std::path::Path;

/// Scalars by tag, sorted.
pub type Metrics = BTreeMap<String, f64>;

/// What one iteration (a roll-out and the gradient steps on it) says.
#[derive(Clone, Debug)]
pub struct Iteration {
    /// Its number, from 1.
    pub iteration: u64,
    /// Environment steps so far.
    pub steps: u64,
    /// Environment steps of the whole run.
    pub steps_total: u64,
    /// Active agent rows so far.
    pub rows: u64,
    /// Scalars by TensorBoard tag.
    pub scalars: Metrics,
    /// How often each agent chose each rung in this roll-out.
    pub rung_counts: Vec<Vec<f64>>,
    /// Where the time went.
    pub phases: Phases,
}

/// Seconds of one iteration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// In the environment.
    pub environment_s: f64,
    /// Choosing prices.
    pub inference_s: f64,
    /// Advantages and gradient steps.
    pub training_s: f64,
    /// All of it, and the rest.
    pub total_s: f64,
}

/// Watches a run: draws the console, values the policy. The learner itself prints nothing.
pub trait Progress {
    /// An iteration is over.
    fn iteration(&mut self, iteration: &Iteration);

    /// Values the policy as it stands (held-out weeks, say); the scalars are logged under their tags.
    ///
    /// # Errors
    /// One sentence; it ends the run.
    fn evaluate(&mut self, steps: u64, policy: &Actors, multipliers: &[f64]) -> Result<Metrics, String> {
        let _ = (steps, policy, multipliers);
        Ok(Metrics::new())
    }

    /// A checkpoint was written.
    fn checkpoint(&mut self, path: &Path) {
        let _ = path;
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn iteration(&mut self, _: &Iteration) {}
}
