//! A daemon that starts with a history knows its regulars on the first day.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Daemon, House, ask, earn, mlp_bundle};
use haggle_core::{FEATURE_NAMES, Offer, PriceMinor, read_segment, write_segment};
use haggle_serve::{AdminRequest, Exported};
use std::fs;

/// A sale of `milk-1` at 1.20 of its base price of 150, to the user `regular`.
fn sale(session: &str) -> Offer {
    Offer {
        session: session.to_owned(),
        user: Some("regular".to_owned()),
        category: "milk".to_owned(),
        item: "milk-1".to_owned(),
        time_s: 1_400_000_000,
        price_minor: PriceMinor(180),
        posted_minor: PriceMinor(180),
        units: 1,
        value_minor: 180,
        censored: false,
        logged: None,
    }
}

fn feature(offer: &Offer, name: &str) -> f32 {
    let place = FEATURE_NAMES.iter().position(|other| *other == name).unwrap();
    offer.logged.as_ref().unwrap().features[place]
}

/// A price of `milk-1` for a user in a new session; the offer as the daemon exports it.
fn offer_to(house: &House, daemon: &Daemon, user: &str, session: &str) -> Offer {
    let mut client = daemon.client();
    let mut request = ask(session, "milk-1");
    request.user = Some(user.to_owned());
    let reply = client.price(&request).unwrap();
    client.reward(&earn(&reply.decision, "none", 0)).unwrap();
    let out = house.dir.path().join(format!("out-{session}"));
    let exported: Exported = daemon.operator().admin(&AdminRequest::Export { out }).unwrap();
    let offers = read_segment(&fs::read(exported.segments.last().unwrap()).unwrap()).unwrap();
    offers.into_iter().find(|offer| offer.session == session).unwrap()
}

#[test]
fn a_user_of_the_history_is_known_to_the_daemon_and_after_a_restart() {
    let house = House::new(&mlp_bundle());
    let history = house.dir.path().join("history");
    fs::create_dir(&history).unwrap();
    fs::write(
        history.join("0001.seg"),
        write_segment(&[sale("past-1"), sale("past-2")]),
    )
    .unwrap();
    fs::write(history.join("notes.txt"), "not a segment").unwrap();
    let start = || {
        let mut command = house.command();
        Daemon::start(command.arg("--history").arg(&history), &house.socket())
    };
    let daemon = start();
    let known = offer_to(&house, &daemon, "regular", "s1");
    assert_eq!(feature(&known, "loyalty.last_choice"), 1.0);
    assert_eq!(
        feature(&known, "loyalty.choices_log"),
        1.9f32.ln_1p(),
        "two choices, the first one faded by 0.9"
    );
    assert_eq!(feature(&known, "shelf.posted_log"), 1.2f32.ln());
    assert_eq!(feature(&known, "state.last_price_log"), 1.2f32.ln());
    let stranger = offer_to(&house, &daemon, "stranger", "s2");
    assert_eq!(feature(&stranger, "loyalty.last_choice"), 0.0);
    assert_eq!(feature(&stranger, "loyalty.choices_log"), 0.0);
    daemon.kill();
    let again = offer_to(&house, &start(), "regular", "s3");
    let choices = 1.9f32 * 0.9 + 1.0;
    assert_eq!(
        feature(&again, "loyalty.choices_log"),
        choices.ln_1p(),
        "and its purchase in s1"
    );
}

#[test]
fn a_damaged_history_is_named() {
    let house = House::new(&mlp_bundle());
    let history = house.dir.path().join("history");
    fs::create_dir(&history).unwrap();
    let segment = history.join("0001.seg");
    let bytes = write_segment(&[sale("past")]);
    fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    let mut command = house.command();
    let (code, message) = common::outcome(command.arg("--history").arg(&history).output().unwrap());
    assert_eq!(code, 3);
    let start = format!(
        "haggled: history {}: it cannot be understood: byte 8",
        segment.display()
    );
    assert!(message.starts_with(&start), "{message}");
}
