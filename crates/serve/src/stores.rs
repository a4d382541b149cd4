//! What is done with a store that no daemon holds.

use crate::{print, say};
use haggle_serve::{Checked, Forgotten, Index, Journal, StoreError, backup, check, export, forget};
use std::path::{Path, PathBuf};

/// `haggled export`.
pub fn export_store(store: &Path, out: &Path, json: bool) -> anyhow::Result<()> {
    let exported = export(&Journal::existing(store)?.reader(), out)?;
    print(&exported, json, || {
        let (segments, offers) = (exported.segments.len(), exported.offers);
        let open = match exported.open {
            0 => String::new(),
            open => format!("; {open} offers may yet earn something, their windows are open"),
        };
        format!(
            "{segments} segments with {offers} offers, {} rewards joined{open}",
            exported.rewards
        )
    })
}

/// `haggled check`.
pub fn check_store(store: &Path, repair: bool, json: bool) -> anyhow::Result<()> {
    let found = check(store, repair)?;
    print(&found, json, || describe(&found))?;
    if found.sound() {
        return Ok(());
    }
    let what = if !found.breaks.is_empty() {
        "its chain is broken: somebody has changed it"
    } else if found.damage.is_empty() || found.repaired {
        "a bundle that it needs is damaged or missing; copy the intact folder back"
    } else {
        "it is damaged; `--repair` keeps the rest, or restore a backup"
    };
    Err(StoreError::Unsound {
        store: store.to_owned(),
        what,
    }
    .into())
}

fn describe(found: &Checked) -> String {
    let mut text = format!(
        "{} records are sound: {} decisions, {} rewards",
        found.records, found.decisions, found.rewards
    );
    if found.first > 0 {
        text += &format!("\nretention has dropped the {} records before", found.first);
    }
    if found.erased > 0 {
        text += &format!("\n{} records were erased", found.erased);
    }
    for (from, to) in &found.lost {
        text += &format!("\nlost: records {from} to {to}");
    }
    if found.torn_bytes > 0 {
        let what = match found.tail_unknown {
            true => "may be a loss: the file `tail`, which would say so, is missing or damaged",
            false => "were never acknowledged",
        };
        text += &format!("\n{} torn bytes at the end {what}", found.torn_bytes);
    } else if found.tail_unknown {
        text += "\nthe file `tail` is missing or damaged: records may be lost behind the last one";
    }
    if !found.lost.is_empty() {
        text += "\na lost record may have been a swap, a freeze, a mode or a canary: look at `status` when it serves again";
    }
    for what in found.damage.iter().chain(&found.breaks).chain(&found.bundles) {
        text += &format!("\n{what}");
    }
    if found.repaired {
        text += "\nrepaired: what is left can be used";
    }
    text + &format!("\nchain {}", found.chain)
}

/// `haggled backup`.
pub fn backup_store(store: &Path, out: &Path, json: bool) -> anyhow::Result<()> {
    let copied = backup(&Journal::existing(store)?.reader(), out)?;
    print(&copied, json, || describe(&copied))
}

/// `haggled forget`.
pub fn forget_user(store: &Path, user: &str, segments: &[PathBuf], json: bool) -> anyhow::Result<()> {
    let forgotten = forget(store, user, segments)?;
    print(&forgotten, json, || {
        if forgotten == Forgotten::default() {
            return format!("nothing was found of user `{user}`");
        }
        let Forgotten {
            sessions,
            decisions,
            records,
            offers,
        } = forgotten;
        format!(
            "erased: {sessions} sessions with {decisions} decisions, {records} records of the journal, {offers} offers of segments"
        )
    })
}

/// `haggled trace`.
pub fn trace(store: &Path, decision: &str) -> anyhow::Result<()> {
    let journal = Journal::existing(store)?;
    let records = Index::open(store, &journal)?.records(decision)?;
    anyhow::ensure!(
        !records.is_empty(),
        "store {}: no record tells of decision `{decision}`",
        store.display()
    );
    for (number, record) in records {
        say(serde_json::json!({ "number": number, "record": record }))?;
    }
    Ok(())
}
