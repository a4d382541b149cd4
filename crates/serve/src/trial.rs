use haggle_core::{Arm, Difference, Digest, UserTotal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The bounds of the difference are wrong in at most this share of all trials, however often they are looked at; each of the two
/// in half as many.
const ALPHA: f64 = 0.01;

/// What a canary and the bundle that the other users are served have earned: a function of the journal's records, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// The share of the users who are served the canary.
    pub share: f64,
    /// Number of the record that began it: decisions of before do not count.
    pub record: u64,
    /// When that was: seconds since 1970.
    pub since_s: i64,
    new: Arm,
    old: Arm,
    /// By hash of the user (or of the session of nobody in particular), and whether it was the canary that he was served.
    users: BTreeMap<(u64, bool), UserTotal>,
}

/// One arm of a trial, as the status tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmStatus {
    /// Users with a decision whose window has closed.
    pub users: u64,
    /// Such decisions.
    pub decisions: u64,
    /// What they earned, in minor units.
    pub value_minor: f64,
    /// What a decision earned on average, in minor units; nothing before the first one.
    pub mean_minor: Option<f64>,
}

/// A canary, as the status tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// The bundle.
    pub policy: Digest,
    /// The share of the users who are served it.
    pub share: f64,
    /// Since when it is that share: seconds since 1970. What was decided before does not count.
    pub since_s: i64,
    /// What the canary has earned.
    pub new: ArmStatus,
    /// What the bundle that the other users are served has earned.
    pub old: ArmStatus,
    /// How much more a decision of the canary earns, in minor units, with always-valid bounds; nothing before both arms have
    /// enough users.
    pub difference_minor: Option<Difference>,
}

impl Trial {
    /// One that begins with the record of that number.
    pub fn new(share: f64, record: u64, since_s: i64) -> Self {
        Self {
            share,
            record,
            since_s,
            new: Arm::default(),
            old: Arm::default(),
            users: BTreeMap::new(),
        }
    }

    /// The window of a decision has closed; `who` is served the canary or is not.
    pub fn add(&mut self, who: &str, is_new: bool, value_minor: i64) {
        let user = self.users.entry((hash_of(who), is_new)).or_default();
        let arm = if is_new { &mut self.new } else { &mut self.old };
        arm.add(user, value_minor as f64);
    }

    /// Forgets who somebody is; what he earned stays in the sums.
    pub fn forget(&mut self, who: &str) {
        let hash = hash_of(who);
        self.users.retain(|(user, _), _| *user != hash);
    }

    /// Whether the canary earns less, as far as can be said without being wrong in more than half a percent of all trials.
    pub fn is_worse(&self) -> bool {
        self.difference().is_some_and(|difference| difference.high < 0.0)
    }

    /// How it stands.
    pub fn status(&self, policy: Digest) -> CanaryStatus {
        let arm = |arm: &Arm| ArmStatus {
            users: arm.users,
            decisions: arm.decisions,
            value_minor: arm.value,
            mean_minor: arm.mean(),
        };
        CanaryStatus {
            policy,
            share: self.share,
            since_s: self.since_s,
            new: arm(&self.new),
            old: arm(&self.old),
            difference_minor: self.difference(),
        }
    }

    fn difference(&self) -> Option<Difference> {
        Difference::between(&self.new, &self.old, ALPHA)
    }
}

fn hash_of(who: &str) -> u64 {
    let mut hash = [0; 8];
    hash.copy_from_slice(&Digest::of(who.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(hash)
}
