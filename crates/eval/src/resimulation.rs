//! An admission test: does a demand model, walked through at the logged prices, give back the logged revenue?

use crate::Interval;
use crate::evaluation::heading;
use haggle_env::{Pricing, Totals, WalkError, WalkPlan, World, walk};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Logged revenue against revenue simulated at the logged prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resimulation {
    /// Under what it was simulated.
    pub heading: String,
    /// All categories together.
    pub overall: ResimulatedRevenue,
    /// Each category, in catalogue order.
    pub categories: Vec<ResimulatedRevenue>,
}

/// One line of a [`Resimulation`], in major units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResimulatedRevenue {
    /// The category, or "all".
    pub name: String,
    /// What shoppers paid.
    pub logged: f64,
    /// What simulated shoppers are expected to pay, with the interval in which the logged revenue should lie.
    pub simulated: Interval,
    /// Whether it does.
    pub reproduced: bool,
}

/// Walks through the plan's weeks at the logged prices. The interval's variance is that of the users' differences between
/// simulated and logged revenue, summed, and the members' mean square distance from the first member.
///
/// # Errors
/// When the plan does not fit the world.
pub fn resimulate(world: &World, model: &str, plan: &WalkPlan) -> Result<Resimulation, WalkError> {
    let walked = walk(world, Pricing::Logged, plan)?;
    let members = plan.members.len();
    let line = |name: &str, of: &dyn Fn(usize) -> Vec<Totals>| {
        let point = of(0);
        let revenue = |clusters: &[Totals]| -> f64 { clusters.iter().map(|totals| totals.revenue).sum() };
        let spread: f64 = (1..members)
            .map(|member| (revenue(&of(member)) - revenue(&point)).powi(2))
            .sum();
        let model_variance = spread / (members - 1).max(1) as f64;
        let differences: Vec<f64> = point
            .iter()
            .map(|totals| totals.revenue - totals.basket_paid)
            .collect();
        let count = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / count;
        let square: f64 = differences
            .iter()
            .map(|difference| (difference - mean).powi(2))
            .sum();
        let simulated = Interval::normal(
            revenue(&point),
            (model_variance + square * count / (count - 1.0).max(1.0)).sqrt(),
        );
        let logged = point.iter().map(|totals| totals.basket_paid).sum();
        ResimulatedRevenue {
            name: name.to_owned(),
            logged,
            simulated,
            reproduced: simulated.contains(logged),
        }
    };
    let categories = world.catalog().categories().iter().enumerate();
    Ok(Resimulation {
        heading: heading(model, plan),
        overall: line("all", &|member| walked.by_cluster(member)),
        categories: categories
            .map(|(number, category)| {
                line(&category.name, &|member| walked.category(number, member).to_vec())
            })
            .collect(),
    })
}

impl Resimulation {
    /// Categories whose logged revenue lies outside the interval; one in twenty does by chance.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.categories
            .iter()
            .filter(|category| !category.reproduced)
            .count()
    }

    /// Whether the total is reproduced and no more categories lie outside than chance explains (its mean and three
    /// standard deviations, at 5 % each).
    #[must_use]
    pub fn passed(&self) -> bool {
        let count = self.categories.len() as f64;
        let by_chance = 0.05 * count + 3.0 * (0.05 * 0.95 * count).sqrt();
        self.overall.reproduced && self.outside() as f64 <= by_chance
    }
}

impl fmt::Display for Resimulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { overall, .. } = self;
        writeln!(f, "{}", self.heading)?;
        writeln!(
            f,
            "logged prices give back {:.0} of {:.0} (95 % interval {:.0} to {:.0}); {} of {} categories lie inside theirs",
            overall.simulated.value,
            overall.logged,
            overall.simulated.low,
            overall.simulated.high,
            self.categories.len() - self.outside(),
            self.categories.len()
        )?;
        for category in self.categories.iter().filter(|category| !category.reproduced) {
            writeln!(
                f,
                "  outside: {}: logged {:.0}, simulated {:.0}",
                category.name, category.logged, category.simulated
            )?;
        }
        Ok(())
    }
}
