//! What the daemon counts and times, by Prometheus' rules: base units, `_total` for counters, labels with few values.
//!
//! What the journal holds is counted by the thread that writes it, when it is on disk: a price costs nothing for it.

mod labels;
mod now;
mod trials;

use crate::decide::Source;
use crate::record::{DecisionRecord, Record};
use crate::reply::Status;
use haggle_core::{Digest, Rule};
use labels::{Named, Short};
use now::Now;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
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
    now: Now,
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

impl Metrics {
    /// Metrics of a daemon that has done nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("haggle");
        // 1 us to 0.26 s, and 16 us to 4 s, in steps of 2.
        let decide = Histogram::new(exponential_buckets(1e-6, 2.0, 19));
        let commit = Histogram::new(exponential_buckets(16e-6, 2.0, 19));
        let (decisions, hits, rewards) = (Family::default(), Family::default(), Family::default());
        let explored = Counter::default();
        registry.register_with_unit(
            "decide",
            "Time from a price request's arrival to its answer",
            Unit::Seconds,
            decide.clone(),
        );
        registry.register_with_unit(
            "reward_commit",
            "Time that a record waited until it was on disk, for those that somebody waits for",
            Unit::Seconds,
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
        let now = Now::registered(&mut registry);
        Self {
            registry,
            decide,
            commit,
            decisions,
            explored,
            hits,
            rewards,
            now,
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

    /// All metrics as text, with what a status says, and since when each bundle has been served.
    pub fn render(&self, status: &Status, served_since: &[(Digest, i64)]) -> String {
        self.now.read(status, served_since);
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
