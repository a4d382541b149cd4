//! Each defect of a source folder is either one clear sentence or one counted reason.

use crate::shop::{LINES, SESSIONS, Shop};
use flate2::Compression;
use flate2::write::GzEncoder;
use haggle_core::PriceMinor;
use haggle_history::{History, HistoryError};
use std::io::Write;

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_missing_file_is_named() {
    let shop = Shop::new();
    std::fs::remove_file(shop.path().join("lines.csv")).unwrap();
    assert_eq!(shop.refusal(), "SHOP: neither lines.csv nor lines.csv.gz is here");
}

#[test]
fn a_missing_column_is_named_with_what_would_be_right() {
    let shop = Shop::new();
    shop.put("lines.csv", LINES.replace("unit_price", "price"));
    assert_eq!(
        shop.refusal(),
        "SHOP/lines.csv, line 1: no column `unit_price`; expected at least `session_id,sku,quantity,unit_price`, \
         got `session_id,sku,quantity,price,base_price,coupon`"
    );
    shop.put("lines.csv", "");
    assert!(
        shop.refusal().ends_with("got an empty file"),
        "{}",
        shop.refusal()
    );
}

#[test]
fn a_field_of_the_wrong_kind_is_named_by_file_line_and_column() {
    let told = |file: &str, row: &str| Shop::new().and(file, row).refusal();
    assert_eq!(
        told("lines.csv", "s3,10,1,cheap,1,0\n"),
        "SHOP/lines.csv, line 6, column `unit_price`: `cheap` is not a number"
    );
    assert_eq!(
        told("lines.csv", "s3,10,1.5,1,1,0\n"),
        "SHOP/lines.csv, line 6, column `quantity`: `1.5` is not a whole number below 2^32"
    );
    assert_eq!(
        told("lines.csv", "s3,10,1,99999999999,1,0\n"),
        "SHOP/lines.csv, line 6, column `unit_price`: `99999999999` is not a price below 42 million"
    );
    assert_eq!(
        told("sessions.csv", "s4,u1,1,yesterday,4,1,1\n"),
        "SHOP/sessions.csv, line 5, column `ts`: `yesterday` is not a time like 2017-01-01T12:26:30"
    );
    for ts in ["2017-01-25T10:00:00+02:00", "2017-01-25T10:00:00[Europe/Paris]"] {
        assert_eq!(
            told("sessions.csv", &format!("s4,u1,1,{ts},4,1,1\n")),
            format!(
                "SHOP/sessions.csv, line 5, column `ts`: `{ts}` is not a local time like 2017-01-01T12:26:30, without an offset"
            )
        );
    }
    assert_eq!(
        told("sessions.csv", "s4,u1,1,2017-01-25T10:00:00,0,1,1\n"),
        "SHOP/sessions.csv, line 5, column `week`: `0` is not a week number from 1 to 9999"
    );
    assert_eq!(
        told("sessions.csv", ",u1,1,2017-01-25T10:00:00,4,1,1\n"),
        "SHOP/sessions.csv, line 5, column `session_id`: `` is not a name (it is empty)"
    );
}

#[test]
fn lines_are_counted_alike_whatever_they_end_with() {
    let shop = Shop::new();
    let lines = format!("{LINES}s3,10,1,cheap,1,0\n").replace('\n', "\r\n");
    shop.put("lines.csv", &lines);
    assert!(
        shop.refusal()
            .starts_with("SHOP/lines.csv, line 6, column `unit_price`")
    );
    shop.put("lines.csv", lines.replace("cheap", "1"));
    assert_eq!(shop.import().1.rows_read["lines.csv"], 5);
}

#[test]
fn a_cut_off_file_is_not_taken_for_a_short_one() {
    let shop = Shop::new();
    shop.put("lines.csv", &LINES[..LINES.len() - 6]);
    assert_eq!(
        shop.refusal(),
        "SHOP/lines.csv, line 5: 5 fields where the header has 6; was the file cut off?"
    );
    std::fs::remove_file(shop.path().join("lines.csv")).unwrap();
    let packed = gzipped(LINES);
    shop.put("lines.csv.gz", &packed[..packed.len() - 12]);
    let refusal = shop.refusal();
    assert!(refusal.starts_with("SHOP/lines.csv.gz, after line "), "{refusal}");
    assert!(
        refusal.ends_with("the compressed file ends too early: it was cut off"),
        "{refusal}"
    );
    shop.put("lines.csv.gz", "no gzip at all");
    assert!(
        shop.refusal().contains("the file does not unpack"),
        "{}",
        shop.refusal()
    );
}

#[test]
fn what_is_left_out_is_counted_by_reason() {
    let shop = Shop::new()
        .and(
            "sessions.csv",
            "s2,u2,2,2017-01-10T10:00:00,2,1,1.50\ns9,u9,1,2017-01-25T10:00:00,4,0,0\n",
        )
        .and(
            "lines.csv",
            "s8,10,1,1,1,0\ns3,10,0,1,1,0\ns3,10,-2,1,1,0\ns9,10,1,0.00,1,0\n",
        )
        .and("lines.csv", "s1,10,2,1.00,1.00,0.0\ns3,30,1,5,5,0\n")
        .and("catalog.csv", "10,X,X,X,OTHER,X\n99,X,X,X,OTHER,X\n")
        .and("promotions.csv", "10,7,1,A,2\n10,1,1,A,3000\n");
    let (history, report) = shop.import();
    let dropped: Vec<(&str, usize)> = report
        .dropped
        .iter()
        .map(|(reason, rows)| (reason.as_str(), *rows))
        .collect();
    assert_eq!(
        dropped,
        [
            ("catalogue entries seen before", 1),
            ("catalogue entries that never sold", 1),
            ("lines of an unknown session", 1),
            ("lines that repeat another in every field", 1),
            ("lines with a price below half a cent", 1),
            ("lines with a quantity of 0 or less", 2),
            ("promotions of an item, store or week without sessions", 2),
            ("sessions of whose lines none was usable", 1),
            ("sessions seen before", 1),
        ]
    );
    assert_eq!(
        (
            report.sessions,
            report.users,
            report.lines_kept,
            report.items_unknown
        ),
        (3, 2, 5, 1)
    );
    assert_eq!(
        history.items[history.item_number("30").unwrap()].category,
        "unknown"
    );
}

#[test]
fn a_session_without_lines_is_a_visit_that_bought_nothing() {
    let visits = "s0,u8,1,2017-01-01T09:00:00,1,0,0\ns5,u9,1,2017-01-25T10:00:00,4,0,0\n";
    let (history, report) = Shop::new().and("sessions.csv", visits).import();
    assert_eq!((report.sessions, report.sessions_without_purchase), (5, 2));
    assert!(report.to_string().contains("2 without a purchase"), "{report}");
    assert_eq!(history.weeks(), 1..5);
    let lines: Vec<(&str, usize)> = history
        .sessions
        .iter()
        .map(|session| (session.id.as_str(), session.lines.len()))
        .collect();
    assert_eq!(lines, [("s0", 0), ("s1", 2), ("s2", 1), ("s3", 1), ("s5", 0)]);
    assert_eq!(history.users, ["u1", "u2", "u8", "u9"]);

    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    history.save(&store, false).unwrap();
    let loaded = History::load(&store).unwrap();
    assert_eq!((loaded.sessions, loaded.users), (history.sessions, history.users));
}

#[test]
fn lines_of_one_session_and_item_become_one_at_their_mean_price() {
    let (history, report) = Shop::new().and("lines.csv", "s1,10,1,1.60,1.60,0.0\n").import();
    assert_eq!((report.lines_merged, report.lines_kept), (1, 4));
    let line = history.lines[history.sessions[0].lines.start];
    assert_eq!((line.units, line.price_minor), (3, PriceMinor(120)));
}

#[test]
fn sessions_in_any_order_extra_columns_and_gzip_make_no_difference() {
    let (expected, _) = Shop::new().import();
    let shop = Shop::new();
    std::fs::remove_file(shop.path().join("sessions.csv")).unwrap();
    let mut rows: Vec<&str> = SESSIONS.lines().collect();
    rows[1..].reverse();
    let text: Vec<String> = rows.iter().map(|row| format!("{row},more\n")).collect();
    shop.put("sessions.csv.gz", gzipped(&text.concat()));
    let (history, report) = shop.import();
    assert_eq!(report.sessions_reordered, 2);
    assert_eq!(
        (history.sessions, history.lines, history.shelf),
        (expected.sessions, expected.lines, expected.shelf)
    );
}

#[test]
fn promotions_are_shares_of_the_stores_with_sessions() {
    let (history, _) = Shop::new().import();
    let shelf = history.shelf.entry(2, history.item_number("10").unwrap());
    assert_eq!((shelf.mailer, shelf.display), (1.0, 0.5));
    assert_eq!(history.shelf.entry(1, 0).mailer, 0.0);
}

#[test]
fn nothing_left_and_endless_weeks_are_refused() {
    let shop = Shop::new();
    shop.put("lines.csv", "session_id,sku,quantity,unit_price\ns1,10,0,1\n");
    assert_eq!(
        shop.refusal(),
        "SHOP: no session with a usable line; dropped: catalogue entries that never sold (2), \
         lines with a quantity of 0 or less (1), sessions of whose lines none was usable (1)"
    );
    let shop = Shop::new()
        .and("sessions.csv", "s4,u1,1,2017-02-25T10:00:00,9999,1,1\n")
        .and("lines.csv", "s4,10,1,1,1,0\n");
    assert!(matches!(
        haggle_history::import_complete_journey(shop.path()),
        Err(HistoryError::Weeks {
            first: 1,
            last: 9999,
            max: 1040
        })
    ));
}
