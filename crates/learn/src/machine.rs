//! What this machine offers a learner: which libtorch is loaded, which GPUs it sees, which vectors the fused engine uses.

use crate::fused::{LANES_MIN, Lanes};
use crate::load_cuda;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Cuda;

/// The libtorch that the bindings were written for.
pub const LIBTORCH_VERSION: &str = "2.11.0";
const LIBRARY: &str = "libtorch_cpu.so";

/// What was found.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The folder that libtorch was loaded from, where the system tells.
    pub libtorch: Option<PathBuf>,
    /// Its version, where it says so itself.
    pub libtorch_version: Option<String>,
    /// Whether its CUDA half was found and loaded.
    pub cuda_loaded: bool,
    /// GPUs that it can use.
    pub gpus: usize,
    /// Whether the system has an NVIDIA GPU, usable or not.
    pub gpu_present: bool,
    /// How many single-precision numbers one vector of the fused engine holds: 16 with AVX-512, 8 with AVX2.
    pub lanes: usize,
    /// Whether the fused engine is used for small networks.
    pub fused: bool,
}

/// The folder that libtorch was loaded from, where the system tells.
fn libtorch() -> Option<PathBuf> {
    loaded_from(
        &fs::read_to_string("/proc/self/maps").unwrap_or_default(),
        LIBRARY,
    )
}

/// The version of the libtorch that was loaded, where it says so itself.
pub(crate) fn libtorch_version() -> Option<String> {
    version_of(&libtorch()?)
}

impl Machine {
    /// Looks around. Loads libtorch's CUDA half before it asks about it.
    #[must_use]
    pub fn look() -> Self {
        let cuda_loaded = load_cuda();
        Self {
            libtorch_version: libtorch_version(),
            libtorch: libtorch(),
            cuda_loaded,
            gpus: if cuda_loaded && Cuda::is_available() {
                usize::try_from(Cuda::device_count()).unwrap_or(0)
            } else {
                0
            },
            gpu_present: Path::new("/dev/nvidia0").exists(),
            lanes: Lanes::count(),
            fused: Lanes::count() >= LANES_MIN,
        }
    }
}

/// The folder of a library in the list of what is mapped into this process.
fn loaded_from(maps: &str, library: &str) -> Option<PathBuf> {
    let path = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(line[at..].trim_end())))
        .find(|path| path.file_name().is_some_and(|name| name == library))?;
    path.parent().map(Path::to_owned)
}

/// A libtorch from PyTorch's downloads has its version in `build-version` beside `lib`, one from a wheel in `version.py`.
fn version_of(folder: &Path) -> Option<String> {
    let root = folder.parent()?;
    if let Ok(text) = fs::read_to_string(root.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let text = fs::read_to_string(root.join("version.py")).ok()?;
    let line = text.lines().find(|line| line.starts_with("__version__"))?;
    Some(line.split('\'').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_by_where_they_are_mapped() {
        let maps = "7f00-7f01 r-xp 0 08:01 5   /lib/libc.so.6\n7f02-7f03 r--p 0 08:01 6   /opt/torch/lib/libtorch_cpu.so\n";
        assert_eq!(loaded_from(maps, LIBRARY), Some(PathBuf::from("/opt/torch/lib")));
        assert_eq!(loaded_from(maps, "libtorch_cuda.so"), None);
    }

    #[test]
    fn both_kinds_of_libtorch_tell_their_version() {
        let root = tempfile::tempdir().expect("a folder");
        let lib = root.path().join("lib");
        assert_eq!(version_of(&lib), None);
        fs::write(
            root.path().join("version.py"),
            "__all__ = []\n__version__ = '2.11.0+cpu'\n",
        )
        .expect("written");
        assert_eq!(version_of(&lib).as_deref(), Some("2.11.0+cpu"));
        fs::write(root.path().join("build-version"), "2.11.0+cu126\n").expect("written");
        assert_eq!(version_of(&lib).as_deref(), Some("2.11.0+cu126"));
    }
}
