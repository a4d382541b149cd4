//! What prices would have brought on logged sessions, simulated under a demand model.

use crate::Interval;
use haggle_core::Seeds;
use haggle_env::{Pricing, Totals, Walk, WalkError, WalkPlan, World, walk};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bootstrap replicates behind every interval.
const REPLICATES: usize = 1000;

/// Prices that are to be compared with the logged ones.
#[derive(Clone)]
pub struct Contender<'a> {
    /// Its name in the table.
    pub name: String,
    /// Who sets the prices.
    pub pricing: Pricing<'a>,
}

/// A table of prices, valued on the same sessions and the same simulated shoppers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Under what all of it was simulated: belongs above every number.
    pub heading: String,
    /// First and last week.
    pub weeks: [u32; 2],
    /// Sessions in these weeks.
    pub sessions: usize,
    /// The logged prices, then the contenders in their order.
    pub rows: Vec<EvaluationRow>,
}

/// One line of an [`Evaluation`]; money in major units, over all sessions of the weeks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Whose prices.
    pub name: String,
    /// Expected revenue.
    pub revenue: Interval,
    /// Expected margin, where every cost is known.
    pub margin: Option<Interval>,
    /// Expected units.
    pub units: Interval,
    /// What the logged baskets would cost at these prices / at the posted prices.
    pub price_index: Interval,
    /// Relative gain in revenue over the logged prices, paired; 0.01 is one per cent.
    pub revenue_gain: Interval,
    /// Relative gain in margin over the logged prices, paired, where every cost is known.
    pub margin_gain: Option<Interval>,
    /// Share of a policy's prices at the lowest or highest allowed rung.
    pub edge_share: f64,
}

/// Values the logged prices and the contenders on the sessions of the plan's weeks.
///
/// The value is that of the plan's first demand member (0: the point estimate). The intervals hold both uncertainties:
/// each of 1,000 replicates draws one of the other members (what we do not know of demand) and gives every user a
/// Poisson(1) weight (which shoppers came), the same for all rows, so that differences are paired. The standard error is
/// the replicates' root mean square distance from the value. What no member knows (confounding) is not in them.
///
/// # Errors
/// When the plan does not fit the world or a policy has no answer.
pub fn compare_on_replay(
    world: &World,
    model: &str,
    contenders: &[Contender<'_>],
    plan: &WalkPlan,
) -> Result<Evaluation, WalkError> {
    let logged = Sums::of(&walk(world, Pricing::Logged, plan)?);
    let replicates = Replicates::draw(plan, logged.by_cluster[0].len());
    let base = replicates.apply(&logged);
    let mut rows = vec![row("logged prices", &logged, (&logged, &base), &base)];
    for contender in contenders {
        let sums = Sums::of(&walk(world, contender.pricing, plan)?);
        let replicas = replicates.apply(&sums);
        rows.push(row(&contender.name, &sums, (&logged, &base), &replicas));
    }
    let weeks = [plan.weeks.start, plan.weeks.end.saturating_sub(1)];
    Ok(Evaluation {
        heading: heading(model, plan),
        weeks,
        sessions: logged.sessions,
        rows,
    })
}

/// What must be said above every simulated number.
pub(crate) fn heading(model: &str, plan: &WalkPlan) -> String {
    format!(
        "simulated under demand model {model}, {} members, weeks {}-{}; a trial is a visit in the same week",
        plan.members.len(),
        plan.weeks.start,
        plan.weeks.end.saturating_sub(1)
    )
}

/// A walk, summed over categories.
struct Sums {
    by_cluster: Vec<Vec<Totals>>,
    sessions: usize,
    costs_known: bool,
    edge_share: f64,
}

impl Sums {
    fn of(walk: &Walk) -> Self {
        Self {
            by_cluster: (0..walk.members.len())
                .map(|member| walk.by_cluster(member))
                .collect(),
            sessions: walk.sessions,
            costs_known: walk.costs_known,
            edge_share: walk.edge_share,
        }
    }

    fn point(&self) -> Totals {
        self.by_cluster[0].iter().copied().sum()
    }
}

/// Per replicate a member and one weight per cluster.
struct Replicates(Vec<(usize, Vec<f32>)>);

impl Replicates {
    fn draw(plan: &WalkPlan, clusters: usize) -> Self {
        let seeds = Seeds::new(plan.seed).named("bootstrap");
        let one = |number: usize| {
            let mut rng = seeds.indexed(number as u64).rng();
            let others = plan.members.len() - 1;
            let member = if others == 0 {
                0
            } else {
                1 + rng.random_range(0..others)
            };
            let weights = (0..clusters).map(|_| poisson_one(rng.random())).collect();
            (member, weights)
        };
        Self((0..REPLICATES).into_par_iter().map(one).collect())
    }

    fn apply(&self, sums: &Sums) -> Vec<Totals> {
        let one = |(member, weights): &(usize, Vec<f32>)| {
            let clusters = &sums.by_cluster[*member];
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let scale = clusters.len() as f64 / total.max(1.0);
            let each = clusters.iter().zip(weights);
            each.map(|(totals, weight)| totals.times(f64::from(*weight) * scale))
                .sum()
        };
        self.0.par_iter().map(one).collect()
    }
}

/// The Poisson(1) quantile of a uniform number.
fn poisson_one(uniform: f64) -> f32 {
    let (mut count, mut chance, mut left) = (0.0, (-1.0f64).exp(), uniform);
    while left >= chance && count < 20.0 {
        left -= chance;
        count += 1.0;
        chance /= f64::from(count);
    }
    count
}

fn row(name: &str, sums: &Sums, logged: (&Sums, &[Totals]), replicas: &[Totals]) -> EvaluationRow {
    let point = sums.point();
    let base = logged.0.point();
    let interval = |of: &dyn Fn(&Totals) -> f64| {
        Interval::of_replicates(of(&point), &replicas.iter().map(of).collect::<Vec<_>>())
    };
    let gain = |of: &dyn Fn(&Totals) -> f64| {
        let relative = |new: &Totals, old: &Totals| {
            if of(old) == 0.0 {
                0.0
            } else {
                of(new) / of(old) - 1.0
            }
        };
        let each = replicas.iter().zip(logged.1);
        let replicates: Vec<f64> = each.map(|(new, old)| relative(new, old)).collect();
        Interval::of_replicates(relative(&point, &base), &replicates)
    };
    EvaluationRow {
        name: name.to_owned(),
        revenue: interval(&|totals| totals.revenue),
        margin: sums.costs_known.then(|| interval(&|totals| totals.margin)),
        units: interval(&|totals| totals.units),
        price_index: interval(&Totals::price_index),
        revenue_gain: gain(&|totals| totals.revenue),
        margin_gain: sums.costs_known.then(|| gain(&|totals| totals.margin)),
        edge_share: sums.edge_share,
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({} sessions; 95 % intervals)", self.heading, self.sessions)?;
        let names = self.rows.iter().map(|row| row.name.chars().count());
        let wide = names.max().unwrap_or(0).max(6);
        let margins = self.rows.iter().any(|row| row.margin.is_some());
        write!(f, "{:wide$}  {:>26}  {:>24}", "prices", "revenue", "gain %")?;
        if margins {
            write!(f, "  {:>26}  {:>24}", "margin", "gain %")?;
        }
        writeln!(f, "  {:>24}  {:>23}  {:>6}", "units", "price index", "edge %")?;
        let per_cent = |gain: &Interval| Interval {
            value: 100.0 * gain.value,
            low: 100.0 * gain.low,
            high: 100.0 * gain.high,
        };
        for row in &self.rows {
            write!(
                f,
                "{:wide$}  {:>26.0}  {:>24.2}",
                row.name,
                row.revenue,
                per_cent(&row.revenue_gain)
            )?;
            if let (Some(margin), Some(gain)) = (&row.margin, &row.margin_gain) {
                write!(f, "  {margin:>26.0}  {:>24.2}", per_cent(gain))?;
            }
            let edge = 100.0 * row.edge_share;
            writeln!(f, "  {:>24.0}  {:>23.4}  {edge:>6.1}", row.units, row.price_index)?;
        }
        Ok(())
    }
}
