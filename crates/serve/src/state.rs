use crate::archive::{Archive, Contents};
use crate::bundles::Bundles;
use crate::canary::Canary;
use crate::change::CanaryRecord;
use crate::decide::Mode;
use crate::engine::{Core, SinceStart};
use crate::error::ServeError;
use crate::learner::Desk;
use crate::ledger::Ledger;
use crate::lessons::{Learnt, Lessons};
use crate::market::{Market, Memory};
use crate::record::at_the_end;
use crate::settings::Settings;
use crate::trial::Trial;
use haggle_core::{Digest, Policy, encode_record};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Everything that the daemon remembers at one number of the journal, which the ledger says: in a checkpoint and in the base.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State<'a> {
    /// Digest of all records before that number.
    pub chain: Digest,
    /// Which history warmed the market.
    pub history: Option<Digest>,
    pub archive: Contents,
    pub memory: Cow<'a, Memory>,
    pub ledger: Cow<'a, Ledger>,
    served: Cow<'a, [(Digest, i64)]>,
    bundle: Digest,
    previous: Option<Digest>,
    shadow: Option<Digest>,
    pub canary: Option<(Digest, Cow<'a, Trial>)>,
    mode: Mode,
    thawed: Mode,
    pub learnt: Learnt<'a>,
    /// Read as the end of the bytes: a `base` of before it has none.
    #[serde(default, deserialize_with = "at_the_end")]
    pub holdout: Option<Cow<'a, Trial>>,
    #[serde(default, deserialize_with = "at_the_end")]
    canary_stopped: Option<CanaryRecord>,
}

impl State<'_> {
    /// What a replay has come to, as bytes.
    pub fn encode(core: &Core, chain: Digest, history: Option<Digest>) -> Vec<u8> {
        let lessons = core.desk.lock();
        encode_record(&State {
            chain,
            history,
            archive: core.ledger.archive().map(Archive::contents).unwrap_or_default(),
            memory: Cow::Borrowed(&core.market.memory),
            ledger: Cow::Borrowed(&core.ledger),
            served: Cow::Borrowed(&core.served),
            bundle: core.bundle.digest(),
            previous: core.previous,
            shadow: core.shadow.as_ref().map(|bundle| bundle.digest()),
            canary: core
                .canary
                .as_ref()
                .map(|canary| (canary.bundle.digest(), Cow::Borrowed(&canary.trial))),
            mode: core.mode,
            thawed: core.thawed,
            learnt: lessons.learnt(),
            holdout: core.holdout.as_ref().map(Cow::Borrowed),
            canary_stopped: core.canary_stopped.clone(),
        })
    }
}

impl State<'static> {
    /// The bundles without which [`State::restore`] does not come to the same.
    pub fn bundles(&self) -> impl Iterator<Item = Digest> {
        let canary = self.canary.as_ref().map(|(digest, _)| *digest);
        let roles = [Some(self.bundle), self.previous, self.shadow, canary];
        roles.into_iter().flatten().chain(self.learnt.policies())
    }

    /// The daemon as it was; its archive is opened by whoever knows where it lies.
    ///
    /// # Errors
    /// When neither the bundle that was served nor the one before can be loaded, or it is not the one that learnt.
    pub fn restore(self, bundles: &Bundles) -> Result<Core, ServeError> {
        let load = |digest: Digest| bundles.load(digest).map(Arc::new);
        let (bundle, previous, missing) = match load(self.bundle) {
            Ok(bundle) => (bundle, self.previous, None),
            Err(error) => {
                let before = self.previous.and_then(|digest| load(digest).ok());
                (before.ok_or(error)?, None, Some((self.bundle, self.mode)))
            }
        };
        // Bundles of the past, and those that nobody needs any more, are not missed.
        let taught = self
            .learnt
            .policies()
            .filter_map(|digest| bundles.load(digest).ok());
        let taught: Vec<_> = taught.collect();
        let lessons = Lessons::resume(self.learnt, &taught)?;
        let canary = self.canary.and_then(|(digest, trial)| {
            let (bundle, trial) = (load(digest).ok()?, trial.into_owned());
            Some(Canary { bundle, trial })
        });
        let mut ledger = self.ledger.into_owned();
        ledger.resume();
        Ok(Core {
            previous,
            shadow: self.shadow.and_then(|digest| load(digest).ok()),
            canary,
            canary_stopped: self.canary_stopped,
            holdout: self.holdout.map(Cow::into_owned),
            market: Market::resume(bundle.terms(), self.memory.into_owned()),
            bundle,
            ledger,
            settings: Settings::default(),
            mode: self.mode,
            thawed: self.thawed,
            since_start: SinceStart::default(),
            desk: Arc::new(Desk::new(lessons)),
            served: self.served.into_owned(),
            missing,
        })
    }
}
