//! A training run on replayed sessions.

use crate::env_file::ReplayFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::seat::Seat;
use crate::training::{RunSummary, Training};
use crate::value;
use haggle_env::{Batch, Env, ReplayEnv};
use haggle_eval::Evaluation;
use haggle_learn::{Mappo, Metrics, PROGRAM, RunFacts, RunSubject};
use haggle_policy::{Actors, Bundle, DataSource, Provenance, Terms};
use serde::Serialize;
use std::sync::Arc;

/// Blocks of copies that step side by side: more than cores, so that no core waits for the slowest.
const BLOCKS: usize = 4;

/// A finished run.
pub struct Learnt {
    /// What to tell of it.
    pub facts: RunSummary,
    /// What it made.
    pub bundle: Bundle,
}

/// What a run tells programs.
#[derive(Serialize)]
pub struct Told {
    /// The run.
    #[serde(flatten)]
    pub run: RunSummary,
    value: Evaluation,
}

/// `haggle train` on replayed sessions: trains, and values the policy on the weeks that are held out.
pub fn run(plan: &Plan<ReplayFile>, seat: &Seat, output: Output) -> Result<(String, Told), Failure> {
    let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
    let learnt = train_policy(plan, &scene, seat, output)?;
    let report = value::of_bundle(plan, &scene, &learnt.bundle, &plan.env.held_out_weeks.range())?;
    value::warn_above_limit(plan, &report, output);
    value::keep(&learnt.facts.run, &report)?;
    let text = format!("{report}\n\n{}", learnt.facts.summary());
    let told = Told {
        run: learnt.facts,
        value: report,
    };
    Ok((text, told))
}

/// Trains the policy of a plan, in a run folder of its own or going on in an old one, and writes its bundle.
pub fn train_policy(
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    seat: &Seat,
    output: Output,
) -> Result<Learnt, Failure> {
    let weeks = plan.env.held_out_weeks.range();
    let valuation = Box::new(
        |actors: &Actors, multipliers: &[f64]| -> Result<Metrics, String> {
            let bundle = bundle_of(plan, scene, actors, multipliers).map_err(|error| error.to_string())?;
            value::metrics(plan, scene, &bundle, &weeks).map_err(|error| error.to_string())
        },
    );
    let training = Training {
        env: environment(plan, scene)?,
        subject: subject(plan, scene),
        seat,
        valuation,
    };
    let trained = training.run(plan, output)?;
    let (bundle, facts) = trained.keep(|learner| bundle(plan, scene, learner), Bundle::write)?;
    Ok(Learnt { facts, bundle })
}

/// What a plan's learner learns in.
pub fn environment(plan: &Plan<ReplayFile>, scene: &Scene) -> Result<Box<dyn Env>, Failure> {
    let copies = plan.learner.copies;
    let blocks = BLOCKS.min(copies);
    let block = |number: usize| {
        let range = number * copies / blocks..(number + 1) * copies / blocks;
        ReplayEnv::new(Arc::clone(&scene.training), plan.env.replay.clone(), range).or_fail(Kind::Usage)
    };
    let blocks = (0..blocks).map(block).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Box::new(
        Batch::new(blocks).map_err(|sentence| Failure::say(Kind::Usage, sentence))?,
    ))
}

fn subject(plan: &Plan<ReplayFile>, scene: &Scene) -> RunSubject {
    RunSubject {
        env: plan.env.name.clone(),
        algorithm: "mappo".to_owned(),
        seed: plan.learner.seed,
        data: vec![
            ("sessions".to_owned(), scene.history),
            ("training demand model".to_owned(), scene.teacher.digest()),
            ("valuation demand model".to_owned(), scene.judge.digest()),
        ],
    }
}

/// Refuses a scene that is not the one of the run: other sessions, or demand models that were fitted otherwise.
pub fn check_scene(plan: &Plan<ReplayFile>, scene: &Scene, facts: &RunFacts) -> Result<(), Failure> {
    let now = subject(plan, scene).data;
    for ((name, digest), (_, trained)) in now.iter().zip(&facts.subject.data) {
        if digest != trained {
            let sentence = format!(
                "{}: trained on the {name} {}, but its config.toml leads to {} now: other sessions or another program",
                facts.name,
                trained.short(),
                digest.short()
            );
            return Err(Failure::say(Kind::Data, sentence));
        }
    }
    Ok(())
}

/// The policy of a learner as it stands, with the terms under which it was trained.
pub fn bundle(plan: &Plan<ReplayFile>, scene: &Scene, learner: &Mappo) -> Result<Bundle, Failure> {
    let actors = learner.actors()?;
    bundle_of(plan, scene, &actors, learner.multipliers())
}

/// A network with the terms under which it was trained.
fn bundle_of(
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    actors: &Actors,
    multipliers: &[f64],
) -> Result<Bundle, Failure> {
    let replay = &plan.env.replay;
    let terms = Terms {
        catalog: scene.training.catalog().clone().into(),
        floor: plan.learner.exploration,
        memory: *scene.training.rates(),
        guardrails: replay.guardrails,
        price_index_limit: replay.price_index_limit,
        multiplier: multipliers.first().copied().unwrap_or(0.0),
        provenance: Provenance {
            parent: None,
            data: vec![DataSource {
                name: "sessions".to_owned(),
                digest: scene.history,
            }],
            demand_model: Some(scene.teacher.digest()),
            run: subject(plan, scene).title(),
            seed: plan.learner.seed,
            identification: scene.teacher.rung().to_string(),
            objective: format!("{:?}", replay.reward).to_lowercase(),
            program: PROGRAM.to_owned(),
        },
    };
    let [network] = actors.networks() else {
        return Err(Failure::say(
            Kind::Usage,
            "a shop's bundle holds one network for all items: learner.share = \"all\" expected",
        ));
    };
    Bundle::mlp(terms, network).or_fail(Kind::Data)
}
