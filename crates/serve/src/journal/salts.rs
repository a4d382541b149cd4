use super::frame::SALT_BYTES;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::File;
use std::io::{self, Read};

/// Random salts: a stream whose key is never written.
#[derive(Debug)]
pub struct Salts(ChaCha8Rng);

impl Salts {
    /// With a key of the system's.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self(ChaCha8Rng::from_seed(key)))
    }

    /// Another one.
    pub fn draw(&mut self) -> [u8; SALT_BYTES] {
        self.0.random::<u128>().to_le_bytes()
    }
}
