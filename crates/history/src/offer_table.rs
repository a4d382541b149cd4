//! The Parquet table of offers: its schema, and offers and purchase lines to and from its columns.

use crate::assemble::{RawLine, RawSession, link_sessions, merge, number_users};
use crate::columns::{Column, Columns, text, write};
use crate::{ItemInfo, Session};
use haggle_core::{DecisionId, Digest, Logged, Mask, Offer, Pmf, PriceMinor};
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use std::collections::HashMap;

/// The record of every offer; the columns from `decision` on are empty where nobody wrote a propensity down.
const OFFERS: &str = "message offers {
    REQUIRED BYTE_ARRAY session (UTF8);
    OPTIONAL BYTE_ARRAY user (UTF8);
    REQUIRED BYTE_ARRAY category (UTF8);
    REQUIRED BYTE_ARRAY item (UTF8);
    REQUIRED INT64 time_s;
    REQUIRED INT32 price_minor (INTEGER(32,false));
    REQUIRED INT32 posted_minor (INTEGER(32,false));
    REQUIRED INT32 units (INTEGER(32,false));
    REQUIRED INT64 value_minor;
    REQUIRED BOOLEAN censored;
    OPTIONAL BYTE_ARRAY decision (UTF8);
    OPTIONAL BYTE_ARRAY policy (UTF8);
    OPTIONAL DOUBLE propensity;
    OPTIONAL INT32 rung;
    OPTIONAL INT64 mask (INTEGER(64,false));
    REPEATED DOUBLE pmf;
    REPEATED FLOAT features;
}";

/// The bytes of `offers.parquet`.
pub(crate) fn offers_bytes(offers: &[Offer]) -> Result<Vec<u8>> {
    let of = |text: fn(&Offer) -> &str| Column::Text(offers.iter().map(|offer| text(offer).into()).collect());
    let logged = || offers.iter().map(|offer| offer.logged.as_ref());
    let units =
        |value: fn(&Offer) -> u32| Column::Int(offers.iter().map(|offer| value(offer) as i32).collect());
    let longs = |value: fn(&Offer) -> i64| Column::Long(offers.iter().map(value).collect());
    let columns = vec![
        of(|offer| &offer.session),
        Column::MaybeText(
            offers
                .iter()
                .map(|offer| offer.user.as_deref().map(ByteArray::from))
                .collect(),
        ),
        of(|offer| &offer.category),
        of(|offer| &offer.item),
        longs(|offer| offer.time_s),
        units(|offer| offer.price_minor.0),
        units(|offer| offer.posted_minor.0),
        units(|offer| offer.units),
        longs(|offer| offer.value_minor),
        Column::Flag(offers.iter().map(|offer| offer.censored).collect()),
        Column::MaybeText(
            logged()
                .map(|log| Some(log?.decision.0.as_str().into()))
                .collect(),
        ),
        Column::MaybeText(
            logged()
                .map(|log| Some(log?.policy.to_string().as_str().into()))
                .collect(),
        ),
        Column::MaybeDouble(logged().map(|log| Some(log?.propensity())).collect()),
        Column::MaybeInt(logged().map(|log| Some(i32::from(log?.rung))).collect()),
        Column::MaybeLong(logged().map(|log| Some(log?.mask.0 as i64)).collect()),
        Column::Doubles(
            logged()
                .map(|log| log.map_or(Vec::new(), |log| log.pmf.probabilities().to_vec()))
                .collect(),
        ),
        Column::Floats(
            logged()
                .map(|log| log.map_or(Vec::new(), |log| log.features.clone()))
                .collect(),
        ),
    ];
    write(OFFERS, columns)
}

/// The offers of `offers.parquet`, whole.
pub(crate) fn read_offers(bytes: Vec<u8>) -> Result<Vec<Offer>> {
    let columns = Columns::open(bytes, OFFERS)?;
    let mut logged = read_logged(&columns)?.into_iter();
    let (sessions, users) = (columns.text("session")?, columns.maybe_text("user")?);
    let (categories, items) = (columns.text("category")?, columns.text("item")?);
    let (times, values) = (columns.longs("time_s")?, columns.longs("value_minor")?);
    let (prices, posted) = (columns.ints("price_minor")?, columns.ints("posted_minor")?);
    let (units, censored) = (columns.ints("units")?, columns.flags("censored")?);
    (0..columns.rows)
        .map(|row| {
            Ok(Offer {
                session: text(&sessions[row])?,
                user: users[row].as_ref().map(text).transpose()?,
                category: text(&categories[row])?,
                item: text(&items[row])?,
                time_s: times[row],
                price_minor: PriceMinor(prices[row] as u32),
                posted_minor: PriceMinor(posted[row] as u32),
                units: units[row] as u32,
                value_minor: values[row],
                censored: censored[row],
                logged: logged.next().flatten(),
            })
        })
        .collect()
}

fn read_logged(columns: &Columns) -> Result<Vec<Option<Logged>>> {
    let (rungs, masks) = (columns.maybe_ints("rung")?, columns.maybe_longs("mask")?);
    let (decisions, policies) = (columns.maybe_text("decision")?, columns.maybe_text("policy")?);
    let (pmfs, features) = (columns.double_lists("pmf")?, columns.float_lists("features")?);
    let lists = pmfs.into_iter().zip(features);
    let names = decisions.into_iter().zip(policies);
    let draws = rungs.into_iter().zip(masks);
    lists
        .zip(names)
        .zip(draws)
        .map(|(((pmf, features), (decision, policy)), (rung, mask))| {
            let (Some(decision), Some(policy), Some(rung), Some(mask)) = (decision, policy, rung, mask)
            else {
                return Ok(None);
            };
            let wrong = |what: String| ParquetError::General(what);
            let pmf = Pmf::deserialize(IntoDeserializer::<ValueError>::into_deserializer(pmf));
            Ok(Some(Logged {
                decision: DecisionId(text(&decision)?),
                policy: text(&policy)?
                    .parse::<Digest>()
                    .map_err(|error| wrong(error.to_string()))?,
                mask: Mask(mask as u64),
                pmf: pmf.map_err(|error| wrong(error.to_string()))?,
                rung: u8::try_from(rung).map_err(|_| wrong(format!("rung {rung}")))?,
                features,
            }))
        })
        .collect()
}

/// The purchase lines of `offers.parquet` and their sessions, linked.
pub(crate) fn read_lines(
    bytes: Vec<u8>,
    sessions: &[RawSession],
    items: &[ItemInfo],
) -> Result<(Vec<Session>, Vec<RawLine>, Vec<String>)> {
    let columns = Columns::open(bytes, OFFERS)?;
    let session_numbers: HashMap<&[u8], u32> = sessions
        .iter()
        .map(|session| session.id.as_bytes())
        .zip(0..)
        .collect();
    let item_numbers: HashMap<&[u8], u32> = items.iter().map(|item| item.id.as_bytes()).zip(0..).collect();
    let (of_session, of_item) = (columns.text("session")?, columns.text("item")?);
    let (units, prices) = (columns.ints("units")?, columns.ints("price_minor")?);
    let mut lines = Vec::with_capacity(columns.rows);
    for row in 0..columns.rows {
        let session = session_numbers.get(of_session[row].data());
        let (Some(&session), Some(&item)) = (session, item_numbers.get(of_item[row].data())) else {
            return Err(ParquetError::General(
                "an offer of a session or item that the store lacks".to_owned(),
            ));
        };
        if units[row] != 0 {
            lines.push(RawLine {
                session,
                item,
                units: units[row] as u32,
                price_minor: PriceMinor(prices[row] as u32),
            });
        }
    }
    merge(&mut lines);
    let users = number_users(sessions.iter().filter_map(|session| session.user.as_deref()));
    let linked = link_sessions(sessions, &lines, |user| users.get(user).copied());
    Ok((linked, lines, users.into_keys().map(str::to_owned).collect()))
}
