//! The daemon's program, and the daemon as a child process for the demo.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::Context;
use haggle_serve::{AdminRequest, Client, Exported, Swapped, admin_path};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LOG: &str = "haggled.log";
const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// The `haggled` that lies beside this program: `haggle` does not link the daemon.
pub fn haggled() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()
        .or_fail(Kind::Data)?
        .with_file_name("haggled");
    if program.exists() {
        return Ok(program);
    }
    let sentence = format!(
        "the daemon's program, {}, is not there: build both with `cargo build --workspace`, or copy them to one folder",
        program.display()
    );
    Err(Failure::say(Kind::Usage, sentence))
}

/// A running `haggled`; killed when dropped without [`Daemon::stop`].
pub struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Starts [`haggled`] with its store, log and socket in `folder`.
    pub fn start(folder: &Path, bundle: &Path, history: &Path, seed: u64) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).or_fail_at(Kind::Data, folder)?;
        let program = haggled()?;
        // A short path: the name of a socket has little room.
        let socket = std::env::temp_dir().join(format!("haggle-demo-{}.sock", std::process::id()));
        let log = folder.join(LOG);
        let log = File::create(&log).or_fail_at(Kind::Data, &log)?;
        let child = Command::new(&program)
            .args(["serve", "--seed", &seed.to_string()])
            .arg("--socket")
            .arg(&socket)
            .arg("--store")
            .arg(folder.join("store"))
            .arg("--bundle")
            .arg(bundle)
            .arg("--history")
            .arg(history)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))
            .or_fail(Kind::Data)?;
        let mut daemon = Self { child, socket };
        daemon.wait_until_it_answers(folder)?;
        Ok(daemon)
    }

    fn wait_until_it_answers(&mut self, folder: &Path) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            if Client::connect(&self.socket).is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait().or_fail(Kind::Data)?.is_some();
            if ended || started.elapsed() > START_WAIT_MAX {
                let log = folder.join(LOG);
                return Err(Failure::say(
                    Kind::Data,
                    format!("the daemon did not start; see {}", log.display()),
                ));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A connection to the shop's socket.
    pub fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.socket).or_fail(Kind::Data)
    }

    fn operator(&self) -> Result<Client, Failure> {
        Client::connect(&admin_path(&self.socket)).or_fail(Kind::Data)
    }

    /// Joins decisions and rewards into segments.
    pub fn export(&self, out: &Path) -> Result<Exported, Failure> {
        let out = std::path::absolute(out).or_fail(Kind::Data)?;
        self.operator()?
            .admin(&AdminRequest::Export { out })
            .or_fail(Kind::Data)
    }

    /// Serves another bundle, if its verdict allows.
    pub fn swap(&self, bundle: &Path) -> Result<Swapped, Failure> {
        let bundle = std::path::absolute(bundle).or_fail(Kind::Data)?;
        self.operator()?
            .admin(&AdminRequest::Swap { bundle, force: false })
            .or_fail(Kind::Data)
    }

    /// Lets it finish what it has begun, and waits for its end.
    pub fn stop(mut self) -> Result<(), Failure> {
        let _: serde_json::Value = self.operator()?.admin(&AdminRequest::Drain).or_fail(Kind::Data)?;
        let status = self.child.wait().or_fail(Kind::Data)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::say(
                Kind::Data,
                format!("the daemon ended with {status}"),
            ))
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
