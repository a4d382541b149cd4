//! What the daemon counts and times, by Prometheus' rules: base units, `_total` for counters, labels with few values.
//!
//! What the journal holds is counted by the thread that writes it, when it is on disk: a price costs nothing for it.

use crate::decide::Source;
use crate::engine::Engine;
use crate::record::{DecisionRecord, Record};
use haggle_core::{Digest, Rule};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use std::fmt::{self, Write};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// All metrics of a daemon. Counters begin at 0 at every start.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    decide: Histogram,
    commit: Histogram,
    decisions: Family<Decided, Counter>,
    explored: Counter,
    hits: Family<Hit, Counter>,
    rewards: Family<Rewarded, Counter>,
    policy: Family<Served, Gauge>,
    since: Family<OfPolicy, Gauge>,
    canary: Family<OfPolicy, Gauge<f64, AtomicU64>>,
    learnt: Family<OfPolicy, Gauge>,
    to_learn: Family<OfPolicy, Gauge>,
    gauges: Gauges,
}

/// What is read from the status when somebody asks.
#[derive(Debug, Default)]
struct Gauges {
    ready: Gauge,
    queued: Gauge,
    open: Gauge,
    pending: Gauge,
    remembered: Gauge,
    sessions: Gauge,
    unlogged: Gauge,
    fallbacks: Gauge,
    duplicates: Gauge,
    conflicts: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    policy: Short,
    source: Named<Source>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hit {
    rule: Named<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rewarded {
    result: &'static str,
}

/// A digest as a label: a text only when somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Short(Digest);

/// A plain enum as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named<T>(T);

impl EncodeLabelValue for Short {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(&self.0.short())
    }
}

impl<T: Serialize> EncodeLabelValue for Named<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(&name(&self.0))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    policy: String,
    mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPolicy {
    policy: String,
}

impl Metrics {
    /// Metrics of a daemon that has done nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("haggle");
        // 1 us to 0.26 s, and 16 us to 4 s, in steps of 2.
        let decide = Histogram::new(exponential_buckets(1e-6, 2.0, 19));
        let commit = Histogram::new(exponential_buckets(16e-6, 2.0, 19));
        let (decisions, hits) = (Family::default(), Family::default());
        let (rewards, policy, since) = (Family::default(), Family::default(), Family::default());
        let (canary, learnt, to_learn) = (Family::default(), Family::default(), Family::default());
        let explored = Counter::default();
        let seconds = Unit::Seconds;
        registry.register_with_unit(
            "policy_served_since",
            "When each bundle began to be served last: seconds since 1970",
            seconds.clone(),
            since.clone(),
        );
        registry.register_with_unit(
            "decide",
            "Time from a price request's arrival to its answer",
            seconds.clone(),
            decide.clone(),
        );
        registry.register_with_unit(
            "reward_commit",
            "Time that a record waited until it was on disk, for those that somebody waits for",
            seconds,
            commit.clone(),
        );
        registry.register("decisions", "Decisions on disk", decisions.clone());
        registry.register(
            "decisions_explored",
            "Decisions on disk whose price was not the most probable one",
            explored.clone(),
        );
        registry.register(
            "guardrail_hits",
            "Decisions on disk to whose prices a rule took something away",
            hits.clone(),
        );
        registry.register(
            "rewards",
            "Rewards on disk, by what became of them",
            rewards.clone(),
        );
        registry.register(
            "policy_info",
            "The bundle that is served, and the mode",
            policy.clone(),
        );
        registry.register(
            "canary_share_ratio",
            "The share of the users who are served a canary",
            canary.clone(),
        );
        registry.register(
            "bandit_lessons_learnt",
            "Outcomes that the bandits of each bundle that learns have learnt, ever",
            learnt.clone(),
        );
        registry.register(
            "bandit_lessons_waiting",
            "Outcomes on disk that they have not learnt yet",
            to_learn.clone(),
        );
        let gauges = Gauges::default();
        let now: [(&str, &str, &Gauge); 10] = [
            ("store_ready", "1 while the store takes records in", &gauges.ready),
            (
                "commit_queue_records",
                "Records that wait for the disk",
                &gauges.queued,
            ),
            (
                "decisions_open",
                "Decisions whose rewards are waited for",
                &gauges.open,
            ),
            (
                "decisions_pending",
                "Deferred decisions that are not shown yet",
                &gauges.pending,
            ),
            (
                "decisions_remembered",
                "Decisions that can be read back",
                &gauges.remembered,
            ),
            ("sessions_open", "Sessions that are remembered", &gauges.sessions),
            (
                "decisions_unlogged",
                "Decisions since the start that the store did not take in",
                &gauges.unlogged,
            ),
            (
                "decisions_fallback",
                "Decisions since the start that fell back to the static price",
                &gauges.fallbacks,
            ),
            (
                "rewards_duplicate",
                "Rewards since the start that came again",
                &gauges.duplicates,
            ),
            (
                "rewards_conflict",
                "Rewards since the start with a known id and another value",
                &gauges.conflicts,
            ),
        ];
        for (name, help, gauge) in now {
            registry.register(name, help, gauge.clone());
        }
        Self {
            registry,
            decide,
            commit,
            decisions,
            explored,
            hits,
            rewards,
            policy,
            since,
            canary,
            learnt,
            to_learn,
            gauges,
        }
    }

    /// A price was answered after this time.
    pub fn decided(&self, took: Duration) {
        self.decide.observe(took.as_secs_f64());
    }

    /// Somebody waited this long until his record was on disk.
    pub fn committed(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
    }

    /// A record is on disk.
    pub fn written(&self, record: &Record) {
        let result = match record {
            Record::Decision(record) => return self.decision(record),
            Record::Reward(_) => "durable",
            Record::Late(_) => "late",
            Record::Early(_) => "early",
            Record::Refused(_) => "refused",
            _ => return,
        };
        self.rewards.get_or_create(&Rewarded { result }).inc();
    }

    fn decision(&self, record: &DecisionRecord) {
        let Some(logged) = &record.offer.logged else {
            return;
        };
        let labels = Decided {
            policy: Short(logged.policy),
            source: Named(record.source),
        };
        self.decisions.get_or_create(&labels).inc();
        self.explored.inc_by(u64::from(record.explored));
        for step in &record.trail {
            let rule = Named(step.rule);
            self.hits.get_or_create(&Hit { rule }).inc();
        }
    }

    /// All metrics as text, with what the engine's status says now.
    pub fn render(&self, engine: &Engine) -> String {
        let status = engine.status();
        let gauges = &self.gauges;
        let count = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        count(&gauges.ready, u64::from(status.store == "ok"));
        count(&gauges.queued, status.queued as u64);
        count(&gauges.open, status.open);
        count(&gauges.pending, status.pending);
        count(&gauges.remembered, status.decisions as u64);
        count(&gauges.sessions, status.sessions as u64);
        count(&gauges.unlogged, status.unlogged);
        count(&gauges.fallbacks, status.fallbacks);
        count(&gauges.duplicates, status.duplicates);
        count(&gauges.conflicts, status.conflicts);
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
        self.canary.clear();
        if let Some(canary) = status.canary {
            let policy = canary.policy.short();
            self.canary.get_or_create(&OfPolicy { policy }).set(canary.share);
        }
        self.learnt.clear();
        self.to_learn.clear();
        for progress in &status.bandits {
            let policy = progress.policy.short();
            let of = OfPolicy { policy };
            count(&self.learnt.get_or_create(&of), progress.lessons);
            count(&self.to_learn.get_or_create(&of), progress.waiting as u64);
        }
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// The name that a plain enum has on the wire.
fn name<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}
