//! From a visit to the numbers of the demand model. The fit and the simulator both come through here: no skew.

use haggle_core::{MemoryRates, SessionContext, Visit};
use serde::{Deserialize, Serialize};

/// The most items that a category may have.
pub const AGENTS_MAX: usize = 16;

/// Number of session features.
pub(crate) const TASTES: usize = 7;
/// Value of a line of the user's earlier baskets.
pub(crate) const TASTE_VALUE: usize = 0;
/// Lines of the user's earlier baskets.
pub(crate) const TASTE_LINES: usize = 1;
/// The user's visits in 56 days.
pub(crate) const TASTE_VISITS: usize = 3;
/// Features of the user (0 for an unknown one); those after them are of the session.
const TASTES_OF_USER: usize = 4;
const TASTE_LIMIT: f64 = 2.5;

/// Prior weight, in choices per item, of the item's usual share in a user's loyalty.
const LOYALTY_PRIOR: f64 = 0.5;
/// Prior weight, in visits to the shop, of the category's usual visit rate in a user's habit.
const HABIT_PRIOR: f64 = 8.0;
/// Nobody's habit is told apart beyond as many choices.
const CHOICES_MAX: f64 = 80.0;
const RECENT_DAYS: f64 = 56.0;
const DAY_S: i64 = 86_400;

/// What a category's model knows of its items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kind {
    pub name: String,
    pub items: Vec<KindItem>,
    /// Share of the training sessions that bought of it.
    pub visit_rate: f64,
}

/// One item of a [`Kind`]; prices in minor units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KindItem {
    pub id: String,
    pub base_minor: u32,
    pub low_minor: u32,
    pub high_minor: u32,
    /// Log of the base price.
    pub base_log: f64,
    /// The logged range, relative to the base price, in logs.
    pub low_log: f64,
    pub high_log: f64,
    /// Log base price minus the category's mean of it.
    pub level: f64,
    /// Smoothed share of the category's training choices.
    pub share: f64,
    /// Units sold per session of the training weeks.
    pub sales_rate: f64,
}

impl KindItem {
    /// Log of a price relative to the base price, inside the logged range: outside it nothing changes further.
    pub fn relative(&self, price_minor: f64) -> f64 {
        (price_minor.ln() - self.base_log).clamp(self.low_log, self.high_log)
    }
}

/// Means and standard deviations that make session features comparable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    pub mean: [f64; TASTES],
    pub deviation: [f64; TASTES],
    /// When the log began: nobody's choices are known from before.
    pub epoch_s: i64,
    /// What remains of a user's earlier choices after one more.
    pub loyalty_decay: f64,
}

impl Scale {
    /// The scale of many sessions; features that never vary get deviation 1.
    pub fn of<'a>(
        sessions: impl Iterator<Item = &'a SessionContext>,
        epoch_s: i64,
        rates: &MemoryRates,
    ) -> Self {
        let (mut count, mut sum, mut square) = ([0.0; TASTES], [0.0; TASTES], [0.0; TASTES]);
        for session in sessions {
            let raw = raw_tastes(session);
            for k in first_taste(session)..TASTES {
                count[k] += 1.0;
                sum[k] += raw[k];
                square[k] += raw[k] * raw[k];
            }
        }
        let mut scale = Self {
            mean: [0.0; TASTES],
            deviation: [1.0; TASTES],
            epoch_s,
            loyalty_decay: f64::from(rates.loyalty_decay),
        };
        for k in 0..TASTES {
            if count[k] > 0.0 {
                scale.mean[k] = sum[k] / count[k];
                let variance: f64 = square[k] / count[k] - scale.mean[k] * scale.mean[k];
                if variance > 1e-9 {
                    scale.deviation[k] = variance.sqrt();
                }
            }
        }
        scale
    }

    /// The user's visits to the shop since the log began, guessed from those of the last 56 days.
    fn visits(&self, session: &SessionContext) -> f64 {
        let days = ((session.time_s - self.epoch_s) as f64 / DAY_S as f64).max(1.0);
        f64::from(session.visits_56d).max(0.0) * days / days.min(RECENT_DAYS)
    }

    /// How many choices leave a fading count of `total`: the inverse of a geometric sum.
    fn choices(&self, total: f64) -> f64 {
        let decay = self.loyalty_decay;
        if decay == 0.0 || total <= 1.0 {
            return total;
        }
        let left = 1.0 - (1.0 - decay) * total;
        if left <= 0.0 {
            CHOICES_MAX
        } else {
            (left.ln() / decay.ln()).min(CHOICES_MAX)
        }
    }

    /// The standardised features of a session, each within +-2.5.
    pub fn tastes(&self, session: &SessionContext) -> [f64; TASTES] {
        let raw = raw_tastes(session);
        let mut tastes = [0.0; TASTES];
        for k in first_taste(session)..TASTES {
            tastes[k] = ((raw[k] - self.mean[k]) / self.deviation[k]).clamp(-TASTE_LIMIT, TASTE_LIMIT);
        }
        tastes
    }
}

fn first_taste(session: &SessionContext) -> usize {
    let known = session.spend_mean_minor > 0.0 && session.basket_lines_mean > 0.0;
    if known { 0 } else { TASTES_OF_USER }
}

fn raw_tastes(session: &SessionContext) -> [f64; TASTES] {
    let (lines, spend) = (
        f64::from(session.basket_lines_mean),
        f64::from(session.spend_mean_minor),
    );
    let hour = std::f64::consts::TAU * session.time_s.rem_euclid(DAY_S) as f64 / DAY_S as f64;
    let day_of_week = (session.time_s.div_euclid(DAY_S) + 3).rem_euclid(7); // 1970-01-01 was a Thursday; 0 = Monday
    [
        if lines > 0.0 && spend > 0.0 {
            (spend / lines).ln()
        } else {
            0.0
        },
        lines.max(0.0).ln_1p(),
        f64::from(session.recency_days).max(0.0).ln_1p(),
        f64::from(session.visits_56d).max(0.0).ln_1p(),
        hour.cos(),
        hour.sin(),
        if day_of_week >= 5 { 1.0 } else { 0.0 },
    ]
}

/// A visit as the model sees it before prices are set.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub tastes: [f64; TASTES],
    /// The user's fading number of choices in the category.
    pub total: f64,
    /// Log of how often the user buys of the category per visit to the shop, against the usual rate.
    pub habit: f64,
    /// One entry per item; those past the category's end are unused.
    pub items: [ItemLook; AGENTS_MAX],
}

/// One item as a visit finds it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ItemLook {
    /// Log of 1 + the user's choices of it over the prior weight: 0 without any.
    pub loyalty: f64,
    /// 1 where it was the user's last choice.
    pub last: f64,
    pub mailer: f64,
    pub display: f64,
    /// The remembered price, as a log relative to the base price, inside the logged range.
    pub reference: f64,
}

impl Look {
    /// What the model sees of a visit.
    ///
    /// # Panics
    /// When the visit's shelf or state lacks an item of the category.
    pub fn of(kind: &Kind, scale: &Scale, visit: &Visit<'_>) -> Self {
        let agents = kind.items.len();
        let total = f64::from(visit.loyalty.total());
        let bought = scale.choices(total) + HABIT_PRIOR * kind.visit_rate;
        let visited = scale.visits(visit.session) + HABIT_PRIOR;
        let mut look = Self {
            tastes: scale.tastes(visit.session),
            total,
            habit: (bought / (visited * kind.visit_rate)).ln(),
            items: [ItemLook::default(); AGENTS_MAX],
        };
        let last = visit.loyalty.last.map(usize::from);
        for (agent, item) in kind.items.iter().enumerate() {
            let count = f64::from(visit.loyalty.count(agent));
            let prior = LOYALTY_PRIOR * agents as f64 * item.share;
            let shelf = &visit.shelf[agent];
            look.items[agent] = ItemLook {
                loyalty: if count > 0.0 { (count / prior).ln_1p() } else { 0.0 },
                last: if last == Some(agent) { 1.0 } else { 0.0 },
                mailer: f64::from(shelf.mailer),
                display: f64::from(shelf.display),
                reference: item.relative(f64::from(visit.state.items[agent].reference_minor)),
            };
        }
        look
    }
}

/// The prices of a category's items as logs relative to their base prices.
pub(crate) fn relative_prices(kind: &Kind, prices_minor: &[f64]) -> [f64; AGENTS_MAX] {
    let mut relative = [0.0; AGENTS_MAX];
    for ((place, item), price) in relative.iter_mut().zip(&kind.items).zip(prices_minor) {
        *place = item.relative(*price);
    }
    relative
}

impl KindItem {
    /// The item as the catalogue of a visit would say it; `None` for prices out of order.
    pub fn of(id: &str, base: u32, low: u32, high: u32) -> Option<Self> {
        let ordered = 0 < low && low <= base && base <= high;
        let log = |minor: u32| f64::from(minor).ln() - f64::from(base).ln();
        ordered.then(|| Self {
            id: id.to_owned(),
            base_minor: base,
            low_minor: low,
            high_minor: high,
            base_log: f64::from(base).ln(),
            low_log: log(low),
            high_log: log(high),
            level: 0.0,
            share: 0.0,
            sales_rate: 0.0,
        })
    }
}
