use crate::engine::Core;
use crate::view::Ask;
use haggle_core::{Policy, Seeds};
use haggle_policy::Bundle;
use std::sync::Arc;

/// Draws the arms that users belong to, of the holdout and of a canary: the same ones at every request and after a restart.
#[derive(Debug)]
pub(crate) struct Arms {
    holdout: Seeds,
    canary: Seeds,
}

/// Who prices for a user.
#[derive(Debug)]
pub(crate) struct Lot {
    /// The bundle that is asked; of a user who is held out only items, ladders and standing rules are read from it.
    pub bundle: Arc<Bundle>,
    /// Whether he gets the static price.
    pub held_out: bool,
}

impl Arms {
    /// Those of a root seed.
    pub fn of(root: &Seeds) -> Self {
        Self {
            holdout: root.named("holdout"),
            canary: root.named("arms"),
        }
    }

    /// Whether whoever asks is held out; else whether he is served the canary.
    pub fn draw(&self, core: &Core, ask: &Ask) -> Lot {
        let who = || who(ask.user.as_deref(), &ask.session);
        // By his name alone: no swap and no canary moves anybody.
        let held_out = |share: f64| self.holdout.uniform_of(who().as_bytes()) < share;
        let held_out = core.holdout.as_ref().is_some_and(|trial| held_out(trial.share));
        let canary = core.canary.as_ref().filter(|canary| {
            let key = || format!("{} {}", canary.bundle.digest(), who());
            !held_out && self.canary.uniform_of(key().as_bytes()) < canary.trial.share
        });
        Lot {
            bundle: Arc::clone(canary.map_or(&core.bundle, |canary| &canary.bundle)),
            held_out,
        }
    }
}

impl Core {
    /// Whether anything is counted by arms.
    pub fn has_arms(&self) -> bool {
        self.canary.is_some() || self.holdout.is_some()
    }

    /// The window of a decision has closed, and that is on disk: it counts for its arms.
    pub fn watch(&mut self, decision: &str) {
        let Some(known) = self.ledger.find(decision) else {
            return;
        };
        let (by_policy, held_out) = (known.is_by_policy(), known.is_held_out());
        let Some(value_minor) = known.value_in_time().filter(|_| by_policy || held_out) else {
            return;
        };
        let who = who(known.user.as_deref(), &known.session);
        if let Some(trial) = self.holdout.as_mut().filter(|trial| known.record > trial.record) {
            trial.add(&who, by_policy, value_minor);
        }
        if let Some(canary) = self.canary.as_mut().filter(|_| by_policy) {
            let policy = self.ledger.policy(known);
            let is_new = policy == canary.bundle.digest();
            if known.record > canary.trial.record && (is_new || policy == self.bundle.digest()) {
                canary.trial.add(&who, is_new, value_minor);
            }
        }
    }
}

/// Who keeps his arm: the user, else the session.
pub(crate) fn who(user: Option<&str>, session: &str) -> String {
    user.map_or_else(|| format!("session {session}"), |user| format!("user {user}"))
}
