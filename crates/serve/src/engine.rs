use crate::arms::Arms;
use crate::bundles::Bundles;
use crate::canary::Canary;
use crate::change::CanaryRecord;
use crate::checkpoint;
use crate::checkpointer::Checkpointer;
use crate::committer::{Committer, Ticket};
use crate::decide::Mode;
use crate::health::Health;
use crate::journal::JournalReader;
use crate::learner::{Desk, Learner};
use crate::ledger::Ledger;
use crate::market::Market;
use crate::metrics::Metrics;
use crate::protocol::{BATCH_MAX, MESSAGE_BYTES_MAX, PROTOCOL};
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::reply::HelloReply;
use crate::request::HelloRequest;
use crate::settings::{Settings, SettingsFiles};
use crate::trial::Trial;
use haggle_core::{Digest, Policy, Seeds};
use haggle_policy::Bundle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The daemon without its sockets: prices out, rewards in, everything journalled.
///
/// One lock guards what a decision reads and changes, and records are queued under it: the order of the journal is the
/// order in which things happened, so that a restart rebuilds exactly this state.
#[derive(Debug)]
pub struct Engine {
    pub(crate) core: Arc<Mutex<Core>>,
    pub(crate) committer: Committer,
    /// After the committer: it ends when nothing more is written.
    pub(crate) learner: Learner,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) reader: JournalReader,
    pub(crate) bundles: Bundles,
    pub(crate) draws: Seeds,
    pub(crate) arms: Arms,
    pub(crate) files: SettingsFiles,
    pub(crate) metrics: Arc<Metrics>,
    /// Those that a repair gave up.
    pub(crate) lost_records: u64,
}

/// What changes while the daemon runs.
#[derive(Debug)]
pub(crate) struct Core {
    pub bundle: Arc<Bundle>,
    /// What a rollback goes to; it is loaded then.
    pub previous: Option<Digest>,
    pub shadow: Option<Arc<Bundle>>,
    pub canary: Option<Canary>,
    /// The last record of a canary that stopped by itself, until the next one begins.
    pub canary_stopped: Option<CanaryRecord>,
    /// What policies bring, beside users who always get the static price.
    pub holdout: Option<Trial>,
    pub market: Market,
    pub ledger: Ledger,
    pub settings: Settings,
    pub mode: Mode,
    /// The mode that `unfreeze` goes back to.
    pub thawed: Mode,
    pub since_start: SinceStart,
    /// What bandits learn.
    pub desk: Arc<Desk>,
    /// Each bundle that was served, and since when: seconds since 1970.
    pub served: Vec<(Digest, i64)>,
    /// The bundle that is to be served, where its copy is damaged, and the mode that it would be served in. The one before
    /// stands in, frozen, and no checkpoint is made: what happens meanwhile is remembered under the terms of another bundle.
    pub missing: Option<(Digest, Mode)>,
}

/// What is counted anew at every start.
#[derive(Debug, Default)]
pub(crate) struct SinceStart {
    pub duplicates: u64,
    pub unlogged: u64,
    pub conflicts: u64,
    pub unknown: u64,
    pub fallbacks: u64,
}

impl Engine {
    /// Answers a greeting.
    ///
    /// # Errors
    /// When the client speaks another protocol.
    pub fn hello(&self, request: &HelloRequest) -> Result<HelloReply, Refusal> {
        if let Some(other) = request.protocol.as_deref().filter(|name| *name != PROTOCOL) {
            let message = format!("the client speaks `{other}`, this daemon `{PROTOCOL}`");
            return Err(Refusal::new(Code::Version, message));
        }
        Ok(HelloReply {
            protocol: PROTOCOL.to_owned(),
            server: concat!("haggled ", env!("CARGO_PKG_VERSION")).to_owned(),
            policy: self.lock().bundle.digest(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            batch_max: BATCH_MAX,
        })
    }

    /// Reads configuration and rulebook again; they hold from the next request on.
    ///
    /// # Errors
    /// When one of the files cannot be used: the old settings stay.
    pub fn reload(&self) -> Result<(), Refusal> {
        let bundle = self.lock().bundle.clone();
        let read = self.files.read(bundle.terms());
        let settings = read.map_err(|error| Refusal::of(Code::ConfigRefused, &error))?;
        settings.warn_of_no_bounds();
        let mut core = self.lock();
        for served in core.served_now() {
            let sound = settings.check_prices(served.terms());
            sound.map_err(|(_, error)| Refusal::of(Code::ConfigRefused, &error))?;
        }
        core.settings = settings;
        self.hold_out(&mut core);
        drop(core);
        tracing::info!("configuration and rulebook are read again");
        Ok(())
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store takes records in.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        self.committer.room().map_err(|health| match health {
            Health::Ok => Refusal::overloaded(),
            Health::Full => Refusal::new(Code::StoreFull, "the store's disk is full"),
            Health::Failed => {
                let message = "an earlier write to the store failed; restart to go on";
                Refusal::new(Code::StoreFailed, message)
            }
        })
    }

    /// Brings a decision that is archived back into memory.
    pub(crate) fn recall(&self, core: &mut Core, decision: &str) -> Result<(), Refusal> {
        core.ledger.recall(decision).map_err(|error| {
            tracing::error!("the archive of decision {decision} cannot be read: {error}");
            // The next start reads the journal.
            let _ = checkpoint::drop_state(self.reader.store());
            let message =
                "what is known of that decision cannot be read; restart to read it from the journal";
            Refusal::new(Code::StoreFailed, message)
        })
    }

    /// Hands a record to the journal.
    pub(crate) fn write(&self, core: &mut Core, record: Record) {
        core.ledger.next += 1;
        self.committer.push(record);
    }

    /// Hands a record to the journal, with a ticket that tells when it is on disk.
    pub(crate) fn write_with_ticket(&self, core: &mut Core, record: Record) -> Ticket {
        core.ledger.next += 1;
        self.committer.push_with_ticket(Some(record))
    }
}
