//! The stage of a replay run: sessions, two demand models on disjoint halves of the users, and the worlds they make.

use crate::env_file::ReplayFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use haggle_core::{Catalog, Digest};
use haggle_demand::{DemandModel, FitConfig, fit};
use haggle_env::{FixedPlan, FixedPrices, ReplayConfig, World, best_fixed};
use haggle_history::{History, Replay, Selection, import_complete_journey};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Visits per category on which fixed prices are tried.
const FIXED_VISITS: usize = 300;

/// Everything that a policy is trained in and judged by.
pub struct Scene {
    /// Digest of the sessions.
    pub history: Digest,
    /// The demand model that policies are trained under: fitted on one half of the users, training weeks only.
    pub teacher: Arc<DemandModel>,
    /// The demand model that they are valued under: fitted on the other half of the users, all weeks.
    pub judge: Arc<DemandModel>,
    /// The best fixed prices of the training weeks under the teacher and the plan's own index limit: what there is to
    /// beat, and every item's anchor.
    pub fixed: FixedPrices,
    /// Sessions answered by the teacher.
    pub training: Arc<World>,
    /// The same sessions answered by the judge.
    pub valuation: Arc<World>,
}

impl Scene {
    /// Reads the sessions of an environment file and fits both models. Models are kept in `cache` under a digest of what
    /// they were fitted on, so that the next run finds them.
    pub fn prepare(env: &ReplayFile, cache: &Path, output: Output) -> Result<Self, Failure> {
        let history = read_sessions(&env.sessions, output)?;
        Self::of_history(&history, env, cache, output)
    }

    /// As [`Scene::prepare`], with sessions that were read before.
    pub fn of_history(
        history: &History,
        env: &ReplayFile,
        cache: &Path,
        output: Output,
    ) -> Result<Self, Failure> {
        let train_weeks = env.replay.week_range();
        let held_out = env.held_out_weeks.range();
        for (name, weeks) in [
            ("env.replay.weeks", &train_weeks),
            ("env.held_out_weeks", &held_out),
        ] {
            check_weeks(history, &env.sessions, name, weeks)?;
        }
        let selection = Selection::choose(history, train_weeks.clone());
        let replay = Replay::new(history, &selection);
        let fitted = |role: &str, weeks: Range<u32>, half: &History| {
            let config = FitConfig {
                train_weeks: weeks,
                members: env.members + 1,
                seed: env.fit_seed,
                ..FitConfig::default()
            };
            fit_cached(half, &selection, &config, cache, role, output)
        };
        let teacher = fitted("training", train_weeks.clone(), &history.half(true))?;
        let judge = fitted("valuation", train_weeks.start..held_out.end, &history.half(false))?;
        let world = |catalog: &Catalog, model: &Arc<DemandModel>| {
            World::new(
                catalog.clone(),
                replay.clone(),
                Arc::clone(model) as _,
                model.rates(),
            )
            .or_fail(Kind::Data)
        };
        let plain = teacher
            .catalog(&env.replay.ladder, env.replay.cost_share)
            .or_fail(Kind::Data)?;
        let fixed = fixed_prices(&env.replay, &world(&plain, &teacher)?)?;
        let catalog = plain.anchored(&fixed.rungs);
        output.progress(format_args!(
            "fixed      the best fixed prices bring {:.0} at a price index of {:.4} in training (simulated)",
            fixed.reward, fixed.price_index
        ));
        Ok(Self {
            history: history.digest,
            training: Arc::new(world(&catalog, &teacher)?),
            valuation: Arc::new(world(&catalog, &judge)?),
            fixed,
            teacher,
            judge,
        })
    }
}

/// Refuses weeks that the sessions of a store do not reach.
pub fn check_weeks(history: &History, store: &Path, name: &str, weeks: &Range<u32>) -> Result<(), Failure> {
    let known = history.weeks();
    if known.start <= weeks.start && weeks.end <= known.end {
        return Ok(());
    }
    let sentence = format!(
        "{name} {}-{}: the sessions of {} are of weeks {} to {}",
        weeks.start,
        weeks.end - 1,
        store.display(),
        known.start,
        known.end.saturating_sub(1)
    );
    Err(Failure::say(Kind::Data, sentence))
}

fn fixed_prices(replay: &ReplayConfig, world: &World) -> Result<FixedPrices, Failure> {
    let plan = FixedPlan {
        weeks: replay.week_range(),
        reward: replay.reward,
        price_index_limit: replay.price_index_limit,
        guardrails: replay.guardrails,
        visits: FIXED_VISITS,
    };
    best_fixed(world, &plan).or_fail(Kind::Data)
}

/// Reads a session store, or imports the files of complete-journey.
pub fn read_sessions(folder: &Path, output: Output) -> Result<History, Failure> {
    if folder.join("store.json").exists() {
        return History::load(folder).or_fail(Kind::Data);
    }
    let (history, report) = import_complete_journey(folder).or_fail(Kind::Data)?;
    output.progress(format_args!(
        "import     {} sessions from {}; dropped: {}",
        report.sessions,
        folder.display(),
        report.dropped_text()
    ));
    Ok(history)
}

fn fit_cached(
    history: &History,
    selection: &Selection,
    config: &FitConfig,
    cache: &Path,
    role: &str,
    output: Output,
) -> Result<Arc<DemandModel>, Failure> {
    let settings = serde_json::to_vec(&(selection, config)).or_fail(Kind::Data)?;
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let key = Digest::of_parts(&[history.digest.as_bytes(), &settings, version]);
    let path = cache.join(format!("demand-{}.json", key.short()));
    // A cached model that cannot be read is fitted again: the cache is only a short cut.
    if let Ok(model) = DemandModel::load(&path) {
        output.progress(format_args!(
            "demand     {role} model {} (from {})",
            model.digest().short(),
            path.display()
        ));
        return Ok(Arc::new(model));
    }
    let model = fit(history, selection, &Replay::new(history, selection), config).or_fail(Kind::Data)?;
    std::fs::create_dir_all(cache).or_fail_at(Kind::Data, cache)?;
    model.save(&path).or_fail(Kind::Data)?;
    output.progress(format_args!(
        "demand     {role} model {} fitted, rung {}",
        model.digest().short(),
        model.rung()
    ));
    Ok(Arc::new(model))
}
