//! The whole way, end to end, on real sessions: import, fit, train, serve, tune, gate, swap.

use crate::args::Demo;
use crate::daemon::Daemon;
use crate::env_file::ReplayFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::gate;
use crate::output::Output;
use crate::plan::Plan;
use crate::replay_run::train_policy;
use crate::scene::{Scene, read_sessions};
use crate::seat::Seat;
use crate::shoppers::{Season, Shoppers};
use crate::training::RunSummary;
use crate::tune;
use crate::value;
use crate::weeks::Weeks;
use haggle_core::Digest;
use haggle_eval::{Evaluation, GateVerdict, Resimulation};
use haggle_history::{History, Selection, write_segments};
use haggle_learn::TuneReport;
use haggle_policy::Bundle;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Held-out weeks that are served live; the rest value what came out of it.
const LIVE_WEEKS: u32 = 5;
const TUNE_CONFIG: &str = "configs/tune.toml";
const GATE_CONFIG: &str = "configs/gate.toml";

/// Everything that the demo tells programs.
#[derive(Serialize)]
struct Told<'a> {
    training: &'a RunSummary,
    season: &'a Season,
    wait_p50_us: f64,
    wait_p99_us: f64,
    rewards_in_store: u64,
    tuned: Digest,
    tune: &'a TuneReport,
    gate_passed: bool,
    gate_reasons: &'a [String],
    resimulation: &'a Resimulation,
    value: &'a Evaluation,
    seconds: f64,
}

/// `haggle demo`.
pub fn run(args: &Demo, output: Output) -> Result<(), Failure> {
    let started = Instant::now();
    let mut plan = Plan::read(&args.config, &args.sets)?.0.replay()?;
    plan.runs = args.out.join("runs");
    let (live, last) = split(&plan.env.held_out_weeks)?;
    clear(&args.out)?;

    let store = args.out.join("store");
    let history = import(&plan.env.sessions, &store, output)?;
    plan.env.sessions = store; // what the run's config.toml leads to is what it was trained on
    let scene = Scene::of_history(&history, &plan.env, &plan.runs.join("cache"), output)?;
    let resimulation = value::resimulated(&plan, &scene)?;
    output.progress(format_args!(
        "replay     {}",
        resimulation.to_string().trim_end().replace('\n', "\n           ")
    ));

    output.progress(format_args!(
        "train      {} steps, seed {}",
        plan.learner.steps, plan.learner.seed
    ));
    let trained = train_policy(&plan, &scene, &Seat::New, output)?;
    output.progress(format_args!(
        "trained    {:.0} steps/s, {}",
        trained.facts.steps_per_second,
        trained.facts.bundle.display()
    ));

    let primer = args.out.join("history");
    let selection = Selection::choose(&history, plan.env.replay.week_range());
    write_segments(&history, &selection, &plan.env.replay.week_range(), &primer).or_fail(Kind::Data)?;
    let daemon = Daemon::start(
        &args.out.join("daemon"),
        &trained.facts.bundle,
        &primer,
        plan.learner.seed,
    )?;
    let season = serve(&daemon, &plan, &scene, &history.users, &live, output)?;
    let log = args.out.join("segments");
    let exported = daemon.export(&log)?;
    output.progress(format_args!(
        "rewards    {} acknowledged, {} in the store; {} offers exported",
        season.rewards, exported.rewards, exported.offers
    ));

    let (candidate, report, folder) = improve(&trained.bundle, &log, &args.out.join("candidates"), output)?;
    let verdict = decide((&candidate, &folder), &trained.bundle, &log, output)?;
    if verdict.verdict.passed {
        daemon.swap(&folder)?;
        output.progress(format_args!(
            "swap       the daemon serves {} now",
            candidate_name(&folder)
        ));
    } else {
        output.progress("swap       none: the daemon goes on serving the trained policy");
    }
    daemon.stop()?;

    let bundles = [("trained", &trained.bundle), ("tuned", &candidate)];
    let table = value::of_bundles(&plan, &scene, &bundles, &last.range())?;
    value::keep(&trained.facts.run, &table)?;
    let told = Told {
        training: &trained.facts,
        wait_p50_us: season.wait_us(0.50),
        wait_p99_us: season.wait_us(0.99),
        season: &season,
        rewards_in_store: exported.rewards as u64,
        tuned: haggle_core::Policy::digest(&candidate),
        tune: &report,
        gate_passed: verdict.verdict.passed,
        gate_reasons: &verdict.reasons,
        resimulation: &resimulation,
        value: &table,
        seconds: started.elapsed().as_secs_f64(),
    };
    output.result(closing(&scene, &told, &verdict), &told);
    if exported.rewards == season.rewards {
        Ok(())
    } else {
        Err(Failure::say(
            Kind::Data,
            "rewards that were acknowledged are not in the store",
        ))
    }
}

fn split(held_out: &Weeks) -> Result<(Weeks, Weeks), Failure> {
    let weeks = LIVE_WEEKS.min(held_out.count() / 2);
    held_out.split_at(weeks).ok_or_else(|| {
        Failure::say(
            Kind::Usage,
            format!("held_out_weeks {held_out}: the demo serves some and judges on the rest, so it needs 2"),
        )
    })
}

/// Removes what the last demo left; a folder that no demo made is left alone.
fn clear(out: &Path) -> Result<(), Failure> {
    let mark = out.join("made-by-haggle-demo");
    if out.exists() && !mark.exists() {
        let sentence = format!(
            "{} exists and was not made by a demo; choose another --out",
            out.display()
        );
        return Err(Failure::say(Kind::Usage, sentence));
    }
    if out.exists() {
        std::fs::remove_dir_all(out).or_fail_at(Kind::Data, out)?;
    }
    std::fs::create_dir_all(out).or_fail_at(Kind::Data, out)?;
    std::fs::write(&mark, "").or_fail_at(Kind::Data, &mark)
}

fn import(sessions: &Path, store: &Path, output: Output) -> Result<History, Failure> {
    let history = read_sessions(sessions, output)?;
    history.save(store, false).or_fail(Kind::Data)?;
    output.progress(format_args!(
        "store      {} sessions, {} lines, {} items",
        history.sessions.len(),
        history.lines.len(),
        history.items.len()
    ));
    History::load(store).or_fail(Kind::Data)
}

fn serve(
    daemon: &Daemon,
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    users: &[String],
    live: &Weeks,
    output: Output,
) -> Result<Season, Failure> {
    let sessions = scene.valuation.replay().sessions_in(&live.range());
    output.progress(format_args!(
        "serve      weeks {live}: {} sessions; the shoppers are simulated under demand model {}",
        sessions.len(),
        scene.judge.digest().short()
    ));
    let mut shoppers = Shoppers::new(&scene.valuation, users, sessions.start, plan.learner.seed);
    let season = shoppers.visit(&mut daemon.client()?, sessions)?;
    output.progress(format_args!(
        "served     {} prices ({} refused), {:.0} a second; one at a time p50 {:.0} us, p99 {:.0} us",
        season.decisions,
        season.refused,
        season.decisions_per_second,
        season.wait_us(0.50),
        season.wait_us(0.99)
    ));
    Ok(season)
}

fn improve(
    incumbent: &Bundle,
    log: &Path,
    folder: &Path,
    output: Output,
) -> Result<(Bundle, TuneReport, PathBuf), Failure> {
    let config = tune::read_config(Path::new(TUNE_CONFIG), &[])?.value;
    let (candidate, report, path) = tune::improve(incumbent, &config, log, folder)?;
    output.progress(format_args!(
        "tune       {}",
        tune::people(&path, &report).replace('\n', "\n           ")
    ));
    Ok((candidate, report, path))
}

fn decide(
    candidate: (&Bundle, &Path),
    incumbent: &Bundle,
    log: &Path,
    output: Output,
) -> Result<GateVerdict, Failure> {
    let config = gate::read_config(Path::new(GATE_CONFIG), &[])?.value;
    let verdict = gate::decide(candidate, incumbent, &config, log)?;
    output.progress(format_args!(
        "gate       {}",
        gate::people(&verdict).replace('\n', "\n           ")
    ));
    Ok(verdict)
}

fn closing(scene: &Scene, told: &Told<'_>, verdict: &GateVerdict) -> String {
    let gate = if verdict.verdict.passed {
        "passed: the daemon was swapped to the tuned policy".to_owned()
    } else {
        format!("refused: {}", verdict.reasons.join("; "))
    };
    format!(
        "\n{}\n\n\
         identification  {}\n\
         decisions       {} served, p50 {:.0} us, p99 {:.0} us (one request at a time)\n\
         rewards         {} acknowledged = {} in the store\n\
         gate            {gate}\n\
         run             {}\n\
         took            {:.0} s\n\
         watch           tensorboard --logdir {}",
        told.value,
        scene.teacher.rung(),
        told.season.decisions,
        told.wait_p50_us,
        told.wait_p99_us,
        told.season.rewards,
        told.rewards_in_store,
        told.training.run.display(),
        told.seconds,
        told.training.run.join("tb").display()
    )
}

fn candidate_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
