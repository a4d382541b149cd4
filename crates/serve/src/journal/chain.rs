//! The chain of digests over all records of a journal: see `volume.rs`.

use super::frame::{Entry, Frame};
use haggle_core::Digest;

/// The chain digest after one more record.
#[must_use]
pub fn link(chain: Digest, record: Digest) -> Digest {
    Digest::of_parts(&[chain.as_bytes(), record.as_bytes()])
}

/// The chain digest after one more frame.
#[must_use]
pub fn after(chain: Digest, frame: &Frame<'_>) -> Digest {
    match (frame.entry, frame.entry.digest(frame.number)) {
        (Entry::Seal(sealed), _) => sealed,
        (_, Some(digest)) => link(chain, digest),
        (_, None) => chain,
    }
}

/// The chain digest before the first record of a store.
#[must_use]
pub fn origin() -> Digest {
    Digest::of(b"haggle store 3")
}
