use super::ask;
use haggle_serve::{Client, Health};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own, where the system lets us mount one.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Room for several volumes of 8 MiB beside what a load writes before the disk is filled: so that there is room again
    /// afterwards. None where the system does not let us.
    pub fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(at);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Leaves no room. The file is to be removed where room is wanted again.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let written = fs::write(&ballast, vec![1; 64 << 20]);
        assert!(written.is_err(), "the disk is full now");
        ballast
    }

    pub fn make_read_only(&self) {
        let mut remount = Command::new("mount");
        remount.args(["-o", "remount,ro"]).arg(&self.0);
        assert!(remount.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Prices until the store says that its disk is full: the journal has taken some space in advance. Returns how many.
pub fn price_until_full(client: &mut Client) -> usize {
    let mut more = 0;
    while client.status().unwrap().store == Health::Ok {
        let asks: Vec<_> = (more..more + 64)
            .map(|n| ask(&format!("m{n}"), "milk-0"))
            .collect();
        client.prices(&asks).unwrap();
        more += 64;
        assert!(more < 100_000, "4 MiB do not hold that many decisions");
    }
    more
}
