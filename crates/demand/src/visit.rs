//! Whether a session buys of a category at all: a logit that feels the category's prices through the inclusive value.
//!
//! `logit P = effect_c + habit_c h + shared' s + outside_c (IV(prices) - IV(base prices))`, with h the user's habit, s the
//! session's features and the promotions (weighted by choice shares at base prices), and `0 <= outside_c <= 1`: at 0 the
//! visit is blind to prices, at 1 it feels them as much as the choice inside does.

use crate::choice::{Choice, softmax};
use crate::look::{AGENTS_MAX, Kind, Look, TASTE_VISITS, TASTES};
use crate::rows::CategoryRows;
use crate::solver::{Block, Likelihood, Parameters, Prior};

const EFFECT: usize = 0;
const HABIT: usize = 1;
const OUTSIDE: usize = 2;
const LOCAL: usize = 3;
const SHARED_HABIT: usize = 0;
const SHARED_OUTSIDE: usize = 1;
const MAILER: usize = 2;
const DISPLAY: usize = 3;
const HABIT_VISITS: usize = 4;
const TASTE: usize = 5;
const SHARED: usize = TASTE + TASTES;

const EFFECT_RIDGE: f64 = 0.01;
const HABIT_RIDGE: f64 = 10.0;
/// The prior deviation of `outside` between categories is .2.
const OUTSIDE_RIDGE: f64 = 25.0;
const SHARED_RIDGE: f64 = 0.01;

/// What the choice model tells the visit model of one visit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appeal {
    /// The inclusive value at the prices minus that at base prices.
    pub value: f64,
    /// Promotions, weighted by the choice shares at base prices.
    pub mailer: f64,
    pub display: f64,
}

impl Appeal {
    /// The appeal of a category at relative log prices `x`; `shares` becomes the choice probabilities there.
    pub fn of(
        choice: &Choice<'_>,
        kind: &Kind,
        look: &Look,
        x: &[f64; AGENTS_MAX],
        shares: &mut [f64; AGENTS_MAX],
    ) -> Self {
        let agents = kind.items.len();
        let mut base = choice.at_base(kind, look);
        *shares = choice.at(&base, look, x);
        let inclusive = softmax(shares, agents);
        let mut appeal = Self {
            value: inclusive - softmax(&mut base, agents),
            ..Self::default()
        };
        for (share, item) in base[..agents].iter().zip(&look.items) {
            appeal.mailer += share * item.mailer;
            appeal.display += share * item.display;
        }
        appeal
    }
}

/// The probability that a visit buys of the category.
pub(crate) fn probability(parameters: &Parameters, category: usize, look: &Look, appeal: &Appeal) -> f64 {
    let mut design = [0.0; LOCAL + SHARED];
    fill(&look.tastes, look.habit, appeal, &mut design);
    sigmoid(index(&parameters.local[category], &parameters.shared, &design))
}

/// How much of the choice's price response the visits of a category feel, in [0, 1].
pub(crate) fn outside(parameters: &Parameters, category: usize) -> f64 {
    parameters.local[category][OUTSIDE]
}

fn index(local: &[f64], shared: &[f64], design: &[f64; LOCAL + SHARED]) -> f64 {
    local
        .iter()
        .chain(shared)
        .zip(design)
        .map(|(parameter, x)| parameter * x)
        .sum()
}

pub(crate) fn sigmoid(index: f64) -> f64 {
    1.0 / (1.0 + (-index).exp())
}

fn fill(tastes: &[f64; TASTES], habit: f64, appeal: &Appeal, out: &mut [f64; LOCAL + SHARED]) {
    out[EFFECT] = 1.0;
    out[HABIT] = habit;
    out[OUTSIDE] = appeal.value;
    let shared = &mut out[LOCAL..];
    shared[MAILER] = appeal.mailer;
    shared[DISPLAY] = appeal.display;
    shared[HABIT_VISITS] = habit * tastes[TASTE_VISITS];
    shared[TASTE..].copy_from_slice(tastes);
}

/// The likelihood of all visits of the training sessions.
pub(crate) struct VisitFit<'a> {
    pub kinds: &'a [Kind],
    pub rows: &'a [CategoryRows],
    /// Rows used for training.
    pub train: std::ops::Range<usize>,
    /// Whether the session of a row bought of the category.
    pub bought: &'a [Vec<bool>],
    /// What the choice model says of each training row.
    pub appeal: Vec<Vec<[f32; 3]>>,
    /// Weight per row.
    pub weights: &'a [f64],
}

impl VisitFit<'_> {
    /// The appeal of every training row under a choice model; rows of weight 0 are left out.
    pub fn appeal(
        choice: &Parameters,
        kinds: &[Kind],
        rows: &[CategoryRows],
        train: std::ops::Range<usize>,
        weights: &[f64],
    ) -> Vec<Vec<[f32; 3]>> {
        use rayon::prelude::*;
        (0..kinds.len())
            .into_par_iter()
            .map(|category| {
                let kind = &kinds[category];
                let choice = Choice::of(choice, category, kind.items.len());
                let mut shares = [0.0; AGENTS_MAX];
                let of = |row: usize| {
                    if weights[row] == 0.0 {
                        return [0.0; 3];
                    }
                    let (look, x) = rows[category].look(row);
                    let appeal = Appeal::of(&choice, kind, &look, &x, &mut shares);
                    [appeal.value as f32, appeal.mailer as f32, appeal.display as f32]
                };
                train.clone().map(of).collect()
            })
            .collect()
    }

    /// Where the optimiser starts.
    pub fn start(&self) -> Parameters {
        let of = |kind: &Kind| vec![(kind.visit_rate / (1.0 - kind.visit_rate)).ln(), 0.0, 0.5];
        let mut shared = vec![0.0; SHARED];
        shared[SHARED_OUTSIDE] = 0.5;
        Parameters {
            shared,
            local: self.kinds.iter().map(of).collect(),
        }
    }
}

impl Likelihood for VisitFit<'_> {
    fn name(&self) -> &'static str {
        "visit"
    }

    fn local(&self, _group: usize) -> Vec<Prior> {
        vec![
            Prior::ridge(EFFECT_RIDGE),
            Prior::ridge(HABIT_RIDGE).around(SHARED_HABIT),
            Prior::ridge(OUTSIDE_RIDGE)
                .around(SHARED_OUTSIDE)
                .within(0.0, 1.0),
        ]
    }

    fn shared(&self) -> Vec<Prior> {
        let mut priors = vec![Prior::ridge(SHARED_RIDGE); SHARED];
        priors[SHARED_OUTSIDE] = priors[SHARED_OUTSIDE].within(0.0, 1.0);
        priors
    }

    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64 {
        let rows = &self.rows[group];
        let mut design = [0.0; LOCAL + SHARED];
        let mut loss = 0.0;
        for (at, row) in self.train.clone().enumerate() {
            let weight = self.weights[row];
            if weight == 0.0 {
                continue;
            }
            let [value, mailer, display] = self.appeal[group][at].map(f64::from);
            let appeal = Appeal {
                value,
                mailer,
                display,
            };
            let (tastes, habit) = rows.habit(row);
            fill(tastes, habit, &appeal, &mut design);
            let eta = index(local, shared, &design);
            let p = sigmoid(eta);
            let y = if self.bought[group][row] { 1.0 } else { 0.0 };
            loss += weight * (softplus(eta) - y * eta);
            block.add_gradient(weight * (p - y), &design);
            block.add_information(weight * p * (1.0 - p), &design);
        }
        loss
    }
}

pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// How many shared parameters there are, and how many per category.
pub(crate) fn shape(agents: &[usize]) -> (usize, Vec<usize>) {
    (SHARED, vec![LOCAL; agents.len()])
}

/// Parameters of a known truth: the same effect and outside slope everywhere, promotions bring visitors.
#[cfg(test)]
pub(crate) fn known(categories: usize, effect: f64, outside: f64) -> Parameters {
    let mut shared = vec![0.0; SHARED];
    (shared[SHARED_OUTSIDE], shared[MAILER]) = (outside, 0.3);
    Parameters {
        shared,
        local: vec![vec![effect, 0.0, outside]; categories],
    }
}
