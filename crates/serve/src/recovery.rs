use crate::checkpoint::{self, begin_archive};
use crate::checkpointer::Checkpointer;
use crate::committer::Committer;
use crate::decide::Mode;
use crate::engine::SinceStart;
use crate::engine::{Core, Engine};
use crate::error::ServeError;
use crate::journal::{Journal, JournalReader};
use crate::learner::{Desk, Learner};
use crate::ledger::Ledger;
use crate::market::Market;
use crate::metrics::Metrics;
use crate::record::{DecisionRecord, ModeRecord, Record, SwapReason, SwapRecord};
use crate::settings::{Settings, SettingsFiles};
use crate::store_error::StoreError;
use crate::swap::chain;
use crate::view::Ask;
use haggle_core::{Digest, Policy, SEGMENT_EXTENSION, Seeds, read_segment};
use haggle_policy::Bundle;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Records after which a long replay moves settled decisions into the archive.
const ARCHIVED_EVERY: u64 = 65_536;

/// What a daemon starts from.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Folder of the store; made when it is not there.
    pub store: PathBuf,
    /// Folder of the bundle that a new store begins with. A store remembers what it served last: that comes first.
    pub bundle: Option<PathBuf>,
    /// Folder of segments that warm the market's memories before the journal is read; the same at every start.
    pub history: Option<PathBuf>,
    /// Keys the draws of a new store, for repeatable runs; else a secret is taken from the system.
    pub seed: Option<u64>,
    /// Configuration and rulebook.
    pub files: SettingsFiles,
}

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
            config.files.read(&bundle.terms().catalog)?;
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
        let bundles = config.store.join("bundles");
        let reader = journal.reader();
        let (mut core, last) = match rebuild(&reader, config)? {
            Some(mut rebuilt) => {
                let last = first_checkpoint(&mut rebuilt, &reader, config);
                (rebuilt.core, last)
            }
            None => {
                let bundle = given
                    .clone()
                    .ok_or_else(|| ServeError::NoBundle(config.store.clone()))?;
                keep(&bundle, &bundles)?;
                let start = SwapRecord {
                    to: bundle.digest(),
                    from: bundle.digest(),
                    reason: SwapReason::Start,
                    time_s: now_s(),
                };
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
        core.ledger.next = reader.next();
        core.settings = config.files.read(core.market.catalog())?;
        tracing::info!(
            records = core.ledger.next,
            decisions = core.ledger.counts.decisions(),
            rewards = core.ledger.counts.rewards,
            "store is open"
        );
        let desk = Arc::clone(&core.desk);
        let seeds = Seeds::new(journal.secret());
        let (draws, arms) = (seeds.named("draws"), seeds.named("arms"));
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
                if core.canary.is_some() && core.ledger.recall(&event.decision.0).is_ok() {
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
        let no_thread = |source| ServeError::Io {
            path: config.store.clone(),
            source,
        };
        let learner = Learner::start(desk).map_err(no_thread)?;
        let committer =
            Committer::start(journal, Arc::clone(&metrics), written, refused).map_err(no_thread)?;
        let beside = Arc::clone(&core);
        let checkpointer = Checkpointer::start(beside, reader.clone(), config.clone(), last);
        let checkpointer = checkpointer.map_err(no_thread)?;
        Ok(Self {
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
        })
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

impl EngineConfig {
    /// Tells one history from another, by names, sizes and times of its files.
    pub(crate) fn history_digest(&self) -> Result<Option<Digest>, ServeError> {
        let Some(folder) = &self.history else {
            return Ok(None);
        };
        let mut told = String::new();
        for path in segments(folder)? {
            let io = |source| ServeError::Io {
                path: path.clone(),
                source,
            };
            let meta = fs::metadata(&path).map_err(io)?;
            let modified = meta.modified().map_err(io)?;
            told += &format!("{} {} {modified:?}\n", path.display(), meta.len());
        }
        Ok(Some(Digest::of(told.as_bytes())))
    }
}

/// What a replay came to.
pub(crate) struct Rebuilt {
    pub core: Core,
    /// Number of the first record that had to be read.
    pub from: u64,
}

/// Everything that the daemon remembers: from the last checkpoint and the records after it, or from all of them. Nothing for
/// a store in which nothing has happened yet.
///
/// # Errors
/// When the journal is damaged, or a bundle or the history cannot be used.
pub(crate) fn rebuild(reader: &JournalReader, config: &EngineConfig) -> Result<Option<Rebuilt>, ServeError> {
    let bundles = config.store.join("bundles");
    let resumed = checkpoint::load(reader, &bundles, config.history_digest()?);
    let resumed = resumed.and_then(|core| match core {
        Some(core) => replay_all(Some(core), reader, config),
        None => Ok(None),
    });
    match resumed {
        Ok(Some(rebuilt)) => Ok(Some(rebuilt)),
        Ok(None) => replay_all(None, reader, config),
        Err(error) => {
            tracing::warn!("the whole journal is read again: {}", chain(&error));
            replay_all(None, reader, config)
        }
    }
}

fn replay_all(
    mut core: Option<Core>,
    reader: &JournalReader,
    config: &EngineConfig,
) -> Result<Option<Rebuilt>, ServeError> {
    let bundles = config.store.join("bundles");
    let from = core.as_ref().map_or(0, |core| core.ledger.next);
    for (count, record) in (1u64..).zip(reader.scan(from)) {
        let (number, record) = record?;
        replay(&mut core, (number, record), &bundles, config)?;
        if let Some(core) = &mut core {
            core.ledger.next = number + 1;
        }
        if let Some(core) = core.as_mut().filter(|_| count.is_multiple_of(ARCHIVED_EVERY))
            && let Err(error) = core.ledger.archive_settled()
        {
            tracing::warn!("settled decisions stay in memory: {error}");
        }
    }
    Ok(core.map(|core| Rebuilt { core, from }))
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

/// The archive of a store that has no checkpoint; without one, everything stays in memory.
fn new_archive(ledger: &mut Ledger, store: &Path) {
    match begin_archive(store) {
        Ok(archive) => ledger.resume(archive),
        Err(error) => tracing::warn!("all decisions stay in memory: {}", chain(&error)),
    }
}

/// One record of the journal, again.
fn replay(
    core: &mut Option<Core>,
    (number, record): (u64, Record),
    bundles: &Path,
    config: &EngineConfig,
) -> Result<(), ServeError> {
    let Some(core) = core else {
        if let Record::Swap(start) = record {
            let mut begun = begun(kept(bundles, start.to)?, start, config)?;
            new_archive(&mut begun.ledger, &config.store);
            *core = Some(begun);
        }
        return Ok(());
    };
    core.ledger.next = number;
    if !matches!(record, Record::Decision(_))
        && let Some(decision) = record.decision()
    {
        let recalled = core.ledger.recall(decision);
        recalled.map_err(StoreError::io(&config.store))?;
    }
    match &record {
        Record::Decision(record) => {
            // A bundle with other items is refused at a swap, so every item is known.
            if let Some(item) = core.market.catalog().find(&record.offer.item) {
                let ask = ask_again(core, record, item);
                let view = core.market.look(&ask, record.context.time_s);
                core.market.keep(&ask.session, view);
                core.decided(record, &ask, number);
            }
        }
        Record::Reward(reward) | Record::Late(reward) => core.rewarded_again(reward),
        Record::Refused(reward) => {
            core.rewarded_again(reward);
            core.ledger.refuse(reward);
        }
        Record::Early(early) => {
            core.ledger.wait(&early.reward, early.until_s);
        }
        Record::Expired(event) => {
            core.ledger.close(&event.decision.0);
            core.watch(&event.decision.0);
        }
        Record::Activated(_) | Record::Cancelled(_) | Record::Carted(_) => core.happened(&record),
        Record::Swap(swap) => {
            let bundle = Arc::new(kept(bundles, swap.to)?);
            core.desk.lock().add(&bundle);
            core.market.adopt(bundle.terms());
            core.previous = Some(std::mem::replace(&mut core.bundle, bundle));
            core.served.push((swap.to, swap.time_s));
            core.canary = None;
        }
        Record::Canary(canary) => {
            let bundle = Arc::new(kept(bundles, canary.bundle)?);
            core.desk.lock().add(&bundle);
            core.take_canary(canary, bundle);
        }
        Record::Mode(ModeRecord { mode, shadow, .. }) => {
            let shadow = shadow.map(|digest| kept(bundles, digest)).transpose()?;
            shadow.iter().for_each(|bundle| core.desk.lock().add(bundle));
            core.enter(*mode, shadow.map(Arc::new));
        }
        Record::Void => {}
    }
    core.desk
        .take(&record, |decision| core.ledger.find(decision)?.units_in_time());
    while core.desk.learn() {}
    Ok(())
}

fn ask_again(core: &Core, record: &DecisionRecord, item: usize) -> Ask {
    let catalog = core.market.catalog();
    let known = |(id, entry): &(String, _)| Some((catalog.find(id)?, *entry));
    Ask {
        session: record.offer.session.clone(),
        user: record.offer.user.clone(),
        item,
        context: Some(record.context),
        shelf: record.shelf.iter().filter_map(known).collect(),
        segment: record.segment.clone(),
        channel: record.channel.clone(),
        stock: record.stock.map(|stock| stock.told),
    }
}

/// A daemon as it is before the first decision.
fn begun(bundle: Bundle, start: SwapRecord, config: &EngineConfig) -> Result<Core, ServeError> {
    let mut market = Market::new(bundle.terms());
    if let Some(folder) = &config.history {
        prime(&mut market, folder)?;
    }
    let desk = Desk::default();
    desk.lock().add(&bundle);
    let served = vec![(start.to, start.time_s)];
    desk.lock().take(&Record::Swap(start));
    Ok(Core {
        bundle: Arc::new(bundle),
        previous: None,
        market,
        ledger: Ledger::default(),
        settings: Settings::default(),
        shadow: None,
        canary: None,
        mode: Mode::Live,
        thawed: Mode::Live,
        since_start: SinceStart::default(),
        desk: Arc::new(desk),
        served,
    })
}

/// Warms a market with every segment of a folder, in the order of their names.
fn prime(market: &mut Market, folder: &Path) -> Result<(), ServeError> {
    for path in segments(folder)? {
        let bytes = fs::read(&path).map_err(io(&path))?;
        let offers = read_segment(&bytes).map_err(|source| ServeError::History {
            path: path.clone(),
            source,
        })?;
        let primed = market.prime(&offers);
        tracing::info!(
            used = primed.used,
            skipped = primed.skipped,
            "history {}",
            path.display()
        );
    }
    Ok(())
}

/// The segments of a folder, in the order of their names.
pub(crate) fn segments(folder: &Path) -> Result<Vec<PathBuf>, ServeError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == SEGMENT_EXTENSION)
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ServeError + use<> {
    let path = path.to_owned();
    move |source| ServeError::Io {
        path: path.clone(),
        source,
    }
}

/// The bundle in a folder.
pub(crate) fn load(folder: &Path) -> Result<Bundle, ServeError> {
    Bundle::load(folder).map_err(|source| ServeError::Bundle {
        folder: folder.to_owned(),
        source,
    })
}

/// Keeps a copy of a bundle that is served: a restart must not depend on somebody else's folder.
pub(crate) fn keep(bundle: &Bundle, bundles: &Path) -> Result<(), ServeError> {
    let kept = bundle.write(bundles);
    kept.map(|_| ()).map_err(|source| ServeError::Bundle {
        folder: bundles.to_owned(),
        source,
    })
}

pub(crate) fn kept(bundles: &Path, digest: Digest) -> Result<Bundle, ServeError> {
    load(&bundles.join(digest.short()))
}

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() as i64)
}
