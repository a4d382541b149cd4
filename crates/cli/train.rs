use crate::args::Train;
use crate::console::Console;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::value;
use haggle_core::Digest;
use haggle_env::{Batch, Env, ReplayEnv};
use haggle_learn::{
    Checkpoint, Ended, LearnError, Mappo, Metrics, Run, RunStatus, RunSubject, TrainConfig,
    latest_checkpoint, train,
};
use haggle_policy::{Bundle, DataSource, Network, Provenance, Terms};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Blocks of copies that step side by side: more than cores, so that no core waits for the slowest.
const BLOCKS: usize = 4;

/// `haggle train`.
pub fn run(args: &Train, output: Output) -> Result<(), Failure> {
    let plan = match &args.resume {
        None => Plan::read(&args.config, &args.sets)?.0,
        Some(folder) => resumed_plan(args, folder)?,
    };
    let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
    let trained = train_policy(&plan, &scene, args.resume.as_deref(), output)?;
    let report = value::of_bundle(&plan, &scene, &trained.bundle, &plan.env.held_out_weeks.range())?;
    trained.keep(&report)?;
    output.result(
        format_args!("{report}\n\n{}", trained.summary()),
        &Told {
            run: &trained.facts,
            value: &report,
        },
    );
    Ok(())
}

/// A run goes on with the values it began with; only its length, its device and its bookkeeping may change.
fn resumed_plan(args: &Train, folder: &Path) -> Result<Plan, Failure> {
    let mut plan = Plan::of_run(folder)?;
    let (asked, _) = Plan::read(&args.config, &args.sets)?;
    plan.learner = TrainConfig {
        steps: asked.learner.steps,
        device: asked.learner.device,
        threads: asked.learner.threads,
        checkpoint_every: asked.learner.checkpoint_every,
        checkpoints_keep: asked.learner.checkpoints_keep,
        eval_every: asked.learner.eval_every,
        ..plan.learner
    };
    if plan.learner != asked.learner || plan.env != asked.env {
        return Err(Failure::say(
            Kind::Usage,
            format!(
                "{} began with other values than {} has now; only its length, device, threads and \
                 bookkeeping may change",
                folder.display(),
                args.config.display()
            ),
        ));
    }
    Ok(plan)
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    run: &'a Facts,
    value: &'a value::Report,
}

/// What a training run tells programs.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// The run's folder.
    pub run: PathBuf,
    /// Environment steps done in all.
    pub steps: u64,
    /// Environment steps per second, this time.
    pub steps_per_second: f64,
    /// Where gradient steps ran.
    pub device: String,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// Digest of the bundle.
    pub digest: Digest,
}

/// A finished run.
pub struct Trained {
    /// What to tell of it.
    pub facts: Facts,
    /// What it made.
    pub bundle: Bundle,
}

impl Trained {
    fn summary(&self) -> String {
        format!(
            "run      {}\nbundle   {}\nsteps    {} ({:.0} a second on {})\nwatch    tensorboard --logdir {}",
            self.facts.run.display(),
            self.facts.bundle.display(),
            self.facts.steps,
            self.facts.steps_per_second,
            self.facts.device,
            self.facts.run.join("tb").display()
        )
    }

    /// Keeps a valuation in the run's folder.
    pub fn keep(&self, report: &value::Report) -> Result<(), Failure> {
        value::keep(&self.facts.run, report)
    }
}

/// Trains the policy of a plan, in a run folder of its own or going on in an old one, and writes its bundle.
pub fn train_policy(
    plan: &Plan,
    scene: &Scene,
    resume: Option<&Path>,
    output: Output,
) -> Result<Trained, Failure> {
    let mut learner = Mappo::new(plan.learner.clone(), environment(plan, scene)?).map_err(failure)?;
    let mut run = match resume {
        None => Run::create(
            &plan.runs,
            subject(plan, scene),
            &plan.to_toml()?,
            &plan.settings()?,
        )
        .map_err(failure)?,
        Some(folder) => {
            let path = latest_checkpoint(folder).map_err(failure)?;
            learner
                .restore(&Checkpoint::read(&path).map_err(failure)?)
                .map_err(failure)?;
            Run::resume(folder, learner.steps()).map_err(failure)?
        }
    };
    output.progress(format_args!("run        {}", run.folder().display()));
    let (began, started) = (learner.steps(), Instant::now());
    let weeks = plan.env.held_out_weeks.range();
    let valuation = Box::new(
        |network: &Network, multipliers: &[f64]| -> Result<Metrics, String> {
            let bundle = bundle_of(plan, scene, network, multipliers, "in training")
                .map_err(|error| error.to_string())?;
            value::metrics(plan, scene, &bundle, &weeks).map_err(|error| error.to_string())
        },
    );
    let mut console = Console::new(output, plan.learner.steps, valuation);
    let outcome = train(&mut learner, Some(&mut run), &mut console, stop_flag());
    let status = match &outcome {
        Ok(finish) if finish.how == Ended::Finished => RunStatus::Finished,
        Ok(_) => RunStatus::Interrupted,
        Err(_) => RunStatus::Failed,
    };
    let (folder, bundles) = (run.folder().to_owned(), run.bundles());
    if let Some(warning) = run.finish(status).map_err(failure)? {
        output.progress(warning);
    }
    let finish = outcome.map_err(failure)?;
    if finish.how == Ended::Interrupted {
        let sentence = format!(
            "interrupted at {} steps; go on with --resume {}",
            finish.steps,
            folder.display()
        );
        return Err(Failure::say(Kind::Interrupted, sentence));
    }
    let network = learner.network().map_err(failure)?;
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bundle = bundle_of(plan, scene, &network, learner.multipliers(), &name)?;
    let (digest, path) = bundle.write(&bundles).or_fail(Kind::Data)?;
    let facts = Facts {
        run: folder,
        steps: finish.steps,
        steps_per_second: (finish.steps - began) as f64 / started.elapsed().as_secs_f64(),
        device: learner.device(),
        bundle: path,
        digest,
    };
    Ok(Trained { facts, bundle })
}

fn environment(plan: &Plan, scene: &Scene) -> Result<Box<dyn Env>, Failure> {
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

fn subject(plan: &Plan, scene: &Scene) -> RunSubject {
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

/// A network with the terms under which it was trained.
fn bundle_of(
    plan: &Plan,
    scene: &Scene,
    network: &Network,
    multipliers: &[f64],
    run: &str,
) -> Result<Bundle, Failure> {
    let replay = &plan.env.replay;
    let terms = Terms {
        catalog: scene.training.catalog().clone(),
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
            run: run.to_owned(),
            seed: plan.learner.seed,
            identification: scene.teacher.rung().to_string(),
            objective: format!("{:?}", replay.reward).to_lowercase(),
            program: concat!("haggle ", env!("CARGO_PKG_VERSION")).to_owned(),
        },
    };
    Bundle::mlp(terms, network).or_fail(Kind::Data)
}

/// Set by the first Ctrl-C: the learner writes a checkpoint and stops.
fn stop_flag() -> &'static AtomicBool {
    static STOP: AtomicBool = AtomicBool::new(false);
    // A second training run in this process keeps the first one's handler.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    &STOP
}

/// The exit code that a learner's error stands for.
pub fn failure(error: LearnError) -> Failure {
    let kind = match &error {
        LearnError::Config(_) | LearnError::Environment { .. } | LearnError::NobodyActs { .. } => Kind::Usage,
        LearnError::Device { .. } => Kind::Device,
        LearnError::Diverged { .. } => Kind::Diverged,
        _ => Kind::Data,
    };
    Failure::new(kind, error)
}
