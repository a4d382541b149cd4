use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One root seed from which every stream of random numbers is derived by name.
///
/// Streams are independent of the order in which they are asked for, so adding one never shifts another.
#[derive(Clone, Debug)]
pub struct Seeds {
    key: [u8; 32],
}

impl Seeds {
    /// The streams of a root seed.
    #[must_use]
    pub fn new(root: u64) -> Self {
        Self {
            key: blake3::derive_key("haggle 2026 root seed", &root.to_le_bytes()),
        }
    }

    /// A named family of streams below this one.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self {
            key: *blake3::keyed_hash(&self.key, name.as_bytes()).as_bytes(),
        }
    }

    /// The `index`-th family below this one (environment copies, ensemble members).
    #[must_use]
    pub fn indexed(&self, index: u64) -> Self {
        Self {
            key: *blake3::keyed_hash(&self.key, &index.to_le_bytes()).as_bytes(),
        }
    }

    /// A generator that starts at the beginning of this stream.
    #[must_use]
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.key)
    }

    /// One number in [0, 1) that belongs to a key: the same key, the same number. Nobody outside can pick his draw.
    #[must_use]
    pub fn uniform_of(&self, key: &[u8]) -> f64 {
        ChaCha8Rng::from_seed(*blake3::keyed_hash(&self.key, key).as_bytes()).random()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name_and_index() {
        let first = |seeds: &Seeds| seeds.rng().random::<u64>();
        let root = Seeds::new(7);
        assert_eq!(
            first(&root.named("env").indexed(3)),
            first(&Seeds::new(7).named("env").indexed(3))
        );
        assert_ne!(
            first(&root.named("env").indexed(3)),
            first(&root.named("env").indexed(4))
        );
        assert_ne!(first(&root.named("env")), first(&root.named("learn")));
        assert_eq!(root.uniform_of(b"d1"), root.uniform_of(b"d1"));
        assert_ne!(root.uniform_of(b"d1"), root.uniform_of(b"d2"));
    }
}
