//! What the families of markets ask of their parameters.

use super::oracle::{OracleError, STATES_MAX, WORK_MAX};

/// Refuses a field.
pub(crate) fn field(
    field: &'static str,
    value: impl std::fmt::Debug,
    sound: bool,
    expected: &str,
) -> Result<(), OracleError> {
    if sound {
        return Ok(());
    }
    Err(OracleError::Field {
        field,
        value: format!("{value:?}"),
        expected: expected.to_owned(),
    })
}

/// A number above 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<(), OracleError> {
    field(
        name,
        value,
        value > 0.0 && value.is_finite(),
        "a finite number above 0",
    )
}

/// A part of a whole.
pub(crate) fn share(name: &'static str, value: f64) -> Result<(), OracleError> {
    field(name, value, (0.0..=1.0).contains(&value), "a share in [0, 1]")
}

/// A number that is not negative.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<(), OracleError> {
    field(
        name,
        value,
        value >= 0.0 && value.is_finite(),
        "a finite number, not negative",
    )
}

/// The prices that may be asked: from `price_min` to `price_max`, none negative.
pub(crate) fn price_range(price_min: f64, price_max: f64) -> Result<(), OracleError> {
    not_negative("price_min", price_min)?;
    let above = price_max.is_finite() && price_max >= price_min;
    field("price_max", price_max, above, "a number not below price_min")
}

/// Worth of the next period beside this one's.
pub(crate) fn discount(value: f64) -> Result<(), OracleError> {
    field("discount", value, (0.0..=0.9999).contains(&value), "0 to 0.9999")
}

/// At least one.
pub(crate) fn count(name: &'static str, value: usize) -> Result<(), OracleError> {
    field(name, value, value >= 1, "a whole number, at least 1")
}

/// A ladder: rising prices, not negative.
pub(crate) fn ladder(prices: &[f64]) -> Result<(), OracleError> {
    let sound = prices.iter().all(|price| price.is_finite() && *price >= 0.0);
    let rising = prices.windows(2).all(|pair| pair[0] < pair[1]);
    field(
        "prices",
        prices,
        !prices.is_empty() && sound && rising,
        "at least one price, rising, none negative",
    )
}

/// Refuses what would take too long. Every choice that is looked at in a state counts as an action: those of the optimum,
/// of the fixed prices and of the references. Returns the updates.
pub(crate) fn affordable(states: f64, actions: f64, outcomes: f64) -> Result<f64, OracleError> {
    let updates = states * actions * outcomes;
    if updates <= WORK_MAX as f64 {
        return Ok(updates);
    }
    Err(OracleError::TooLarge {
        states,
        actions,
        outcomes,
    })
}

/// Refuses tables that would not fit in memory.
pub(crate) fn storable(states: f64) -> Result<(), OracleError> {
    if states <= STATES_MAX {
        return Ok(());
    }
    Err(OracleError::TooManyStates { states })
}
