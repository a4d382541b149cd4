use crate::error::chain;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The line is no JSON object.
    BadJson,
    /// The frame has no sound header, or its body is no MessagePack.
    BadFrame,
    /// The object is no such request.
    BadRequest,
    /// There is no such operation here.
    UnknownOp,
    /// The line is longer than [`crate::MESSAGE_BYTES_MAX`].
    LineTooLong,
    /// The frame is longer than [`crate::MESSAGE_BYTES_MAX`]; the connection is closed.
    FrameTooLong,
    /// A line or frame was begun and not finished in time; the connection is closed.
    TooSlow,
    /// The frame or the greeting is of another version of the protocol.
    Version,
    /// The catalogue has no such item.
    UnknownItem,
    /// No decision has that id.
    UnknownDecision,
    /// The same id stands for something else already.
    Conflict,
    /// The decision was cancelled.
    Cancelled,
    /// The decision was deferred and is not activated, or it lapsed.
    NotActive,
    /// The decision has as many rewards as it may have.
    TooManyRewards,
    /// The bounds contradict each other.
    PriceFloorAboveCeiling,
    /// The rules leave no price.
    NothingAllowed,
    /// Nothing of the item is left to sell.
    SoldOut,
    /// All connections are taken.
    Busy,
    /// The user who connects may not ask for prices.
    Forbidden,
    /// Decisions come faster than they can be journalled.
    Overloaded,
    /// The disk is full: nothing was written.
    StoreFull,
    /// The store has failed and takes nothing in until the daemon is restarted.
    StoreFailed,
    /// The bundle cannot be served.
    BundleRefused,
    /// The gate has not passed the bundle.
    GateRefused,
    /// There is no earlier bundle to go back to.
    NoPrevious,
    /// No bundle is a canary.
    NoCanary,
    /// Prices are frozen: unfreeze them before anything else is served.
    Frozen,
    /// The configuration or the rulebook cannot be used; the old one stays.
    ConfigRefused,
    /// Something could not be written.
    ExportFailed,
    /// The record of the decision is no longer in the journal.
    Forgotten,
}

/// As it stands on the wire.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A refusal: a code for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable.
    pub code: Code,
    /// One sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A refusal because of an error, with all its causes.
    pub(crate) fn of(code: Code, error: &dyn Error) -> Self {
        Self::new(code, chain(error))
    }

    /// No decision has that id.
    pub(crate) fn unknown_decision(id: &str) -> Self {
        Self::new(Code::UnknownDecision, format!("there is no decision {id}"))
    }

    /// Too many records wait for the disk.
    pub(crate) fn overloaded() -> Self {
        Self::new(Code::Overloaded, "too many records wait for the disk; try again")
    }
}
