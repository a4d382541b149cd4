//! A small market, bundles for it, and a real daemon to talk to.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "each test program uses its own part"
)]

mod disk;
pub mod shop;

pub use disk::{SmallDisk, price_until_full};
use haggle_core::{
    Catalog, FEATURE_WIDTH, Guardrails, Item, ItemTraits, Ladder, MemoryRates, Policy, PriceMinor,
    SavedCategory, Seeds,
};
use haggle_policy::bandit::{BanditConfig, BanditPlan, Pooling};
use haggle_policy::{Bundle, Layer, Network, Provenance, Terms};
use haggle_serve::{
    Client, Engine, EngineConfig, PriceRequest, RewardRequest, SettingsFiles, WireContext, admin_path,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const HAGGLED: &str = env!("CARGO_BIN_EXE_haggled");
const MULTIPLES: [f64; 13] = [
    0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3,
];

fn item(id: String, base: u32) -> Item {
    Item {
        id,
        base_minor: PriceMinor(base),
        low_minor: PriceMinor(base * 7 / 10),
        high_minor: PriceMinor(base * 13 / 10),
        cost_minor: None,
        ladder: Ladder::of_multiples(PriceMinor(base), &MULTIPLES).unwrap(),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.5,
            share: 0.3,
            sales_rate: 0.02,
        },
    }
}

/// Two categories of three items: `milk-0` at 100, `milk-1` at 150, `milk-2` at 200, and `tea-...` alike.
pub fn terms(floor: f64) -> Terms {
    let group = |name: &str| SavedCategory {
        name: name.to_owned(),
        items: (0..3)
            .map(|n| item(format!("{name}-{n}"), 100 + 50 * n))
            .collect(),
    };
    Terms {
        catalog: Catalog::new(vec![group("milk"), group("tea")]).unwrap().into(),
        floor,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: Some(1.0),
        multiplier: 0.5,
        provenance: Provenance {
            run: "test".to_owned(),
            seed: 7,
            ..Provenance::default()
        },
    }
}

/// A network of the usual size, 32-64-64-13, with pseudo-random weights.
pub fn mlp_bundle() -> Bundle {
    let seeds = Seeds::new(11);
    let values = |name: String, count: usize, scale: f64| -> Vec<f32> {
        let seeds = seeds.named(&name);
        let value = |n: usize| (scale * (seeds.uniform_of(&n.to_le_bytes()) - 0.5)) as f32;
        (0..count).map(value).collect()
    };
    let layer = |(n, (inputs, outputs)): (usize, (usize, usize))| Layer {
        inputs,
        outputs,
        weight: values(format!("w{n}"), inputs * outputs, 0.5),
        bias: values(format!("b{n}"), outputs, 0.5),
    };
    let widths = [(FEATURE_WIDTH, 64), (64, 64), (64, 13)];
    let layers: Vec<Layer> = widths.into_iter().enumerate().map(layer).collect();
    let network = Network::new(vec![0.5; FEATURE_WIDTH], vec![1.0; FEATURE_WIDTH], &layers).unwrap();
    Bundle::mlp(terms(0.03), &network).unwrap()
}

/// Shows one rung everywhere.
pub fn fixed_bundle(rung: u8, floor: f64) -> Bundle {
    Bundle::fixed(terms(floor), vec![rung; 6]).unwrap()
}

/// Logit-demand Thompson sampling for each item of the small market, with two of a visit's features.
pub fn bandit_bundle() -> Bundle {
    let features = ["session.visits_log", "shelf.posted_log"]
        .map(str::to_owned)
        .to_vec();
    let like = BanditConfig::logit_thompson(Vec::new(), 2, 0);
    Bundle::bandit(terms(0.03), BanditPlan::of(&like, features, Vec::new()).unwrap()).unwrap()
}

/// One item with the prices 40, 45, ..., 110, and bandits that tell the segments `loyal` and `new` from everyone else.
pub fn segment_bundle() -> Bundle {
    let rungs = (40..=110).step_by(5).map(PriceMinor).collect();
    let mut cup = item("cup".to_owned(), 75);
    (cup.low_minor, cup.high_minor) = (PriceMinor(40), PriceMinor(110));
    cup.ladder = Ladder::new(rungs).unwrap();
    let shop = SavedCategory {
        name: "cups".to_owned(),
        items: vec![cup],
    };
    let terms = Terms {
        catalog: Catalog::new(vec![shop]).unwrap().into(),
        ..terms(0.002)
    };
    let like = BanditConfig {
        pooling: Pooling::Partial(3),
        knots: 0,
        ..BanditConfig::logit_thompson(Vec::new(), 0, 0)
    };
    let segments = ["loyal", "new"].map(str::to_owned).to_vec();
    Bundle::bandit(terms, BanditPlan::of(&like, Vec::new(), segments).unwrap()).unwrap()
}

/// The prices of market B1 (Ferreira, Simchi-Levi and Wang 2018), in cents, and bandits over them.
pub fn stocked_bundle(rule: impl Fn(Vec<f64>, usize, u64) -> BanditConfig) -> Bundle {
    let rungs = [2990, 3490, 3990, 4490].map(PriceMinor);
    let mut lamp = item("lamp".to_owned(), 2990);
    (lamp.low_minor, lamp.high_minor) = (rungs[0], rungs[3]);
    lamp.ladder = Ladder::new(rungs.to_vec()).unwrap();
    let shop = SavedCategory {
        name: "lamps".to_owned(),
        items: vec![lamp],
    };
    let terms = Terms {
        catalog: Catalog::new(vec![shop]).unwrap().into(),
        ..terms(0.002)
    };
    let plan = BanditPlan::of(&rule(Vec::new(), 0, 0), Vec::new(), Vec::new());
    Bundle::bandit(terms, plan.unwrap()).unwrap()
}

pub fn ask(session: &str, item: &str) -> PriceRequest {
    PriceRequest {
        session: session.to_owned(),
        user: Some(format!("user of {session}")),
        item: item.to_owned(),
        context: WireContext {
            time_s: Some(1_500_000_000),
            visits_56d: Some(3.0),
            ..WireContext::default()
        },
        ..PriceRequest::default()
    }
}

pub fn earn(decision: &str, reward_id: &str, value_minor: i64) -> RewardRequest {
    RewardRequest {
        decision: decision.to_owned(),
        reward_id: reward_id.to_owned(),
        value_minor,
        units: 1,
    }
}

pub fn named(id: &str, session: &str, item: &str) -> PriceRequest {
    PriceRequest {
        decision: Some(id.to_owned()),
        ..ask(session, item)
    }
}

/// The daemon without sockets, in a folder, with the text of a configuration and perhaps of a rulebook.
pub fn engine_with(dir: &Path, bundle: &Bundle, config: &str, rulebook: Option<&str>) -> Engine {
    Engine::open(&engine_config(dir, bundle, config, rulebook)).unwrap()
}

pub fn engine_config(dir: &Path, bundle: &Bundle, config: &str, rulebook: Option<&str>) -> EngineConfig {
    std::fs::create_dir_all(dir).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    EngineConfig {
        store: dir.join("store"),
        bundle: Some(bundle.write(&dir.join("bundles")).unwrap().1),
        history: None,
        seed: Some(5),
        files: SettingsFiles {
            config: Some(file("daemon.toml", config)),
            guardrails: rulebook.map(|text| file("guardrails.toml", text)),
        },
    }
}

/// What a daemon answers on its side socket, head and body.
pub fn get_http(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: haggled\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A folder with a bundle, a store and a socket in it.
pub struct House {
    pub dir: TempDir,
    pub bundle: PathBuf,
    store: Option<PathBuf>,
}

impl House {
    pub fn new(bundle: &Bundle) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (_, bundle) = bundle.write(&dir.path().join("bundles")).unwrap();
        let store = None;
        Self { dir, bundle, store }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub fn store(&self) -> PathBuf {
        self.store
            .clone()
            .unwrap_or_else(|| self.dir.path().join("store"))
    }

    /// Has a configuration from now on.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.dir.path().join("daemon.toml"), config).unwrap();
    }

    /// The store lies elsewhere from now on.
    pub fn move_store_to(&mut self, store: &Path) {
        self.store = Some(store.to_owned());
    }

    pub fn add(&self, bundle: &Bundle) -> PathBuf {
        bundle.write(&self.dir.path().join("bundles")).unwrap().1
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(HAGGLED);
        command.arg("serve").arg("--socket").arg(self.socket());
        command
            .arg("--store")
            .arg(self.store())
            .arg("--bundle")
            .arg(&self.bundle);
        command.args(["--seed", "5"]);
        let config = self.dir.path().join("daemon.toml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        command
    }

    pub fn start(&self) -> Daemon {
        Daemon::start(&mut self.command(), &self.socket())
    }

    /// Runs `haggled` with arguments to its end.
    pub fn haggled(&self, args: &[&str]) -> Output {
        Command::new(HAGGLED).args(args).output().unwrap()
    }

    /// Runs `haggled serve`, which must not start; its exit code and its message.
    pub fn refusal(&self) -> (i32, String) {
        outcome(self.command().output().unwrap())
    }
}

/// Exit code and the last line of the standard error.
pub fn outcome(output: Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    (
        output.status.code().unwrap_or(-1),
        text.lines().last().unwrap_or_default().to_owned(),
    )
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    pub child: Child,
    socket: PathBuf,
}

impl Daemon {
    pub fn start(command: &mut Command, socket: &Path) -> Self {
        let log = std::fs::File::create(socket.with_extension("log")).unwrap();
        let child = command.stderr(log).spawn().unwrap();
        let daemon = Self {
            child,
            socket: socket.to_owned(),
        };
        let begun = Instant::now();
        while Client::connect(socket)
            .and_then(|mut c| c.status().map_err(std::io::Error::other))
            .is_err()
        {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the daemon does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    /// What it has said on its standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.socket.with_extension("log")).unwrap()
    }

    pub fn operator(&self) -> Client {
        Client::connect(&admin_path(&self.socket)).unwrap()
    }

    /// Does something while the daemon is stopped.
    pub fn paused<T>(&self, work: impl FnOnce() -> T) -> T {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        // A stopped process may still be in a system call; let it come to rest.
        std::thread::sleep(Duration::from_millis(5));
        let done = work();
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        done
    }

    /// SIGKILL: nothing is written any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; its exit code and how long it took.
    pub fn terminate(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        self.signal();
        let status = self.child.wait().unwrap();
        (status.code(), begun.elapsed())
    }

    pub fn signal(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn digest(bundle: &Bundle) -> String {
    bundle.digest().to_string()
}
