//! Importing the Complete Journey: grocery baskets with prices, promotions and a catalogue, as CSV files.
//!
//! The source names its sessions, so none is split or joined; they are put in order of week, time and name. Lines are
//! cleaned by rules that [`ImportReport`] counts; a field that is no value of its kind stops the import, because it says
//! that the file is not what it seems.

use crate::assemble::{RawLine, RawSession, assemble};
use crate::table::{Row, Table};
use crate::{History, HistoryError, ImportReport, ItemInfo, Source};
use haggle_core::PriceMinor;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// The name of the format, as it stands in a store.
pub const COMPLETE_JOURNEY: &str = "complete-journey";
/// What an item without a product type or catalogue entry belongs to.
pub const UNKNOWN_CATEGORY: &str = "unknown";

const SESSIONS: [&str; 5] = ["session_id", "household_id", "store_id", "ts", "week"];
const LINES: [&str; 4] = ["session_id", "sku", "quantity", "unit_price"];
const CATALOG: [&str; 3] = ["sku", "department", "product_type"];
const PROMOTIONS: [&str; 5] = ["sku", "store_id", "display_location", "mailer_location", "week"];
const HOUSEHOLDS: [&str; 1] = ["household_id"];

/// What the files hold, before it is put in order.
#[derive(Default)]
struct Reading {
    source: Source,
    report: ImportReport,
    sessions: Vec<RawSession>,
    session_numbers: HashMap<String, u32>,
    stores: BTreeSet<String>,
    lines: Vec<RawLine>,
    /// Sessions with a line that was left out.
    cleaned: HashSet<u32>,
    items: Vec<ItemInfo>,
    item_numbers: HashMap<String, u32>,
}

/// Reads `sessions`, `lines`, `catalog`, `promotions` and, where present, `households` (`.csv` or `.csv.gz`) of a folder.
///
/// Posted price of an item-week: the median unit price over its lines, kept until the next week with a sale, the weeks
/// before the first sale taking its price. Mailer and display: the share of the stores that occur in sessions whose code
/// for the item-week is not `0`.
///
/// # Errors
/// When a file is missing, cut off or of another shape, a field is no value of its kind, or no session is left.
pub fn import_complete_journey(folder: &Path) -> Result<(History, ImportReport), HistoryError> {
    let mut reading = Reading {
        source: Source {
            format: COMPLETE_JOURNEY.to_owned(),
            ..Source::default()
        },
        ..Reading::default()
    };
    reading.read_sessions(Table::open(folder, "sessions", &SESSIONS)?)?;
    reading.read_lines(Table::open(folder, "lines", &LINES)?)?;
    reading.read_catalog(Table::open(folder, "catalog", &CATALOG)?)?;
    if let Some(households) = Table::open_optional(folder, "households", &HOUSEHOLDS)? {
        reading.read_households(households)?;
    }
    let promotions = Table::open(folder, "promotions", &PROMOTIONS)?;
    let mut report = reading.report;
    let (sessions, lines, items) = (reading.sessions, reading.lines, reading.items);
    let mut history = assemble(sessions, lines, items, &reading.cleaned, &mut report)?.ok_or_else(|| {
        HistoryError::Nothing {
            folder: folder.to_owned(),
            dropped: report.dropped_text(),
        }
    })?;
    history.source = reading.source;
    read_promotions(promotions, reading.stores, &mut history, &mut report)?;
    history.digest = history.source.digest();
    report.measure(&history);
    Ok((history, report))
}

impl Reading {
    fn read_sessions(&mut self, mut table: Table) -> Result<(), HistoryError> {
        while let Some(row) = table.next_row()? {
            let id = row.name(0)?;
            if self.session_numbers.contains_key(id) {
                self.report.drop_row("sessions seen before");
                continue;
            }
            let number = self.sessions.len() as u32;
            self.session_numbers.insert(id.to_owned(), number);
            self.stores.insert(row.name(2)?.to_owned());
            self.sessions.push(RawSession {
                id: id.to_owned(),
                user: Some(row.text(1))
                    .filter(|user| !user.is_empty())
                    .map(str::to_owned),
                time_s: row.time_s(3)?,
                week: week(&row, 4)?,
            });
        }
        self.close(&table);
        Ok(())
    }

    fn read_lines(&mut self, mut table: Table) -> Result<(), HistoryError> {
        let mut seen = HashSet::new();
        while let Some(row) = table.next_row()? {
            let units = row.whole(2)?;
            let price = row.number(3)? * 100.0;
            if price > f64::from(u32::MAX) {
                return Err(row.wrong(3, "a price below 42 million"));
            }
            let price_minor = PriceMinor::rounded(price);
            let Some(session) = self.session_numbers.get(row.name(0)?).copied() else {
                self.report.drop_row("lines of an unknown session");
                continue;
            };
            let units = u32::try_from(units).ok().filter(|units| *units > 0);
            let (Some(units), true) = (units, price_minor.0 > 0) else {
                self.cleaned.insert(session);
                self.report.drop_row(match units {
                    None => "lines with a quantity of 0 or less",
                    Some(_) => "lines with a price below half a cent",
                });
                continue;
            };
            if !seen.insert(fingerprint(&row)) {
                self.report.drop_row("lines that repeat another in every field");
                continue;
            }
            let item = self.item(row.name(1)?);
            self.lines.push(RawLine {
                session,
                item,
                units,
                price_minor,
            });
        }
        self.close(&table);
        Ok(())
    }

    fn read_catalog(&mut self, mut table: Table) -> Result<(), HistoryError> {
        let mut known = vec![false; self.items.len()];
        while let Some(row) = table.next_row()? {
            let Some(item) = self.item_numbers.get(row.name(0)?).copied() else {
                self.report.drop_row("catalogue entries that never sold");
                continue;
            };
            let item = item as usize;
            if std::mem::replace(&mut known[item], true) {
                self.report.drop_row("catalogue entries seen before");
                continue;
            }
            row.text(1).clone_into(&mut self.items[item].department);
            if !row.text(2).is_empty() {
                row.text(2).clone_into(&mut self.items[item].category);
            }
        }
        self.report.items_unknown = known.iter().filter(|known| !**known).count();
        self.close(&table);
        Ok(())
    }

    fn read_households(&mut self, mut table: Table) -> Result<(), HistoryError> {
        let mut described = BTreeSet::new();
        while let Some(row) = table.next_row()? {
            described.insert(row.name(0)?.to_owned());
        }
        self.report.users_described = described.len();
        self.close(&table);
        Ok(())
    }

    fn item(&mut self, id: &str) -> u32 {
        if let Some(number) = self.item_numbers.get(id) {
            return *number;
        }
        let number = self.items.len() as u32;
        self.item_numbers.insert(id.to_owned(), number);
        self.items.push(ItemInfo {
            id: id.to_owned(),
            category: UNKNOWN_CATEGORY.to_owned(),
            department: UNKNOWN_CATEGORY.to_owned(),
        });
        number
    }

    fn close(&mut self, table: &Table) {
        self.source.files.insert(table.name(), table.digest);
        self.report.rows_read.insert(table.name(), table.rows);
    }
}

/// Sets the promotions of the shelf: each store counts once per item-week.
fn read_promotions(
    mut table: Table,
    stores: BTreeSet<String>,
    history: &mut History,
    report: &mut ImportReport,
) -> Result<(), HistoryError> {
    let numbers: HashMap<String, usize> = stores.into_iter().zip(0..).collect();
    let weeks = history.weeks();
    let (mut mailer, mut display) = (Vec::new(), Vec::new());
    while let Some(row) = table.next_row()? {
        let week = week(&row, 4)?;
        let item = history.item_number(row.name(0)?);
        let store = numbers.get(row.name(1)?);
        let (Some(item), Some(store), true) = (item, store, weeks.contains(&week)) else {
            report.drop_row("promotions of an item, store or week without sessions");
            continue;
        };
        for (column, cells) in [(3, &mut mailer), (2, &mut display)] {
            if row.name(column)? != "0" {
                cells.push((week, item, *store));
            }
        }
    }
    for (week, item, share) in shares(mailer, numbers.len()) {
        history.shelf.entry_mut(week, item).mailer = share;
    }
    for (week, item, share) in shares(display, numbers.len()) {
        history.shelf.entry_mut(week, item).display = share;
    }
    history.source.files.insert(table.name(), table.digest);
    report.rows_read.insert(table.name(), table.rows);
    Ok(())
}

/// The share of all stores per week and item, each store counted once.
fn shares(mut cells: Vec<(u32, usize, usize)>, stores: usize) -> Vec<(u32, usize, f32)> {
    cells.sort_unstable();
    cells.dedup();
    let of_item = cells.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    of_item
        .map(|cells| (cells[0].0, cells[0].1, cells.len() as f32 / stores as f32))
        .collect()
}

fn week(row: &Row<'_>, column: usize) -> Result<u32, HistoryError> {
    const EXPECTED: &str = "a week number from 1 to 9999";
    const WEEK_MAX: u32 = 9_999;
    let week = row.whole(column).map_err(|_| row.wrong(column, EXPECTED))?;
    u32::try_from(week)
        .ok()
        .filter(|week| (1..=WEEK_MAX).contains(week))
        .ok_or_else(|| row.wrong(column, EXPECTED))
}

fn fingerprint(row: &Row<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for field in row.fields() {
        field.hash(&mut hasher);
    }
    hasher.finish()
}
