//! Stores and segments: what was written comes back, or the reason why not.

use crate::shop::Shop;
use haggle_core::{DecisionId, Digest, Logged, Mask, Offer, Pmf, PriceMinor, SEGMENT_MAGIC, write_segment};
use haggle_history::{
    History, HistoryError, SelectedCategory, SelectedItem, Selection, import_segments, write_segments,
};
use std::fs;

fn offer(session: &str, item: &str, day: i64, units: u32, logged: bool) -> Offer {
    Offer {
        session: session.into(),
        user: (session != "s3").then(|| format!("user of {session}")),
        category: "MILK".into(),
        item: item.into(),
        time_s: 1_483_228_800 + day * 86_400,
        price_minor: PriceMinor(199),
        posted_minor: PriceMinor(209),
        units,
        value_minor: i64::from(units) * 199 - 5,
        censored: units == 2,
        logged: logged.then(|| Logged {
            decision: DecisionId(format!("{session}/{item}")),
            policy: Digest::of(b"policy"),
            mask: Mask(0b101 | 1 << 63),
            pmf: Pmf::from_logits(&[0.0, 0.0, 1.0], Mask(0b101), 0.1).unwrap(),
            rung: 2,
            features: vec![0.25, -1.5],
        }),
    }
}

fn offers() -> Vec<Offer> {
    vec![
        offer("s2", "20", 8, 1, true),
        offer("s2", "10", 8, 0, true),
        offer("s1", "10", 0, 2, true),
        offer("s3", "10", 9, 1, false),
        offer("s1", "10", 0, 1, true),
    ]
}

#[test]
fn a_store_of_offers_loses_nothing_of_the_record() {
    let history = History::from_offers(offers()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let digest = history.save(&store, false).unwrap();
    let loaded = History::load(&store).unwrap();
    assert_eq!(loaded.offers, offers());
    assert_eq!(loaded, History { digest, ..history });
}

#[test]
fn offers_become_sessions_weeks_and_lines() {
    let history = History::from_offers(offers()).unwrap();
    let sessions: Vec<(&str, u32, usize)> = history
        .sessions
        .iter()
        .map(|session| (session.id.as_str(), session.week, session.lines.len()))
        .collect();
    assert_eq!(sessions, [("s1", 1, 1), ("s2", 2, 1), ("s3", 2, 1)]);
    assert_eq!(history.lines[0].units, 3);
    assert_eq!(history.users, ["user of s1", "user of s2"]);
    assert_eq!(history.shelf.entry(2, 0).posted_minor, PriceMinor(209));
    assert!(matches!(
        History::from_offers(Vec::new()),
        Err(HistoryError::NoOffers)
    ));
}

#[test]
fn a_store_is_replaced_only_when_said_and_only_if_it_is_one() {
    let shop = Shop::new();
    let (history, _) = shop.import();
    let store = shop.path().join("store");
    let first = history.save(&store, false).unwrap();
    assert_eq!(
        shop.told(&history.save(&store, false).expect_err("exists")),
        "SHOP/store exists already; choose another name, or say that the store in it may be replaced"
    );
    assert_eq!(history.save(&store, true).unwrap(), first);
    let other = shop.path().join("other");
    fs::create_dir(&other).unwrap();
    assert_eq!(
        shop.told(&history.save(&other, true).expect_err("no store")),
        "SHOP/other is no session store (it has no store.json), so it is not replaced"
    );
    let left: Vec<_> = fs::read_dir(shop.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 6, "nothing temporary stays: {left:?}");
}

#[test]
fn a_damaged_store_is_refused() {
    let shop = Shop::new();
    let (history, _) = shop.import();
    let store = shop.path().join("store");
    history.save(&store, false).unwrap();
    let refusal = || shop.told(&History::load(&store).expect_err("damaged"));
    let shelf = store.join("shelf.parquet");
    let sound = fs::read(&shelf).unwrap();
    let mut flipped = sound.clone();
    flipped[20] ^= 1;
    fs::write(&shelf, &flipped).unwrap();
    assert_eq!(
        refusal(),
        "SHOP/store/shelf.parquet is damaged: its digest is not the one in store.json"
    );
    fs::write(&shelf, &sound[1..]).unwrap();
    let (all, fewer) = (sound.len(), sound.len() - 1);
    assert_eq!(
        refusal(),
        format!("SHOP/store/shelf.parquet is damaged: {fewer} bytes where store.json says {all}")
    );
    fs::remove_file(&shelf).unwrap();
    assert!(
        refusal().starts_with("cannot read SHOP/store/shelf.parquet: "),
        "{}",
        refusal()
    );
    let manifest = fs::read_to_string(store.join("store.json")).unwrap();
    fs::write(
        store.join("store.json"),
        manifest.replace("\"version\": 1", "\"version\": 7"),
    )
    .unwrap();
    assert_eq!(
        refusal(),
        "SHOP/store/store.json: session store version 7; this program reads version 1: import the source again"
    );
    fs::write(store.join("store.json"), &manifest[..40]).unwrap();
    assert!(
        refusal().starts_with("SHOP/store/store.json is damaged: "),
        "{}",
        refusal()
    );
}

#[test]
fn purchases_of_the_selected_items_go_through_a_segment() {
    let shop = Shop::new();
    let (history, _) = shop.import();
    let priced = SelectedItem {
        index: 0,
        id: "10".into(),
        base_minor: PriceMinor(125),
        low_minor: PriceMinor(100),
        high_minor: PriceMinor(150),
    };
    let selection = Selection {
        categories: vec![SelectedCategory {
            name: "WHOLE MILK".into(),
            items: vec![priced],
        }],
        train_weeks: 1..5,
    };
    let segments = shop.path().join("segments");
    let written = write_segments(&history, &selection, &(1..5), &segments).unwrap();
    let offers = import_segments(&segments).unwrap();
    assert_eq!(written, offers.len());
    let sessions = history.sessions_in(&(1..5));
    assert_eq!(
        offers.len(),
        sessions.len(),
        "a session that bought nothing leaves an unsold offer"
    );
    let told: Vec<(&str, u32, i64)> = offers
        .iter()
        .filter(|offer| offer.units > 0)
        .map(|o| (o.session.as_str(), o.units, o.value_minor))
        .collect();
    assert_eq!(told, [("s1", 2, 200), ("s2", 1, 150)]);
    assert!(
        offers
            .iter()
            .all(|offer| offer.logged.is_none() && offer.category == "WHOLE MILK")
    );
    assert!(matches!(
        write_segments(&history, &selection, &(1..5), &segments),
        Err(HistoryError::Exists(_))
    ));
}

#[test]
fn a_torn_segment_names_file_byte_and_what_was_sound() {
    let shop = Shop::new();
    let refusal = || shop.told(&import_segments(shop.path()).expect_err("unsound"));
    assert_eq!(refusal(), "SHOP: no segment (*.seg) is here");
    let sound = write_segment(&offers()[..2]).len();
    let bytes = write_segment(&offers()[..3]);
    shop.put("a.seg", &bytes[..bytes.len() - 3]);
    assert_eq!(
        refusal(),
        format!(
            "SHOP/a.seg is no sound segment: byte {sound}, after 2 sound records: the frame at byte {sound} is cut off"
        )
    );
    shop.put("a.seg", &SEGMENT_MAGIC[..4]);
    assert_eq!(
        refusal(),
        "SHOP/a.seg is no sound segment: not a segment: the first 8 bytes are not `HAGGLES1`"
    );
}
