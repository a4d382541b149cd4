//! The sequential valuation of prices: real sessions in their real order, every category in front of each.

use crate::loyalties::Loyalties;
use crate::replay_config::{ReplayError, Unit};
use crate::{Totals, Walk, World};
use haggle_core::{
    CategoryState, FEATURE_WIDTH, Guardrails, Mask, Observation, Policy, PolicyError, PriceMinor, Seeds,
    Visit, encode,
};
use haggle_demand::Response;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// Who sets the prices of a walk.
#[derive(Clone, Copy)]
pub enum Pricing<'a> {
    /// The shop, as logged.
    Logged,
    /// One rung per item (global number), always.
    Fixed(&'a [usize]),
    /// A policy: one draw per item from its distribution.
    Policy(&'a dyn Policy),
}

/// What is walked through.
#[derive(Clone, Debug)]
pub struct WalkPlan {
    /// The weeks, first and one past the last.
    pub weeks: Range<u32>,
    /// Members of the demand model; each walks on its own, through its own simulated purchases.
    pub members: Vec<usize>,
    /// How long a policy's price holds.
    pub unit: Unit,
    /// Standing rules on a policy's prices.
    pub guardrails: Guardrails,
    /// Root seed: walks of one seed see the same shoppers, whatever the prices.
    pub seed: u64,
}

/// Why a walk came to nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WalkError {
    /// The plan does not fit the world.
    #[error(transparent)]
    Plan(#[from] ReplayError),
    /// The policy has no answer.
    #[error("walking through the sessions: {0}")]
    Policy(#[from] PolicyError),
}

/// Values prices on logged sessions in their real order.
///
/// State and loyalties begin as the log left them before the first week and then move by each member's own simulated
/// purchases: what prices do to later visits is part of their value. The random numbers of a visit depend on seed,
/// session and category only, so that different prices meet the same shoppers. Revenue, margin and units are expectations
/// at the drawn prices; the price index takes the mean price of the policy's distribution. Stock is not limited.
///
/// # Errors
/// When the plan does not fit the world or the policy has no answer.
pub fn walk(world: &World, pricing: Pricing<'_>, plan: &WalkPlan) -> Result<Walk, WalkError> {
    let masks = world.masks(&plan.guardrails)?;
    check(world, pricing, plan)?;
    let sessions = world.replay().sessions_in(&plan.weeks);
    let clusters = clusters(world, sessions.clone());
    let categories = world.catalog().categories().len();
    let parts: Vec<Part> = (0..categories * plan.members.len())
        .into_par_iter()
        .map(|task| {
            let mut walker = Walker {
                world,
                pricing,
                plan,
                masks: &masks,
                category: task / plan.members.len(),
                member: plan.members[task % plan.members.len()],
                part: Part::new(clusters.count),
            };
            walker.run(sessions.clone(), &clusters.of)?;
            Ok(walker.part)
        })
        .collect::<Result<_, PolicyError>>()?;
    let (mut priced, mut edge) = (0, 0);
    let mut totals = Vec::with_capacity(parts.len() * clusters.count);
    for part in parts {
        priced += part.priced;
        edge += part.edge;
        totals.extend(part.totals);
    }
    Ok(Walk {
        members: plan.members.clone(),
        categories,
        clusters: clusters.count,
        sessions: sessions.len(),
        costs_known: world
            .catalog()
            .items()
            .iter()
            .all(|item| item.cost_minor.is_some()),
        edge_share: if priced == 0 {
            0.0
        } else {
            edge as f64 / priced as f64
        },
        totals,
    })
}

fn check(world: &World, pricing: Pricing<'_>, plan: &WalkPlan) -> Result<(), ReplayError> {
    let members = world.demand().members();
    if plan.members.is_empty() || plan.members.iter().any(|member| *member >= members) {
        return Err(ReplayError::Config(format!(
            "the demand model has {members} members; name at least one of them"
        )));
    }
    if let Pricing::Fixed(rungs) = pricing {
        let items = world.catalog().items();
        let fits = |(item, rung): (&haggle_core::Item, &usize)| *rung < item.ladder.rungs();
        if rungs.len() != items.len() || !items.iter().zip(rungs).all(fits) {
            return Err(ReplayError::Config(
                "fixed prices: one rung per item is needed".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Sessions of one user belong together: errors are clustered by user, else by session.
struct Clusters {
    count: usize,
    of: Vec<u32>,
}

fn clusters(world: &World, sessions: Range<usize>) -> Clusters {
    let mut count = world.replay().users as u32;
    let of = world.replay().sessions[sessions]
        .iter()
        .map(|session| {
            session.user.unwrap_or_else(|| {
                count += 1;
                count - 1
            })
        })
        .collect();
    Clusters {
        count: count as usize,
        of,
    }
}

/// What one member makes of one category.
struct Part {
    totals: Vec<Totals>,
    priced: u64,
    edge: u64,
}

impl Part {
    fn new(clusters: usize) -> Self {
        Self {
            totals: vec![Totals::default(); clusters],
            priced: 0,
            edge: 0,
        }
    }
}

struct Walker<'a> {
    world: &'a World,
    pricing: Pricing<'a>,
    plan: &'a WalkPlan,
    masks: &'a [Mask],
    category: usize,
    member: usize,
    part: Part,
}

/// The prices in front of a visit: as shown, and on average over the policy's draws.
#[derive(Default)]
struct Shown {
    week: Option<u32>,
    drawn: Vec<f64>,
    mean: Vec<f64>,
}

impl Walker<'_> {
    fn run(&mut self, sessions: Range<usize>, clusters: &[u32]) -> Result<(), PolicyError> {
        let world = self.world;
        let agents = world.catalog().categories()[self.category].items.len();
        let seeds = Seeds::new(self.plan.seed)
            .named("walk")
            .indexed(self.category as u64);
        let mut state = CategoryState { items: Vec::new() };
        world.logged_state(self.category, sessions.start, &mut state);
        let mut loyalties = Loyalties::default();
        let mut shown = Shown::default();
        let mut response = vec![Response::default(); agents];
        let mut units = vec![0; agents];
        for session in sessions.clone() {
            let mut rng = seeds.indexed(session as u64).rng();
            let user = world.replay().sessions[session].user;
            let place = loyalties.meet(world, self.category, user, sessions.start);
            let visit = world.visit(session, self.category, &state, loyalties.get(place));
            self.price(&visit, session, &mut rng, &mut shown)?;
            world
                .demand()
                .respond(&visit, &shown.drawn, self.member, &mut response);
            let mut uniform = || rng.random::<f64>();
            units.fill(0);
            world
                .demand()
                .shop(&visit, &shown.drawn, self.member, &mut uniform, &mut units);
            self.add(session, clusters[session - sessions.start], &shown, &response);
            for (agent, units) in units.iter().enumerate() {
                state.on_shown(agent, PriceMinor::rounded(shown.drawn[agent]), world.rates());
                if *units > 0 {
                    state.on_bought(agent, *units, world.rates());
                    if let Some(loyalty) = loyalties.get_mut(place) {
                        loyalty.on_chosen(agent, agents, world.rates());
                    }
                }
            }
        }
        Ok(())
    }

    fn price(
        &mut self,
        visit: &Visit<'_>,
        session: usize,
        rng: &mut ChaCha8Rng,
        shown: &mut Shown,
    ) -> Result<(), PolicyError> {
        let items = visit.catalog.items_of(self.category);
        let first = visit.catalog.categories()[self.category].items.start;
        let week = self.world.replay().sessions[session].week;
        let keeps = self.plan.unit == Unit::Period && shown.week.replace(week) == Some(week);
        if !keeps {
            shown.drawn.clear();
            shown.mean.clear();
        }
        for (agent, item) in items.iter().enumerate() {
            let uniform = rng.random::<f64>(); // drawn for every kind of pricing: the shopper's numbers stay the same
            let fixed = match self.pricing {
                Pricing::Logged => visit.shelf[agent].posted_minor.as_f64(),
                Pricing::Fixed(rungs) => item.ladder.price(rungs[first + agent]).as_f64(),
                Pricing::Policy(_) if keeps => continue,
                Pricing::Policy(policy) => {
                    let mut features = [0.0; FEATURE_WIDTH];
                    encode(visit, agent, &mut features);
                    let mask = self.masks[first + agent];
                    let pmf = policy.pmf(
                        Observation {
                            item: first + agent,
                            features: &features,
                        },
                        mask,
                    )?;
                    let rung = pmf.draw(uniform).rung;
                    self.part.priced += 1;
                    let lowest = mask.iter().next() == Some(rung);
                    let highest = mask.iter().last() == Some(rung);
                    self.part.edge += u64::from(mask.count() > 1 && (lowest || highest));
                    shown.drawn.push(item.ladder.price(rung).as_f64());
                    shown.mean.push(pmf.mean(|rung| item.ladder.price(rung).as_f64()));
                    continue;
                }
            };
            if keeps {
                (shown.drawn[agent], shown.mean[agent]) = (fixed, fixed);
            } else {
                shown.drawn.push(fixed);
                shown.mean.push(fixed);
            }
        }
        Ok(())
    }

    fn add(&mut self, session: usize, cluster: u32, shown: &Shown, response: &[Response]) {
        let totals = &mut self.part.totals[cluster as usize];
        let items = self.world.catalog().items_of(self.category);
        for ((item, price), response) in items.iter().zip(&shown.drawn).zip(response) {
            let units = response.purchases * response.units;
            let cost = item.cost_minor.map_or(0.0, PriceMinor::as_f64);
            totals.units += units;
            totals.revenue += units * price / 100.0;
            totals.margin += units * (price - cost) / 100.0;
        }
        let shelf = self.world.shelf(session, self.category);
        for bought in self.world.replay().bought(session, self.category) {
            let agent = usize::from(bought.agent);
            let units = f64::from(bought.units) / 100.0;
            totals.basket_priced += units * shown.mean[agent];
            totals.basket_posted += units * shelf[agent].posted_minor.as_f64();
            totals.basket_paid += units * f64::from(bought.paid_minor);
        }
    }
}
