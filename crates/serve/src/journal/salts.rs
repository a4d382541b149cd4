use super::frame::SALT_BYTES;
use haggle_core::Digest;
use std::fs::File;
use std::io::{self, Read};

/// Random salts: a digest of a key that is never written, and a counter.
#[derive(Debug)]
pub struct Salts {
    key: [u8; 32],
    count: u64,
}

impl Salts {
    /// With a key of the system's.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self { key, count: 0 })
    }

    /// Another one.
    pub fn draw(&mut self) -> [u8; SALT_BYTES] {
        self.count += 1;
        let digest = Digest::of_parts(&[&self.key, &self.count.to_le_bytes()]);
        std::array::from_fn(|place| digest.as_bytes()[place])
    }
}
