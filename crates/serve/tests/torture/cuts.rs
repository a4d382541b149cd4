//! Power cuts: a file system in an image. Its writer is stopped, the image is copied as the disk has it at that moment, and
//! the copy is mounted: what was only in memory is gone.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system in an image.
pub struct Rig {
    dir: TempDir,
    mounted: Mounted,
}

/// A copy of the image, as it was at one moment.
pub struct Image(PathBuf);

/// A mounted image.
pub struct Mounted(PathBuf);

/// What became of a plain log on such a disk.
pub struct Appended {
    pub cuts: usize,
    pub acknowledged: u64,
    pub lost: u64,
}

impl Rig {
    /// None where the system does not let us.
    pub fn new(mebibytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk.img");
        File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        succeeds(Command::new("mkfs.ext4").arg("-q").arg(&image)).then_some(())?;
        let mounted = Mounted::at(&image, &dir.path().join("disk"))?;
        Some(Self { dir, mounted })
    }

    pub fn folder(&self) -> &Path {
        self.mounted.folder()
    }

    /// The disk as it is now; whoever writes must be stopped.
    pub fn cut(&self) -> Image {
        let copy = self.dir.path().join("cut.img");
        let image = self.dir.path().join("disk.img");
        let copied = succeeds(Command::new("cp").arg("--sparse=always").arg(image).arg(&copy));
        assert!(copied, "the image can be copied");
        Image(copy)
    }

    /// A log on this disk, with or without `fdatasync` before each acknowledgement.
    pub fn appends(&self, cuts: usize, synced: bool) -> Appended {
        let mut done = Appended {
            cuts,
            acknowledged: 0,
            lost: 0,
        };
        for n in 0..cuts {
            let name = format!("log-{synced}-{n}");
            let mut log = File::create(self.folder().join(&name)).unwrap();
            log.sync_all().unwrap();
            File::open(self.folder()).unwrap().sync_all().unwrap();
            let written = 200;
            for number in 0..written {
                log.write_all(&u64::to_le_bytes(number + 1)).unwrap();
                if synced {
                    log.sync_data().unwrap();
                }
            }
            let mut bytes = Vec::new();
            let after = self.cut().mount();
            let mut copy = File::open(after.folder().join(&name)).unwrap();
            copy.read_to_end(&mut bytes).unwrap();
            let numbers = bytes.chunks_exact(8).enumerate();
            let kept = numbers
                .filter(|(place, number)| **number == u64::to_le_bytes(*place as u64 + 1))
                .count() as u64;
            done.acknowledged += written;
            done.lost += written - kept;
        }
        done
    }
}

impl Image {
    pub fn mount(self) -> Mounted {
        let folder = self.0.with_extension("mounted");
        Mounted::at(&self.0, &folder).expect("the first one was mounted, too")
    }
}

impl Mounted {
    fn at(image: &Path, folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = succeeds(Command::new("mount").args(["-o", "loop"]).arg(image).arg(folder));
        mounted.then(|| Self(folder.to_owned()))
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        succeeds(Command::new("umount").arg(&self.0));
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
