//! `haggle doctor`: is this machine ready to train and to serve, and what should be done where it is not?

use crate::args::Doctor;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use haggle_learn::{LIBTORCH_VERSION, Machine};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const GIB: u64 = 1 << 30;
/// Fits and roll-outs of the shipped configs stay below this.
const MEMORY_MIN: u64 = 2 * GIB;
/// Some hundred runs with their checkpoints.
const DISK_MIN: u64 = 2 * GIB;
/// A connection of the daemon needs one; the journal some dozens.
const DESCRIPTORS_MIN: u64 = 1024;
/// The longest path of a Unix socket whose admin socket has `.admin` behind it.
const SOCKET_PATH_MAX: usize = 97;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

#[derive(Serialize)]
struct Told<'a> {
    ok: bool,
    checks: &'a [Check],
}

/// `haggle doctor`: exit code 4 when something fails.
pub fn run(args: &Doctor, output: Output) -> Result<(), Failure> {
    let machine = Machine::look();
    let mut checks = vec![
        libtorch(&machine),
        cuda(&machine),
        cores(),
        vectors(&machine),
        memory(),
        writable(&args.runs),
        disk(&args.runs),
        tensorboard(),
        descriptors(),
    ];
    let socket = args.socket.clone().unwrap_or_else(default_socket);
    checks.push(socket_folder(&socket));
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check.state == State::Fail)
        .map(|check| check.name)
        .collect();
    let ok = failed.is_empty();
    output.result(table(&checks), &Told { ok, checks: &checks });
    if ok {
        Ok(())
    } else {
        let sentence = format!("this machine is not ready: {}", failed.join(", "));
        Err(Failure::told(Kind::Device, sentence))
    }
}

fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        text += &format!("{state:<5} {:<width$}  {}\n", check.name, check.found);
        if let Some(advice) = &check.advice {
            text += &format!("{:<5} {:<width$}  -> {advice}\n", "", "");
        }
    }
    text
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// `ok`, or else something to do.
    fn unless(ok: bool, state: State, name: &'static str, found: impl Into<String>, advice: &str) -> Self {
        let check = Self::ok(name, found);
        if ok {
            return check;
        }
        Self {
            state,
            advice: Some(advice.to_owned()),
            ..check
        }
    }
}

fn libtorch(machine: &Machine) -> Check {
    let folder = machine
        .libtorch
        .as_ref()
        .map_or_else(|| "somewhere".to_owned(), |folder| folder.display().to_string());
    let version = machine
        .libtorch_version
        .as_deref()
        .unwrap_or("of unknown version");
    Check::unless(
        version.starts_with(LIBTORCH_VERSION),
        State::Warn,
        "libtorch",
        format!("{version} from {folder}"),
        "haggle is written for libtorch 2.11.0: run make setup, and unset LD_LIBRARY_PATH unless it names such a one",
    )
}

fn cuda(machine: &Machine) -> Check {
    let found = match (machine.cuda_loaded, machine.gpus) {
        (_, 1..) => format!("{} GPU(s)", machine.gpus),
        (true, 0) => "a libtorch with CUDA, but it sees no GPU".to_owned(),
        (false, 0) => "not used: this libtorch is for the processor".to_owned(),
    };
    Check::unless(
        machine.gpus > 0 || !(machine.gpu_present || machine.cuda_loaded),
        State::Warn,
        "cuda",
        found,
        "to train on the GPU, set LD_LIBRARY_PATH to the lib folder of a CUDA build of libtorch 2.11.0 and check the driver \
         with nvidia-smi",
    )
}

fn cores() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Check::ok("cores", cores.to_string())
}

fn vectors(machine: &Machine) -> Check {
    let name = match machine.lanes {
        16 => " (AVX-512)",
        8 => " (AVX2)",
        _ => "",
    };
    let engine = if machine.fused {
        "the fused engine trains small networks"
    } else {
        "libtorch trains all networks"
    };
    Check::unless(
        machine.fused,
        State::Warn,
        "vectors",
        format!("{} numbers{name}: {engine}", machine.lanes),
        "a processor with AVX2 or AVX-512 trains small networks several times as fast",
    )
}

fn memory() -> Check {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let Some(kib) = available else {
        return Check::ok("memory", "unknown: the system does not tell");
    };
    Check::unless(
        kib * 1024 >= MEMORY_MIN,
        State::Warn,
        "memory",
        format!("{:.1} GiB free", (kib * 1024) as f64 / GIB as f64),
        "2 GiB are enough for every shipped config; close something, or lower learner.copies and learner.horizon",
    )
}

/// The folder itself or the nearest one above it that exists.
fn existing(folder: &Path) -> &Path {
    let above = |path: &&Path| path.as_os_str().is_empty() || path.exists();
    let found = folder.ancestors().find(above).unwrap_or(folder);
    if found.as_os_str().is_empty() {
        Path::new(".")
    } else {
        found
    }
}

fn writable(runs: &Path) -> Check {
    let folder = existing(runs);
    let probe = folder.join(format!(".haggle-doctor-{}", std::process::id()));
    let tried = fs::write(&probe, b"x").and_then(|()| fs::remove_file(&probe));
    Check::unless(
        tried.is_ok() && folder.is_dir(),
        State::Fail,
        "runs folder",
        match &tried {
            Ok(()) => format!("{} can be written", folder.display()),
            Err(error) => format!("{} cannot be written: {error}", folder.display()),
        },
        "give yourself the right to write there, or name another folder as runs in the training file",
    )
}

fn disk(runs: &Path) -> Check {
    let folder = existing(runs);
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            Check::unless(
                free >= DISK_MIN,
                if free < DISK_MIN / 20 {
                    State::Fail
                } else {
                    State::Warn
                },
                "disk",
                format!("{:.1} GiB free at {}", free as f64 / GIB as f64, folder.display()),
                "remove old runs (haggle runs lists them)",
            )
        }
        Err(error) => Check::ok("disk", format!("unknown at {}: {error}", folder.display())),
    }
}

fn tensorboard() -> Check {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("tensorboard"))
        .find(|program| program.is_file());
    Check::unless(
        found.is_some(),
        State::Warn,
        "tensorboard",
        found.map_or_else(
            || "not on PATH".to_owned(),
            |program| program.display().to_string(),
        ),
        "to watch runs: python3 -m pip install tensorboard 'setuptools<81'; metrics.jsonl of each run holds the same numbers",
    )
}

fn descriptors() -> Check {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    Check::unless(
        limit >= DESCRIPTORS_MIN,
        State::Warn,
        "descriptors",
        format!("{limit} open files allowed"),
        "raise the limit for the daemon: ulimit -n 4096, or LimitNOFILE= in its unit",
    )
}

/// Where a user's own daemon would listen.
fn default_socket() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("haggled.sock")
}

fn socket_folder(socket: &Path) -> Check {
    let folder = match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let length = socket.as_os_str().len();
    let (ok, found) = match fs::metadata(folder) {
        Err(error) => (false, format!("{}: {error}", folder.display())),
        Ok(data) if !data.is_dir() => (false, format!("{} is no folder", folder.display())),
        Ok(_) if length > SOCKET_PATH_MAX => (
            false,
            format!(
                "{} has {length} bytes; at most {SOCKET_PATH_MAX} fit",
                socket.display()
            ),
        ),
        Ok(_) if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() => {
            (false, format!("{} cannot be written", folder.display()))
        }
        Ok(data) => {
            // Others may put a socket of their own in the place of ours, unless the sticky bit forbids it.
            let mode = data.permissions().mode();
            let open = mode & 0o022 != 0 && mode & 0o1000 == 0;
            let found = format!("{} (mode {:04o})", folder.display(), mode & 0o7777);
            (!open, found)
        }
    };
    Check::unless(
        ok,
        State::Warn,
        "socket folder",
        found,
        "haggled --socket needs a folder that only its user can write (mkdir -m 0700), with a short path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_is_no_place_for_a_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("set");
        let socket = folder.path().join("s.sock");
        for (bits, state) in [(0o700, State::Ok), (0o777, State::Warn), (0o1777, State::Ok)] {
            mode(bits);
            assert_eq!(socket_folder(&socket).state, state, "{bits:o}");
        }
        mode(0o700);
        assert_eq!(socket_folder(&folder.path().join("x/s.sock")).state, State::Warn);
        assert_eq!(
            socket_folder(&folder.path().join("x".repeat(100))).state,
            State::Warn
        );
    }

    #[test]
    fn a_runs_folder_that_does_not_exist_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
        assert_eq!(existing(Path::new("surely/not/here")), Path::new("."));
        assert_eq!(writable(&folder.path().join("runs")).state, State::Ok);
        fs::write(folder.path().join("file"), "").expect("written");
        assert_eq!(writable(&folder.path().join("file")).state, State::Fail);
    }
}
