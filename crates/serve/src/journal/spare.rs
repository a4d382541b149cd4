use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

const FILE: &str = ".spare";
/// Written at a time; then whoever waits for the processor has his turn.
const CHUNK_BYTES: u64 = 64 << 10;

/// The volume after the last one, made by a thread while that is filled. It is full of zeros that are on disk: a commit
/// overwrites bytes that the file has already, and `fdatasync` need not wait for the journal of the file system.
#[derive(Debug)]
pub struct Spare {
    path: PathBuf,
    bytes: u64,
    making: Option<JoinHandle<io::Result<File>>>,
}

impl Spare {
    /// Makes volumes of some bytes in a folder; none yet.
    pub fn new(log: &Path, bytes: u64) -> Self {
        Self {
            path: log.join(FILE),
            bytes,
            making: None,
        }
    }

    /// Begins to make one, if that has not begun yet.
    pub fn begin(&mut self) {
        if self.making.is_some() {
            return;
        }
        let (path, bytes) = (self.path.clone(), self.bytes);
        let thread = Builder::new().name("haggle-spare".to_owned());
        // Without a thread it is made when it is needed.
        self.making = thread.spawn(move || make(&path, bytes)).ok();
    }

    /// The one that was begun, or one that is made now, moved to where it belongs.
    ///
    /// # Errors
    /// When it could not be made: the disk is full, say.
    pub fn take(&mut self, path: &Path) -> io::Result<File> {
        let made = self.making.take().and_then(|thread| thread.join().ok());
        let file = match made {
            Some(Ok(file)) => file,
            Some(Err(_)) | None => make(&self.path, self.bytes)?,
        };
        fs::rename(&self.path, path)?;
        Ok(file)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(thread) = self.making.take() {
            let _ = thread.join();
            // Best effort: the next one takes its place.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make(path: &Path, bytes: u64) -> io::Result<File> {
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600);
    let file = options.open(path)?;
    let zeros = vec![0; CHUNK_BYTES.min(bytes) as usize];
    let write = || {
        for offset in (0..bytes).step_by(CHUNK_BYTES as usize) {
            let count = CHUNK_BYTES.min(bytes - offset) as usize;
            file.write_all_at(&zeros[..count], offset)?;
            std::thread::yield_now();
        }
        file.sync_all()
    };
    if let Err(error) = write() {
        // On a full disk the zeros are in the way of everybody.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(file)
}
