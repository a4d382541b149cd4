/// Why a configuration cannot work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// One value out of its range.
    #[error("{field} = {value}: {allowed} expected")]
    Range {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Two values that disagree.
    #[error("{first} and {second} disagree: {why}")]
    Disagree {
        /// One field with its value.
        first: String,
        /// The other.
        second: String,
        /// Why they do.
        why: &'static str,
    },
}

impl ConfigError {
    /// The dotted name of the field that is to blame; of two that disagree, the first.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Range { field, .. } => field,
            Self::Disagree { first, .. } => name(first),
        }
    }

    /// The second of two fields that disagree.
    #[must_use]
    pub fn other_field(&self) -> Option<&str> {
        match self {
            Self::Range { .. } => None,
            Self::Disagree { second, .. } => Some(name(second)),
        }
    }
}

/// Of `name = value`.
fn name(said: &str) -> &str {
    said.split(" = ").next().unwrap_or(said)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "numbers are copied; a reference at every call would only be noise"
)]
pub(crate) fn in_range<T: ToString>(
    field: &'static str,
    value: T,
    sound: bool,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if sound {
        return Ok(());
    }
    Err(ConfigError::Range {
        field,
        value: value.to_string(),
        allowed,
    })
}

/// Gradient steps are made in single precision.
const LARGEST: f64 = f32::MAX as f64;

pub(super) fn unit(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(field, value, (0.0..=1.0).contains(&value), "0 to 1")
}

pub(super) fn not_negative(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(
        field,
        value,
        (0.0..=LARGEST).contains(&value),
        "a number from 0 to 3.4e38",
    )
}

pub(crate) fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(
        field,
        value,
        value > 0.0 && value <= LARGEST,
        "a number above 0, up to 3.4e38",
    )
}
