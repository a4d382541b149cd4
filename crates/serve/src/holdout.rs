use crate::change::HoldoutRecord;
use crate::clock::now_s;
use crate::engine::{Core, Engine};
use crate::record::Record;
use crate::trial::Trial;

impl Engine {
    /// Holds out the share of the users that the configuration says. Where that is another share than before, the journal
    /// says so, and what was earned is counted anew.
    pub(crate) fn hold_out(&self, core: &mut Core) {
        let share = core.settings.config.prices.holdout_share;
        let before = core.holdout.as_ref().map_or(0.0, |trial| trial.share);
        if share == before {
            return;
        }
        tracing::info!("{share} of the users are held out from now on, {before} before");
        let record = HoldoutRecord {
            share,
            time_s: now_s(),
        };
        core.take_holdout(&record);
        // Where the disk refuses it, the next start says it again.
        self.write(core, Record::Holdout(record));
    }
}

impl Core {
    /// Holds out a share of the users, now or at a restart.
    pub fn take_holdout(&mut self, record: &HoldoutRecord) {
        let trial = Trial::new(record.share, self.ledger.next, record.time_s);
        self.holdout = (record.share > 0.0).then_some(trial);
    }
}
