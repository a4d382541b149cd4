use crate::market::Market;
use haggle_core::Offer;

/// How much of a history a market could use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Primed {
    /// Offers of items that the catalogue has.
    pub used: usize,
    /// Offers of other items.
    pub skipped: usize,
}

impl Market {
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
            self.memory.shelf[*item].posted_minor = offer.posted_minor;
        }
        if !offers.is_empty() {
            for item in 0..self.memory.shelf.len() {
                self.on_decision(item, self.memory.shelf[item].posted_minor);
            }
        }
        for (item, offer) in offers.iter().filter(|(_, offer)| offer.units > 0) {
            let (category, agent) = self.catalog.place(*item);
            self.memory.states[category].on_bought(agent, offer.units, &self.rates);
            if let Some(user) = &offer.user {
                self.choose(user, category, agent);
            }
        }
    }
}
