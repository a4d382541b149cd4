use crate::calibration::{Calibration, Ratio};
use crate::chain_week::ChainWeek;
use crate::choice::{Choice, Occasion, softmax};
use crate::elasticity::{CategoryElasticity, Interval};
use crate::error::DemandError;
use crate::log::Log;
use crate::model::{DemandModel, Rung};
use crate::rows::{self, CategoryRows};
use crate::solver::Parameters;
use crate::training::Training;
use haggle_core::Digest;
use haggle_history::{History, Replay, Selection};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// What a fitted model is worth on weeks that it has not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// The model's name.
    pub model: Digest,
    /// What its price slopes rest on.
    pub rung: Rung,
    /// Weeks of the fit, first and one past the last.
    pub train_weeks: Range<u32>,
    /// Weeks of the test, first and one past the last.
    pub test_weeks: Range<u32>,
    /// Ensemble size.
    pub members: usize,
    /// Categories and items of the selection.
    pub categories: usize,
    /// Items of the selection.
    pub items: usize,
    /// Training and test choices.
    pub occasions: [usize; 2],
    /// Sessions of the training weeks that bought nothing. Where a log lacks those, "all prices together" looks weaker than it is.
    pub sessions_without_purchase: usize,
    /// Nats per test choice.
    pub choice_nats: f64,
    /// The same model fitted without prices.
    pub choice_nats_price_free: f64,
    /// Share of test choices whose most likely item was taken.
    pub choice_accuracy: f64,
    /// Nats per test purchase of the chain-week incidence model.
    pub incidence_nats: f64,
    /// The same model fitted without prices.
    pub incidence_nats_price_free: f64,
    /// More of the chain-week incidence model, and the placebo.
    pub chain_week: ChainWeek,
    /// Own-price elasticities of expected units.
    pub elasticities: Vec<CategoryElasticity>,
    /// Expected against logged revenue.
    pub calibration: Calibration,
}

impl FitReport {
    /// Scores a model on test weeks. `history`, `selection` and `replay` are those of the fit.
    ///
    /// # Errors
    /// When the parts do not belong together or the test weeks hold too little.
    pub fn measure(
        model: &DemandModel,
        history: &History,
        selection: &Selection,
        replay: &Replay,
        test_weeks: &Range<u32>,
    ) -> Result<Self, DemandError> {
        if selection != model.selection() {
            return Err(DemandError::Mismatch(
                "the model was fitted on another selection".to_owned(),
            ));
        }
        let content = &model.content;
        let window = replay.sessions_in(test_weeks);
        let log = Log::read(replay, &window);
        let choices: usize = log.occasions.iter().map(Vec::len).sum();
        if choices == 0 {
            return Err(DemandError::TooLittle(
                "the test weeks hold no choice of a selected item".to_owned(),
            ));
        }
        let catalog = crate::catalogue::plain(&content.kinds)?;
        let rows = rows::collect(
            &catalog,
            &content.kinds,
            &content.scale,
            &content.rates,
            replay,
            &window,
        );
        let training = Training::collect(selection, replay, &content.train_weeks, &content.rates)?;
        let price_free = training.choice(&training.weights(None), false, None)?;
        let score = |parameters: &Parameters| score(model, parameters, &rows, &log.occasions);
        let (nats, accuracy) = score(&content.members[0].choice);
        let chain_week = ChainWeek::measure(history, &content.train_weeks, test_weeks, content.seed)?;
        Ok(Self {
            model: model.digest(),
            rung: content.rung,
            train_weeks: content.train_weeks.clone(),
            test_weeks: test_weeks.clone(),
            members: content.members.len(),
            categories: content.kinds.len(),
            items: content.kinds.iter().map(|kind| kind.items.len()).sum(),
            occasions: [training.occasions.iter().map(Vec::len).sum(), choices],
            sessions_without_purchase: history.sessions[history.sessions_in(&content.train_weeks)]
                .iter()
                .filter(|session| session.lines.is_empty())
                .count(),
            choice_nats: nats,
            choice_nats_price_free: score(&price_free).0,
            choice_accuracy: accuracy,
            incidence_nats: chain_week.nats,
            incidence_nats_price_free: chain_week.nats_price_free,
            chain_week,
            elasticities: model.elasticities(),
            calibration: Calibration::measure(model, replay, &rows, &window),
        })
    }
}

/// Mean negative log likelihood and accuracy of the choices.
fn score(
    model: &DemandModel,
    choice: &Parameters,
    rows: &[CategoryRows],
    occasions: &[Vec<Occasion>],
) -> (f64, f64) {
    let (mut loss, mut hits, mut count) = (0.0, 0.0, 0.0);
    for (category, (kind, occasions)) in model.content.kinds.iter().zip(occasions).enumerate() {
        let agents = kind.items.len();
        let choice = Choice::of(choice, category, agents);
        for occasion in occasions {
            let (look, x) = rows[category].look(occasion.row as usize);
            let mut p = choice.at(&choice.at_base(kind, &look), &look, &x);
            softmax(&mut p, agents);
            let taken = p[usize::from(occasion.agent)];
            loss -= taken.ln();
            hits += if p[..agents].iter().all(|other| *other <= taken) {
                1.0
            } else {
                0.0
            };
            count += 1.0;
        }
    }
    (loss / count, hits / count)
}

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weeks = |weeks: &Range<u32>| format!("{}-{}", weeks.start, weeks.end.saturating_sub(1));
        writeln!(f, "demand model {}  rung {}", self.model.short(), self.rung)?;
        let (train, test) = (weeks(&self.train_weeks), weeks(&self.test_weeks));
        writeln!(
            f,
            "fitted on weeks {train}, tested on weeks {test}; {} members",
            self.members
        )?;
        let [fitted, tested] = self.occasions;
        let (categories, items) = (self.categories, self.items);
        writeln!(
            f,
            "{categories} categories, {items} items; {fitted} training choices, {tested} test choices"
        )?;
        let ChainWeek {
            items,
            purchases,
            placebo,
            ..
        } = &self.chain_week;
        writeln!(
            f,
            "incidence (chain-week): {items} items, {purchases} test purchases; trial = a session of the week"
        )?;
        if self.sessions_without_purchase == 0 {
            writeln!(
                f,
                "every session bought something: how visits answer to all prices together is underestimated"
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<34}{:>10}{:>14}{:>8}",
            "nats (lower is better)", "model", "price-free", "gain"
        )?;
        for (name, with, without) in [
            ("per choice", self.choice_nats, self.choice_nats_price_free),
            (
                "per purchase, incidence",
                self.incidence_nats,
                self.incidence_nats_price_free,
            ),
        ] {
            writeln!(f, "{name:<34}{with:>10.4}{without:>14.4}{:>8.4}", without - with)?;
        }
        writeln!(
            f,
            "{:<34}{:>10.3}\n",
            "accuracy of the choice", self.choice_accuracy
        )?;
        writeln!(
            f,
            "{:<34}{:>10}{:>14}",
            "placebo (incidence, price only)", "nats", "gain"
        )?;
        for (name, nats) in [
            ("no price", placebo.no_price),
            ("posted price", placebo.posted),
            ("price of the other half's lines", placebo.other_half),
            ("weeks permuted within the item", placebo.permuted),
        ] {
            writeln!(f, "{name:<34}{nats:>10.4}{:>14.4}", placebo.no_price - nats)?;
        }
        let [q05, q25, q50, q75, q95] = self.chain_week.elasticity_quantiles;
        writeln!(
            f,
            "\nitems' price slopes of incidence: 5 % {q05:.2}, 25 % {q25:.2}, median {q50:.2}, 75 % {q75:.2}, 95 % {q95:.2}"
        )?;
        self.write_elasticities(f)?;
        self.write_calibration(f)
    }
}

impl FitReport {
    fn write_elasticities(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<34}{:>24}{:>24}{:>24}",
            "elasticity of units [95 %]", "own price, short", "own price, long", "all prices together"
        )?;
        for row in &self.elasticities {
            write!(f, "{:<34}", clipped(&row.category))?;
            for interval in [&row.own_short, &row.own_long, &row.together] {
                write!(f, "{:>24}", shown(interval))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_calibration(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calibration = &self.calibration;
        writeln!(
            f,
            "\n{:<34}{:>12}{:>24}",
            "expected / logged revenue [95 %]", "logged", "ratio"
        )?;
        let row = |f: &mut fmt::Formatter<'_>, ratio: &Ratio| {
            let mark = if ratio.ratio.contains(1.0) { "" } else { "  off" };
            writeln!(
                f,
                "{:<34}{:>12.2}{:>24}{mark}",
                clipped(&ratio.name),
                ratio.logged,
                shown(&ratio.ratio)
            )
        };
        row(f, &calibration.overall)?;
        for ratio in calibration.price_deciles.iter().chain(&calibration.categories) {
            row(f, ratio)?;
        }
        let (deciles, categories) = (calibration.price_deciles.len(), calibration.categories.len());
        let (good, fine) = (calibration.deciles_within(), calibration.categories_within());
        write!(
            f,
            "1 lies in the interval of {good} of {deciles} price deciles and {fine} of {categories} categories"
        )
    }
}

fn shown(interval: &Interval) -> String {
    format!(
        "{:.2} [{:.2}, {:.2}]",
        interval.point, interval.low, interval.high
    )
}

fn clipped(name: &str) -> String {
    name.chars().take(32).collect()
}
