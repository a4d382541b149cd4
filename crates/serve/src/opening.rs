use crate::arms::Arms;
use crate::bundles::load;
use crate::canary::canary_record;
use crate::change::{CanaryReason, ModeRecord, SwapRecord};
use crate::checkpoint;
use crate::checkpointer::Checkpointer;
use crate::clock::now_s;
use crate::committer::Committer;
use crate::decide::Mode;
use crate::engine::Engine;
use crate::engine_config::EngineConfig;
use crate::error::{ServeError, chain};
use crate::journal::{Journal, JournalReader, lost_records};
use crate::learner::Learner;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::recovery::{ARCHIVED_EVERY, Rebuilt, begun, new_archive, rebuild, replay};
use haggle_core::{Policy, Seeds};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

impl Engine {
    /// Opens the store and rebuilds everything that it remembers, record by record.
    ///
    /// # Errors
    /// When store, bundle or history cannot be used.
    pub fn open(config: &EngineConfig) -> Result<Self, ServeError> {
        if !config.store.exists() {
            // A first start that fails leaves no half-made store behind.
            let bundle = config.bundle.as_deref().map(load).transpose()?;
            let bundle = bundle.ok_or_else(|| ServeError::NoBundle(config.store.clone()))?;
            config.files.read(bundle.terms())?;
            config.history_digest()?;
        }
        Self::over(Journal::open(&config.store, config.seed)?, config)
    }

    /// The same, over a journal that is open already.
    ///
    /// # Errors
    /// As for [`Engine::open`].
    pub fn over(mut journal: Journal, config: &EngineConfig) -> Result<Self, ServeError> {
        let given = config.bundle.as_deref().map(load).transpose()?;
        let bundles = config.bundles();
        let reader = journal.reader();
        let (mut core, last) = match rebuild(&reader, config, None)? {
            Some(mut rebuilt) => {
                if rebuilt.core.served.is_empty() {
                    say_what_is_served(&mut rebuilt, &mut journal, config)?;
                }
                let last = first_checkpoint(&mut rebuilt, &reader, config);
                (rebuilt.core, last)
            }
            None => {
                let bundle = given
                    .clone()
                    .ok_or_else(|| ServeError::NoBundle(config.store.clone()))?;
                bundles.keep(&bundle)?;
                let start = SwapRecord::start(bundle.digest());
                let mut begun = begun(bundle, start.clone(), config)?;
                new_archive(&mut begun.ledger, &config.store);
                journal.append(&[Record::Swap(start)])?;
                (begun, 0)
            }
        };
        if given.is_some_and(|given| given.digest() != core.bundle.digest()) {
            tracing::warn!(
                "the store serves bundle {:?}, as it did last; --bundle names another one and is not used",
                core.bundle.digest()
            );
        }
        if let Some((missing, _)) = core.missing {
            tracing::error!(
                "prices are frozen: bundle {missing:?}, which is to be served, is damaged; {:?} stands in. Put it back and restart, or swap to another one by force",
                core.bundle.digest()
            );
            core.mode = Mode::Frozen;
        }
        core.ledger.next = reader.next();
        core.settings = config.files.read(core.bundle.terms())?;
        core.settings.warn_of_no_bounds();
        tracing::info!(
            records = core.ledger.next,
            decisions = core.ledger.counts.decisions(),
            rewards = core.ledger.counts.rewards,
            "store is open"
        );
        let desk = Arc::clone(&core.desk);
        let seeds = Seeds::new(journal.secret());
        let (draws, arms) = (seeds.named("draws"), Arms::of(&seeds));
        let core = Arc::new(Mutex::new(core));
        let (earned, taught) = (Arc::clone(&core), Arc::clone(&desk));
        let written = move |record: &Record| {
            taught.take(record, |decision| {
                let mut core = earned.lock().unwrap_or_else(PoisonError::into_inner);
                core.ledger.recall(decision).ok()?;
                core.ledger.find(decision)?.units_in_time()
            });
            if let Record::Expired(event) = record {
                let mut core = earned.lock().unwrap_or_else(PoisonError::into_inner);
                // Where it cannot be looked up it does not count, until a restart reads the journal.
                if core.has_arms() && core.ledger.recall(&event.decision.0).is_ok() {
                    core.watch(&event.decision.0);
                }
            }
        };
        let ledger = Arc::clone(&core);
        let refused = move |record: &Record| {
            let mut core = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            core.refused(record);
        };
        let metrics = Arc::new(Metrics::new());
        let no_thread = ServeError::io(&config.store);
        let learner = Learner::start(desk).map_err(&no_thread)?;
        let committer =
            Committer::start(journal, Arc::clone(&metrics), written, refused).map_err(&no_thread)?;
        let beside = Arc::clone(&core);
        let checkpointer = Checkpointer::start(beside, reader.clone(), config.clone(), last);
        let checkpointer = checkpointer.map_err(no_thread)?;
        let engine = Self {
            core,
            committer,
            checkpointer,
            learner,
            reader,
            bundles,
            draws,
            arms,
            files: config.files.clone(),
            metrics,
            lost_records: told_of_lost(&config.store),
        };
        engine.part_with_lost();
        engine.hold_out(&mut engine.lock());
        Ok(engine)
    }

    /// A canary or a shadow that cannot be loaded ends, in the journal, too: what happens from now on happens without it,
    /// also where its copy is put back later. Of a bundle that nothing needs now the log tells.
    fn part_with_lost(&self) {
        let mut core = self.lock();
        let (canary, shadow, taught) = {
            let lessons = core.desk.lock();
            let taught: Vec<_> = lessons.lost().collect();
            (lessons.canary(), lessons.shadow(), taught)
        };
        for bundle in taught {
            tracing::warn!(
                "the store's copy of bundle {bundle:?} is damaged or gone; what its bandits have learnt is kept until it is back"
            );
        }
        if let Some(Err(error)) = core.previous.map(|bundle| self.bundles.load(bundle)) {
            tracing::error!("a rollback is not possible: {}", chain(&error));
        }
        if let Some(bundle) = canary.filter(|_| core.canary.is_none()) {
            tracing::error!("canary {bundle:?} is stopped: the store's copy of it is damaged or gone");
            let record = canary_record(bundle, 0.0, CanaryReason::Lost);
            core.take_canary(&record, None);
            self.write(&mut core, Record::Canary(record));
        }
        if let Some(bundle) = shadow.filter(|_| core.shadow.is_none()) {
            tracing::error!(
                "bundle {bundle:?} is no shadow any more: the store's copy of it is damaged or gone"
            );
            let mode = match core.missing.map_or(core.mode, |(_, served_in)| served_in) {
                Mode::Shadow => Mode::Live,
                mode => mode,
            };
            core.enter(mode, None);
            if core.missing.is_some() {
                core.mode = Mode::Frozen;
            }
            let record = ModeRecord {
                mode,
                shadow: None,
                time_s: now_s(),
            };
            self.write(&mut core, Record::Mode(record));
        }
    }

    /// Writes what waits for the disk. From then on nothing is taken in; the store is let go of when the engine is dropped.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn close(&self) -> Result<(), ServeError> {
        let closed = self.committer.close();
        self.learner.close();
        closed?;
        self.checkpointer.close();
        Ok(())
    }
}

/// Writes down what is served from now on, where the record that said so is lost: the next start must not need to be told.
fn say_what_is_served(
    rebuilt: &mut Rebuilt,
    journal: &mut Journal,
    config: &EngineConfig,
) -> Result<(), ServeError> {
    let bundle = Arc::clone(&rebuilt.core.bundle);
    tracing::error!(
        "the record that said what is served is lost: bundle {:?} of --bundle is served. Decisions, rewards and sessions are kept; if another one was served, the market is remembered under the rates of this one",
        bundle.digest()
    );
    config.bundles().keep(&bundle)?;
    let (number, record) = (
        journal.reader().next(),
        Record::Swap(SwapRecord::start(bundle.digest())),
    );
    journal.append(std::slice::from_ref(&record))?;
    replay(&mut rebuilt.core, (number, record), config)?;
    rebuilt.core.ledger.next = number + 1;
    Ok(())
}

/// How many records a repair gave up, with an error in the log.
fn told_of_lost(store: &Path) -> u64 {
    let lost = lost_records(store).unwrap_or_else(|error| {
        tracing::error!("nobody knows how many records repairs gave up: {}", chain(&error));
        0
    });
    if lost > 0 {
        tracing::error!(
            "{lost} records are lost, and one may have been a swap, a freeze, a mode or a canary: look at `status`, set right what is served, then remove {}",
            store.join("lost").display()
        );
    }
    lost
}

/// A replay that was long is not repeated: it is written down at once. Returns the number that the last checkpoint is of.
fn first_checkpoint(rebuilt: &mut Rebuilt, reader: &JournalReader, config: &EngineConfig) -> u64 {
    let next = rebuilt.core.ledger.next;
    if next - rebuilt.from < ARCHIVED_EVERY {
        return rebuilt.from;
    }
    let history = config.history_digest();
    let saved = history.and_then(|history| Ok(checkpoint::save(&mut rebuilt.core, reader, history)?));
    match saved {
        Ok(_) => next,
        Err(error) => {
            tracing::warn!("no checkpoint at record {next}: {}", chain(&error));
            rebuilt.from
        }
    }
}
