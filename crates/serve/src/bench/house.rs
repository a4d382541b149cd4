use crate::bench::effort::Effort;
use anyhow::{Context, ensure};
use haggle_core::{
    Catalog, FEATURE_WIDTH, Guardrails, Item, ItemTraits, Ladder, MemoryRates, PriceMinor, SavedCategory,
    Seeds,
};
use haggle_policy::bandit::{BanditConfig, BanditPlan};
use haggle_policy::{Bundle, Layer, Network, Provenance, Terms};
use haggle_serve::{AdminRequest, Client, FRAME_VERSION, Op, PriceRequest, Swapped, WireContext, admin_path};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sessions that the requests come from, each for four items.
const SESSIONS: usize = 1_000;
const ITEMS: usize = 4;
const WIDTH: usize = 64;
const RUNGS: usize = 16;
const START_WAIT_MAX: Duration = Duration::from_secs(60);

/// What its bandits look at.
const BANDIT_FEATURES: [&str; 2] = ["session.visits_log", "shelf.posted_log"];

/// A folder that goes away with it, for a daemon of this very program, with two networks to serve and bandits.
pub struct House {
    pub socket: PathBuf,
    pub bundles: [PathBuf; 2],
    pub bandits: PathBuf,
    folder: PathBuf,
    daemon: Option<Child>,
}

impl House {
    /// With a daemon that serves.
    pub fn start() -> anyhow::Result<Self> {
        let mut house = Self::prepare()?;
        house.restart()?;
        Ok(house)
    }

    /// Without a daemon.
    pub fn prepare() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("haggle-bench-{}", std::process::id()));
        let write =
            |bundle: Bundle| -> anyhow::Result<PathBuf> { Ok(bundle.write(&folder.join("bundles"))?.1) };
        Ok(Self {
            bundles: [write(network(1)?)?, write(network(2)?)?],
            bandits: write(bandits()?)?,
            socket: folder.join("s"),
            folder,
            daemon: None,
        })
    }

    /// Where the store lies.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Starts a daemon; milliseconds until it has answered a price.
    pub fn restart(&mut self) -> anyhow::Result<f64> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", "--seed", "1", "--socket"])
            .arg(&self.socket);
        command.arg("--store").arg(self.store());
        command.arg("--bundle").arg(&self.bundles[0]);
        let begun = Instant::now();
        self.daemon = Some(command.stderr(Stdio::null()).spawn().context("the daemon")?);
        let answered = |client: &mut Client| client.price(&request(0)).is_ok();
        while !Client::connect(&self.socket).is_ok_and(|mut client| answered(&mut client)) {
            ensure!(begun.elapsed() < START_WAIT_MAX, "the daemon does not start");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // It may have ended by itself.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Has another bundle served.
    pub fn swap(&self, bundle: &Path) -> anyhow::Result<()> {
        let bundle = bundle.to_owned();
        let mut operator = Client::connect(&admin_path(&self.socket))?;
        let _: Swapped = operator.admin(&AdminRequest::Swap { bundle, force: true })?;
        Ok(())
    }

    /// The processor time that the daemon has used.
    pub fn effort(&self) -> anyhow::Result<Effort> {
        Effort::of(self.daemon.as_ref().context("no daemon runs")?.id())
    }

    /// The requests as frames.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let frame = |n| {
            let body = rmp_serde::to_vec_named(&request(n)).unwrap_or_default();
            let mut bytes = (10 + body.len() as u32).to_be_bytes().to_vec();
            bytes.extend_from_slice(&[FRAME_VERSION, Op::Price as u8]);
            bytes.extend_from_slice(&(n as u64).to_be_bytes());
            bytes.extend_from_slice(&body);
            bytes
        };
        (0..SESSIONS * ITEMS).map(frame).collect()
    }

    /// The requests as lines.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        let line = |n| {
            let body = serde_json::to_string(&request(n)).unwrap_or_default();
            format!("{{\"id\":{n},\"op\":\"price\",{}\n", &body[1..]).into_bytes()
        };
        (0..SESSIONS * ITEMS).map(line).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
        // Best effort: nothing of it is needed any more.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The n-th price request.
pub fn request(n: usize) -> PriceRequest {
    PriceRequest {
        session: format!("s{}", n / ITEMS),
        user: Some(format!("u{}", n / ITEMS % 100)),
        item: format!("item-{}", n % ITEMS),
        context: WireContext {
            time_s: Some(1_500_000_000),
            visits_56d: Some(4.0),
            ..WireContext::default()
        },
        ..PriceRequest::default()
    }
}

fn terms(seed: u64) -> anyhow::Result<Terms> {
    let multiples: Vec<f64> = (0..RUNGS).map(|rung| 0.7 + 0.04 * rung as f64).collect();
    let item = |n: usize| -> anyhow::Result<Item> {
        Ok(Item {
            id: format!("item-{n}"),
            base_minor: PriceMinor(200),
            low_minor: PriceMinor(130),
            high_minor: PriceMinor(270),
            cost_minor: None,
            ladder: Ladder::of_multiples(PriceMinor(200), &multiples)?,
            traits: ItemTraits {
                share: 0.25,
                sales_rate: 0.02,
                ..ItemTraits::default()
            },
        })
    };
    let items = (0..ITEMS).map(item).collect::<anyhow::Result<_>>()?;
    let name = "all".to_owned();
    Ok(Terms {
        catalog: Catalog::new(vec![SavedCategory { name, items }])?.into(),
        floor: 0.03,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: None,
        multiplier: 0.0,
        provenance: Provenance {
            run: "bench".to_owned(),
            seed,
            ..Provenance::default()
        },
    })
}

/// Logit-demand Thompson sampling that has learnt nothing: what it has learnt does not change what a price costs.
fn bandits() -> anyhow::Result<Bundle> {
    let like = BanditConfig::logit_thompson(Vec::new(), BANDIT_FEATURES.len(), 1);
    let plan = BanditPlan::of(&like, BANDIT_FEATURES.map(str::to_owned).to_vec(), Vec::new())?;
    Ok(Bundle::bandit(terms(1)?, plan)?)
}

/// A network of two hidden layers of 64 with random weights: what it says does not matter here.
fn network(seed: u64) -> anyhow::Result<Bundle> {
    let layer = |inputs: usize, outputs: usize| {
        let seeds = Seeds::new(seed).named(&format!("{inputs}x{outputs}"));
        let value = |n: usize| (seeds.uniform_of(&n.to_le_bytes()) - 0.5) as f32 / 4.0;
        Layer {
            inputs,
            outputs,
            weight: (0..inputs * outputs).map(value).collect(),
            bias: vec![0.0; outputs],
        }
    };
    let layers = [
        layer(FEATURE_WIDTH, WIDTH),
        layer(WIDTH, WIDTH),
        layer(WIDTH, RUNGS),
    ];
    let network = Network::new(vec![0.0; FEATURE_WIDTH], vec![1.0; FEATURE_WIDTH], &layers)?;
    Ok(Bundle::mlp(terms(seed)?, &network)?)
}
