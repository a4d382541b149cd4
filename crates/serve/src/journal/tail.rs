use super::identity::read_only;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The number after the last durable record, with a checksum, in a file of its own. It is written without waiting for
/// the disk: after a kill it is right, after a power cut it can be too old, and a damaged one says nothing.
#[derive(Debug)]
pub struct Tail {
    file: File,
    number: Option<u64>,
}

impl Tail {
    /// Opens the file in a store's folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(store: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let path = store.join("tail");
        let file = options.open(&path).or_else(|error| read_only(&path, error))?;
        let mut bytes = [0; 12];
        let number = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| read(&bytes));
        Ok(Self { file, number })
    }

    /// The number that was there when it was opened; 0 where none was.
    pub fn number(&self) -> u64 {
        self.number.unwrap_or(0)
    }

    /// Whether it said something when it was opened.
    pub fn is_known(&self) -> bool {
        self.number.is_some()
    }

    /// Writes another number.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, number: u64) -> io::Result<()> {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }
}

fn read(bytes: &[u8; 12]) -> Option<u64> {
    let (number, sum) = bytes.split_at(8);
    let sum = u32::from_le_bytes(sum.try_into().ok()?);
    (crc32c::crc32c(number) == sum).then_some(u64::from_le_bytes(number.try_into().ok()?))
}
