use crate::bundles::Bundles;
use crate::error::ServeError;
use crate::journal::{Base, JournalReader};
use crate::learner::Desk;
use crate::ledger::Ledger;
use crate::record::{DecisionRecord, Record};
use haggle_core::{Digest, FEATURE_WIDTH, Item, Policy};
use haggle_policy::bandit::ItemBandit;
use haggle_policy::{Bundle, PolicyKind};
use std::sync::Arc;

/// Who was asked for a decision, as it was then.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The bundle.
    pub bundle: &'a Bundle,
    /// Global number of the item.
    pub number: usize,
    /// Where the bundle has bandits: the item's own, if it could be found again.
    pub bandit: Option<&'a ItemBandit>,
}

impl Asked<'_> {
    /// The policy that gave the distribution.
    #[must_use]
    pub fn policy(&self) -> &dyn Policy {
        match self.bandit {
            Some(bandit) => bandit,
            None => self.bundle,
        }
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> &Item {
        &self.bundle.terms().catalog.items()[self.number]
    }

    /// The features of an average visit: the mean of a network's training, what is usual for a bandit.
    #[must_use]
    pub fn average(&self) -> Vec<f32> {
        match (self.bundle.policy(), self.bandit) {
            (PolicyKind::Mlp(policy), _) => policy.network().normaliser().0.to_vec(),
            (_, Some(bandit)) => bandit.usual().to_vec(),
            (_, None) => vec![0.0; FEATURE_WIDTH],
        }
    }
}

/// The bandit that was asked for a decision, as it was then: taught again, in order, what the journal had taught it, from what
/// it knew where the journal begins. None where that does not come to the same, because records are lost or erased.
///
/// # Errors
/// When the journal or a bundle cannot be read.
pub(crate) fn taught_again(
    journal: &JournalReader,
    bundles: &Bundles,
    bundle: &Bundle,
    number: usize,
    record: &DecisionRecord,
    state: Digest,
) -> Result<Option<ItemBandit>, ServeError> {
    let _kept = journal.hold();
    let (desk, mut ledger) = match Base::state(journal.store())? {
        Some(state) => {
            let mut core = state.restore(bundles)?;
            (Arc::clone(&core.desk), std::mem::take(&mut core.ledger))
        }
        None => (Arc::new(Desk::default()), Ledger::default()),
    };
    desk.lock().add(bundle);
    let as_then = || {
        let bandit = desk
            .lock()
            .bandit(bundle.digest(), number, record.segment.as_deref());
        bandit.filter(|bandit| bandit.state() == state)
    };
    let mut found = as_then();
    for read in journal.scan(0) {
        if found.is_some() {
            break;
        }
        let (at, read) = read?;
        if matches!(&read, Record::Decision(other) if other.offer.item != record.offer.item) {
            continue;
        }
        ledger.replay(&read, at);
        desk.take(&read, |decision| ledger.find(decision)?.units_in_time());
        while found.is_none() && desk.learn() {
            found = as_then();
        }
    }
    Ok(found)
}
