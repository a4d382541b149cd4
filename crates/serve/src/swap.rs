use crate::bundles::load;
use crate::change::{SwapReason, SwapRecord};
use crate::clock::now_s;
use crate::decide::Mode;
use crate::engine::{Core, Engine};
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use haggle_core::{Catalog, Digest, Policy};
use haggle_policy::{Bundle, GATE_FILE, VERDICT_FORMAT, Verdict};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot::error::RecvError;

/// The answer to a swap or a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// Served from now on.
    pub policy: Digest,
    /// Served before.
    pub previous: Digest,
}

impl Engine {
    /// Serves the bundle in a folder from the next request on; the one before is kept for a rollback. Blocks until the
    /// swap is on disk.
    ///
    /// # Errors
    /// When the bundle is unsound, is served already, prices other items, has no passing verdict against what is served (unless `force`),
    /// prices are frozen, or the swap cannot be journalled: then the old bundle is served on.
    pub fn swap(&self, folder: &Path, force: bool) -> Result<Swapped, Refusal> {
        let bundle = load(folder).map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
        let incumbent = {
            let core = self.lock();
            core.check_unfrozen()?;
            core.check_no_canary()?;
            core.bundle.clone()
        };
        // Asked again, perhaps because a reply was lost: the bundle before stays the one to roll back to.
        if bundle.digest() == incumbent.digest() {
            let message = format!("bundle {:?} is served already", bundle.digest());
            return Err(Refusal::new(Code::BundleRefused, message));
        }
        if let Some((missing, _)) = self
            .lock()
            .missing
            .filter(|(missing, _)| *missing == bundle.digest())
        {
            self.bundles
                .heal(&bundle)
                .map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
            let message = format!(
                "bundle {missing:?} is to be served already; its copy in the store, which was damaged, is written again: restart, and all is as it was"
            );
            return Err(Refusal::new(Code::BundleRefused, message));
        }
        check_catalog(&incumbent.terms().catalog, &bundle.terms().catalog)?;
        if !force {
            check_verdict(folder, bundle.digest(), incumbent.digest())?;
        }
        self.bundles
            .keep(&bundle)
            .map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
        let reason = if force {
            SwapReason::Forced
        } else {
            SwapReason::Gate
        };
        self.serve(Arc::new(bundle), &incumbent, reason)
    }

    /// Serves the bundle before this one again. Blocks until that is on disk.
    ///
    /// # Errors
    /// When there is none, its copy in the store is lost, prices are frozen, or it cannot be journalled.
    pub fn rollback(&self) -> Result<Swapped, Refusal> {
        let (previous, incumbent) = {
            let core = self.lock();
            core.check_no_canary()?;
            (core.previous, core.bundle.clone())
        };
        let none = || Refusal::new(Code::NoPrevious, "no bundle was served before this one");
        let previous = self.bundles.load(previous.ok_or_else(none)?);
        let previous = previous.map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
        self.serve(Arc::new(previous), &incumbent, SwapReason::Rollback)
    }

    /// Serves another bundle from the next request on, if the rulebook leaves each of its items a price: with one that it leaves
    /// without, the next start would be refused.
    pub(crate) fn serve(
        &self,
        bundle: Arc<Bundle>,
        incumbent: &Arc<Bundle>,
        reason: SwapReason,
    ) -> Result<Swapped, Refusal> {
        let (to, from) = (bundle.digest(), incumbent.digest());
        let (before, ticket) = {
            let mut core = self.lock();
            core.check_unfrozen()?;
            core.check_prices(&bundle)?;
            if core.bundle.digest() != from {
                let message = "another swap came first; look at the status and try again";
                return Err(Refusal::new(Code::Conflict, message));
            }
            let record = SwapRecord {
                to,
                from,
                reason,
                time_s: now_s(),
            };
            core.served.push((to, record.time_s));
            core.desk.lock().add(&bundle);
            let (canary, missing, mode) = (core.canary.take(), core.missing.take(), core.mode);
            if let Some((_, served_in)) = missing {
                core.mode = served_in;
            }
            let before = (core.previous.replace(from), canary, missing, mode);
            core.change(bundle);
            (before, self.write_with_ticket(&mut core, Record::Swap(record)))
        };
        if let Err(refusal) = settled(ticket.blocking_recv()) {
            let mut core = self.lock();
            core.change(Arc::clone(incumbent));
            (core.previous, core.canary, core.missing, core.mode) = before;
            core.served.pop();
            return Err(refusal);
        }
        tracing::info!("bundle {to:?} is served now, {from:?} before ({reason:?})");
        self.end_shadow_of(to);
        Ok(Swapped {
            policy: to,
            previous: from,
        })
    }

    /// A bundle that is served is nobody's shadow any more: the mode goes back to live.
    fn end_shadow_of(&self, served: Digest) {
        let scored = {
            let core = self.lock();
            let shadow = core.shadow.as_ref().map(|bundle| bundle.digest());
            core.mode == Mode::Shadow && shadow == Some(served)
        };
        if scored && let Err(refusal) = self.enter(Mode::Live, None) {
            tracing::warn!("bundle {served:?} stays its own shadow: {refusal}");
        }
    }
}

impl Core {
    pub(crate) fn check_unfrozen(&self) -> Result<(), Refusal> {
        if self.mode == Mode::Frozen && self.missing.is_none() {
            return Err(Refusal::new(
                Code::Frozen,
                "prices are frozen; unfreeze them before anything else is served",
            ));
        }
        Ok(())
    }

    /// Whether the rulebook leaves each item of a bundle a price.
    pub(crate) fn check_prices(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let sound = self.settings.check_prices(bundle.terms());
        sound.map_err(|(_, error)| Refusal::of(Code::BundleRefused, &error))
    }

    /// The bundles that prices come from: the served one, and a canary.
    pub(crate) fn served_now(&self) -> impl Iterator<Item = &Bundle> {
        let canary = self.canary.as_ref().map(|canary| &*canary.bundle);
        std::iter::once(&*self.bundle).chain(canary)
    }

    /// Serves another bundle.
    pub(crate) fn change(&mut self, bundle: Arc<Bundle>) {
        self.market.adopt(bundle.terms());
        self.bundle = bundle;
    }
}

pub(crate) fn settled(answer: Result<Result<(), Refusal>, RecvError>) -> Result<(), Refusal> {
    answer.unwrap_or_else(|_| Err(Refusal::new(Code::StoreFailed, "the store is closed")))
}

/// Memories and rewards refer to items and rungs: they must mean the same after a swap.
pub(crate) fn check_catalog(ours: &Catalog, theirs: &Catalog) -> Result<(), Refusal> {
    let same_groups = ours.categories() == theirs.categories();
    let pairs = ours.items().iter().zip(theirs.items());
    let other = pairs
        .filter(|(a, b)| a.id != b.id || a.ladder != b.ladder)
        .map(|(_, item)| item.id.as_str())
        .next();
    let message = match other {
        Some(item) => format!("the bundle has another item or ladder than what is served: item `{item}`"),
        None if !same_groups => "the bundle groups its items otherwise than what is served".to_owned(),
        None => return Ok(()),
    };
    Err(Refusal::new(Code::BundleRefused, message))
}

pub(crate) fn check_verdict(folder: &Path, candidate: Digest, incumbent: Digest) -> Result<(), Refusal> {
    let path = folder.join(GATE_FILE);
    let refuse = |message: String| Refusal::new(Code::GateRefused, message);
    let bytes = std::fs::read(&path)
        .map_err(|error| refuse(format!("{}: no verdict of the gate: {error}", path.display())))?;
    let verdict: Verdict = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(format!("{}: this is no verdict: {error}", path.display())))?;
    let wrong = if verdict.format != VERDICT_FORMAT {
        format!(
            "has format {}; this program reads format {VERDICT_FORMAT}",
            verdict.format
        )
    } else if verdict.candidate != candidate {
        format!(
            "is about bundle {:?}, not about this one ({candidate:?})",
            verdict.candidate
        )
    } else if verdict.incumbent != incumbent {
        format!(
            "compares with bundle {:?}, but {incumbent:?} is served",
            verdict.incumbent
        )
    } else if !verdict.passed {
        "says that the gate has not passed this bundle".to_owned()
    } else {
        return Ok(());
    };
    Err(refuse(format!("{}: the verdict {wrong}", path.display())))
}
