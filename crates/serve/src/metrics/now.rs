//! What is read from the status when somebody asks.

use super::labels::name;
use super::trials::Trials;
use crate::health::Health;
use crate::reply::Status;
use haggle_core::Digest;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;

/// A metric that is one number: name, help, and where it stands in a status.
type Count = (&'static str, &'static str, fn(&Status) -> u64);

const COUNTS: [Count; 6] = [
    ("store_ready", "1 while the store takes records in", |status| {
        u64::from(status.store == Health::Ok)
    }),
    (
        "commit_queue_records",
        "Records that wait for the disk",
        |status| status.queued as u64,
    ),
    (
        "decisions_open",
        "Decisions whose rewards are waited for",
        |status| status.open,
    ),
    (
        "decisions_pending",
        "Deferred decisions that are not shown yet",
        |status| status.pending,
    ),
    (
        "decisions_ever",
        "Decisions of this store, those included that retention has dropped",
        |status| status.decisions as u64,
    ),
    ("sessions_open", "Sessions that are remembered", |status| {
        status.sessions as u64
    }),
];

/// What only grows, since the start.
const TOTALS: [Count; 5] = [
    (
        "decisions_unlogged",
        "Decisions that the store did not take in",
        |status| status.unlogged,
    ),
    (
        "decisions_fallback",
        "Decisions that fell back to the static price",
        |status| status.fallbacks,
    ),
    ("rewards_duplicate", "Rewards that came again", |status| {
        status.duplicates
    }),
    (
        "rewards_conflict",
        "Rewards with a known id and another value",
        |status| status.conflicts,
    ),
    (
        "rewards_unknown",
        "Rewards for decisions that nobody made",
        |status| status.unknown,
    ),
];

/// How things stand.
#[derive(Debug, Default)]
pub struct Now {
    policy: Family<Served, Gauge>,
    since: Family<OfPolicy, Gauge>,
    learnt: Family<OfPolicy, Gauge>,
    to_learn: Family<OfPolicy, Gauge>,
    trials: Trials,
    counts: [Gauge; COUNTS.len()],
    totals: [Counter; TOTALS.len()],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    policy: String,
    mode: String,
}

/// The label of what a bundle has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfPolicy {
    pub policy: String,
}

impl Now {
    /// All of it, in a registry.
    pub fn registered(registry: &mut Registry) -> Self {
        let now = Self {
            trials: Trials::registered(registry),
            ..Self::default()
        };
        registry.register_with_unit(
            "policy_served_since",
            "When each bundle began to be served last: seconds since 1970",
            Unit::Seconds,
            now.since.clone(),
        );
        registry.register(
            "policy_info",
            "The bundle that is served, and the mode",
            now.policy.clone(),
        );
        registry.register(
            "bandit_lessons_learnt",
            "Outcomes that the bandits of each bundle that learns have learnt, ever",
            now.learnt.clone(),
        );
        registry.register(
            "bandit_lessons_waiting",
            "Outcomes on disk that they have not learnt yet",
            now.to_learn.clone(),
        );
        for ((name, help, _), gauge) in COUNTS.iter().zip(&now.counts) {
            registry.register(*name, *help, gauge.clone());
        }
        for ((name, help, _), total) in TOTALS.iter().zip(&now.totals) {
            registry.register(*name, *help, total.clone());
        }
        now
    }

    /// Takes over what a status says, and since when each bundle has been served.
    pub fn read(&self, status: &Status, served_since: &[(Digest, i64)]) {
        for ((_, _, of), gauge) in COUNTS.iter().zip(&self.counts) {
            count(gauge, of(status));
        }
        for ((_, _, of), total) in TOTALS.iter().zip(&self.totals) {
            total.inner().store(of(status), Ordering::Relaxed);
        }
        self.policy.clear();
        let served = Served {
            policy: status.policy.short(),
            mode: name(&status.mode),
        };
        self.policy.get_or_create(&served).set(1);
        for (policy, since_s) in served_since {
            let policy = policy.short();
            self.since.get_or_create(&OfPolicy { policy }).set(*since_s);
        }
        self.learnt.clear();
        self.to_learn.clear();
        for progress in &status.bandits {
            let policy = progress.policy.short();
            let of = OfPolicy { policy };
            count(&self.learnt.get_or_create(&of), progress.lessons);
            count(&self.to_learn.get_or_create(&of), progress.waiting as u64);
        }
        self.trials.read(status);
    }
}

/// Sets a gauge to a count.
pub fn count(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
