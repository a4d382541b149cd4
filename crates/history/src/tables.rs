//! The Parquet tables of a session store but for its offers: their schemas, and a [`History`] to and from their columns.

use crate::assemble::RawSession;
use crate::columns::{Column, Columns, text, write};
use crate::{History, ItemInfo, Session, Shelf};
use haggle_core::{PriceMinor, ShelfEntry};
use parquet::errors::{ParquetError, Result};

const SESSIONS: &str = "message sessions {
    REQUIRED BYTE_ARRAY session (UTF8);
    OPTIONAL BYTE_ARRAY user (UTF8);
    REQUIRED INT64 time_s;
    REQUIRED INT32 week (INTEGER(32,false));
}";
const ITEMS: &str = "message items {
    REQUIRED BYTE_ARRAY item (UTF8);
    REQUIRED BYTE_ARRAY category (UTF8);
    REQUIRED BYTE_ARRAY department (UTF8);
}";
const SHELF: &str = "message shelf {
    REQUIRED INT32 week (INTEGER(32,false));
    REQUIRED INT32 item_row (INTEGER(32,false));
    REQUIRED INT32 posted_minor (INTEGER(32,false));
    REQUIRED FLOAT mailer;
    REQUIRED FLOAT display;
}";

/// The bytes of `sessions.parquet`.
pub(crate) fn sessions_bytes(history: &History) -> Result<Vec<u8>> {
    let sessions = &history.sessions;
    let user = |session: &Session| {
        session
            .user
            .map(|user| history.users[user as usize].as_str().into())
    };
    let columns = vec![
        Column::Text(
            sessions
                .iter()
                .map(|session| session.id.as_str().into())
                .collect(),
        ),
        Column::MaybeText(sessions.iter().map(user).collect()),
        Column::Long(sessions.iter().map(|session| session.time_s).collect()),
        Column::Int(sessions.iter().map(|session| session.week as i32).collect()),
    ];
    write(SESSIONS, columns)
}

/// The bytes of `items.parquet`.
pub(crate) fn items_bytes(items: &[ItemInfo]) -> Result<Vec<u8>> {
    let of = |name: fn(&ItemInfo) -> &str| Column::Text(items.iter().map(|item| name(item).into()).collect());
    write(
        ITEMS,
        vec![
            of(|item| &item.id),
            of(|item| &item.category),
            of(|item| &item.department),
        ],
    )
}

/// The bytes of `shelf.parquet`: item by item, its weeks in order, so that prices that stay cost nothing.
pub(crate) fn shelf_bytes(shelf: &Shelf) -> Result<Vec<u8>> {
    let weeks = || 0..shelf.weeks;
    let cells = || (0..shelf.items).flat_map(|item| weeks().map(move |row| (row, item)));
    let entry = |(row, item): (usize, usize)| &shelf.entries[row * shelf.items + item];
    let columns = vec![
        Column::Int(
            cells()
                .map(|(row, _)| (shelf.first_week as usize + row) as i32)
                .collect(),
        ),
        Column::Int(cells().map(|(_, item)| item as i32).collect()),
        Column::Int(cells().map(|cell| entry(cell).posted_minor.0 as i32).collect()),
        Column::Float(cells().map(|cell| entry(cell).mailer).collect()),
        Column::Float(cells().map(|cell| entry(cell).display).collect()),
    ];
    write(SHELF, columns)
}

/// The items of `items.parquet`.
pub(crate) fn read_items(bytes: Vec<u8>) -> Result<Vec<ItemInfo>> {
    let columns = Columns::open(bytes, ITEMS)?;
    let (ids, categories) = (columns.text("item")?, columns.text("category")?);
    let departments = columns.text("department")?;
    (0..columns.rows)
        .map(|row| {
            Ok(ItemInfo {
                id: text(&ids[row])?,
                category: text(&categories[row])?,
                department: text(&departments[row])?,
            })
        })
        .collect()
}

/// The sessions of `sessions.parquet`.
pub(crate) fn read_sessions(bytes: Vec<u8>) -> Result<Vec<RawSession>> {
    let columns = Columns::open(bytes, SESSIONS)?;
    let (ids, users) = (columns.text("session")?, columns.maybe_text("user")?);
    let (times, weeks) = (columns.longs("time_s")?, columns.ints("week")?);
    (0..columns.rows)
        .map(|row| {
            Ok(RawSession {
                id: text(&ids[row])?,
                user: users[row].as_ref().map(text).transpose()?,
                time_s: times[row],
                week: weeks[row] as u32,
            })
        })
        .collect()
}

/// The shelf of `shelf.parquet`.
pub(crate) fn read_shelf(bytes: Vec<u8>, items: usize) -> Result<Shelf> {
    let columns = Columns::open(bytes, SHELF)?;
    let weeks = columns.rows / items.max(1);
    let posted = columns.ints("posted_minor")?;
    let (mailer, display) = (columns.floats("mailer")?, columns.floats("display")?);
    let first_week = columns.ints("week")?.first().copied().unwrap_or_default();
    if weeks == 0 || weeks * items != columns.rows {
        return Err(ParquetError::General("not one row per week and item".to_owned()));
    }
    let cells = (0..weeks).flat_map(|week| (0..items).map(move |item| item * weeks + week));
    let entry = |cell: usize| ShelfEntry {
        posted_minor: PriceMinor(posted[cell] as u32),
        mailer: mailer[cell],
        display: display[cell],
    };
    Ok(Shelf {
        first_week: first_week as u32,
        weeks,
        items,
        entries: cells.map(entry).collect(),
    })
}
