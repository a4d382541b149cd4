use crate::World;
use haggle_core::Loyalty;
use serde::{Deserialize, Serialize};

/// The loyalties of the users that one walk through the sessions has met; others still have what the log gave them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Loyalties {
    users: Vec<u32>,
    loyalties: Vec<Loyalty>,
    stranger: Loyalty,
}

impl Loyalties {
    /// Forgets everyone; memory is kept for the next walk.
    pub(crate) fn clear(&mut self) {
        self.users.clear();
    }

    /// Makes sure that the session's user is known: at the first meeting he has what the log gave him before `start`.
    /// Returns his place, to be handed to the other functions; anonymous visitors share one that stays empty.
    pub(crate) fn meet(&mut self, world: &World, category: usize, user: Option<u32>, start: usize) -> usize {
        let Some(user) = user else { return usize::MAX };
        if let Some(place) = self.users.iter().position(|known| *known == user) {
            return place;
        }
        let place = self.users.len();
        self.users.push(user);
        if self.loyalties.len() == place {
            self.loyalties.push(Loyalty::default());
        }
        world.logged_loyalty(category, user, start, &mut self.loyalties[place]);
        place
    }

    /// The loyalty at a place.
    pub(crate) fn get(&self, place: usize) -> &Loyalty {
        self.loyalties.get(place).unwrap_or(&self.stranger)
    }

    /// The same, to be changed; `None` for anonymous visitors, whom nobody will recognise.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Loyalty> {
        self.loyalties.get_mut(place)
    }

    /// Whether saved loyalties belong to these users and agents.
    pub(crate) fn fits(&self, users: usize, agents: usize) -> bool {
        let known = |loyalty: &Loyalty| loyalty.counts.is_empty() || loyalty.counts.len() == agents;
        self.users.len() <= self.loyalties.len()
            && self.users.iter().all(|user| (*user as usize) < users)
            && self.loyalties[..self.users.len()].iter().all(known)
    }
}
