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
    /// Who the session is; else what it said of itself before; else nothing is known but the time.
    pub context: Option<SessionContext>,
    /// News about shelves: global number of the item, and what is planned for it.
    pub shelf: Vec<(usize, ShelfEntry)>,
}

/// How much of a history a market could use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Primed {
    /// Offers of items that the catalogue has.
    pub used: usize,
    /// Offers of other items.
    pub skipped: usize,
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

    /// Takes in what a question brings along, and writes the observation for it. `now_s` (seconds since 1970) is the
    /// time of a session that says nothing of itself. Returns the shelf news that changed something.
    ///
    /// # Panics
    /// When an item number is not in the catalogue, or `out` has not `FEATURE_WIDTH` places.
    pub fn observe(&mut self, ask: &Ask, now_s: i64, out: &mut [f32]) -> Vec<(usize, ShelfEntry)> {
        let news = self.take_in(ask, now_s);
        let (category, agent) = self.catalog.place(ask.item);
        if let Some(visit) = self.visit(&ask.session, category) {
            encode(&visit, agent, out);
        }
        news
    }

    /// What [`Market::observe`] does, but for the observation.
    ///
    /// # Panics
    /// When an item number is not in the catalogue.
    pub fn take_in(&mut self, ask: &Ask, now_s: i64) -> Vec<(usize, ShelfEntry)> {
        let (category, _) = self.catalog.place(ask.item);
        let news = self.take_news(ask, category);
        let context = self.context(ask, now_s);
        if let Some(snapshot) = self.sessions.find_mut(&ask.session, category) {
            snapshot.context = context;
        } else {
            let snapshot = self.freeze(ask, category, context);
            self.sessions.add(&ask.session, snapshot);
        }
        news
    }

    /// What a session sees of a category that it has asked about.
    #[must_use]
    pub fn visit(&self, session: &str, category: usize) -> Option<Visit<'_>> {
        let snapshot = self.sessions.find(session, category)?;
        Some(Visit {
            catalog: &self.catalog,
            category,
            session: &snapshot.context,
            shelf: &snapshot.shelf,
            state: &snapshot.state,
            loyalty: &snapshot.loyalty,
        })
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
            if known.first().is_some_and(|(_, first)| first.session != offer.session) {
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

    /// What the shop would post for an item without haggle, as far as a session in front of it was told.
    #[must_use]
    pub fn posted(&self, session: &str, item: usize) -> PriceMinor {
        let (category, agent) = self.catalog.place(item);
        let snapshot = self.sessions.find(session, category);
        snapshot.map_or(self.shelf[item].posted_minor, |snapshot| {
            snapshot.shelf[agent].posted_minor
        })
    }

    fn take_news(&mut self, ask: &Ask, category: usize) -> Vec<(usize, ShelfEntry)> {
        let mut changed = Vec::new();
        for (item, entry) in &ask.shelf {
            let mut news = std::mem::replace(&mut self.shelf[*item], *entry) != *entry;
            let (place, agent) = self.catalog.place(*item);
            if let Some(snapshot) = self
                .sessions
                .find_mut(&ask.session, place)
                .filter(|_| place == category)
            {
                news |= std::mem::replace(&mut snapshot.shelf[agent], *entry) != *entry;
            }
            if news {
                changed.push((*item, *entry));
            }
        }
        changed
    }

    /// Who asks: what the question says, else what the session said before, else nobody at `now_s`.
    fn context(&self, ask: &Ask, now_s: i64) -> SessionContext {
        let unknown = SessionContext {
            time_s: now_s,
            ..SessionContext::default()
        };
        ask.context
            .or_else(|| self.sessions.context(&ask.session))
            .unwrap_or(unknown)
    }

    fn freeze(&self, ask: &Ask, category: usize, context: SessionContext) -> Snapshot {
        let items = self.catalog.categories()[category].items.clone();
        let known = ask.user.as_deref().and_then(|user| self.loyalties.get(user));
        let loyalty = known.and_then(|all| all.iter().find(|(of, _)| *of == category));
        Snapshot {
            category,
            context,
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
