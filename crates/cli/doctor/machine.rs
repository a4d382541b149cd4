//! What the machine and its programs are.

use super::{Check, GIB, State};
use haggle_learn::{LIBTORCH_VERSION, Machine};
use rustix::process::{Resource, getrlimit};
use std::fs;

/// Fits and roll-outs of the shipped configs stay below this.
const MEMORY_MIN: u64 = 2 * GIB;
/// A connection of the daemon needs one; the journal some dozens.
const DESCRIPTORS_MIN: u64 = 1024;

pub(super) fn libtorch(machine: &Machine) -> Check {
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

pub(super) fn cuda(machine: &Machine) -> Check {
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

pub(super) fn cores() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Check::ok("cores", cores.to_string())
}

pub(super) fn vectors(machine: &Machine) -> Check {
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

pub(super) fn memory() -> Check {
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

pub(super) fn tensorboard() -> Check {
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

pub(super) fn descriptors() -> Check {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    Check::unless(
        limit >= DESCRIPTORS_MIN,
        State::Warn,
        "descriptors",
        format!("{limit} open files allowed"),
        "raise the limit for the daemon: ulimit -n 4096, or LimitNOFILE= in its unit",
    )
}
