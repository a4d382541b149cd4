//! A run that goes on: from which checkpoint, and what may be another value than before.

use crate::failure::{Failure, Kind, OrFail};
use crate::plan::Plan;
use crate::seat::Seat;
use haggle_config::Origin;
use haggle_config::rows;
use haggle_learn::{Change, Checkpoint, Freedom, TrainConfig, find_checkpoint, sound_checkpoints};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What stands in front of the learner's names in a run's config.
const LEARNER: &str = "learner.";

/// Refuses what must not change while a run goes on, and a file that silently changes what may. `origins` say where the plan's
/// values come from.
pub fn check(plan: &Plan, seat: &Seat, origins: &[Origin]) -> Result<(), Failure> {
    let Seat::Resume { folder, .. } = seat else {
        return Ok(());
    };
    let began = Plan::of_run(folder)?;
    for change in differences(&began, plan)? {
        let Change { field, old, new } = &change;
        let said = origins
            .iter()
            .any(|(name, _, origin)| name == field && *origin == "--set");
        let why = match freedom(field) {
            Freedom::Free => continue,
            Freedom::Optimiser if said => continue,
            Freedom::Optimiser => format!(
                "settings of the optimiser change only by --set: say --set {field}={old} to go on as it was, or --set {field}={new}"
            ),
            Freedom::Fixed => "a run that goes on may have another length, device and bookkeeping, and by --set other settings \
                               of the optimiser, nothing else"
                .to_owned(),
        };
        let sentence = format!(
            "{} has {field} = {old}, now {new} is asked for; {why}",
            folder.display()
        );
        return Err(Failure::say(Kind::Usage, sentence));
    }
    Ok(())
}

/// What is another value in a run's learner than it was before.
pub fn changes(folder: &Path, learner: &TrainConfig) -> Result<Vec<Change>, Failure> {
    let began = Plan::of_run(folder)?.learner;
    let mut changes = differences(&began, learner)?;
    for change in &mut changes {
        change.field.insert_str(0, LEARNER);
    }
    Ok(changes)
}

/// The checkpoint to go on from: the named one, or else the newest.
pub fn checkpoint(folder: &Path, name: Option<&str>) -> Result<(PathBuf, Checkpoint), Failure> {
    let instead = |newest: &Path| {
        format!(
            "go on from the newest of them with --resume {} --from {}",
            folder.display(),
            newest.display()
        )
    };
    read_checkpoint(folder, name.unwrap_or("last"), instead)
}

/// A checkpoint of a run by its name. Where it cannot be read, the sentence ends with what to do `instead` with the newest of
/// those that can.
pub fn read_checkpoint(
    folder: &Path,
    name: &str,
    instead: impl Fn(&Path) -> String,
) -> Result<(PathBuf, Checkpoint), Failure> {
    let path = find_checkpoint(folder, name)?;
    let why = match Checkpoint::read(&path) {
        Ok(checkpoint) => return Ok((path, checkpoint)),
        Err(why) => anyhow::Error::from(why),
    };
    let sound = sound_checkpoints(folder)?;
    let sentence = match sound.first() {
        Some(newest) => format!(
            "{why:#}; {} of the run can be read: {}",
            counted(sound.len()),
            instead(newest)
        ),
        None => format!("{why:#}; no other checkpoint of the run can be read: it has to begin again"),
    };
    Err(Failure::say(Kind::Data, sentence))
}

fn counted(checkpoints: usize) -> String {
    match checkpoints {
        1 => "1 other checkpoint".to_owned(),
        several => format!("{several} other checkpoints"),
    }
}

fn freedom(field: &str) -> Freedom {
    let setting = field
        .strip_prefix(LEARNER)
        .and_then(|name| name.split('.').next());
    setting.map_or(Freedom::Fixed, Freedom::of)
}

/// The values by their dotted names that differ, in the order of the names.
fn differences(old: &impl Serialize, new: &impl Serialize) -> Result<Vec<Change>, Failure> {
    let [old, new] = [rows(old).or_fail(Kind::Usage)?, rows(new).or_fail(Kind::Usage)?];
    let value = |rows: &[(String, toml::Value)], field: &str| {
        let row = rows.iter().find(|(name, _)| name == field);
        row.map_or_else(|| "nothing".to_owned(), |(_, value)| value.to_string())
    };
    let mut fields: Vec<&String> = old.iter().chain(&new).map(|(name, _)| name).collect();
    fields.sort();
    fields.dedup();
    let change = |field: &String| Change {
        old: value(&old, field),
        new: value(&new, field),
        field: field.clone(),
    };
    let all = fields.into_iter().map(change);
    Ok(all.filter(|change| change.old != change.new).collect())
}
