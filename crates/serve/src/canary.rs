use crate::bundles::load;
use crate::change::{CanaryReason, CanaryRecord, SwapReason};
use crate::clock::now_s;
use crate::engine::{Core, Engine};
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::swap::{Swapped, check_catalog, check_verdict, settled};
use crate::trial::{CanaryStatus, Trial};
use haggle_core::{Difference, Digest, Policy};
use haggle_policy::{Bundle, Terms};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, MutexGuard};

/// A bundle that a share of the users is served, to find out whether it is worth more than the one of all others.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub bundle: Arc<Bundle>,
    pub trial: Trial,
}

/// A canary that stopped by itself, as the status tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryStopped {
    /// Its bundle.
    pub policy: Digest,
    /// When: seconds since 1970.
    pub time_s: i64,
    /// `worse` or `lost`.
    pub reason: CanaryReason,
    /// One sentence.
    pub why: String,
    /// What both arms had earned, where it earned less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<CanaryStatus>,
}

impl CanaryStopped {
    /// What its last record says.
    pub(crate) fn of(record: &CanaryRecord) -> Self {
        let difference = record.evidence.and_then(|evidence| evidence.difference_minor);
        let why = match (record.reason, difference) {
            (CanaryReason::Lost, _) => "the store's copy of it is damaged or gone".to_owned(),
            (_, Some(Difference { mean, high, .. })) => format!(
                "its decisions earned {:.2} minor units less each, and the upper bound of the difference, {high:.2}, is below 0",
                -mean
            ),
            (_, None) => "it was found to earn less".to_owned(),
        };
        Self {
            policy: record.bundle,
            time_s: record.time_s,
            reason: record.reason,
            why,
            evidence: record.evidence,
        }
    }
}

impl Canary {
    /// How it stands.
    pub fn status(&self) -> CanaryStatus {
        CanaryStatus::of(self.bundle.digest(), &self.trial)
    }
}

impl Engine {
    /// Serves the bundle in a folder to a share of the users from the next request on. Blocks until that is on disk.
    ///
    /// # Errors
    /// When there is a canary already, prices are frozen, the share is out of range, the bundle is unsound, is served already,
    /// prices other items or sees visits otherwise, has no passing verdict against what is served (unless `force`), or it
    /// cannot be journalled.
    pub fn begin_canary(&self, folder: &Path, share: f64, force: bool) -> Result<(), Refusal> {
        check_share(share)?;
        let bundle = load(folder).map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
        let served = self.lock().bundle.clone();
        if bundle.digest() == served.digest() {
            let message = format!("bundle {:?} is served already", bundle.digest());
            return Err(Refusal::new(Code::BundleRefused, message));
        }
        check_catalog(&served.terms().catalog, &bundle.terms().catalog)?;
        check_sight(served.terms(), bundle.terms())?;
        if !force {
            check_verdict(folder, bundle.digest(), served.digest())?;
        }
        self.bundles
            .keep(&bundle)
            .map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
        let core = self.lock();
        core.check_unfrozen()?;
        core.check_nothing_missing()?;
        core.check_no_canary()?;
        core.check_prices(&bundle)?;
        if core.bundle.digest() != served.digest() {
            let message = "a swap came first; look at the status and try again";
            return Err(Refusal::new(Code::Conflict, message));
        }
        let reason = if force {
            CanaryReason::Forced
        } else {
            CanaryReason::Gate
        };
        self.enter_canary(core, Arc::new(bundle), share, reason)
    }

    /// Changes the share of the users who are served the canary; what was earned is counted anew. Blocks until that is on disk.
    ///
    /// # Errors
    /// When there is no canary, the share is out of range, or it cannot be journalled.
    pub fn share_canary(&self, share: f64) -> Result<(), Refusal> {
        check_share(share)?;
        let core = self.lock();
        let bundle = core.canary()?.bundle.clone();
        self.enter_canary(core, bundle, share, CanaryReason::Share)
    }

    /// Serves the canary to nobody any more. Blocks until that is on disk.
    ///
    /// # Errors
    /// When there is no canary, or it cannot be journalled.
    pub fn stop_canary(&self) -> Result<(), Refusal> {
        let core = self.lock();
        let bundle = core.canary()?.bundle.clone();
        self.enter_canary(core, bundle, 0.0, CanaryReason::Stopped)
    }

    /// Serves the canary to everybody: a swap, with its rollback. Blocks until that is on disk.
    ///
    /// # Errors
    /// When there is no canary, prices are frozen, or it cannot be journalled.
    pub fn promote_canary(&self) -> Result<Swapped, Refusal> {
        let (bundle, served) = {
            let core = self.lock();
            core.check_nothing_missing()?;
            (core.canary()?.bundle.clone(), core.bundle.clone())
        };
        self.serve(bundle, &served, SwapReason::Promoted)
    }

    /// Stops a canary that is known to earn less.
    pub(crate) fn judge_canary(&self, core: &mut Core) {
        let worse = core.canary.as_ref().filter(|canary| canary.trial.is_worse());
        let Some(bundle) = worse.map(|canary| Arc::clone(&canary.bundle)) else {
            return;
        };
        let record = CanaryRecord {
            evidence: core.canary.as_ref().map(Canary::status),
            ..canary_record(bundle.digest(), 0.0, CanaryReason::Worse)
        };
        let CanaryStopped { policy, why, .. } = CanaryStopped::of(&record);
        tracing::warn!("canary {policy:?} is stopped: {why}");
        core.take_canary(&record, Some(bundle));
        // Where the disk refuses it, a restart finds the canary at work and stops it again.
        self.write(core, Record::Canary(record));
    }

    fn enter_canary(
        &self,
        mut core: MutexGuard<'_, Core>,
        bundle: Arc<Bundle>,
        share: f64,
        reason: CanaryReason,
    ) -> Result<(), Refusal> {
        let record = canary_record(bundle.digest(), share, reason);
        let before = (core.canary.clone(), core.canary_stopped.clone());
        let served = core.served.len();
        core.desk.lock().add(&bundle);
        core.take_canary(&record, Some(bundle));
        let ticket = self.write_with_ticket(&mut core, Record::Canary(record.clone()));
        drop(core);
        let done = settled(ticket.blocking_recv());
        if done.is_err() {
            let mut core = self.lock();
            (core.canary, core.canary_stopped) = before;
            core.served.truncate(served);
        } else {
            tracing::info!(
                "canary {:?} is served to {share} of the users ({reason:?})",
                record.bundle
            );
        }
        done
    }
}

impl Core {
    /// Begins, changes or ends a canary, now or at a restart; without its bundle nobody is served it.
    pub fn take_canary(&mut self, record: &CanaryRecord, bundle: Option<Arc<Bundle>>) {
        if matches!(record.reason, CanaryReason::Gate | CanaryReason::Forced) {
            self.served.push((record.bundle, record.time_s));
        }
        let by_itself = matches!(record.reason, CanaryReason::Worse | CanaryReason::Lost);
        self.canary_stopped = by_itself.then(|| record.clone());
        let trial = Trial::new(record.share, self.ledger.next, record.time_s);
        let bundle = bundle.filter(|_| record.share > 0.0);
        self.canary = bundle.map(|bundle| Canary { bundle, trial });
    }

    /// # Errors
    /// When there is a canary.
    pub fn check_no_canary(&self) -> Result<(), Refusal> {
        match &self.canary {
            Some(canary) => {
                let bundle = canary.bundle.digest();
                let message = format!("bundle {bundle:?} is a canary; promote it or stop it first");
                Err(Refusal::new(Code::Conflict, message))
            }
            None => Ok(()),
        }
    }

    /// # Errors
    /// When prices are frozen because the bundle that is to be served is lost: another one stands in, and nothing is to be
    /// compared with that.
    fn check_nothing_missing(&self) -> Result<(), Refusal> {
        let Some((missing, _)) = self.missing else {
            return Ok(());
        };
        let message = format!(
            "prices are frozen: the store's copy of bundle {missing:?}, which is to be served, is damaged; put it back and restart, or stop the canary and swap by force"
        );
        Err(Refusal::new(Code::Frozen, message))
    }

    fn canary(&self) -> Result<&Canary, Refusal> {
        let none = || Refusal::new(Code::NoCanary, "no bundle is a canary");
        self.canary.as_ref().ok_or_else(none)
    }
}

pub(crate) fn canary_record(bundle: Digest, share: f64, reason: CanaryReason) -> CanaryRecord {
    CanaryRecord {
        bundle,
        share,
        reason,
        time_s: now_s(),
        evidence: None,
    }
}

fn check_share(share: f64) -> Result<(), Refusal> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    let message = format!("`share` is {share}, allowed are numbers above 0 and up to 1");
    Err(Refusal::new(Code::BadRequest, message))
}

/// Both arms are shown the same observation: it must be that of both.
fn check_sight(served: &Terms, canary: &Terms) -> Result<(), Refusal> {
    if served.catalog == canary.catalog && served.memory == canary.memory {
        return Ok(());
    }
    let message = "the bundle was made for other traits of items or other memory rates than what is served: it would see visits that it does not know; swap it in instead";
    Err(Refusal::new(Code::BundleRefused, message))
}
