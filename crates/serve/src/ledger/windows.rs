//! When decisions are shown, withdrawn and closed.

use super::Ledger;
use crate::known::Known;
use crate::reply::Stage;
use haggle_core::DecisionId;
use std::cmp::Reverse;
use std::sync::Arc;

impl Ledger {
    /// A deferred decision was shown at `now_s`: its window begins.
    pub fn activate(&mut self, decision: &str, now_s: i64) {
        if let Some(known) = self.find(decision) {
            let due_s = now_s.saturating_add(i64::from(known.terms.window_s));
            self.place(decision, Stage::Open, due_s);
        }
    }

    /// A decision was withdrawn.
    pub fn cancel(&mut self, decision: &str) {
        if let Some(due_s) = self.find(decision).map(|known| known.due_s) {
            self.place(decision, Stage::Cancelled, due_s);
        }
    }

    /// Moves a decision to another stage; its window then closes at `due_s`.
    pub fn place(&mut self, decision: &str, stage: Stage, due_s: i64) {
        let Some((id, _)) = self.decisions.get_key_value(decision) else {
            return;
        };
        let id = Arc::clone(id);
        if let Some(known) = self.decisions.get_mut(decision) {
            *self.counts.of(known.stage) -= 1;
            *self.counts.of(stage) += 1;
            (known.stage, known.due_s) = (stage, due_s);
        }
        if matches!(stage, Stage::Open | Stage::Pending) {
            self.due.push(Reverse((due_s, id)));
        }
        self.touch(decision);
    }

    /// A decision whose window has closed by `now_s`, the first one first. Whoever takes it closes it.
    pub fn overdue(&mut self, now_s: i64) -> Option<DecisionId> {
        while let Some(Reverse((due_s, _))) = self.due.peek()
            && *due_s <= now_s
            && let Some(Reverse((due_s, id))) = self.due.pop()
        {
            let waits = |known: &&Known| matches!(known.stage, Stage::Open | Stage::Pending);
            if self
                .find(&id)
                .filter(waits)
                .is_some_and(|known| known.due_s == due_s)
            {
                return Some(DecisionId(id.to_string()));
            }
        }
        None
    }

    /// Closes the window of a decision.
    pub fn close(&mut self, decision: &str) {
        let Some(known) = self.find(decision) else {
            return;
        };
        let (stage, due_s) = match known.stage {
            Stage::Open => (Stage::Closed, known.due_s),
            Stage::Pending => (Stage::Lapsed, known.due_s),
            Stage::Closed | Stage::Lapsed | Stage::Cancelled => return,
        };
        let rewarded = known.counting().next().is_some();
        self.counts.defaulted += u64::from(stage == Stage::Closed && !rewarded);
        self.place(decision, stage, due_s);
    }

    /// The disk refused to close the window of a decision: it is open again.
    pub fn reopen(&mut self, decision: &str) {
        let Some(known) = self.find(decision) else {
            return;
        };
        let (stage, due_s) = match known.stage {
            Stage::Closed => (Stage::Open, known.due_s),
            Stage::Lapsed => (Stage::Pending, known.due_s),
            Stage::Open | Stage::Pending | Stage::Cancelled => return,
        };
        let rewarded = known.counting().any(|part| !part.late);
        self.counts.defaulted -= u64::from(stage == Stage::Open && !rewarded);
        self.place(decision, stage, due_s);
        // What came in between is in time after all, as a restart will find.
        let known = self.decisions.get_mut(decision);
        for part in known.into_iter().flat_map(|known| &mut known.parts) {
            self.counts.late -= u64::from(part.late && !part.refused);
            part.late = false;
        }
    }
}
