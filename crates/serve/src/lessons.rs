use crate::decide::Source;
use crate::record::{DecisionRecord, Record};
use haggle_core::{Digest, Policy};
use haggle_policy::bandit::{Bandit, BanditError, Bandits, ItemBandit};
use haggle_policy::{Bundle, PolicyKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What the journal has taught the bandits of a store, and what they are still to learn: a function of its records in their
/// order. A bandit learns from the decisions that were made, and whose windows close, while its bundle is served, was served
/// just before, is scored beside, or is served to a share of the users.
#[derive(Debug, Default)]
pub struct Lessons {
    bandits: BTreeMap<Digest, Bandits>,
    /// What the bandits of bundles that cannot be loaded had learnt, until they can.
    lost: BTreeMap<Digest, Vec<Cow<'static, Bandit>>>,
    served: Option<Digest>,
    previous: Option<Digest>,
    shadow: Option<Digest>,
    canary: Option<Digest>,
    /// By id of the decision, until its window closes.
    open: BTreeMap<Box<str>, Lesson>,
    /// In the order of the journal: who is to learn what.
    waiting: VecDeque<(Digest, Arc<Lesson>)>,
}

/// A decision as a bandit sees it, and once its window has closed what it sold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lesson {
    item: usize,
    segment: Option<String>,
    features: Vec<f32>,
    rung: usize,
    /// The same price again, to the same session.
    repeats: bool,
    units: u32,
    /// The bundles whose bandits were there when the price was made.
    learners: Vec<Digest>,
}

/// Lessons as a checkpoint has them.
#[derive(Debug, Serialize, Deserialize)]
pub struct Learnt<'a> {
    bandits: BTreeMap<Digest, Vec<Cow<'a, Bandit>>>,
    /// The bundles served, served before, scored beside, and served to a share of the users.
    roles: [Option<Digest>; 4],
    open: Cow<'a, BTreeMap<Box<str>, Lesson>>,
}

impl Learnt<'_> {
    /// Forgets a decision that nothing was learnt from yet.
    pub fn forget(&mut self, decision: &str) {
        self.open.to_mut().remove(decision);
    }

    /// The bundles whose bandits are kept.
    pub fn policies(&self) -> impl Iterator<Item = Digest> {
        self.bandits.keys().copied()
    }
}

/// How far the bandits of a bundle have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The bundle.
    pub policy: Digest,
    /// The name of exactly what its bandits have learnt.
    pub state: Digest,
    /// Outcomes that they have learnt.
    pub lessons: u64,
    /// Outcomes in the journal that they have not learnt yet.
    pub waiting: usize,
}

impl Lessons {
    /// Holds the bandits of a bundle ready, if it has some; those that are known go on.
    pub fn add(&mut self, bundle: &Bundle) {
        if let PolicyKind::Bandit(fresh) = bundle.policy() {
            let digest = bundle.digest();
            let known = self.bandits.entry(digest);
            let known = known.or_insert_with(|| fresh.clone());
            if let Some(items) = self.lost.remove(&digest)
                && let Err(error) = known.resume(items.into_iter().map(own).collect())
            {
                tracing::error!("what the bandits of bundle {digest:?} had learnt cannot be used: {error}");
            }
        }
    }

    /// The bundles that could not be loaded, and whose bandits had learnt something.
    pub fn lost(&self) -> impl Iterator<Item = Digest> {
        self.lost.keys().copied()
    }

    /// The bundle that is served to a share of the users, as the journal says.
    #[must_use]
    pub fn canary(&self) -> Option<Digest> {
        self.canary
    }

    /// The bundle that is scored beside the served one, as the journal says.
    #[must_use]
    pub fn shadow(&self) -> Option<Digest> {
        self.shadow
    }

    /// What a checkpoint keeps of them: everything, once nothing waits to be learnt.
    #[must_use]
    pub fn learnt(&self) -> Learnt<'_> {
        let mut bandits = BTreeMap::new();
        for (policy, known) in &self.bandits {
            let items = known.items().iter().map(|bandit| Cow::Borrowed(&**bandit));
            bandits.insert(*policy, items.collect());
        }
        for (policy, items) in &self.lost {
            let items = items.iter().map(|bandit| Cow::Borrowed(&**bandit));
            bandits.insert(*policy, items.collect());
        }
        Learnt {
            bandits,
            roles: [self.served, self.previous, self.shadow, self.canary],
            open: Cow::Borrowed(&self.open),
        }
    }

    /// Goes on from a checkpoint, with those of the bundles that it names that can be loaded. What the others' bandits had learnt
    /// is kept.
    ///
    /// # Errors
    /// When what was kept is not of these bundles' bandits.
    pub fn resume(learnt: Learnt<'static>, bundles: &[Bundle]) -> Result<Self, BanditError> {
        let [served, previous, shadow, canary] = learnt.roles;
        let mut lessons = Self {
            served,
            previous,
            shadow,
            canary,
            open: learnt.open.into_owned(),
            ..Self::default()
        };
        bundles.iter().for_each(|bundle| lessons.add(bundle));
        for (policy, items) in learnt.bandits {
            match lessons.bandits.get_mut(&policy) {
                Some(bandits) => bandits.resume(items.into_iter().map(own).collect())?,
                None => {
                    lessons.lost.insert(policy, items);
                }
            }
        }
        Ok(lessons)
    }

    /// The bandit of an item before a visit of a segment; none where the bundle has none, or was never added.
    #[must_use]
    pub fn bandit(&self, policy: Digest, item: usize, segment: Option<&str>) -> Option<ItemBandit> {
        self.bandits.get(&policy)?.of(item, segment).ok()
    }

    /// Takes in a record of the journal. The end of a window is told to [`Lessons::close`], with what was sold by then.
    pub fn take(&mut self, record: &Record) {
        match record {
            Record::Swap(swap) => {
                self.previous = self.served.replace(swap.to);
                self.canary = None;
            }
            Record::Canary(canary) => self.canary = (canary.share > 0.0).then_some(canary.bundle),
            Record::Mode(mode) => self.shadow = mode.shadow,
            Record::Decision(record) => self.open(record),
            Record::Cancelled(event) => {
                self.open.remove(event.decision.0.as_str());
            }
            _ => {}
        }
    }

    /// The window of a decision has closed. `units` is what it sold by then; nothing for one that was never shown.
    pub fn close(&mut self, decision: &str, units: Option<u32>) {
        let (Some(mut lesson), Some(units)) = (self.open.remove(decision), units) else {
            return;
        };
        // Another look of the same visitor is not another visitor; but what it sold, it sold.
        if lesson.repeats && units == 0 {
            return;
        }
        lesson.units = units;
        let lesson = Arc::new(lesson);
        let learners = self.learners();
        for learner in lesson
            .learners
            .iter()
            .filter(|learner| learners.contains(learner))
        {
            self.waiting.push_back((*learner, Arc::clone(&lesson)));
        }
    }

    /// Whether the end of a decision's window matters here.
    #[must_use]
    pub fn awaits(&self, decision: &str) -> bool {
        self.open.contains_key(decision)
    }

    /// Who learns next, and from what. The lesson waits until [`Lessons::keep`] brings back what was learnt.
    #[must_use]
    pub fn next(&self) -> Option<(ItemBandit, Arc<Lesson>)> {
        let (policy, lesson) = self.waiting.front()?;
        let bandit = self.bandit(*policy, lesson.item, lesson.segment.as_deref())?;
        Some((bandit, Arc::clone(lesson)))
    }

    /// The first lesson that waited is learnt.
    pub fn keep(&mut self, learnt: ItemBandit) {
        let bandits = self.waiting.pop_front();
        if let Some(bandits) = bandits.and_then(|(policy, _)| self.bandits.get_mut(&policy)) {
            bandits.keep(learnt);
        }
    }

    /// How far all bandits that learn now have come.
    #[must_use]
    pub fn progress(&self) -> Vec<Progress> {
        let of = |policy: Digest| {
            let bandits = self.bandits.get(&policy)?;
            Some(Progress {
                policy,
                state: bandits.digest(),
                lessons: bandits.outcomes(),
                waiting: self.waiting.iter().filter(|(of, _)| *of == policy).count(),
            })
        };
        self.learners().into_iter().filter_map(of).collect()
    }

    /// The bundles whose bandits learn now, each once.
    fn learners(&self) -> Vec<Digest> {
        let mut learners = Vec::new();
        let roles = [self.served, self.previous, self.shadow, self.canary];
        for policy in roles.into_iter().flatten() {
            if self.bandits.contains_key(&policy) && !learners.contains(&policy) {
                learners.push(policy);
            }
        }
        learners
    }

    fn open(&mut self, record: &DecisionRecord) {
        let learners = self.learners();
        let Some(bandits) = learners.first().and_then(|policy| self.bandits.get(policy)) else {
            return;
        };
        let (offer, catalog) = (&record.offer, bandits.catalog());
        let (Some(item), Some(draw)) = (catalog.find(&offer.item), &offer.logged) else {
            return;
        };
        let rung = usize::from(draw.rung);
        // A caller's own price teaches something of a rung only where it is that rung's price.
        if record.source == Source::Caller && catalog.items()[item].ladder.price(rung) != offer.price_minor {
            return;
        }
        let lesson = Lesson {
            item,
            segment: record.segment.clone(),
            features: draw.features.clone(),
            rung,
            repeats: record.repeats(),
            units: 0,
            learners,
        };
        self.open.insert(draw.decision.0.as_str().into(), lesson);
    }
}

fn own(bandit: Cow<'static, Bandit>) -> Arc<Bandit> {
    Arc::new(bandit.into_owned())
}

impl Lesson {
    /// Teaches it to a bandit.
    pub fn teach(&self, bandit: &mut ItemBandit) {
        if let Err(error) = bandit.learn(&self.features, self.rung, self.units) {
            tracing::warn!("a decision of item number {} teaches nothing: {error}", self.item);
        }
    }
}
