//! From rows in any order to a [`History`]: sessions in time, items and users by name, one line per session and item.

use crate::{History, HistoryError, ImportReport, ItemInfo, Line, Session, Shelf, Source};
use haggle_core::{Digest, PriceMinor};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

/// No history has more weeks: twenty years. A wrong week number would otherwise ask for a shelf without end.
const WEEKS_MAX: u32 = 1_040;

/// A session as its source names it.
pub(crate) struct RawSession {
    pub(crate) id: String,
    pub(crate) user: Option<String>,
    pub(crate) time_s: i64,
    pub(crate) week: u32,
}

/// A purchase line; session and item count through the rows that were read.
#[derive(Clone, Copy)]
pub(crate) struct RawLine {
    pub(crate) session: u32,
    pub(crate) item: u32,
    pub(crate) units: u32,
    pub(crate) price_minor: PriceMinor,
}

/// Puts everything in order and derives the posted prices; `None` when no line is left. A session without lines is a visit
/// that bought nothing, unless it is one of `cleaned`, whose lines were left out (returns, say): nobody knows what those did.
pub(crate) fn assemble(
    mut sessions: Vec<RawSession>,
    mut lines: Vec<RawLine>,
    items: Vec<ItemInfo>,
    cleaned: &HashSet<u32>,
    report: &mut ImportReport,
) -> Result<Option<History>, HistoryError> {
    report.sessions_reordered = sessions
        .windows(2)
        .filter(|pair| pair[1].time_s < pair[0].time_s)
        .count();
    let (rows, read) = (sessions.len(), lines.len());
    let items = order_items(items, &mut lines);
    drop_emptied(&mut sessions, &mut lines, cleaned);
    report.drop_rows("sessions of whose lines none was usable", rows - sessions.len());
    order_sessions(&mut sessions, &mut lines);
    merge(&mut lines);
    report.lines_merged = read - lines.len();
    link(&sessions, &lines, items)
}

/// Leaves out the sessions that were cleaned of their last line; renumbers the lines.
fn drop_emptied(sessions: &mut Vec<RawSession>, lines: &mut [RawLine], cleaned: &HashSet<u32>) {
    let mut kept: Vec<bool> = (0..sessions.len() as u32)
        .map(|session| !cleaned.contains(&session))
        .collect();
    for line in &*lines {
        kept[line.session as usize] = true;
    }
    let mut place = Vec::with_capacity(kept.len());
    let mut next = 0;
    for kept in &kept {
        place.push(next);
        next += u32::from(*kept);
    }
    for line in lines {
        line.session = place[line.session as usize];
    }
    let mut kept = kept.into_iter();
    sessions.retain(|_| kept.next() == Some(true));
}

/// Sorts the items by name and renumbers the lines.
pub(crate) fn order_items(items: Vec<ItemInfo>, lines: &mut [RawLine]) -> Vec<ItemInfo> {
    let mut order: Vec<(ItemInfo, usize)> = items.into_iter().zip(0..).collect();
    order.sort_unstable_by(|a, b| a.0.id.cmp(&b.0.id));
    let mut place = vec![0; order.len()];
    for (new, (_, old)) in order.iter().enumerate() {
        place[*old] = new as u32;
    }
    for line in lines {
        line.item = place[line.item as usize];
    }
    order.into_iter().map(|(item, _)| item).collect()
}

/// Sorts the sessions by week, time and name (shorter names first, so that numbers count upwards); renumbers the lines.
pub(crate) fn order_sessions(sessions: &mut Vec<RawSession>, lines: &mut [RawLine]) {
    let mut order: Vec<(RawSession, usize)> = std::mem::take(sessions).into_iter().zip(0..).collect();
    order.sort_by(|(a, _), (b, _)| {
        let key = |session: &RawSession| (session.week, session.time_s, session.id.len());
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    let mut place = vec![0; order.len()];
    for (new, (_, old)) in order.iter().enumerate() {
        place[*old] = new as u32;
    }
    for line in lines {
        line.session = place[line.session as usize];
    }
    *sessions = order.into_iter().map(|(session, _)| session).collect();
}

/// Sorts lines by session and item and makes one of those that share both: units add up, the price is their mean by unit.
pub(crate) fn merge(lines: &mut Vec<RawLine>) {
    lines.sort_by_key(|line| (line.session, line.item));
    let merged = lines
        .chunk_by(|a, b| (a.session, a.item) == (b.session, b.item))
        .map(|same| match same {
            [one] => *one,
            several => {
                let units: u64 = several.iter().map(|line| u64::from(line.units)).sum();
                let paid: f64 = several
                    .iter()
                    .map(|line| f64::from(line.units) * line.price_minor.as_f64())
                    .sum();
                RawLine {
                    units: u32::try_from(units).unwrap_or(u32::MAX),
                    price_minor: PriceMinor::rounded(paid / units as f64),
                    ..several[0]
                }
            }
        })
        .collect();
    *lines = merged;
}

fn link(
    sessions: &[RawSession],
    lines: &[RawLine],
    items: Vec<ItemInfo>,
) -> Result<Option<History>, HistoryError> {
    let (Some(first), Some(last), false) = (sessions.first(), sessions.last(), lines.is_empty()) else {
        return Ok(None);
    };
    let weeks = first.week..last.week + 1;
    check_weeks(&weeks)?;
    let users = number_users(sessions.iter().filter_map(|session| session.user.as_deref()));
    let linked = link_sessions(sessions, lines, |user| users.get(user).copied());
    let seen = lines
        .iter()
        .map(|line| (line.item, sessions[line.session as usize].week, line.price_minor))
        .collect();
    Ok(Some(History {
        sessions: linked,
        lines: lines.iter().map(RawLine::linked).collect(),
        shelf: Shelf::posted(items.len(), &weeks, seen),
        items,
        users: users.into_keys().map(str::to_owned).collect(),
        offers: Vec::new(),
        source: Source::default(),
        digest: Digest::of(&[]),
    }))
}

/// Sessions with their ranges of sorted, merged lines.
pub(crate) fn link_sessions(
    sessions: &[RawSession],
    lines: &[RawLine],
    number: impl Fn(&str) -> Option<u32>,
) -> Vec<Session> {
    let mut start = 0;
    let link = |(place, raw): (u32, &RawSession)| {
        let here = lines[start..].partition_point(|line| line.session == place);
        start += here;
        Session {
            id: raw.id.clone(),
            user: raw.user.as_deref().and_then(&number),
            time_s: raw.time_s,
            week: raw.week,
            lines: start - here..start,
        }
    };
    (0..).zip(sessions).map(link).collect()
}

/// Refuses more weeks than any shop has.
pub(crate) fn check_weeks(weeks: &Range<u32>) -> Result<(), HistoryError> {
    if weeks.end - weeks.start <= WEEKS_MAX {
        return Ok(());
    }
    Err(HistoryError::Weeks {
        first: weeks.start,
        last: weeks.end - 1,
        max: WEEKS_MAX,
    })
}

/// Numbers users by name.
pub(crate) fn number_users<'a>(users: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u32> {
    users.collect::<BTreeSet<_>>().into_iter().zip(0..).collect()
}

impl RawLine {
    /// The line as a history holds it.
    pub(crate) fn linked(&self) -> Line {
        Line {
            item: self.item,
            units: self.units,
            price_minor: self.price_minor,
        }
    }
}
