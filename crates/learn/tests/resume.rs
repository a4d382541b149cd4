//! A run that was interrupted and resumed is the run that was not.

use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Actions, Env, EnvSpec, ObserveOut, ProbeConfig, ProbeEnv, StepOut};
use haggle_learn::{
    Checkpoint, CheckpointError, DeviceChoice, Ended, EngineChoice, Iteration, LearnError, Mappo, Metrics,
    Progress, Run, RunStatus, RunSubject, Schedule, Share, Silent, TrainConfig, latest_checkpoint,
    read_facts, train,
};
use haggle_policy::Actors;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn learner(change: impl FnOnce(&mut TrainConfig)) -> Mappo {
    let mut probe: ProbeConfig =
        toml::from_str(include_str!("../../../envs/probe/late-sale.toml")).expect("a probe config");
    probe.copies = 16;
    let mut config = TrainConfig {
        steps: 16 * 10 * 8,
        copies: 16,
        horizon: 10, // not a multiple of the episode's four steps: episodes are cut by the checkpoint
        minibatch_rows: 50,
        device: DeviceChoice::Cpu,
        threads: 1,
        ..TrainConfig::default()
    };
    change(&mut config);
    Mappo::new(config, Box::new(ProbeEnv::new(probe).expect("an environment"))).expect("a learner")
}

/// As [`learner`], where two sellers set prices.
fn sellers(change: impl FnOnce(&mut TrainConfig)) -> Mappo {
    let mut probe: ProbeConfig =
        toml::from_str(include_str!("../../../envs/probe/two-sellers.toml")).expect("a probe config");
    probe.copies = 16;
    let mut config = learner(|_| ()).config().clone();
    change(&mut config);
    Mappo::new(config, Box::new(ProbeEnv::new(probe).expect("an environment"))).expect("a learner")
}

/// As [`learner`], where two sellers may ask any price.
fn multiplying(change: impl FnOnce(&mut TrainConfig)) -> Result<Mappo, LearnError> {
    let market: Market =
        toml::from_str(include_str!("../../../envs/c-continuous.toml")).expect("a market file");
    let mut config = learner(|config| config.exploration = 0.0).config().clone();
    change(&mut config);
    let env = MarketEnv::new(&market, config.copies).expect("an environment");
    Mappo::new(config, Box::new(env))
}

#[test]
fn what_a_multiplier_has_no_use_for_is_refused() {
    for (change, said) in [
        (
            (|config| config.exploration = 0.03) as fn(&mut TrainConfig),
            "exploration = 0.03 and ",
        ),
        (
            |config| (config.memory, config.memory_chunk) = (4, 4),
            "memory = 4 and ",
        ),
        (
            |config| config.engine = EngineChoice::Fused,
            "engine = \"fused\" and ",
        ),
    ] {
        let error = multiplying(change).expect_err("refused").to_string();
        assert!(
            error.starts_with(said) && error.contains("the environment's action = \"multiplier\""),
            "{error}"
        );
    }
}

/// Presses the button at the fourth iteration.
struct Button<'a>(&'a AtomicBool);

impl Progress for Button<'_> {
    fn iteration(&mut self, iteration: &Iteration) {
        self.0.store(iteration.iteration == 4, Ordering::Relaxed);
    }
}

fn subject() -> RunSubject {
    RunSubject {
        env: "late-sale".into(),
        algorithm: "mappo".into(),
        seed: 1,
        data: Vec::new(),
    }
}

fn interrupted_run(parent: &Path) -> Run {
    let mut run = Run::create(parent, subject(), "", &[]).expect("a run");
    let stop = AtomicBool::new(false);
    let finish = train(&mut learner(|_| ()), Some(&mut run), &mut Button(&stop), &stop).expect("a run");
    assert_eq!((finish.how, finish.steps), (Ended::Interrupted, 16 * 10 * 4));
    run
}

/// A learner by what is special about it.
type Kind = (&'static str, fn() -> Mappo);

#[test]
fn twice_n_steps_equal_n_and_n_resumed_bit_for_bit() {
    let mut straight = learner(|_| ());
    train(&mut straight, None, &mut Silent, &AtomicBool::new(false)).expect("a run");

    let parent = tempfile::tempdir().expect("a folder");
    let run = interrupted_run(parent.path());
    let folder = run.folder().to_owned();
    run.finish(RunStatus::Interrupted).expect("finished");
    let checkpoint = Checkpoint::read(&latest_checkpoint(&folder).expect("a checkpoint")).expect("sound");
    let mut resumed = learner(|_| ());
    resumed.restore(&checkpoint).expect("restored");
    let mut run = Run::resume(&folder, resumed.steps()).expect("resumed");
    train(&mut resumed, Some(&mut run), &mut Silent, &AtomicBool::new(false)).expect("a run");
    assert!(
        straight.checkpoint() == resumed.checkpoint(),
        "the two learners differ"
    );
    assert_ne!(straight.checkpoint(), checkpoint);
}

#[test]
fn every_kind_of_learner_resumes_bit_for_bit() {
    let kinds: [Kind; 5] = [
        ("torch", || learner(|config| config.engine = EngineChoice::Torch)),
        ("fused on two threads", || {
            learner(|config| {
                config.threads = 2;
                config.minibatch_rows = 160; // enough rows for both
            })
        }),
        ("memory", || {
            learner(|config| {
                config.memory = 8;
                config.memory_chunk = 4;
            })
        }),
        ("parameters of their own", || {
            sellers(|config| config.share = Share::None)
        }),
        ("multipliers", || multiplying(|_| ()).expect("a learner")),
    ];
    for (kind, make) in kinds {
        let play = |learner: &mut Mappo, iterations: usize| {
            for _ in 0..iterations {
                learner.iterate().expect("an iteration");
            }
        };
        let (mut straight, mut half, mut resumed) = (make(), make(), make());
        play(&mut straight, 6);
        play(&mut half, 3);
        let checkpoint = half.checkpoint();
        resumed.restore(&checkpoint).expect("restored");
        play(&mut resumed, 3);
        assert!(straight.checkpoint() == resumed.checkpoint(), "{kind}");
        assert!(straight.checkpoint() != checkpoint, "{kind}: nothing was learnt");
    }
}

#[test]
fn a_checkpoint_of_other_sharing_is_refused() {
    let mut own = sellers(|config| config.share = Share::None);
    let error = own
        .restore(&sellers(|_| ()).checkpoint())
        .expect_err("one set of parameters");
    assert_eq!(
        error.to_string(),
        "the checkpoint was made with share = \"all\", the configuration says \"none\""
    );
}

/// Pays money until the fifth roll-out, then what is no number.
struct Broken(ProbeEnv, u64);

impl Env for Broken {
    fn spec(&self) -> &EnvSpec {
        self.0.spec()
    }
    fn reset(&mut self, seeds: &Seeds) {
        self.0.reset(seeds);
    }
    fn observe(&self, out: &mut ObserveOut<'_>) {
        self.0.observe(out);
    }
    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>) {
        self.0.step(actions, out);
        self.1 += 1;
        if self.1 > 4 * 10 {
            out.reward[3] = f32::NAN;
        }
    }
    fn save(&self) -> Vec<u8> {
        self.0.save()
    }
    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        self.0.load(state)
    }
}

#[test]
fn a_reward_that_is_no_number_ends_the_run_and_keeps_the_state_before_it() {
    let mut straight = learner(|_| ());
    for _ in 0..4 {
        straight.iterate().expect("an iteration");
    }
    for checkpoint_every in [0, 160] {
        let mut config = learner(|_| ()).config().clone();
        config.checkpoint_every = checkpoint_every;
        let mut probe: ProbeConfig =
            toml::from_str(include_str!("../../../envs/probe/late-sale.toml")).expect("a probe config");
        probe.copies = 16;
        let env = Broken(ProbeEnv::new(probe).expect("an environment"), 0);
        let mut broken = Mappo::new(config, Box::new(env)).expect("a learner");
        let parent = tempfile::tempdir().expect("a folder");
        let mut run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
        let stop = AtomicBool::new(false);
        let error = train(&mut broken, Some(&mut run), &mut Silent, &stop).expect_err("no number");
        let kept = latest_checkpoint(run.folder()).expect("a checkpoint");
        assert_eq!(
            error.to_string(),
            format!(
                "learning diverged in update 5, after 640 environment steps: a reward of the environment's agent 0 is not finite; \
                 the state before it is kept as {}",
                kept.display()
            )
        );
        let noted = &read_facts(run.folder()).expect("facts").diverged[0];
        assert_eq!((noted.update, noted.steps), (5, 640));
        assert!(kept.ends_with(&noted.checkpoint));

        // Bit for bit the learner that never saw what is no number.
        let mut restored = learner(|_| ());
        restored
            .restore(&Checkpoint::read(&kept).expect("sound"))
            .expect("restored");
        assert!(restored.checkpoint() == straight.checkpoint());
    }
}

#[test]
fn weights_that_are_no_numbers_are_never_kept_and_smaller_steps_go_on() {
    let one_step = |rate: f64| {
        learner(|config| {
            config.learning_rate = Schedule::constant(rate);
            (config.epochs, config.minibatch_rows) = (1, 1000);
        })
    };
    let parent = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
    let stop = AtomicBool::new(false);
    // The only step of the first update leaves single precision: its losses were still finite.
    let error = train(&mut one_step(3e38), Some(&mut run), &mut Silent, &stop).expect_err("no number");
    assert!(
        error.to_string().starts_with(
            "learning diverged in update 1, after 0 environment steps: a weight is not finite; the state before it is kept as "
        ),
        "{error}"
    );
    let kept = latest_checkpoint(run.folder()).expect("a checkpoint");
    let kept = Checkpoint::read(&kept).expect("sound");
    assert!(kept.steps() == 0);
    let mut smaller = one_step(1e-3);
    smaller.restore(&kept).expect("another rate");
    train(&mut smaller, None, &mut Silent, &stop).expect("a run");
    assert!(smaller.finished());
}

#[test]
fn a_checkpoint_that_does_not_fit_says_so() {
    let parent = tempfile::tempdir().expect("a folder");
    let run = interrupted_run(parent.path());
    let path = latest_checkpoint(run.folder()).expect("a checkpoint");
    let checkpoint = Checkpoint::read(&path).expect("sound");
    let error = learner(|config| config.gamma = 0.5)
        .restore(&checkpoint)
        .expect_err("another gamma");
    assert_eq!(
        error.to_string(),
        "the checkpoint was made with gamma = 0.99, the configuration says 0.5"
    );

    let sound = std::fs::read(&path).expect("bytes");
    for at in [40, 61, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        let error = Checkpoint::read(&path).expect_err("damaged");
        assert!(
            matches!(error, LearnError::Checkpoint(CheckpointError::Damaged(_))),
            "{error}"
        );
    }
    std::fs::write(&path, &sound[..30]).expect("written");
    assert!(Checkpoint::read(&path).is_err());
}

#[test]
fn only_the_newest_checkpoints_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut learner = learner(|_| ());
    for _ in 0..4 {
        learner.iterate().expect("an iteration");
        learner
            .checkpoint()
            .write(folder.path(), 2, false)
            .expect("written");
    }
    let names: Vec<_> = Checkpoint::list(folder.path()).expect("a list");
    assert_eq!(names.len(), 2);
    assert_eq!(Checkpoint::read(&names[1]).expect("sound").steps(), 640);
}

#[test]
fn divergence_is_an_error_and_not_a_policy() {
    let mut learner = learner(|config| config.learning_rate = Schedule::constant(1e38));
    let error = (0..8).find_map(|_| learner.iterate().err()).expect("it diverges");
    assert!(matches!(error, LearnError::Diverged { .. }), "{error}");
}

/// Values policies by a list, at every iteration.
struct Judge<'a>(&'a [f64]);

impl Progress for Judge<'_> {
    fn iteration(&mut self, _: &Iteration) {}

    fn evaluate(&mut self, steps: u64, _: &Actors, _: &[f64]) -> Result<Metrics, String> {
        let worth = self.0[steps as usize / 160 - 1];
        Ok(Metrics::from([("eval/mean_reward".to_owned(), worth)]))
    }
}

#[test]
fn the_best_checkpoint_and_the_milestones_stay_and_survive_a_resume() {
    let settings = |config: &mut TrainConfig| {
        config.checkpoint_every = 160;
        config.checkpoints_keep = 1;
        config.checkpoint_milestones = vec![1, 500];
        config.eval_every = 160;
    };
    let worths = [3.0, 7.0, f64::NAN, 6.0, 7.0, 6.5, 7.5, 1.0];
    let parent = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
    let checkpoints = run.checkpoints();
    let best = || {
        Checkpoint::read(&checkpoints.join("best.checkpoint"))
            .expect("sound")
            .steps()
    };
    let go = AtomicBool::new(false);
    let mut straight = learner(settings);
    train(&mut straight, Some(&mut run), &mut Judge(&worths), &go).expect("a run");
    assert_eq!(best(), 7 * 160);
    let names: Vec<String> = Checkpoint::list(&checkpoints)
        .expect("a list")
        .iter()
        .map(|path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        names,
        [
            "step-000000000160-milestone.checkpoint",
            "step-000000000640-milestone.checkpoint",
            "step-000000001280.checkpoint"
        ]
    );

    // From the milestone on: 7 is known, so that the fifth policy is no news, and the end is the same.
    let mut resumed = learner(settings);
    let milestone = Checkpoint::read(&checkpoints.join(&names[1])).expect("sound");
    resumed.restore(&milestone).expect("restored");
    std::fs::remove_file(checkpoints.join("best.checkpoint")).expect("removed");
    train(
        &mut resumed,
        Some(&mut run),
        &mut Judge(&[&worths[..6], &[0.0; 2]].concat()),
        &go,
    )
    .expect("a run");
    assert!(
        !checkpoints.join("best.checkpoint").exists(),
        "none was better than 7"
    );
    let mut resumed = learner(settings);
    resumed.restore(&milestone).expect("restored");
    train(&mut resumed, Some(&mut run), &mut Judge(&worths), &go).expect("a run");
    assert_eq!(best(), 7 * 160);
    assert!(
        straight.checkpoint() == resumed.checkpoint(),
        "the two learners differ"
    );
}
