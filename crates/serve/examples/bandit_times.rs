//! How long a bandit takes inside the daemon, beside one fixed price: `cargo run -p haggle-serve --example bandit_times`.
//!
//! Prices are asked of an engine without a socket, so that the difference is the bandit's; lessons are timed in a bandit of
//! the same kind alone.

use anyhow::Context;
use haggle_core::{
    Catalog, FEATURE_WIDTH, Guardrails, Item, ItemTraits, Ladder, MemoryRates, PriceMinor, SavedCategory,
    Seeds,
};
use haggle_policy::bandit::{BanditConfig, BanditPlan, Bandits, Pooling};
use haggle_policy::{Bundle, PolicyKind, Provenance, Terms};
use haggle_serve::{Engine, EngineConfig, PriceRequest};
use std::path::Path;
use std::time::Instant;

const PRICES: usize = 20_000;
const LESSONS: u64 = 4_096;
const NOW_S: i64 = 1_600_000_000;
const FEATURES: [&str; 6] = [
    "session.visits_log",
    "session.hour_sin",
    "session.hour_cos",
    "shelf.posted_log",
    "loyalty.share_log",
    "state.sales_log",
];

fn terms() -> anyhow::Result<Terms> {
    let item = Item {
        id: "cup".to_owned(),
        base_minor: PriceMinor(75),
        low_minor: PriceMinor(40),
        high_minor: PriceMinor(110),
        cost_minor: None,
        ladder: Ladder::new((40..=110).step_by(5).map(PriceMinor).collect())?,
        traits: ItemTraits {
            share: 1.0,
            sales_rate: 1.0,
            ..ItemTraits::default()
        },
    };
    Ok(Terms {
        catalog: Catalog::new(vec![SavedCategory {
            name: "cups".to_owned(),
            items: vec![item],
        }])?
        .into(),
        floor: 0.002,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: None,
        multiplier: 0.0,
        provenance: Provenance::default(),
    })
}

fn bandit(features: usize, segments: &[&str]) -> anyhow::Result<Bundle> {
    let like = BanditConfig {
        pooling: match segments.len() {
            0 => Pooling::Pooled,
            named => Pooling::Partial(named + 1),
        },
        ..BanditConfig::logit_thompson(Vec::new(), features, 1)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let plan = BanditPlan::of(&like, names(&FEATURES[..features]), names(segments))?;
    Ok(Bundle::bandit(terms()?, plan)?)
}

/// Median, 99 % quantile and the longest, in microseconds.
fn quantiles(mut waits_us: Vec<f64>) -> [f64; 3] {
    waits_us.sort_by(f64::total_cmp);
    let last = waits_us.len() - 1;
    [last / 2, last * 99 / 100, last].map(|at| waits_us[at])
}

fn clocked<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}

fn prices(bundle: &Bundle, folder: &Path) -> anyhow::Result<[f64; 3]> {
    let (_, at) = bundle.write(&folder.join("bundles"))?;
    let engine = Engine::open(&EngineConfig {
        store: folder.join(haggle_core::Policy::digest(bundle).short()),
        bundle: Some(at),
        seed: Some(1),
        ..EngineConfig::default()
    })?;
    let price = |n: usize| {
        let request = PriceRequest {
            session: format!("s{n}"),
            item: "cup".to_owned(),
            ..PriceRequest::default()
        };
        clocked(|| Ok(engine.price(request, NOW_S)?))
    };
    let waits = (0..PRICES).map(price).collect::<anyhow::Result<_>>()?;
    engine.close()?;
    Ok(quantiles(waits))
}

fn lessons(bandits: &Bandits) -> anyhow::Result<[f64; 3]> {
    let mut bandit = bandits.of(0, None)?;
    let seeds = Seeds::new(1);
    let lesson = |n: u64| {
        let uniform = |of: usize| seeds.uniform_of(format!("{n}/{of}").as_bytes());
        let features: Vec<f32> = (0..FEATURE_WIDTH).map(|of| uniform(of) as f32).collect();
        let units = u32::from(uniform(99) < 0.3);
        clocked(|| Ok(bandit.learn(&features, (n % 15) as usize, units)?))
    };
    Ok(quantiles(
        (0..LESSONS).map(lesson).collect::<anyhow::Result<_>>()?,
    ))
}

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let row = |what: &str, [p50, p99, most]: [f64; 3]| {
        println!("{what:<44} p50 {p50:>8.1} us   p99 {p99:>8.1} us   longest {most:>10.1} us");
    };
    row(
        "price, fixed",
        prices(&Bundle::fixed(terms()?, vec![7])?, folder.path())?,
    );
    let cases: [(usize, &[&str]); 3] = [(0, &[]), (6, &[]), (6, &["loyal", "new", "guest"])];
    for (features, segments) in cases {
        let bundle = bandit(features, segments)?;
        let what = format!("bandit, {features} features, {} segments", segments.len() + 1);
        row(&format!("price, {what}"), prices(&bundle, folder.path())?);
        let PolicyKind::Bandit(bandits) = bundle.policy() else {
            anyhow::bail!("no bandits in the bundle");
        };
        row(&format!("lesson, {what}"), lessons(bandits).context(what)?);
    }
    Ok(())
}
