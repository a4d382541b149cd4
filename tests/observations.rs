//! One week through the environment and through the daemon: the policy must be shown the same numbers.

use haggle_core::{
    Catalog, Digest, FEATURE_WIDTH, Item, ItemTraits, Ladder, Mask, MemoryRates, Observation, Pmf, Policy,
    PolicyError, SavedCategory, SessionContext, Visit, feature_spec_digest,
};
use haggle_demand::{Demand, Response};
use haggle_env::{Pricing, Unit, WalkPlan, World, walk};
use haggle_history::{History, Replay, SelectedCategory, Selection, import_complete_journey, past_offers};
use haggle_policy::{Provenance, Terms};
use haggle_serve::{Ask, Market};
use std::path::Path;
use std::sync::{Arc, Mutex};

const WEEK: u32 = 31;
const CATEGORY: usize = 5;

/// Shows the lowest allowed price, and notes everything that it was shown.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(usize, Vec<f32>)>>,
}

impl Policy for Recorder {
    fn digest(&self) -> Digest {
        feature_spec_digest()
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        self.seen
            .lock()
            .unwrap()
            .push((observation.item, observation.features.to_vec()));
        Ok(Pmf::certain(13, allowed.iter().next().unwrap()))
    }
}

/// Shoppers whose basket is known from the clock: the environment and this test buy the same.
struct Regulars;

impl Regulars {
    fn basket(session: &SessionContext, agents: usize) -> Option<(usize, u32)> {
        let minute = (session.time_s / 60).unsigned_abs() as usize;
        minute
            .is_multiple_of(3)
            .then_some((minute % agents, 1 + minute as u32 % 2))
    }
}

impl Demand for Regulars {
    fn members(&self) -> usize {
        1
    }

    fn respond(&self, _: &Visit<'_>, _: &[f64], _: usize, out: &mut [Response]) {
        out.fill(Response::default());
    }

    fn shop(&self, visit: &Visit<'_>, _: &[f64], _: usize, _: &mut dyn FnMut() -> f64, units: &mut [u32]) {
        units.fill(0);
        if let Some((agent, bought)) = Self::basket(visit.session, units.len()) {
            units[agent] = bought;
        }
    }
}

#[test]
fn environment_and_daemon_show_the_policy_the_same_week() {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("envs/sessions/complete-journey");
    let (history, _) = import_complete_journey(&sessions).unwrap();
    let selection = Selection::choose(&history, 1..WEEK);
    let replay = Replay::new(&history, &selection);
    let groups = selection.categories.iter().map(priced).collect();
    let catalog = Catalog::new(groups).unwrap();
    let world = World::new(catalog, replay, Arc::new(Regulars), MemoryRates::default()).unwrap();

    let recorder = Recorder::default();
    let plan = WalkPlan {
        weeks: WEEK..WEEK + 1,
        members: vec![0],
        unit: Unit::Offer,
        guardrails: Default::default(),
        seed: 1,
    };
    walk(&world, Pricing::Policy(&recorder), &plan).unwrap();
    let items = world.catalog().categories()[CATEGORY].items.clone();
    let seen = recorder.seen.into_inner().unwrap();
    let environment: Vec<_> = seen
        .into_iter()
        .filter(|(item, _)| items.contains(item))
        .collect();

    let daemon = daemon_week(&history, &selection, &world);
    assert_eq!(environment.len(), daemon.len());
    assert!(daemon.len() > 1_000);
    for (number, (here, there)) in environment.iter().zip(&daemon).enumerate() {
        assert_eq!(here.0, there.0, "observation {number}");
        for (feature, (a, b)) in here.1.iter().zip(&there.1).enumerate() {
            assert!(
                (a - b).abs() < 1e-5,
                "observation {number}, feature {feature}: {a} and {b}"
            );
        }
    }
}

fn priced(category: &SelectedCategory) -> SavedCategory {
    let multiples: Vec<f64> = (0..13).map(|rung| 0.7 + 0.05 * f64::from(rung)).collect();
    let share = 1.0 / category.items.len() as f32;
    let item = |item: &haggle_history::SelectedItem| Item {
        id: item.id.clone(),
        base_minor: item.base_minor,
        low_minor: item.low_minor,
        high_minor: item.high_minor,
        cost_minor: None,
        ladder: Ladder::of_multiples(item.base_minor, &multiples).unwrap(),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.0,
            share,
            sales_rate: 0.01,
        },
    };
    SavedCategory {
        name: category.name.clone(),
        items: category.items.iter().map(item).collect(),
    }
}

/// The same week as requests and rewards.
fn daemon_week(history: &History, selection: &Selection, world: &World) -> Vec<(usize, Vec<f32>)> {
    let mut market = Market::new(&Terms {
        catalog: world.catalog().clone().into(),
        floor: 0.0,
        memory: *world.rates(),
        guardrails: Default::default(),
        price_index_limit: None,
        multiplier: 0.0,
        provenance: Provenance::default(),
    });
    market.prime(&past_offers(history, selection, &(1..WEEK)));
    let items = world.catalog().categories()[CATEGORY].items.clone();
    let mut shown = Vec::new();
    for session in world.replay().sessions_in(&(WEEK..WEEK + 1)) {
        let known = &world.replay().sessions[session];
        let user = known.user.map(|user| history.users[user as usize].clone());
        let shelf = world.shelf(session, CATEGORY).iter().copied();
        for item in items.clone() {
            let first = item == items.start;
            let ask = Ask {
                session: known.id.clone(),
                user: user.clone(),
                item,
                context: Some(known.context),
                shelf: if first {
                    items.clone().zip(shelf.clone()).collect()
                } else {
                    Vec::new()
                },
                stock: None,
                segment: None,
                channel: None,
            };
            let mut features = [0.0; FEATURE_WIDTH];
            market.observe(&ask, 0, &mut features);
            shown.push((item, features.to_vec()));
            let item_here = &world.catalog().items()[item];
            let lowest = item_here.supported().iter().next().unwrap();
            market.on_decision(item, item_here.ladder.price(lowest));
        }
        if let Some((agent, units)) = Regulars::basket(&known.context, items.len()) {
            market.on_reward(&known.id, user.as_deref(), items.start + agent, units);
        }
    }
    shown
}
