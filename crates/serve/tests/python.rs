//! The Python client against a real daemon that is killed again and again.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, mlp_bundle};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_python_shop_and_the_store_agree_to_the_penny_however_often_the_daemon_is_killed() {
    let house = House::new(&mlp_bundle());
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/python/shop.py");
    let mut daemon = house.start();
    let shop = Command::new("python3")
        .arg(client)
        .arg(house.socket())
        .args(["300", "milk-0", "milk-1", "tea-2"])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut kills = 0;
    let decisions = |daemon: &common::Daemon| daemon.client().status().map_or(0, |status| status.decisions);
    for wait_ms in [30, 45, 60, 75, 90] {
        // There has to be work on the way when the daemon dies.
        let before = decisions(&daemon);
        while before < 900 && decisions(&daemon) == before {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(wait_ms));
        if decisions(&daemon) < 900 {
            daemon.kill();
            kills += 1;
            daemon = house.start();
        }
    }
    let output = shop.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    let books: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(books["earned"], books["stored"], "{books}");
    assert_eq!(books["decisions"], 900);
    assert!(books["earned"].as_i64().unwrap() > 10_000, "{books}");
    assert!(
        books["reconnects"].as_u64().unwrap() >= 1,
        "{kills} kills: {books}"
    );
}
