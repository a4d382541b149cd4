use crate::sessions::{Sessions, Snapshot};
use haggle_core::{
    Catalog, CategoryState, Loyalty, MemoryRates, Offer, PriceMinor, SessionContext, ShelfEntry, Visit,
    encode,
};
use haggle_policy::Terms;
use std::collections::HashMap;

/// What the daemon remembers of its market: the state of each category, the loyalty of each user, the shelf, and what
/// the open sessions saw.
///
/// Invariant: fed the visits of an environment one request at a time, it shows the policy the same observations.
#[derive(Debug)]
pub struct Market {
    catalog: Catalog,
    rates: MemoryRates,
    states: Vec<CategoryState>,
    /// One entry per item, by global number.
    shelf: Vec<ShelfEntry>,
    loyalties: HashMap<Box<str>, Vec<(usize, Loyalty)>>,
    sessions: Sessions,
}

/// A question about the price of one item, in the catalogue's numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// The session that stands in front of the shelf.
    pub session: String,
    /// The user behind it, where known.
    pub user: Option<String>,
    /// Global number of the item.
    pub item: usize,
    /// Who the session is; else what it said of itself last; else nothing is known but the time.
    pub context: Option<SessionContext>,
    /// News about shelves: global number of the item, and what is planned for it.
    pub shelf: Vec<(usize, ShelfEntry)>,
}

/// What one question is shown, and what would be remembered of it.
#[derive(Clone, Debug)]
pub struct View {
    session: String,
    agent: usize,
    context: SessionContext,
    snapshot: Snapshot,
    news: Vec<(usize, ShelfEntry)>,
}

/// How much of a history a market could use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Primed {
    /// Offers of items that the catalogue has.
    pub used: usize,
    /// Offers of other items.
    pub skipped: usize,
}

impl View {
    /// Who asks.
    #[must_use]
    pub fn context(&self) -> SessionContext {
        self.context
    }

    /// What the shop would post for the item without haggle, as far as the session was told.
    #[must_use]
    pub fn posted(&self) -> PriceMinor {
        self.snapshot.shelf[self.agent].posted_minor
    }

    /// The shelf news that change something: global number of the item, and what is planned for it.
    #[must_use]
    pub fn news(&self) -> &[(usize, ShelfEntry)] {
        &self.news
    }
}

impl Market {
    /// The market before anything happened: base prices, no promotions, the usual sales, nobody known.
    #[must_use]
    pub fn new(terms: &Terms) -> Self {
        let catalog = terms.catalog.clone();
        let plain = |item: &haggle_core::Item| ShelfEntry {
            posted_minor: item.base_minor,
            mailer: 0.0,
            display: 0.0,
        };
        Self {
            rates: terms.memory,
            states: (0..catalog.categories().len())
                .map(|category| CategoryState::initial(&catalog, category))
                .collect(),
            shelf: catalog.items().iter().map(plain).collect(),
            loyalties: HashMap::new(),
            sessions: Sessions::default(),
            catalog,
        }
    }

    /// Goes on under the terms of another bundle with the same items and ladders.
    pub fn adopt(&mut self, terms: &Terms) {
        self.catalog = terms.catalog.clone();
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
        self.sessions.count()
    }

    /// What a question is shown. Changes nothing: the view is kept together with a decision on it, or dropped. `now_s`
    /// (seconds since 1970) is the time of a session that says nothing of itself.
    ///
    /// # Panics
    /// When an item number is not in the catalogue.
    #[must_use]
    pub fn look(&self, ask: &Ask, now_s: i64) -> View {
        let (category, agent) = self.catalog.place(ask.item);
        let known = self.sessions.find(&ask.session, category);
        let news = self.news(ask, category, known);
        let mut snapshot = known.cloned().unwrap_or_else(|| self.freeze(ask, category));
        for (item, entry) in &news {
            let (place, agent) = self.catalog.place(*item);
            if place == category {
                snapshot.shelf[agent] = *entry;
            }
        }
        View {
            session: ask.session.clone(),
            agent,
            context: self.context(ask, now_s),
            snapshot,
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
            category: view.snapshot.category,
            session: &view.context,
            shelf: &view.snapshot.shelf,
            state: &view.snapshot.state,
            loyalty: &view.snapshot.loyalty,
        };
        encode(&visit, view.agent, out);
    }

    /// Remembers a view that a decision was made on: its news, who the session is, and what it saw.
    pub fn keep(&mut self, view: View) {
        for (item, entry) in view.news {
            self.shelf[item] = entry;
        }
        self.sessions.keep(&view.session, view.context, view.snapshot);
    }

    /// Looks, writes the observation and keeps the view, all at once.
    ///
    /// # Panics
    /// When an item number is not in the catalogue, or `out` has not `FEATURE_WIDTH` places.
    pub fn observe(&mut self, ask: &Ask, now_s: i64, out: &mut [f32]) {
        let view = self.look(ask, now_s);
        self.encode(&view, out);
        self.keep(view);
    }

    /// A price was shown.
    pub fn on_decision(&mut self, item: usize, price: PriceMinor) {
        let (category, agent) = self.catalog.place(item);
        self.states[category].on_shown(agent, price, &self.rates);
    }

    /// Units were bought by a session that was shown a price. The first purchase of an item in a session is a choice.
    pub fn on_reward(&mut self, session: &str, user: Option<&str>, item: usize, units: u32) {
        if units == 0 {
            return;
        }
        let (category, agent) = self.catalog.place(item);
        self.states[category].on_bought(agent, units, &self.rates);
        let snapshot = self.sessions.find_mut(session, category);
        let again = snapshot.is_some_and(|snapshot| std::mem::replace(&mut snapshot.chosen[agent], true));
        if let Some(user) = user.filter(|_| !again) {
            self.choose(user, category, agent);
        }
    }

    /// Warms the memories with offers of the past, oldest first. Offers of one session stand together; each session has
    /// passed every shelf at the posted prices known by then, whether it bought or not.
    pub fn prime<'a>(&mut self, offers: impl IntoIterator<Item = &'a Offer>) -> Primed {
        let mut primed = Primed::default();
        let mut known: Vec<(usize, &Offer)> = Vec::new();
        for offer in offers {
            let Some(item) = self.catalog.find(&offer.item) else {
                primed.skipped += 1;
                continue;
            };
            if known
                .first()
                .is_some_and(|(_, first)| first.session != offer.session)
            {
                self.pass(&known);
                known.clear();
            }
            known.push((item, offer));
            primed.used += 1;
        }
        self.pass(&known);
        primed
    }

    /// One session of the past goes by.
    fn pass(&mut self, offers: &[(usize, &Offer)]) {
        for (item, offer) in offers {
            self.shelf[*item].posted_minor = offer.posted_minor;
        }
        if !offers.is_empty() {
            for item in 0..self.shelf.len() {
                self.on_decision(item, self.shelf[item].posted_minor);
            }
        }
        for (item, offer) in offers.iter().filter(|(_, offer)| offer.units > 0) {
            let (category, agent) = self.catalog.place(*item);
            self.states[category].on_bought(agent, offer.units, &self.rates);
            if let Some(user) = &offer.user {
                self.choose(user, category, agent);
            }
        }
    }

    /// The news of a question that change what the shop's shelf or the session's view of it has; all news of an item
    /// that it tells of more than once.
    fn news(&self, ask: &Ask, category: usize, known: Option<&Snapshot>) -> Vec<(usize, ShelfEntry)> {
        let mut news: Vec<(usize, ShelfEntry)> = Vec::new();
        for (item, entry) in &ask.shelf {
            let (place, agent) = self.catalog.place(*item);
            let seen = known.filter(|_| place == category);
            let changes = self.shelf[*item] != *entry || seen.is_some_and(|seen| seen.shelf[agent] != *entry);
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
            .or_else(|| self.sessions.context(&ask.session))
            .unwrap_or(unknown)
    }

    fn freeze(&self, ask: &Ask, category: usize) -> Snapshot {
        let items = self.catalog.categories()[category].items.clone();
        let known = ask.user.as_deref().and_then(|user| self.loyalties.get(user));
        let loyalty = known.and_then(|all| all.iter().find(|(of, _)| *of == category));
        Snapshot {
            category,
            chosen: vec![false; items.len()],
            shelf: self.shelf[items].to_vec(),
            state: self.states[category].clone(),
            loyalty: loyalty.map_or_else(Loyalty::default, |(_, loyalty)| loyalty.clone()),
        }
    }

    fn choose(&mut self, user: &str, category: usize, agent: usize) {
        if !self.loyalties.contains_key(user) {
            self.loyalties.insert(user.into(), Vec::new());
        }
        let Some(all) = self.loyalties.get_mut(user) else {
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
