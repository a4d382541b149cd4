//! Lines as hostile or broken clients send them: each is answered, the connection lives, and so does the daemon.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Daemon, House, fixed_bundle};
use haggle_core::Seeds;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const PRICE: &str = r#"{"id":1,"op":"price","session":"s","user":"\u00fc","item":"milk-1","decision":"d"}"#;
const STATUS: &str = r#"{"id":99,"op":"status"}"#;

/// One connection of the shop, as bytes.
struct Wire {
    replies: BufReader<UnixStream>,
    stream: UnixStream,
}

impl Wire {
    fn new(house: &House) -> Self {
        let stream = UnixStream::connect(house.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self {
            replies: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).unwrap();
        line
    }

    /// Sends a line and reads its reply, which must be a refusal; its code.
    fn refusal(&mut self, line: &[u8]) -> String {
        self.send(line);
        self.send(b"\n");
        let reply: serde_json::Value = serde_json::from_str(&self.reply()).unwrap();
        assert_eq!(reply["ok"], false, "{reply}");
        assert!(!reply["message"].as_str().unwrap().is_empty());
        reply["code"].as_str().unwrap().to_owned()
    }

    /// The connection answers, and nothing else was in the way.
    fn lives(&mut self) {
        self.send(format!("{STATUS}\n").as_bytes());
        let reply = self.reply();
        assert!(reply.starts_with(r#"{"id":99,"ok":true"#), "{reply}");
    }
}

fn open() -> (House, Daemon) {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    (house, daemon)
}

#[test]
fn a_request_may_arrive_in_two_pieces_cut_anywhere() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    let line = format!("{PRICE}\n").into_bytes();
    wire.send(&line);
    let whole = wire.reply();
    assert!(whole.contains(r#""price_minor":150"#), "{whole}");
    for cut in 1..line.len() {
        wire.send(&line[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        wire.send(&line[cut..]);
        assert_eq!(wire.reply(), whole, "cut at {cut}");
    }
    for byte in &line {
        wire.send(std::slice::from_ref(byte));
    }
    assert_eq!(wire.reply(), whole, "byte by byte");
}

#[test]
fn many_requests_may_arrive_in_one_piece() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    let bytes: String = (0..300)
        .map(|id| format!("{{\"id\":{id},\"op\":\"status\"}}\n"))
        .collect();
    wire.send(format!("\n \r\n{bytes}{}", &STATUS[..9]).as_bytes());
    for id in 0..300 {
        let reply = wire.reply();
        assert!(reply.starts_with(&format!(r#"{{"id":{id},"ok":true"#)), "{reply}");
    }
    wire.send(&STATUS.as_bytes()[9..]);
    wire.send(b"\n");
    assert!(wire.reply().starts_with(r#"{"id":99,"ok":true"#));
}

#[test]
fn unsound_lines_are_refused_one_by_one() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let (lists, objects) = (deep("[", "]"), deep(r#"{"a":"#, "}").replace(":}", ":0}"));
    let price = |rest: &str| format!(r#"{{"op":"price","session":"s","item":"milk-0",{rest}}}"#);
    let reward = |rest: &str| format!(r#"{{"op":"reward","decision":"d","reward_id":"r",{rest}}}"#);
    let cases = [
        (lists.clone(), "bad_json"),
        (objects.clone(), "bad_request"),
        (format!(r#"{{"id":{lists},"op":"status"}}"#), "bad_request"),
        (format!(r#"{{"op":{lists}}}"#), "bad_request"),
        (format!(r#"{{"op":"status","more":{lists}}}"#), "bad_request"),
        (price(&format!(r#""context":{lists}"#)), "bad_request"),
        (price(&format!(r#""context":{{"shelf":{lists}}}"#)), "bad_request"),
        (price(&format!(r#""context":{objects}"#)), "bad_request"),
        (price(r#""context":{"visits_56d":NaN}"#), "bad_json"),
        (price(r#""context":{"visits_56d":Infinity}"#), "bad_json"),
        (price(r#""context":{"visits_56d":1e999}"#), "bad_request"),
        (price(r#""context":{"visits_56d":-1e39}"#), "bad_request"),
        (price(r#""context":{"time_s":1e999}"#), "bad_request"),
        (
            price(r#""context":{"time_s":9223372036854775808}"#),
            "bad_request",
        ),
        (
            price(r#""context":{"time_s":-9223372036854775808}"#),
            "bad_request",
        ),
        (
            price(r#""context":{"shelf":[{"item":"milk-0","posted_minor":4294967296}]}"#),
            "bad_request",
        ),
        (price(r#""bounds":{"floor_minor":-1}"#), "bad_request"),
        (price(r#""session":"again""#), "bad_request"),
        (price(r#""user":"\ud800""#), "bad_request"),
        (reward(r#""value_minor":1e999"#), "bad_request"),
        (reward(r#""value_minor":9223372036854775807"#), "bad_request"),
        (reward(r#""value_minor":1,"units":4294967296"#), "bad_request"),
        (
            r#"{"id":18446744073709551616,"op":"status"}"#.to_owned(),
            "bad_request",
        ),
        (r#"{"id":1e999,"op":"status"}"#.to_owned(), "bad_json"),
        (r#"{"op":"status"}{"op":"status"}"#.to_owned(), "bad_json"),
        ("{\"op\":\"status\"\0}".to_owned(), "bad_json"),
    ];
    for (line, code) in &cases {
        assert_eq!(
            wire.refusal(line.as_bytes()),
            *code,
            "{}",
            &line[..line.len().min(90)]
        );
    }
    for line in [
        &b"\xff\xfe"[..],
        b"{\"op\":\"status\xff\"}",
        b"{\"op\":\"status\",\"\xc3\":1}",
        b"\0",
    ] {
        assert_eq!(wire.refusal(line), "bad_json");
    }
    wire.lives();
}

#[test]
fn a_mebibyte_without_an_end_is_refused_once() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    for byte in [b'x', b'{', b' ', 0xff] {
        assert_eq!(wire.refusal(&vec![byte; 1 << 20]), "line_too_long");
        wire.lives();
    }
    wire.send(&vec![b'x'; 1 << 20]);
    drop(wire);
    Wire::new(&house).lives();
}

/// A sound line with one to four bytes changed: an answer a line, whatever it is.
#[test]
fn every_damaged_line_has_one_answer() {
    let (house, daemon) = open();
    let seeds = Seeds::new(8).named("damage");
    let number = |name: &str, below: usize| (seeds.uniform_of(name.as_bytes()) * below as f64) as usize;
    let mut wire = Wire::new(&house);
    for round in 0..3_000 {
        let mut line = PRICE.as_bytes().to_vec();
        for change in 0..=number(&format!("{round} changes"), 4) {
            let place = number(&format!("{round} {change} place"), line.len());
            line[place] = number(&format!("{round} {change} byte"), 256) as u8;
        }
        line.retain(|byte| *byte != b'\n');
        wire.send(&line);
        wire.send(b"\n");
        let reply: serde_json::Value = serde_json::from_str(&wire.reply()).unwrap();
        assert!(reply["ok"].is_boolean(), "{reply}");
    }
    wire.lives();
    assert_eq!(daemon.terminate().0, Some(0));
}
