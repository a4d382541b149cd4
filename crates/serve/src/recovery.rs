use crate::archive::Archive;
use crate::bundles::load;
use crate::change::{ModeRecord, SwapRecord};
use crate::checkpoint::{self, begin_archive};
use crate::decide::Mode;
use crate::engine::{Core, SinceStart};
use crate::engine_config::EngineConfig;
use crate::error::{ServeError, chain};
use crate::history::prime;
use crate::journal::JournalReader;
use crate::learner::Desk;
use crate::ledger::Ledger;
use crate::market::Market;
use crate::record::{DecisionRecord, Record};
use crate::retention;
use crate::settings::Settings;
use crate::store_error::StoreError;
use crate::view::Ask;
use haggle_core::Policy;
use haggle_policy::Bundle;
use std::path::Path;
use std::sync::Arc;

/// Records after which a long replay moves settled decisions into the archive.
pub(crate) const ARCHIVED_EVERY: u64 = 65_536;

/// What a replay came to.
pub(crate) struct Rebuilt {
    pub core: Core,
    /// Number of the first record that had to be read.
    pub from: u64,
}

/// Everything that the daemon remembers: from the last checkpoint and the records after it, or from where the journal begins.
/// Nothing for a store in which nothing has happened yet. Files of the archive that are open in `known` are not read again.
///
/// # Errors
/// When the journal is damaged, or a bundle or the history cannot be used.
pub(crate) fn rebuild(
    reader: &JournalReader,
    config: &EngineConfig,
    known: Option<&Archive>,
) -> Result<Option<Rebuilt>, ServeError> {
    let resumed = checkpoint::load(reader, config, known);
    let resumed = resumed.and_then(|core| match core {
        Some(core) => replay_all(Some(core), reader, config),
        None => Ok(None),
    });
    match resumed {
        Ok(Some(rebuilt)) => return Ok(Some(rebuilt)),
        Ok(None) => {}
        Err(error) => tracing::warn!("the whole journal is read again: {}", chain(&error)),
    }
    replay_all(retention::resume(reader, config)?, reader, config)
}

fn replay_all(
    mut core: Option<Core>,
    reader: &JournalReader,
    config: &EngineConfig,
) -> Result<Option<Rebuilt>, ServeError> {
    let from = core.as_ref().map_or(0, |core| core.ledger.next);
    let mut archives = core.as_ref().is_some_and(|core| core.ledger.archive().is_some());
    for (count, record) in (1u64..).zip(reader.scan(from)) {
        let (number, record) = record?;
        replay_or_begin(&mut core, (number, record), config)?;
        let Some(core) = &mut core else { continue };
        core.ledger.next = number + 1;
        if !archives {
            new_archive(&mut core.ledger, &config.store);
            archives = true;
        }
        if count.is_multiple_of(ARCHIVED_EVERY)
            && let Err(error) = core.ledger.archive_settled()
        {
            tracing::warn!("settled decisions stay in memory: {error}");
        }
    }
    Ok(core.map(|core| Rebuilt { core, from }))
}

/// The archive of a store that has no checkpoint; without one, everything stays in memory.
pub(crate) fn new_archive(ledger: &mut Ledger, store: &Path) {
    match begin_archive(store) {
        Ok(archive) => ledger.adopt(archive),
        Err(error) => tracing::warn!("all decisions stay in memory: {}", chain(&error)),
    }
}

/// One record of the journal, again, or the first one.
///
/// # Errors
/// When a bundle, the history or the archive cannot be used.
pub(crate) fn replay_or_begin(
    core: &mut Option<Core>,
    (number, record): (u64, Record),
    config: &EngineConfig,
) -> Result<(), ServeError> {
    match (core, record) {
        (Some(core), record) => replay(core, (number, record), config)?,
        (none, Record::Swap(start)) => {
            *none = Some(begun(config.bundles().load(start.to)?, start, config)?);
        }
        // It begins with a swap or with what stands in for it.
        (None, _) => {}
    }
    Ok(())
}

/// One record of the journal, again.
///
/// # Errors
/// When a bundle or the archive cannot be used.
pub(crate) fn replay(
    core: &mut Core,
    (number, record): (u64, Record),
    config: &EngineConfig,
) -> Result<(), ServeError> {
    let bundles = config.bundles();
    core.ledger.next = number;
    if !matches!(record, Record::Decision(_))
        && let Some(decision) = record.decision()
    {
        let recalled = core.ledger.recall(decision);
        recalled.map_err(StoreError::io(&config.store))?;
    }
    match &record {
        Record::Decision(record) => {
            // A bundle with other items is refused at a swap: only one that was named in the place of a lost record has them.
            let item = core.market.catalog().find(&record.offer.item);
            let item = item.ok_or_else(|| ServeError::OtherItems {
                store: config.store.clone(),
                item: record.offer.item.clone(),
                bundle: core.bundle.digest(),
            })?;
            let ask = ask_again(core, record, item);
            let view = core.market.look(&ask, record.context.time_s);
            core.market.keep(&ask.session, view);
            core.decided(record, &ask, number);
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
            core.served.push((swap.to, swap.time_s));
            core.canary = None;
            match bundles.load(swap.to) {
                Ok(bundle) => {
                    core.desk.lock().add(&bundle);
                    // A record that stands in for a lost one does not know what was served before.
                    let before = match swap.from == swap.to {
                        true => core.bundle.digest(),
                        false => swap.from,
                    };
                    core.change(Arc::new(bundle));
                    if before != swap.to {
                        core.previous = Some(before);
                    }
                    core.missing = None;
                }
                Err(error) => {
                    tracing::error!("another bundle stands in: {}", chain(&error));
                    core.missing = Some((swap.to, core.mode));
                }
            }
        }
        Record::Canary(canary) => {
            // One that is lost is missed only if it is still at work where the journal ends.
            let bundle = bundles.load(canary.bundle).ok();
            bundle.iter().for_each(|bundle| core.desk.lock().add(bundle));
            core.take_canary(canary, bundle.map(Arc::new));
        }
        Record::Holdout(holdout) => core.take_holdout(holdout),
        Record::Mode(ModeRecord { mode, shadow, .. }) => {
            let shadow = shadow.and_then(|digest| bundles.load(digest).ok());
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

/// A daemon as it is before the first decision, where the record is lost that said what is served: with the bundle that the first
/// swap which is left came after, else with the one that the daemon is started with; then [`Core::served`] is empty. None where
/// that record is there, or none at all.
///
/// # Errors
/// When there is neither, the journal is damaged, or the bundle or the history cannot be read.
pub(crate) fn begun_without_its_record(
    reader: &JournalReader,
    config: &EngineConfig,
) -> Result<Option<Core>, ServeError> {
    let mut records = reader.scan(0);
    let number = match records.next().transpose()? {
        None | Some((_, Record::Swap(_))) => return Ok(None),
        Some((number, _)) => number,
    };
    for record in records {
        if let (_, Record::Swap(swap)) = record? {
            tracing::error!(
                "what was served before record {number} is lost; bundle {:?} is taken for it, which a later swap names",
                swap.from
            );
            let start = SwapRecord {
                to: swap.from,
                ..swap
            };
            return begun(config.bundles().load(start.to)?, start, config).map(Some);
        }
    }
    let Some(folder) = &config.bundle else {
        return Err(ServeError::NoBundle(config.store.clone()));
    };
    let bundle = load(folder)?;
    let start = SwapRecord::start(bundle.digest());
    let mut core = begun(bundle, start, config)?;
    core.served.clear();
    Ok(Some(core))
}

/// A daemon as it is before the first decision.
///
/// # Errors
/// When the history cannot be read.
pub(crate) fn begun(bundle: Bundle, start: SwapRecord, config: &EngineConfig) -> Result<Core, ServeError> {
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
        canary_stopped: None,
        holdout: None,
        mode: Mode::Live,
        thawed: Mode::Live,
        since_start: SinceStart::default(),
        desk: Arc::new(desk),
        served,
        missing: None,
    })
}
