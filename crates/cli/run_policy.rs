//! The policy of a run: its last bundle, or the bundle that it would have ended with at one of its checkpoints.

use crate::env_file::ReplayFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::going_on::read_checkpoint;
use crate::market_run::Stage;
use crate::output::Output;
use crate::plan::Plan;
use crate::replay_run;
use crate::scene::Scene;
use haggle_env::Env;
use haggle_learn::{Checkpoint, DeviceChoice, EngineChoice, Mappo, TrainConfig, read_facts};
use haggle_policy::{Bundle, MANIFEST_FILE, MarketBundle};
use std::path::{Path, PathBuf};

/// Of a run in a market or a probe: the last one, or that of a named checkpoint. It comes with where it lies.
pub fn market_of(
    run: &Path,
    plan: &Plan,
    checkpoint: Option<&str>,
) -> Result<(PathBuf, MarketBundle), Failure> {
    if let Some(name) = checkpoint {
        let (path, checkpoint) = read(run, name)?;
        return Ok((path, market(plan, &checkpoint)?));
    }
    let path = last_bundle(run)?;
    let bundle = MarketBundle::load(&path).or_fail(Kind::Data)?;
    Ok((path, bundle))
}

/// Of a run on replayed sessions, with the scene that it was trained in.
pub fn shop_of(
    run: &Path,
    plan: &Plan<ReplayFile>,
    checkpoint: Option<&str>,
    output: Output,
) -> Result<(Scene, Bundle), Failure> {
    let prepare = || Scene::prepare(&plan.env, &plan.runs.join("cache"), output);
    if let Some(name) = checkpoint {
        let (_, checkpoint) = read(run, name)?;
        let scene = prepare()?;
        let bundle = shop(run, plan, &scene, &checkpoint)?;
        return Ok((scene, bundle));
    }
    let bundle = Bundle::load(&last_bundle(run)?).or_fail(Kind::Data)?;
    Ok((prepare()?, bundle))
}

/// The bundle that a run wrote last, by its own record: the times of folders change where a run is copied.
pub fn last_bundle(run: &Path) -> Result<PathBuf, Failure> {
    let folder = run.join("bundles");
    let refuse = |sentence: &str| {
        let sentence = format!("{}: {sentence}", folder.display());
        Err(Failure::say(Kind::Data, sentence))
    };
    let is_bundle = |path: &PathBuf| path.join(MANIFEST_FILE).exists();
    if let Some(digest) = read_facts(run)?.bundle {
        let recorded = Some(folder.join(digest.short())).filter(is_bundle);
        return match recorded {
            Some(path) => Ok(path),
            None => refuse(&format!("the run's last bundle, {digest}, is not here")),
        };
    }
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')); // the others are drafts
    let bundles: Vec<PathBuf> = named.map(|entry| entry.path()).filter(is_bundle).collect();
    match bundles.as_slice() {
        [] => refuse("no bundle is here; has the run finished?"),
        [bundle] => Ok(bundle.clone()),
        several => refuse(&format!(
            "{} bundles are here, and run.json does not say which is the last; name the folder of one",
            several.len()
        )),
    }
}

/// A checkpoint of a run, by its name.
pub fn read(run: &Path, name: &str) -> Result<(PathBuf, Checkpoint), Failure> {
    let instead = |newest: &Path| format!("take the newest of them with --checkpoint {}", newest.display());
    read_checkpoint(run, name, instead)
}

/// What a checkpoint of a run in a market or a probe plays by.
pub fn market(plan: &Plan, checkpoint: &Checkpoint) -> Result<MarketBundle, Failure> {
    let stage = Stage::of(&plan.env)?;
    let learner = learner_at(checkpoint, &plan.learner, stage.environment(plan.learner.copies)?)?;
    stage.bundle(plan, &learner)
}

/// What a checkpoint of a run on replayed sessions plays by.
pub fn shop(
    run: &Path,
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    checkpoint: &Checkpoint,
) -> Result<Bundle, Failure> {
    replay_run::check_scene(plan, scene, &read_facts(run)?)?;
    let learner = learner_at(checkpoint, &plan.learner, replay_run::environment(plan, scene)?)?;
    replay_run::bundle(plan, scene, &learner)
}

/// The learner as it stood at a checkpoint, on the processor: it makes no steps.
fn learner_at(checkpoint: &Checkpoint, learner: &TrainConfig, env: Box<dyn Env>) -> Result<Mappo, Failure> {
    let config = TrainConfig {
        device: DeviceChoice::Cpu,
        engine: EngineChoice::Auto,
        ..learner.clone()
    };
    let mut learner = Mappo::new(config, env)?;
    learner.restore(checkpoint)?;
    Ok(learner)
}
