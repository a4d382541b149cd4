use super::COEFFICIENTS_MAX;
use haggle_core::PmfError;

/// Why a bandit refuses its configuration, a question or a lesson.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BanditError {
    /// A setting out of its range.
    #[error("bandit: {name} is {got}, expected {expected}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its value.
        got: String,
        /// Its range in words.
        expected: &'static str,
    },
    /// A model that is too large.
    #[error(
        "bandit: {contexts} context numbers and {knots} knots in {layers} layers (a common one, and one for each segment that is told apart) make {coefficients} coefficients, at most {COEFFICIENTS_MAX} expected"
    )]
    Coefficients {
        /// Numbers of a context.
        contexts: usize,
        /// Layers of coefficients.
        layers: usize,
        /// Knots of the curve over the ladder.
        knots: usize,
        /// What they come to, squares and products not counted.
        coefficients: usize,
    },
    /// A context of another width.
    #[error("bandit: the context has {got} numbers, expected {expected}")]
    Width {
        /// What the bandit was made for.
        expected: usize,
        /// What came.
        got: usize,
    },
    /// NaN or infinity in a context.
    #[error("bandit: number {0} of the context is not finite")]
    NotFinite(usize),
    /// A segment that does not exist.
    #[error("bandit: there is no segment number {got}, the bandit knows {segments}")]
    Segment {
        /// The segment asked for.
        got: usize,
        /// How many are known.
        segments: usize,
    },
    /// A rung that is not on the ladder.
    #[error("bandit: there is no rung number {got}, the ladder has {rungs}")]
    Rung {
        /// The rung.
        got: usize,
        /// How many there are.
        rungs: usize,
    },
    /// An outcome that cannot be.
    #[error("bandit: the outcome is {got}, expected {expected}")]
    Outcome {
        /// The outcome.
        got: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A saved state whose parts do not fit its settings.
    #[error("bandit: the saved state does not fit the settings it was saved with; rebuild it from the log")]
    State,
    /// No distribution comes out.
    #[error("bandit: {0}")]
    Pmf(#[from] PmfError),
}
