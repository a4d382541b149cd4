use super::itinerary::Itineraries;
use super::last_price::LastPrice;
use super::lines::Lines;
use super::open_prices::OpenPrices;
use super::open_sale::OpenSale;
use super::place::Place;
use super::rivalry::Rivalry;
use super::season::Season;
use super::sessions::Sessions;
use super::shoppers::Shoppers;
use super::visits::Visits;
use crate::StepEnd;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A market as tables that can be stepped.
#[derive(Clone, Debug)]
pub(crate) enum Game {
    Season(Season),
    Visits(Visits),
    LastPrice(LastPrice),
    Rivalry(Rivalry),
    Itineraries(Itineraries),
    Sessions(Sessions),
    Lines(Lines),
    Shoppers(Shoppers),
    OpenPrices(OpenPrices),
    OpenSale(OpenSale),
}

impl Game {
    /// Agents, width of an observation, rungs (1 where any price may be asked).
    pub(crate) fn shape(&self) -> (usize, usize, usize) {
        match self {
            Self::Season(game) => (1, game.obs_width(), game.prices.len()),
            Self::Visits(game) => (1, game.obs_width(), game.prices.len()),
            Self::LastPrice(game) => (1, game.obs_width(), game.rungs),
            Self::Rivalry(game) => (game.agents, game.obs_width(), game.prices.len()),
            Self::Itineraries(game) => (game.agents(), game.obs_width(), game.rungs),
            Self::Sessions(game) => (1, game.obs_width(), game.prices.len()),
            Self::Lines(game) => (1, game.memory_width(), game.prices.len()),
            Self::Shoppers(game) => (1, game.memory_width(), game.prices.len()),
            Self::OpenPrices(game) => (game.agents, game.obs_width(), 1),
            Self::OpenSale(game) => (1, game.season.obs_width(), 1),
        }
    }

    /// Where an episode starts; its memory is made anew.
    pub(crate) fn start(&self, rng: &mut ChaCha8Rng, memory: &mut [f32]) -> Place {
        match self {
            Self::Season(game) => game.start(),
            Self::Visits(game) => game.start(rng.next_u32()),
            Self::LastPrice(game) => game.start(),
            Self::Rivalry(game) => game.start(rng.next_u32()),
            Self::Itineraries(game) => game.start(),
            Self::Sessions(game) => game.start(rng.next_u32()),
            Self::Lines(game) => game.start(memory),
            Self::Shoppers(game) => game.start(rng, memory),
            Self::OpenPrices(game) => game.start(rng, memory),
            Self::OpenSale(game) => game.season.start(),
        }
    }

    pub(crate) fn observe(
        &self,
        place: Place,
        memory: &[f32],
        agent: usize,
        obs: &mut [f32],
        mask: &mut u64,
    ) {
        match self {
            Self::Season(game) => game.observe(place, obs, mask),
            Self::Visits(game) => game.observe(place, obs, mask),
            Self::LastPrice(game) => game.observe(place, obs, mask),
            Self::Rivalry(game) => game.observe(place, agent, obs, mask),
            Self::Itineraries(game) => game.observe(place, agent, obs, mask),
            Self::Sessions(game) => game.observe(place, obs, mask),
            Self::Lines(game) => game.observe(memory, obs, mask),
            Self::Shoppers(game) => game.observe(memory, obs, mask),
            Self::OpenPrices(game) => game.observe(memory, agent, obs, mask),
            Self::OpenSale(game) => game.observe(place, obs, mask),
        }
    }

    /// Numbers that a copy remembers besides its place.
    pub(crate) fn memory_width(&self) -> usize {
        match self {
            Self::Lines(game) => game.memory_width(),
            Self::Shoppers(game) => game.memory_width(),
            Self::OpenPrices(game) => game.agents,
            _ => 0,
        }
    }

    /// Whether a copy can stand there.
    pub(crate) fn sound(&self, place: Place) -> bool {
        match self {
            Self::Season(game) => game.sound(place),
            Self::Visits(game) => game.sound(place),
            Self::LastPrice(game) => game.sound(place),
            Self::Rivalry(game) => game.sound(place),
            Self::Itineraries(game) => game.sound(place),
            Self::Sessions(game) => game.sound(place),
            Self::Lines(game) => (1..=game.lines.len()).contains(&(place.left as usize)),
            Self::Shoppers(_) => place.left == 1,
            Self::OpenPrices(game) => game.sound(place),
            Self::OpenSale(game) => game.season.sound(place),
        }
    }

    /// Width of what a critic may see besides the observation.
    pub(crate) fn state_width(&self) -> usize {
        match self {
            Self::Sessions(game) => game.state_width(),
            _ => 0,
        }
    }

    /// Writes what a critic may see besides the observation.
    pub(crate) fn state(&self, place: Place, state: &mut [f32]) {
        if let Self::Sessions(game) = self {
            game.state(place, state);
        }
    }

    /// Constraints on the mean of an episode.
    pub(crate) fn constraint_names(&self) -> Vec<String> {
        match self {
            Self::Season(game) if game.sell_through_min.is_some() => vec!["sell_through".to_owned()],
            _ => Vec::new(),
        }
    }

    /// What a step adds to the cost of the constraint.
    pub(crate) fn cost(&self, from: Place, to: Place, end: StepEnd) -> f32 {
        match self {
            Self::Season(game) => game.cost(from, to, end),
            _ => 0.0,
        }
    }
}
