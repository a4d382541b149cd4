use haggle_core::{Arm, Difference, Digest, UserTotal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The bounds of the difference are wrong in at most this share of all trials, however often they are looked at; each of the two
/// in half as many.
const ALPHA: f64 = 0.01;

/// What two arms of the users have earned, a canary's or the holdout's: a function of the journal's records, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// The share of the users who are served the canary, or are held out.
    pub share: f64,
    /// Number of the record that began it: decisions of before do not count.
    pub record: u64,
    /// When that was: seconds since 1970.
    pub since_s: i64,
    /// What is on trial: the canary, or beside a holdout what policies price.
    new: Arm,
    /// What it is compared with.
    old: Arm,
    /// By hash of the user (or of the session of nobody in particular), and whether he was in the new arm.
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

/// The holdout, as the status tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldoutStatus {
    /// The share of the users who are held out.
    pub share: f64,
    /// Since when it is that share: seconds since 1970. What was decided before does not count.
    pub since_s: i64,
    /// What the users of all policies have brought, a canary included.
    pub priced: ArmStatus,
    /// What those have brought who are held out.
    pub held_out: ArmStatus,
    /// How much more a decision of a policy earns, in minor units, with always-valid bounds; nothing before both arms have
    /// enough users.
    pub difference_minor: Option<Difference>,
}

impl ArmStatus {
    fn of(arm: &Arm) -> Self {
        Self {
            users: arm.users,
            decisions: arm.decisions,
            value_minor: arm.value,
            mean_minor: arm.mean(),
        }
    }
}

impl CanaryStatus {
    /// How the trial of a canary stands.
    pub(crate) fn of(policy: Digest, trial: &Trial) -> Self {
        Self {
            policy,
            share: trial.share,
            since_s: trial.since_s,
            new: ArmStatus::of(&trial.new),
            old: ArmStatus::of(&trial.old),
            difference_minor: trial.difference(),
        }
    }
}

impl HoldoutStatus {
    /// How the trial of all policies stands.
    pub(crate) fn of(trial: &Trial) -> Self {
        Self {
            share: trial.share,
            since_s: trial.since_s,
            priced: ArmStatus::of(&trial.new),
            held_out: ArmStatus::of(&trial.old),
            difference_minor: trial.difference(),
        }
    }
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

    /// The window of a decision of the new arm, or of the old one, has closed.
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

    /// Whether the new arm earns less, as far as can be said without being wrong in more than half a percent of all trials.
    pub fn is_worse(&self) -> bool {
        self.difference().is_some_and(|difference| difference.high < 0.0)
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
