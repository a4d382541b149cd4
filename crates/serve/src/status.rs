use crate::canary::{Canary, CanaryStopped};
use crate::decide::Mode;
use crate::engine::{Core, Engine};
use crate::reply::Status;
use crate::trial::HoldoutStatus;
use haggle_core::Policy;

impl Engine {
    /// How the daemon is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = self.lock();
        let (store, queued) = self.committer.health();
        let (counts, since) = (core.ledger.counts, &core.since_start);
        Status {
            policy: core.bundle.digest(),
            previous: core.previous,
            mode: core.mode,
            store,
            queued,
            decisions: counts.decisions() as usize,
            unlogged: since.unlogged,
            rewards: counts.rewards,
            duplicates: since.duplicates,
            sessions: core.market.sessions(),
            shadow: core.shadow.as_ref().map(|bundle| bundle.digest()),
            late: counts.late,
            early: core.ledger.early.count(),
            conflicts: since.conflicts,
            unknown: since.unknown,
            open: counts.open,
            pending: counts.pending,
            closed: counts.closed,
            defaulted: counts.defaulted,
            lapsed: counts.lapsed,
            cancelled: counts.cancelled,
            fallbacks: since.fallbacks,
            bandits: core.desk.lock().progress(),
            canary: core.canary.as_ref().map(Canary::status),
            canary_stopped: core.canary_stopped.as_ref().map(CanaryStopped::of),
            holdout: core.holdout.as_ref().map(HoldoutStatus::of),
            note: core.note(),
            lost_records: self.lost_records,
        }
    }
}

impl Core {
    /// Why arms that are looked at stand still, if they do.
    fn note(&self) -> Option<String> {
        let why = match self.mode {
            Mode::Apprentice => "in the mode apprentice the caller sets every price",
            Mode::Frozen => "prices are frozen",
            Mode::Live | Mode::Shadow => return None,
        };
        let arms = match (&self.canary, &self.holdout) {
            (None, None) => return None,
            (Some(_), None) => "the canary",
            (None, Some(_)) => "the holdout",
            (Some(_), Some(_)) => "the canary and the holdout",
        };
        Some(format!("{why}: nothing that is decided now counts for {arms}"))
    }
}
