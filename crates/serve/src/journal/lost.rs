use crate::store_error::StoreError;
use crate::whole_file;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Its name in a store.
pub const FILE: &str = "lost";

/// Writes down which records a repair gave up, the first and the last number of each range a line: a start from a checkpoint
/// does not see the marks in the journal. The operator removes it once he has set right what they may have said.
///
/// # Errors
/// When it cannot be written.
pub fn write(store: &Path, lost: &[(u64, u64)]) -> Result<(), StoreError> {
    let lines: String = lost.iter().map(|(from, to)| format!("{from} {to}\n")).collect();
    whole_file::replace(&store.join(FILE), &[lines.as_bytes()]).map_err(StoreError::full_or_io(store))
}

/// How many records repairs of a store gave up; 0 without the file.
///
/// # Errors
/// When it cannot be read or understood.
pub fn count(store: &Path) -> Result<u64, StoreError> {
    let text = match fs::read_to_string(store.join(FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        read => read.map_err(StoreError::io(store))?,
    };
    let records = |line: &str| {
        let (from, to) = line.split_once(' ')?;
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        to.checked_sub(from)?.checked_add(1)
    };
    let counts: Option<Vec<u64>> = text.lines().map(records).collect();
    let counts = counts.ok_or_else(|| StoreError::Damaged {
        store: store.to_owned(),
        what: format!("its file `{FILE}` cannot be understood"),
    })?;
    Ok(counts.iter().fold(0, |sum, count| sum.saturating_add(*count)))
}
