use anyhow::Context;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Processor time that the threads of a process have used, by their names, in nanoseconds.
pub struct Effort(BTreeMap<String, u64>);

impl Effort {
    /// Up to now; empty where the system does not say.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let mut effort = BTreeMap::new();
        let folder = format!("/proc/{process}/task");
        let Ok(threads) = fs::read_dir(&folder) else {
            return Ok(Self(effort));
        };
        for thread in threads {
            let thread = thread.with_context(|| folder.clone())?.path();
            if let Some((name, used_ns)) = read(&thread) {
                *effort.entry(name).or_default() += used_ns;
            }
        }
        Ok(Self(effort))
    }

    /// What was used since `before`, in microseconds for each of `count` things done.
    pub fn each_us(&self, before: &Self, count: usize) -> BTreeMap<String, f64> {
        let used = |name: &String| self.0[name] - before.0.get(name).copied().unwrap_or_default();
        let each = |name: &String| (name.clone(), used(name) as f64 / 1e3 / count as f64);
        self.0.keys().map(each).collect()
    }
}

/// None for a thread that has just ended.
fn read(thread: &Path) -> Option<(String, u64)> {
    let name = fs::read_to_string(thread.join("comm")).ok()?;
    let used = fs::read_to_string(thread.join("schedstat")).ok()?;
    Some((name.trim().to_owned(), used.split(' ').next()?.parse().ok()?))
}
