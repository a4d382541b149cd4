use crate::choice::{ChoiceFit, Occasion};
use crate::error::DemandError;
use crate::log::{Log, kinds_of};
use crate::look::{Kind, Scale};
use crate::model::Member;
use crate::quantity::{Purchase, QuantityFit};
use crate::rows::{self, CategoryRows};
use crate::solver::{Parameters, minimise};
use crate::visit::VisitFit;
use haggle_core::{MemoryRates, Seeds};
use haggle_history::{AGENTS_MIN, LINES_MIN, OCCASIONS_MIN, Replay, Selection};
use rand::RngExt;
use std::ops::Range;

/// The fewest training choices from which a model is fitted.
const CHOICES_MIN: usize = 100;
/// Users' visit counts and habits need this long to fill: earlier visits do not teach the visit model.
const WARM_UP_WEEKS: u32 = 8;

/// The training rows of all parts of the model.
pub(crate) struct Training {
    pub scale: Scale,
    pub kinds: Vec<Kind>,
    pub rows: Vec<CategoryRows>,
    /// User of each row; `None` for the unregistered.
    users: Vec<Option<u32>>,
    user_count: usize,
    /// Rows that teach the visit model.
    visit_rows: Range<usize>,
    pub occasions: Vec<Vec<Occasion>>,
    purchases: Vec<Vec<Purchase>>,
    bought: Vec<Vec<bool>>,
}

impl Training {
    pub fn collect(
        selection: &Selection,
        replay: &Replay,
        weeks: &Range<u32>,
        rates: &MemoryRates,
    ) -> Result<Self, DemandError> {
        let window = replay.sessions_in(weeks);
        let sessions = &replay.sessions[window.clone()];
        let log = Log::read(replay, &window);
        let choices: usize = log.occasions.iter().map(Vec::len).sum();
        if choices < CHOICES_MIN {
            let (first, last) = (weeks.start, weeks.end - 1);
            return Err(DemandError::TooLittle(format!(
                "weeks {first}-{last} hold {choices} choices of selected items, at least {CHOICES_MIN} are needed; a category is \
                 selected where {AGENTS_MIN} of its items have {LINES_MIN} lines each and {OCCASIONS_MIN} sessions bought just \
                 one of them"
            )));
        }
        let scale = Scale::of(
            sessions.iter().map(|session| &session.context),
            replay.sessions[0].context.time_s,
            rates,
        );
        let kinds = kinds_of(selection, &log, sessions.len())?;
        let catalog = crate::catalogue::plain(&kinds)?;
        let rows = rows::collect(&catalog, &kinds, &scale, rates, replay, &window);
        let warm = weeks.start.max(replay.sessions[0].week) + WARM_UP_WEEKS;
        let warm = replay
            .sessions_in(&(warm..weeks.end))
            .start
            .clamp(window.start, window.end);
        let first = if warm - window.start <= window.len() / 2 {
            warm - window.start
        } else {
            0
        };
        Ok(Self {
            scale,
            kinds,
            rows,
            users: sessions.iter().map(|session| session.user).collect(),
            user_count: replay.users,
            visit_rows: first..window.len(),
            occasions: log.occasions,
            purchases: log.purchases,
            bought: log.bought,
        })
    }

    /// The weight of every row: 1, or the user's exponential draw.
    pub fn weights(&self, bootstrap: Option<&Seeds>) -> Vec<f64> {
        let Some(seeds) = bootstrap else {
            return vec![1.0; self.users.len()];
        };
        let mut rng = seeds.rng();
        let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
        let of_users: Vec<f64> = (0..self.user_count).map(|_| exponential()).collect();
        let mut of_row =
            |user: &Option<u32>| user.map_or_else(&mut exponential, |user| of_users[user as usize]);
        self.users.iter().map(&mut of_row).collect()
    }

    /// The choice model alone, with prices or without.
    pub fn choice(
        &self,
        weights: &[f64],
        with_price: bool,
        start: Option<&Parameters>,
    ) -> Result<Parameters, DemandError> {
        let fit = ChoiceFit {
            kinds: &self.kinds,
            rows: &self.rows,
            occasions: &self.occasions,
            weights,
            with_price,
        };
        minimise(&fit, start.cloned().unwrap_or_else(|| fit.start()))
    }

    /// All parts, one after the other: visits and quantities build on the choices.
    pub fn member(&self, weights: &[f64], start: Option<&Member>) -> Result<Member, DemandError> {
        let choice = self.choice(weights, true, start.map(|member| &member.choice))?;
        let visits = VisitFit {
            kinds: &self.kinds,
            rows: &self.rows,
            train: self.visit_rows.clone(),
            bought: &self.bought,
            appeal: VisitFit::appeal(&choice, &self.kinds, &self.rows, self.visit_rows.clone(), weights),
            weights,
        };
        let visit = minimise(
            &visits,
            start.map_or_else(|| visits.start(), |member| member.visit.clone()),
        )?;
        let quantities = QuantityFit {
            kinds: &self.kinds,
            rows: &self.rows,
            purchases: &self.purchases,
            weights,
        };
        let quantity = minimise(
            &quantities,
            start.map_or_else(|| quantities.start(), |member| member.quantity.clone()),
        )?;
        Ok(Member {
            choice,
            visit,
            quantity,
            multiplicity: self.multiplicity(weights),
        })
    }

    /// Mean number of purchases of the visits that buy, per category.
    fn multiplicity(&self, weights: &[f64]) -> Vec<f64> {
        let of = |(purchases, bought): (&Vec<Purchase>, &Vec<bool>)| {
            let count: f64 = purchases
                .iter()
                .map(|purchase| weights[purchase.row as usize])
                .sum();
            let visits: f64 = bought
                .iter()
                .zip(weights)
                .filter(|(bought, _)| **bought)
                .map(|(_, weight)| weight)
                .sum();
            if visits > 0.0 {
                (count / visits).max(1.0)
            } else {
                1.0
            }
        };
        self.purchases.iter().zip(&self.bought).map(of).collect()
    }
}
