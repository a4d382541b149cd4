//! What is read from the status when somebody asks.

use super::labels::name;
use super::trials::Trials;
use crate::engine::Engine;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How things stand.
#[derive(Debug, Default)]
pub struct Now {
    policy: Family<Served, Gauge>,
    since: Family<OfPolicy, Gauge>,
    learnt: Family<OfPolicy, Gauge>,
    to_learn: Family<OfPolicy, Gauge>,
    trials: Trials,
    ready: Gauge,
    queued: Gauge,
    open: Gauge,
    pending: Gauge,
    ever: Gauge,
    sessions: Gauge,
    unlogged: Gauge,
    fallbacks: Gauge,
    duplicates: Gauge,
    conflicts: Gauge,
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
        let gauges: [(&str, &str, &Gauge); 10] = [
            ("store_ready", "1 while the store takes records in", &now.ready),
            (
                "commit_queue_records",
                "Records that wait for the disk",
                &now.queued,
            ),
            (
                "decisions_open",
                "Decisions whose rewards are waited for",
                &now.open,
            ),
            (
                "decisions_pending",
                "Deferred decisions that are not shown yet",
                &now.pending,
            ),
            (
                "decisions_ever",
                "Decisions of this store, those included that retention has dropped",
                &now.ever,
            ),
            ("sessions_open", "Sessions that are remembered", &now.sessions),
            (
                "decisions_unlogged",
                "Decisions since the start that the store did not take in",
                &now.unlogged,
            ),
            (
                "decisions_fallback",
                "Decisions since the start that fell back to the static price",
                &now.fallbacks,
            ),
            (
                "rewards_duplicate",
                "Rewards since the start that came again",
                &now.duplicates,
            ),
            (
                "rewards_conflict",
                "Rewards since the start with a known id and another value",
                &now.conflicts,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        now
    }

    /// Takes over what the engine's status says.
    pub fn read(&self, engine: &Engine) {
        let status = engine.status();
        count(&self.ready, u64::from(status.store == "ok"));
        count(&self.queued, status.queued as u64);
        count(&self.open, status.open);
        count(&self.pending, status.pending);
        count(&self.ever, status.decisions as u64);
        count(&self.sessions, status.sessions as u64);
        count(&self.unlogged, status.unlogged);
        count(&self.fallbacks, status.fallbacks);
        count(&self.duplicates, status.duplicates);
        count(&self.conflicts, status.conflicts);
        self.policy.clear();
        let served = Served {
            policy: status.policy.short(),
            mode: name(&status.mode),
        };
        self.policy.get_or_create(&served).set(1);
        for (policy, since_s) in &engine.lock().served {
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
        self.trials.read(&status);
    }
}

/// Sets a gauge to a count.
pub fn count(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
