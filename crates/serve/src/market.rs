use crate::sessions::{Sessions, Sight};
use crate::shown::Shown;
use crate::view::{Ask, View};
use foldhash::fast::RandomState;
use haggle_core::{
    Catalog, CategoryState, ItemRules, Loyalty, MemoryRates, Past, PriceMinor, SessionContext, ShelfEntry,
    Visit, encode,
};
use haggle_policy::Terms;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What the daemon remembers of its market: the state of each category, the loyalty of each user, the shelf, and what
/// the open sessions saw.
///
/// Invariant: fed the visits of an environment one request at a time, it shows the policy the same observations.
#[derive(Debug)]
pub struct Market {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) rates: MemoryRates,
    pub(crate) memory: Memory,
}

/// What a market remembers, apart from what its bundle says: a checkpoint holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) states: Vec<CategoryState>,
    /// One entry per item, by global number.
    pub(crate) shelf: Vec<ShelfEntry>,
    /// The prices that were shown, by global number of the item.
    shown: Vec<Shown>,
    loyalties: HashMap<Box<str>, Vec<(usize, Loyalty)>, RandomState>,
    sessions: Sessions,
}

impl Memory {
    /// Forgets a user, and every session that is not `kept`.
    pub fn forget(&mut self, user: &str, kept: impl Fn(&str) -> bool) {
        self.loyalties.remove(user);
        self.sessions.forget(kept);
    }
}

impl Market {
    /// The market before anything happened: base prices, no promotions, the usual sales, nobody known.
    #[must_use]
    pub fn new(terms: &Terms) -> Self {
        let catalog = Arc::clone(&terms.catalog);
        let plain = |item: &haggle_core::Item| ShelfEntry {
            posted_minor: item.base_minor,
            mailer: 0.0,
            display: 0.0,
        };
        let memory = Memory {
            states: (0..catalog.categories().len())
                .map(|category| CategoryState::initial(&catalog, category))
                .collect(),
            shelf: catalog.items().iter().map(plain).collect(),
            shown: vec![Shown::default(); catalog.items().len()],
            loyalties: HashMap::default(),
            sessions: Sessions::default(),
        };
        Self {
            rates: terms.memory,
            catalog,
            memory,
        }
    }

    /// The market as it was, under the terms of a bundle with the same items.
    #[must_use]
    pub(crate) fn resume(terms: &Terms, memory: Memory) -> Self {
        Self {
            catalog: Arc::clone(&terms.catalog),
            rates: terms.memory,
            memory,
        }
    }

    /// Goes on under the terms of another bundle with the same items and ladders.
    pub fn adopt(&mut self, terms: &Terms) {
        self.catalog = Arc::clone(&terms.catalog);
        self.rates = terms.memory;
    }

    /// What is priced.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Open sessions that are remembered.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.memory.sessions.count()
    }

    /// What a question is shown. Changes nothing: the view is kept together with a decision on it, or dropped. `now_s`
    /// (seconds since 1970) is the time of a session that says nothing of itself.
    ///
    /// # Panics
    /// When an item number is not in the catalogue.
    #[must_use]
    pub fn look(&self, ask: &Ask, now_s: i64) -> View {
        let (category, agent) = self.catalog.place(ask.item);
        let known = self.memory.sessions.find(&ask.session, category);
        let known = known.map(|snapshot| &snapshot.sight);
        let news = self.news(ask, category, known.map(|sight| &**sight));
        let mut sight = known
            .cloned()
            .unwrap_or_else(|| Arc::new(self.freeze(ask, category)));
        for (item, entry) in &news {
            let (place, agent) = self.catalog.place(*item);
            if place == category {
                Arc::make_mut(&mut sight).shelf[agent] = *entry;
            }
        }
        View {
            agent,
            context: self.context(ask, now_s),
            sight,
            news,
        }
    }

    /// Writes the observation of a view.
    ///
    /// # Panics
    /// When `out` has not `FEATURE_WIDTH` places.
    pub fn encode(&self, view: &View, out: &mut [f32]) {
        let visit = Visit {
            catalog: &self.catalog,
            category: view.sight.category,
            session: &view.context,
            shelf: &view.sight.shelf,
            state: &view.sight.state,
            loyalty: &view.sight.loyalty,
        };
        encode(&visit, view.agent, out);
    }

    /// Remembers a view that a decision was made on: its news, who the session is, and what it saw.
    pub fn keep(&mut self, session: &str, view: View) {
        for (item, entry) in view.news {
            self.memory.shelf[item] = entry;
        }
        self.memory.sessions.keep(session, view.context, view.sight);
    }

    /// Looks, writes the observation and keeps the view, all at once.
    ///
    /// # Panics
    /// When an item number is not in the catalogue, or `out` has not `FEATURE_WIDTH` places.
    pub fn observe(&mut self, ask: &Ask, now_s: i64, out: &mut [f32]) {
        let view = self.look(ask, now_s);
        self.encode(&view, out);
        self.keep(&ask.session, view);
    }

    /// What rules look back at: the session's own price while it is younger than `sticky_s`, its cart, the price that stood,
    /// and other segments' prices.
    #[must_use]
    pub fn past(&self, ask: &Ask, rules: &ItemRules, sticky_s: u32, now_s: i64) -> Past {
        let (category, agent) = self.catalog.place(ask.item);
        let shown = &self.memory.shown[ask.item];
        let base = self.catalog.items()[ask.item].base_minor;
        let session = self
            .memory
            .sessions
            .find(&ask.session, category)
            .map(|snapshot| snapshot.items[agent]);
        let session = session.unwrap_or_default();
        let told = session
            .told
            .filter(|(_, since)| now_s - since < i64::from(sticky_s));
        Past {
            stood: rules
                .change
                .map(|change| shown.stood(change.period, now_s).unwrap_or(base)),
            others: rules
                .corridor
                .and_then(|corridor| shown.others(ask.segment.as_deref(), corridor.memory_s, now_s)),
            carted: session.carted,
            told: told.map(|(price, _)| price),
        }
    }

    /// The lowest price of an item on a channel in the 30 days up to `now_s`.
    #[must_use]
    pub fn lowest(&self, item: usize, channel: &str, now_s: i64) -> Option<PriceMinor> {
        self.memory.shown[item].lowest(channel, now_s)
    }

    /// A price was shown, to nobody in particular.
    pub fn on_decision(&mut self, item: usize, price: PriceMinor) {
        let (category, agent) = self.catalog.place(item);
        self.memory.states[category].on_shown(agent, price, &self.rates);
    }

    /// A price was shown to a session at `now_s`. A price that only repeats an earlier one is as old as that.
    pub fn on_shown(&mut self, ask: &Ask, price: PriceMinor, repeats: bool, now_s: i64) {
        self.on_decision(ask.item, price);
        self.memory.shown[ask.item].on_shown(price, now_s, ask.segment.as_deref(), ask.channel.as_deref());
        let (category, agent) = self.catalog.place(ask.item);
        if let Some(snapshot) = self.memory.sessions.find_mut(&ask.session, category) {
            let told = &mut snapshot.items[agent].told;
            if !repeats || told.is_none_or(|(before, _)| before != price) {
                *told = Some((price, now_s));
            }
        }
    }

    /// A session put an item into its cart: it never gets dearer for it.
    pub fn on_cart(&mut self, session: &str, item: usize, price: PriceMinor) {
        let (category, agent) = self.catalog.place(item);
        if let Some(snapshot) = self.memory.sessions.find_mut(session, category) {
            let carted = &mut snapshot.items[agent].carted;
            *carted = Some(carted.map_or(price, |before| before.min(price)));
        }
    }

    /// Units were bought by a session that was shown a price. The first purchase of an item in a session is a choice.
    pub fn on_reward(&mut self, session: &str, user: Option<&str>, item: usize, units: u32) {
        if units == 0 {
            return;
        }
        let (category, agent) = self.catalog.place(item);
        self.memory.states[category].on_bought(agent, units, &self.rates);
        let snapshot = self.memory.sessions.find_mut(session, category);
        let again =
            snapshot.is_some_and(|snapshot| std::mem::replace(&mut snapshot.items[agent].chosen, true));
        if let Some(user) = user.filter(|_| !again) {
            self.choose(user, category, agent);
        }
    }

    /// The news of a question that change what the shop's shelf or the session's view of it has; all news of an item
    /// that it tells of more than once.
    fn news(&self, ask: &Ask, category: usize, known: Option<&Sight>) -> Vec<(usize, ShelfEntry)> {
        let mut news: Vec<(usize, ShelfEntry)> = Vec::new();
        for (item, entry) in &ask.shelf {
            let (place, agent) = self.catalog.place(*item);
            let seen = known.filter(|_| place == category);
            let changes =
                self.memory.shelf[*item] != *entry || seen.is_some_and(|seen| seen.shelf[agent] != *entry);
            if changes || news.iter().any(|(other, _)| other == item) {
                news.push((*item, *entry));
            }
        }
        news
    }

    /// Who asks: what the question says, else what the session said last, else nobody at `now_s`.
    fn context(&self, ask: &Ask, now_s: i64) -> SessionContext {
        let unknown = SessionContext {
            time_s: now_s,
            ..SessionContext::default()
        };
        ask.context
            .or_else(|| self.memory.sessions.context(&ask.session))
            .unwrap_or(unknown)
    }

    fn freeze(&self, ask: &Ask, category: usize) -> Sight {
        let items = self.catalog.categories()[category].items.clone();
        let known = ask
            .user
            .as_deref()
            .and_then(|user| self.memory.loyalties.get(user));
        let loyalty = known.and_then(|all| all.iter().find(|(of, _)| *of == category));
        Sight {
            category,
            shelf: self.memory.shelf[items].to_vec(),
            state: self.memory.states[category].clone(),
            loyalty: loyalty.map_or_else(Loyalty::default, |(_, loyalty)| loyalty.clone()),
        }
    }

    pub(crate) fn choose(&mut self, user: &str, category: usize, agent: usize) {
        if !self.memory.loyalties.contains_key(user) {
            self.memory.loyalties.insert(user.into(), Vec::new());
        }
        let Some(all) = self.memory.loyalties.get_mut(user) else {
            return;
        };
        let at = all.iter().position(|(of, _)| *of == category).unwrap_or_else(|| {
            all.push((category, Loyalty::default()));
            all.len() - 1
        });
        let agents = self.catalog.items_of(category).len();
        all[at].1.on_chosen(agent, agents, &self.rates);
    }
}
