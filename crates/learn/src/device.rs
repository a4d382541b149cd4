//! Where tensors live, and the one call that Rust cannot check: loading libtorch's CUDA half by name.

use crate::{DeviceChoice, LearnError};
use std::sync::OnceLock;
use tch::{Cuda, Device, Tensor};

/// Loads `libtorch_cuda.so` if the machine has it; says whether it did. The first call decides for the process.
///
/// This must come before anything asks libtorch about CUDA: the first question fixes the answer at "none". Programs are
/// linked against the processor's half only, so that one binary serves both kinds of machine.
pub fn load_cuda() -> bool {
    static LOADED: OnceLock<bool> = OnceLock::new();
    *LOADED.get_or_init(open_cuda_library)
}

#[cfg(unix)]
#[allow(
    unsafe_code,
    reason = "dlopen runs the library's initialisers; this is libtorch itself, already trusted and loaded in part"
)]
fn open_cuda_library() -> bool {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: the initialisers of libtorch_cuda.so register kernels with the libtorch that this program is linked
    // against; they touch nothing of ours. The library is never unloaded, so no symbol of it can dangle.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            std::mem::forget(library);
            true
        }
        Err(_) => false,
    }
}

#[cfg(not(unix))]
fn open_cuda_library() -> bool {
    false
}

/// The device that a configuration asks for.
///
/// # Errors
/// When a GPU is asked for by name and there is none.
pub fn choose_device(choice: DeviceChoice) -> Result<Device, LearnError> {
    if choice == DeviceChoice::Cpu {
        return Ok(Device::Cpu);
    }
    let loaded = load_cuda();
    if loaded && Cuda::is_available() {
        return Ok(Device::Cuda(0));
    }
    if choice == DeviceChoice::Auto {
        return Ok(Device::Cpu);
    }
    let reason = if loaded {
        "libtorch sees no GPU"
    } else {
        "libtorch_cuda.so cannot be loaded; set LD_LIBRARY_PATH to a libtorch 2.11.0 with CUDA"
    };
    Err(LearnError::Device {
        asked: "cuda",
        reason: reason.to_owned(),
    })
}

/// Gives libtorch so many threads on this machine; 0: one per processor.
pub(crate) fn set_threads(asked: usize) {
    tch::set_num_threads(i32::try_from(processors(asked)).unwrap_or(1));
}

/// So many threads; 0: one per processor.
pub(crate) fn processors(asked: usize) -> usize {
    match asked {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        some => some,
    }
}

/// How often this thread has waited for a device, see [`to_host`].
#[cfg(test)]
pub(crate) fn host_reads() -> u64 {
    HOST_READS.get()
}

#[cfg(test)]
std::thread_local! {
    static HOST_READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The numbers of a tensor, in order. The one way by which numbers of gradient steps leave a device: it waits for all that
/// was asked of it, so a test counts its calls.
pub(crate) fn to_host(tensor: &Tensor) -> Vec<f32> {
    #[cfg(test)]
    HOST_READS.set(HOST_READS.get() + 1);
    let flat = tensor.detach().to_device(Device::Cpu).contiguous();
    let mut numbers = vec![0.0; flat.numel()];
    flat.copy_data(&mut numbers, flat.numel());
    numbers
}
