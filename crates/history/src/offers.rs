//! Between lines and [`Offer`] records: one record for history, simulated and live logs.

use crate::assemble::{
    RawLine, RawSession, check_weeks, link_sessions, merge, number_users, order_items, order_sessions,
};
use crate::{History, HistoryError, ItemInfo, Line, Session, Shelf, Source, UNKNOWN_CATEGORY};
use haggle_core::{Digest, Offer, encode_record};
use std::collections::HashMap;

/// The name of the format of offers, as it stands in a store.
pub const SEGMENTS: &str = "segments";
const WEEK_S: i64 = 7 * 86_400;

impl History {
    /// A history of offers, from segments: the first session's week is week 1, weeks are 7 days from its time on, and the
    /// posted price of an item-week is the median over its offers, bought or not. What the record does not say stays
    /// empty: no promotions, no departments. The offers themselves are kept whole, propensities included.
    ///
    /// # Errors
    /// When there are none, or they span more weeks than any shop has.
    pub fn from_offers(offers: Vec<Offer>) -> Result<Self, HistoryError> {
        let start_s = offers.iter().map(|offer| offer.time_s).min();
        let start_s = start_s.ok_or(HistoryError::NoOffers)?;
        let (mut sessions, mut items) = (Vec::new(), Vec::new());
        let mut rows = raw_lines(&offers, start_s, &mut sessions, &mut items)?;
        let items = order_items(items, &mut rows);
        order_sessions(&mut sessions, &mut rows);
        let (first, last) = (sessions[0].week, sessions[sessions.len() - 1].week);
        let weeks = first..last + 1;
        check_weeks(&weeks)?;
        let posted = rows.iter().zip(&offers).map(|(row, offer)| {
            let week = sessions[row.session as usize].week;
            (row.item, week, offer.posted_minor)
        });
        let shelf = Shelf::posted(items.len(), &weeks, posted.collect());
        rows.retain(|row| row.units > 0);
        merge(&mut rows);
        let users = number_users(sessions.iter().filter_map(|session| session.user.as_deref()));
        let sessions = link_sessions(&sessions, &rows, |user| users.get(user).copied());
        let users = users.into_keys().map(str::to_owned).collect();
        let source = Source {
            format: SEGMENTS.to_owned(),
            files: [("offers".to_owned(), digest_of(&offers))].into(),
        };
        Ok(Self {
            sessions,
            lines: rows.iter().map(RawLine::linked).collect(),
            items,
            users,
            shelf,
            offers,
            digest: source.digest(),
            source,
        })
    }

    /// The history as offers: those of the log where it held offers; else one per line, without propensity, in the order
    /// of sessions, whose value is what was paid and whose posted price is the shelf's of the week.
    #[must_use]
    pub fn to_offers(&self) -> Vec<Offer> {
        if !self.offers.is_empty() {
            return self.offers.clone();
        }
        let of_session = |session: &Session| {
            let session = session.clone();
            let lines = session.lines.clone();
            lines.map(move |line| self.offer(&session, self.lines[line].item, Some(&self.lines[line])))
        };
        self.sessions.iter().flat_map(of_session).collect()
    }

    /// An item as a session saw it, as an offer without propensity: bought at its line, or left on the shelf at the posted
    /// price of the week.
    pub(crate) fn offer(&self, session: &Session, item: u32, line: Option<&Line>) -> Offer {
        let posted_minor = self.shelf.entry(session.week, item as usize).posted_minor;
        let (price_minor, units) = line.map_or((posted_minor, 0), |line| (line.price_minor, line.units));
        let info = &self.items[item as usize];
        Offer {
            session: session.id.clone(),
            user: session.user.map(|user| self.users[user as usize].clone()),
            category: info.category.clone(),
            item: info.id.clone(),
            time_s: session.time_s,
            price_minor,
            posted_minor,
            units,
            value_minor: i64::from(units) * i64::from(price_minor.0),
            censored: false,
            logged: None,
        }
    }
}

/// One row per offer, in order, with the sessions and items that they name. A session begins at its first offer.
fn raw_lines(
    offers: &[Offer],
    start_s: i64,
    sessions: &mut Vec<RawSession>,
    items: &mut Vec<ItemInfo>,
) -> Result<Vec<RawLine>, HistoryError> {
    let mut session_numbers: HashMap<&str, u32> = HashMap::new();
    let mut item_numbers: HashMap<&str, u32> = HashMap::new();
    let mut rows = Vec::with_capacity(offers.len());
    for offer in offers {
        let session = *session_numbers.entry(&offer.session).or_insert_with(|| {
            sessions.push(RawSession {
                id: offer.session.clone(),
                user: offer.user.clone(),
                time_s: offer.time_s,
                week: 1,
            });
            sessions.len() as u32 - 1
        });
        let begun = &mut sessions[session as usize];
        begun.time_s = begun.time_s.min(offer.time_s);
        let item = *item_numbers.entry(&offer.item).or_insert_with(|| {
            items.push(ItemInfo {
                id: offer.item.clone(),
                category: offer.category.clone(),
                department: UNKNOWN_CATEGORY.to_owned(),
            });
            items.len() as u32 - 1
        });
        rows.push(RawLine {
            session,
            item,
            units: offer.units,
            price_minor: offer.price_minor,
        });
    }
    for session in sessions {
        let weeks = session.time_s.abs_diff(start_s) / WEEK_S.unsigned_abs();
        session.week = u32::try_from(weeks).unwrap_or(u32::MAX - 2) + 1;
    }
    Ok(rows)
}

fn digest_of(offers: &[Offer]) -> Digest {
    let records: Vec<Vec<u8>> = offers.iter().map(encode_record).collect();
    let parts: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    Digest::of_parts(&parts)
}
