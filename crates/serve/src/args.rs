use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// The price daemon of haggle: answers price requests over a Unix socket, takes rewards, journals both.
#[derive(Debug, Parser)]
#[command(name = "haggled", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve prices until SIGTERM.
    Serve(Serve),
    /// Join the decisions and rewards of a store that no daemon holds into segments.
    Export {
        /// Folder of the store.
        #[arg(long)]
        store: PathBuf,
        /// Folder for the segments.
        #[arg(long)]
        out: PathBuf,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Read every byte of a store that no daemon holds, and name what is damaged, lost or changed.
    Check {
        /// Folder of the store.
        #[arg(long)]
        store: PathBuf,
        /// Write damaged files again with what is left of them.
        #[arg(long)]
        repair: bool,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Copy a store that no daemon holds; `ctl backup` copies the store of a running one.
    Backup {
        /// Folder of the store.
        #[arg(long)]
        store: PathBuf,
        /// Folder of the copy; made now.
        #[arg(long)]
        out: PathBuf,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Erase everything of a user from a store that no daemon holds, and from segments.
    Forget {
        /// Folder of the store.
        #[arg(long)]
        store: PathBuf,
        /// The user, as price requests name him.
        #[arg(long)]
        user: String,
        /// Folder of segments that tell of him too: what was exported, and what the daemon reads as its history.
        #[arg(long)]
        segments: Vec<PathBuf>,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Measure how fast a daemon with a policy of 2x64 answers, against a bare echo over the same kind of socket.
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        /// Something else to measure.
        #[command(subcommand)]
        what: Option<Bench>,
        /// How long each line of the report is measured, in seconds.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Print every record that tells of a decision, from a store that no daemon holds: one JSON object a line.
    Trace {
        /// Folder of the store; the index in it is made or caught up.
        #[arg(long)]
        store: PathBuf,
        /// The decision.
        #[arg(long)]
        decision: String,
    },
    /// Watch a running daemon: speed, rewards, guardrails, policies.
    Top {
        /// The daemon's socket; its metrics are on `<socket>.http`. [default: as for `serve`]
        #[arg(long)]
        socket: Option<PathBuf>,
    },
    /// Look into the files that `serve` reads with --config and --guardrails.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Talk to a running daemon: on its admin socket (`<socket>.admin`), about a decision on the shop's.
    Ctl {
        /// The daemon's socket. [default: as for `serve`]
        #[arg(long)]
        socket: Option<PathBuf>,
        #[command(subcommand)]
        command: Ctl,
    },
}

#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Measure how many rewards a second are acknowledged as durable, against a bare log with fdatasync on the same disk.
    Acks {
        /// How long each of four runs takes, in seconds.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Measure how soon a daemon answers that has many records behind it, and whether its memory stays where it is.
    Start {
        /// Records of the store: decisions, their rewards, and the ends of all windows but those of the last ten minutes.
        #[arg(long, default_value_t = 1_000_000)]
        records: u64,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each value of a file and where it came from.
    Show {
        /// The file.
        file: PathBuf,
        /// What the file is about, where its names do not say.
        #[arg(long = "as", value_name = "KIND")]
        kind: Option<ConfigKind>,
        /// Print one JSON object as the last line of standard output.
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of a kind of file, for editors and checkers.
    Schema {
        /// The kind of file; without it all of them, by name.
        kind: Option<ConfigKind>,
    },
}

/// The files that the daemon reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ConfigKind {
    /// What `serve` reads with --config.
    Daemon,
    /// What `serve` reads with --guardrails.
    Guardrails,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Path of the socket; the admin socket is `<socket>.admin`, metrics and health are on `<socket>.http`. Left out where
    /// a service manager hands three sockets over [default: $HAGGLE_SOCKET, else haggle/price.sock in $XDG_RUNTIME_DIR, else
    /// in /run].
    #[arg(long)]
    pub socket: Option<PathBuf>,
    /// Folder of the store; made when it is not there.
    #[arg(long)]
    pub store: PathBuf,
    /// Folder of the bundle that a new store begins with; a store goes on with the bundle that it served last.
    #[arg(long)]
    pub bundle: Option<PathBuf>,
    /// Folder of segments that warm the memories of the market; name the same one at every start.
    #[arg(long)]
    pub history: Option<PathBuf>,
    /// The daemon's configuration.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The rulebook: rules of prices for all items, categories and items.
    #[arg(long)]
    pub guardrails: Option<PathBuf>,
    /// Key of the draws of a new store, for repeatable runs [default: a secret from the system].
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum Ctl {
    #[command(flatten)]
    Admin(CtlAdmin),
    /// Read a decision back, with what it earned.
    Get {
        /// The decision.
        decision: String,
    },
    /// Why is the price of a decision what it is?
    Explain {
        /// The decision.
        decision: String,
    },
}

/// What is asked on the admin socket.
#[derive(Debug, Subcommand)]
pub enum CtlAdmin {
    /// How is it doing?
    Status,
    /// Serve another bundle: it needs a passing gate.json that quotes it and the bundle that is served.
    Swap {
        /// Folder of the bundle.
        #[arg(long)]
        bundle: PathBuf,
        /// Without a verdict of the gate; the journal says so.
        #[arg(long)]
        force: bool,
    },
    /// Serve the bundle before this one.
    Rollback,
    /// Serve a bundle to a share of the users, and watch what it earns.
    #[command(subcommand)]
    Canary(CtlCanary),
    /// The kill switch: every price is the static one.
    Freeze,
    /// Back to the mode before.
    Unfreeze,
    /// Change how prices come about.
    Mode {
        /// The mode from now on.
        mode: CtlMode,
        /// Folder of the bundle that is scored beside the served one, in the mode shadow.
        #[arg(long)]
        bundle: Option<PathBuf>,
    },
    /// Read configuration and rulebook again.
    Reload,
    /// Join decisions and rewards into segments.
    Export {
        /// Folder for the segments.
        #[arg(long)]
        out: PathBuf,
    },
    /// Copy the store as it is now; the copy is a store of its own.
    Backup {
        /// Folder of the copy; made now.
        #[arg(long)]
        out: PathBuf,
    },
    /// Answer what is in flight, write what waits, stop.
    Drain,
}

#[derive(Debug, Subcommand)]
pub enum CtlCanary {
    /// Begin: it needs a passing gate.json that quotes the bundle and the one that is served.
    Start {
        /// Folder of the bundle.
        #[arg(long)]
        bundle: PathBuf,
        /// The share of the users who are served it, above 0 and up to 1.
        #[arg(long, value_parser = number)]
        share: f64,
        /// Without a verdict of the gate; the journal says so.
        #[arg(long)]
        force: bool,
    },
    /// Serve it to another share of the users; what was earned is counted anew.
    Share {
        /// The share, above 0 and up to 1.
        #[arg(value_parser = number)]
        share: f64,
    },
    /// Serve it to everybody from now on.
    Promote,
    /// Serve it to nobody any more.
    Stop,
}

/// How prices come about.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CtlMode {
    /// Drawn from the policy's distribution.
    Live,
    /// The caller's own prices; the policy is only scored.
    Apprentice,
    /// Live, and a second policy is scored.
    Shadow,
    /// Static prices: the kill switch.
    Frozen,
}

/// JSON has no words for the others.
fn number(text: &str) -> Result<f64, String> {
    let number: Result<f64, _> = text.parse();
    let number = number.ok().filter(|number| number.is_finite());
    number.ok_or_else(|| "a number is expected, such as 0.05".to_owned())
}
