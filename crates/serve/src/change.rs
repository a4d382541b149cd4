//! What an operator changed, as the journal has it.

use crate::clock::now_s;
use crate::decide::Mode;
use crate::record::at_the_end;
use crate::trial::CanaryStatus;
use haggle_core::Digest;
use serde::{Deserialize, Serialize};

/// A change of the way in which prices come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeRecord {
    /// The mode from here on.
    pub mode: Mode,
    /// The bundle that is scored beside the served one, in the mode `shadow`.
    pub shadow: Option<Digest>,
    /// When: seconds since 1970.
    pub time_s: i64,
}

/// A change of the served bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapRecord {
    /// The bundle served from here on.
    pub to: Digest,
    /// The bundle served before.
    pub from: Digest,
    /// How it came about.
    pub reason: SwapReason,
    /// When: seconds since 1970.
    pub time_s: i64,
}

impl SwapRecord {
    /// A bundle is served from now on, and nothing says what was served before.
    #[must_use]
    pub fn start(bundle: Digest) -> Self {
        Self {
            to: bundle,
            from: bundle,
            reason: SwapReason::Start,
            time_s: now_s(),
        }
    }
}

/// How a swap came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapReason {
    /// The store was made with it, or it was named in the place of a record that is lost.
    Start,
    /// The gate passed it.
    Gate,
    /// Somebody insisted, without a verdict.
    Forced,
    /// Back to the bundle before.
    Rollback,
    /// A canary is served to everybody.
    Promoted,
}

/// A change of the share of users who are held out: who always get the static price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldoutRecord {
    /// The share from here on; 0: nobody is.
    pub share: f64,
    /// When: seconds since 1970.
    pub time_s: i64,
}

/// A change of the share of users who are served another bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryRecord {
    /// That bundle.
    pub bundle: Digest,
    /// The share from here on; 0 ends it.
    pub share: f64,
    /// How it came about.
    pub reason: CanaryReason,
    /// When: seconds since 1970.
    pub time_s: i64,
    /// What both arms had earned when it was found to earn less. The last field: in the journals of before it, it is not there.
    #[serde(default, deserialize_with = "at_the_end")]
    pub evidence: Option<CanaryStatus>,
}

/// How a canary changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryReason {
    /// It began; the gate passed it.
    Gate,
    /// It began; somebody insisted, without a verdict.
    Forced,
    /// Somebody changed the share.
    Share,
    /// Somebody stopped it.
    Stopped,
    /// It was found to earn less.
    Worse,
    /// It could not be loaded at a start.
    Lost,
}
