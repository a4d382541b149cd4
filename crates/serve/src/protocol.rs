//! The wire, `haggle/1`: JSON lines or MessagePack frames over one Unix stream socket; replies carry the request's id.
//!
//! Unknown keys are refused, so that a misspelt bound cannot be overlooked. An error reply has a stable `code` for programs
//! and a `message` for people. `docs/protocol.md` describes every byte.

use crate::refusal::{Code, Refusal};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// The name of this protocol.
pub const PROTOCOL: &str = "haggle/1";
/// Longest message that is read: a line with its end, a frame without its length.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest decision or reward id, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Longest session, user, item, channel or attribute, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Most rewards of one batch.
pub const BATCH_MAX: usize = 256;
/// Most rewards of one decision: they are looked through one by one, and `get` tells them all in one reply.
pub const REWARDS_MAX: usize = 1024;

/// Latest time of a session: the end of the year 9999, in seconds since 1970. The earliest is 0.
pub const TIME_S_MAX: i64 = 253_402_300_799;
/// Largest value of one reward, up or down, in minor units.
pub const VALUE_MINOR_MAX: i64 = 1_000_000_000_000;
/// Most units of one reward.
pub const UNITS_MAX: u32 = 1_000_000;

/// A request's name for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = RequestId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unsigned 64-bit integer or a string as `id`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RequestId, E> {
        Ok(RequestId::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RequestId, E> {
        Ok(RequestId::Text(text.to_owned()))
    }
}

/// Refuses a name that is empty or too long.
pub(crate) fn name(field: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > bytes_max {
        let message = format!("`{field}` has {} bytes, allowed are 1 to {bytes_max}", text.len());
        return Err(Refusal::new(Code::BadRequest, message));
    }
    Ok(())
}

/// Refuses a number that is out of range.
pub(crate) fn within<T: Copy + PartialOrd + fmt::Display>(
    field: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Refusal> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    let message = format!("`{field}` is {value}, allowed are {low} to {high}");
    Err(Refusal::new(Code::BadRequest, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_is_told_with_its_range() {
        let refusal = within("units", 5, 0..=4).expect_err("5 is more than 4");
        assert_eq!(refusal.message, "`units` is 5, allowed are 0 to 4");
        assert!(within("mailer", f32::NAN, 0.0..=1.0).is_err());
        assert_eq!(within("units", 4, 0..=4), Ok(()));
    }
}
