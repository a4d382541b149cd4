use crate::choice::Choice;
use crate::demand::{Demand, Response};
use crate::look::{AGENTS_MAX, Kind, Look, Scale, relative_prices};
use crate::quantity::Quantity;
use crate::solver::Parameters;
use crate::visit::{self, Appeal};
use haggle_core::{Digest, MemoryRates, Visit};
use haggle_history::Selection;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// What kind of evidence a model rests on: the ladder of identification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rung {
    /// Association: prices and sales, nothing held fixed.
    R0,
    /// Observational with controls: promotion, habit and loyalty held fixed. Hidden demand can still bias the slopes.
    R1,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::R0 => "R0 (association)",
            Self::R1 => "R1 (observational, with promotion and habit controls)",
        })
    }
}

/// A fitted demand model: visits x choice x quantity, for every member of the ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct DemandModel {
    pub(crate) content: Content,
    pub(crate) digest: Digest,
}

/// Everything that an artefact holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    pub history: Digest,
    pub selection: Selection,
    pub train_weeks: Range<u32>,
    pub seed: u64,
    pub rung: Rung,
    pub rates: MemoryRates,
    pub scale: Scale,
    pub kinds: Vec<Kind>,
    /// Member 0 is the point estimate.
    pub members: Vec<Member>,
}

/// One member of the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    pub choice: Parameters,
    pub visit: Parameters,
    pub quantity: Parameters,
    /// Purchases of a visit that buys, per category, at least 1.
    pub multiplicity: Vec<f64>,
}

/// What one visit will do with a category.
pub(crate) struct Outlook {
    /// Probability that it buys of the category.
    pub visits: f64,
    /// Probability of each item, given that.
    pub shares: [f64; AGENTS_MAX],
    /// Expected units beyond the first.
    pub extra: [f64; AGENTS_MAX],
}

impl Member {
    pub fn outlook(&self, category: usize, kind: &Kind, look: &Look, x: &[f64; AGENTS_MAX]) -> Outlook {
        let agents = kind.items.len();
        let choice = Choice::of(&self.choice, category, agents);
        let quantity = Quantity::of(&self.quantity, category, agents);
        let mut shares = [0.0; AGENTS_MAX];
        let appeal = Appeal::of(&choice, kind, look, x, &mut shares);
        let mut extra = [0.0; AGENTS_MAX];
        for (j, rate) in extra.iter_mut().enumerate().take(agents) {
            *rate = quantity.rate(look, j, x[j]);
        }
        Outlook {
            visits: visit::probability(&self.visit, category, look, &appeal),
            shares,
            extra,
        }
    }

    /// Writes the expected response of every item; `out` has one place per item.
    pub fn respond(
        &self,
        category: usize,
        kind: &Kind,
        look: &Look,
        x: &[f64; AGENTS_MAX],
        out: &mut [Response],
    ) {
        let outlook = self.outlook(category, kind, look, x);
        let purchases = outlook.visits * self.multiplicity[category];
        for (j, place) in out.iter_mut().enumerate() {
            *place = Response {
                purchases: purchases * outlook.shares[j],
                units: 1.0 + outlook.extra[j],
            };
        }
    }
}

impl DemandModel {
    pub(crate) fn of(content: Content) -> Self {
        let digest = content.digest();
        Self { content, digest }
    }

    /// The name of exactly this model: a digest of everything in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest of the session store that it was fitted on.
    #[must_use]
    pub fn history_digest(&self) -> Digest {
        self.content.history
    }

    /// The items it knows, in agent order.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.content.selection
    }

    /// The weeks it was fitted on, first and one past the last.
    #[must_use]
    pub fn train_weeks(&self) -> Range<u32> {
        self.content.train_weeks.clone()
    }

    /// What its price slopes rest on.
    #[must_use]
    pub fn rung(&self) -> Rung {
        self.content.rung
    }

    /// The memory rates of the state that it was fitted on. A simulator must let its memories fade as fast.
    #[must_use]
    pub fn rates(&self) -> MemoryRates {
        self.content.rates
    }
}

impl Demand for DemandModel {
    fn members(&self) -> usize {
        self.content.members.len()
    }

    /// # Panics
    /// When the visit's category or the member does not exist, or a slice is shorter than the category.
    fn respond(&self, visit: &Visit<'_>, prices_minor: &[f64], member: usize, out: &mut [Response]) {
        let kind = &self.content.kinds[visit.category];
        let look = Look::of(kind, &self.content.scale, visit);
        let x = relative_prices(kind, prices_minor);
        let out = &mut out[..kind.items.len()];
        self.content.members[member].respond(visit.category, kind, &look, &x, out);
    }

    /// # Panics
    /// As [`Demand::respond`].
    fn shop(
        &self,
        visit: &Visit<'_>,
        prices_minor: &[f64],
        member: usize,
        uniform: &mut dyn FnMut() -> f64,
        units: &mut [u32],
    ) {
        let kind = &self.content.kinds[visit.category];
        let look = Look::of(kind, &self.content.scale, visit);
        let x = relative_prices(kind, prices_minor);
        let member = &self.content.members[member];
        let outlook = member.outlook(visit.category, kind, &look, &x);
        let units = &mut units[..kind.items.len()];
        units.fill(0);
        if uniform() >= outlook.visits {
            return;
        }
        let more = member.multiplicity[visit.category] - 1.0;
        let purchases = 1 + more as u32 + u32::from(uniform() < more.fract());
        for _ in 0..purchases {
            let j = draw(&outlook.shares[..units.len()], uniform());
            units[j] += 1 + poisson(outlook.extra[j], uniform());
        }
    }
}

fn draw(shares: &[f64], mut uniform: f64) -> usize {
    for (j, share) in shares.iter().enumerate() {
        if uniform < *share {
            return j;
        }
        uniform -= share;
    }
    shares.len() - 1
}

/// A Poisson number by inversion; the mean is at most exp(3), so that the sum below ends soon.
fn poisson(mean: f64, mut uniform: f64) -> u32 {
    const COUNT_MAX: u32 = 200;
    let mut probability = (-mean).exp();
    for count in 0..COUNT_MAX {
        if uniform < probability {
            return count;
        }
        uniform -= probability;
        probability *= mean / f64::from(count + 1);
    }
    COUNT_MAX
}
