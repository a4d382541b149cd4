use crate::bundles::load;
use crate::change::ModeRecord;
use crate::clock::now_s;
use crate::decide::Mode;
use crate::engine::{Core, Engine};
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::swap::{check_catalog, settled};
use haggle_core::Policy;
use haggle_policy::Bundle;
use std::path::Path;
use std::sync::Arc;

impl Engine {
    /// Pins every price to its static one (the kill switch), or goes back to the mode before. Blocks until that is on disk.
    ///
    /// # Errors
    /// When it cannot be journalled.
    pub fn freeze(&self, frozen: bool) -> Result<(), Refusal> {
        let (mode, shadow) = {
            let core = self.lock();
            let mode = if frozen { Mode::Frozen } else { core.thawed };
            (mode, core.shadow.clone())
        };
        self.enter(mode, shadow)
    }

    /// Changes how prices come about from the next request on. The mode `shadow` takes the folder of the bundle that is
    /// scored beside the served one; the others take none. Blocks until the change is on disk.
    ///
    /// # Errors
    /// When the mode needs a bundle and there is none, or takes none and there is one; when the bundle is unsound or prices
    /// other items; or when the change cannot be journalled.
    pub fn set_mode(&self, mode: Mode, bundle: Option<&Path>) -> Result<(), Refusal> {
        let bad = |message: &str| Refusal::new(Code::BadRequest, message);
        let shadow = match (mode, bundle) {
            (Mode::Shadow, None) => return Err(bad("the mode shadow needs the `bundle` that is scored")),
            (Mode::Shadow, Some(folder)) => {
                let bundle = load(folder).map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
                let served = self.lock().bundle.clone();
                if bundle.digest() == served.digest() {
                    let message = format!(
                        "bundle {:?} is served: it cannot be its own shadow",
                        bundle.digest()
                    );
                    return Err(Refusal::new(Code::BundleRefused, message));
                }
                check_catalog(&served.terms().catalog, &bundle.terms().catalog)?;
                self.bundles
                    .keep(&bundle)
                    .map_err(|error| Refusal::of(Code::BundleRefused, &error))?;
                Some(Arc::new(bundle))
            }
            (_, Some(_)) => return Err(bad("only the mode shadow takes a `bundle`")),
            (Mode::Frozen, None) => self.lock().shadow.clone(),
            (Mode::Live | Mode::Apprentice, None) => None,
        };
        self.enter(mode, shadow)
    }

    pub(crate) fn enter(&self, mode: Mode, shadow: Option<Arc<Bundle>>) -> Result<(), Refusal> {
        let (before, ticket) = {
            let mut core = self.lock();
            if let Some((missing, _)) = core.missing.filter(|_| mode != Mode::Frozen) {
                let message = format!(
                    "the store's copy of bundle {missing:?}, which is to be served, is damaged; put it back and restart, or swap to another bundle by force"
                );
                return Err(Refusal::new(Code::BundleRefused, message));
            }
            let before = (core.mode, core.thawed, core.shadow.clone());
            let record = ModeRecord {
                mode,
                shadow: shadow.as_ref().map(|bundle| bundle.digest()),
                time_s: now_s(),
            };
            shadow.iter().for_each(|bundle| core.desk.lock().add(bundle));
            core.enter(mode, shadow);
            (before, self.write_with_ticket(&mut core, Record::Mode(record)))
        };
        let done = settled(ticket.blocking_recv());
        if done.is_err() {
            let mut core = self.lock();
            (core.mode, core.thawed, core.shadow) = before;
        }
        done
    }
}

impl Core {
    /// Changes how prices come about, now or at a restart.
    pub fn enter(&mut self, mode: Mode, shadow: Option<Arc<Bundle>>) {
        if mode != Mode::Frozen {
            self.thawed = mode;
        } else if shadow.is_none() && self.thawed == Mode::Shadow {
            // The shadow was lost meanwhile.
            self.thawed = Mode::Live;
        }
        (self.mode, self.shadow) = (mode, shadow);
        if let Some((_, served_in)) = &mut self.missing {
            *served_in = mode;
        }
    }
}
