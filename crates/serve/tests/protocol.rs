//! What goes over the wire, byte by byte, and what bad lines are answered.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, digest, fixed_bundle};
use haggle_serve::admin_path;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Sends bytes on a new connection and reads `count` reply lines.
fn talk(house: &House, bytes: &[u8], count: usize) -> Vec<String> {
    talk_at(&house.socket(), bytes, count)
}

fn talk_at(socket: &Path, bytes: &[u8], count: usize) -> Vec<String> {
    let stream = UnixStream::connect(socket).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    (&stream).write_all(bytes).unwrap();
    BufReader::new(stream)
        .lines()
        .take(count)
        .map(Result::unwrap)
        .collect()
}

#[test]
fn the_bytes_are_pinned() {
    let bundle = fixed_bundle(6, 0.0);
    let house = House::new(&bundle);
    let _daemon = house.start();
    let policy = digest(&bundle);
    let requests = concat!(
        r#"{"id":1,"op":"price","session":"s1","user":"u1","item":"milk-1","decision":"d1","context":{"time_s":1500000000,"shelf":[{"item":"milk-1","posted_minor":149}]},"bounds":{"floor_minor":null,"ceiling_minor":190}}"#,
        "\n",
        r#"{"op":"price","id":"two","session":"s1","item":"tea-0","decision":"d2"}"#,
        "\n",
        r#"{"id":3,"op":"price","session":"s1","user":"u1","item":"milk-1","decision":"d1","context":{"time_s":1500000000,"shelf":[{"item":"milk-1","posted_minor":149}]},"bounds":{"floor_minor":null,"ceiling_minor":190}}"#,
        "\n",
    );
    assert_eq!(
        talk(&house, requests.as_bytes(), 3),
        [
            format!(
                r#"{{"id":1,"ok":true,"decision":"d1","price_minor":150,"rung":6,"propensity":1.0,"policy":"{policy}","explored":false,"rules":["ceiling"]}}"#
            ),
            format!(
                r#"{{"id":"two","ok":true,"decision":"d2","price_minor":100,"rung":6,"propensity":1.0,"policy":"{policy}","explored":false,"rules":[]}}"#
            ),
            format!(
                r#"{{"id":3,"ok":true,"decision":"d1","price_minor":150,"rung":6,"propensity":1.0,"policy":"{policy}","explored":false,"rules":["ceiling"]}}"#
            ),
        ]
    );
    let reward = r#"{"id":2,"op":"reward","decision":"d1","reward_id":"r1","value_minor":150,"units":1}"#;
    let line = |text: &str| format!("{text}\n").into_bytes();
    assert_eq!(
        talk(&house, &line(reward), 1),
        [r#"{"id":2,"ok":true,"status":"durable"}"#]
    );
    assert_eq!(
        talk(&house, &line(reward), 1),
        [r#"{"id":2,"ok":true,"status":"duplicate"}"#]
    );
    assert_eq!(
        talk(&house, &line(r#"{"id":5,"op":"get","decision":"d1"}"#), 1),
        [format!(
            r#"{{"id":5,"ok":true,"decision":"d1","price_minor":150,"rung":6,"propensity":1.0,"policy":"{policy}","explored":false,"rules":["ceiling"],"session":"s1","item":"milk-1","value_minor":150,"units":1,"rewards":["r1"],"stage":"open","late":0}}"#
        )]
    );
    assert_eq!(
        talk(&house, &line(r#"{"id":6,"op":"status"}"#), 1),
        [format!(
            r#"{{"id":6,"ok":true,"policy":"{policy}","previous":null,"mode":"live","store":"ok","queued":0,"decisions":2,"unlogged":0,"rewards":1,"duplicates":1,"sessions":1,"shadow":null,"late":0,"early":0,"conflicts":0,"unknown":0,"open":2,"pending":0,"closed":0,"defaulted":0,"lapsed":0,"cancelled":0,"fallbacks":0}}"#
        )]
    );
}

#[test]
fn refusals_have_a_code_and_a_sentence_and_the_connection_lives() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut client = daemon.client();
    let reply = client.price(&common::ask("s", "milk-0")).unwrap();
    client.reward(&common::earn(&reply.decision, "r", 5)).unwrap();
    let conflict = format!(
        r#"{{"id":9,"op":"reward","decision":"{}","reward_id":"r","value_minor":6,"units":1}}"#,
        reply.decision
    );
    let deep = format!(r#"{{"id":1,"op":"price","context":{}"#, "[".repeat(10_000));
    let long = format!(r#"{{"id":1,"op":"{}"}}"#, "x".repeat(70_000));
    let name = format!(
        r#"{{"id":1,"op":"price","session":"{}","item":"milk-0"}}"#,
        "x".repeat(200)
    );
    let cases: &[(&str, &str, &str)] = &[
        ("nonsense", "null", "bad_json"),
        ("5", "null", "bad_json"),
        (r#""x""#, "null", "bad_json"),
        ("[1]", "null", "bad_json"),
        ("null", "null", "bad_json"),
        (r#"{"id":1}"#, "null", "bad_request"),
        (r#"{"id":1.5,"op":"status"}"#, "null", "bad_request"),
        (r#"{"id":1,"op":"status","op":"hello"}"#, "null", "bad_request"),
        (r#"{"id":1,"op":"status","id":2}"#, "null", "bad_request"),
        (
            r#"{"id":1,"op":"price","session":"s","item":"milk-0","context":{"recency_days":-3}}"#,
            "1",
            "bad_request",
        ),
        (r#"{"id":1,"op":"dance"}"#, "1", "unknown_op"),
        (r#"{"id":1,"op":"swap","bundle":"/"}"#, "1", "unknown_op"),
        (r#"{"id":1,"op":"price","session":"s"}"#, "1", "bad_request"),
        (
            r#"{"id":1,"op":"price","session":"s","item":"milk-0","bound":{}}"#,
            "1",
            "bad_request",
        ),
        (
            r#"{"id":1,"op":"price","session":"s","item":"milk-0","bounds":{"floor":1}}"#,
            "1",
            "bad_request",
        ),
        (
            r#"{"id":1,"op":"price","session":"s","item":"milk-0","context":{"visits_56d":NaN}}"#,
            "null",
            "bad_json",
        ),
        (
            r#"{"id":1,"op":"price","session":"s","item":"milk-0","context":{"visits_56d":1e40}}"#,
            "1",
            "bad_request",
        ),
        (
            r#"{"id":1,"op":"price","session":"","item":"milk-0"}"#,
            "1",
            "bad_request",
        ),
        (&name, "1", "bad_request"),
        (&deep, "null", "bad_json"),
        (&long, "null", "line_too_long"),
        (
            r#"{"id":7,"op":"price","session":"s","item":"beer"}"#,
            "7",
            "unknown_item",
        ),
        (
            r#"{"id":7,"op":"price","session":"s","item":"milk-0","bounds":{"floor_minor":9,"ceiling_minor":8}}"#,
            "7",
            "price_floor_above_ceiling",
        ),
        (
            r#"{"id":7,"op":"price","session":"s","item":"milk-0","bounds":{"floor_minor":900}}"#,
            "7",
            "nothing_allowed",
        ),
        (
            r#"{"id":7,"op":"reward","decision":"none","reward_id":"r","value_minor":1}"#,
            "7",
            "unknown_decision",
        ),
        (
            r#"{"id":7,"op":"reward","decision":"none","reward_id":"r","value_minor":1.5}"#,
            "7",
            "bad_request",
        ),
        (&conflict, "9", "conflict"),
    ];
    let sent: String = cases.iter().map(|(line, _, _)| format!("{line}\n")).collect();
    let replies = talk(
        &house,
        format!("{sent}{{\"id\":99,\"op\":\"status\"}}\n").as_bytes(),
        cases.len() + 1,
    );
    for ((line, id, code), reply) in cases.iter().zip(&replies) {
        let start = format!(r#"{{"id":{id},"ok":false,"code":"{code}","message":""#);
        assert!(
            reply.starts_with(&start),
            "{} -> {reply}",
            &line[..line.len().min(90)]
        );
    }
    assert!(replies[cases.len()].starts_with(r#"{"id":99,"ok":true"#));
}

#[test]
fn the_operators_socket_keeps_the_same_rules() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let _daemon = house.start();
    let cases = [
        ("[1]", "null", "bad_json"),
        (r#""x""#, "null", "bad_json"),
        (r#"{"id":1}"#, "null", "bad_request"),
        (r#"{"id":1,"op":"price"}"#, "1", "unknown_op"),
        (r#"{"id":1,"op":"status","bundle":"/"}"#, "1", "bad_request"),
        (r#"{"id":1,"op":"drain","out":"/"}"#, "1", "bad_request"),
        (
            r#"{"id":1,"op":"swap","bundle":"/","out":"/"}"#,
            "1",
            "bad_request",
        ),
        (
            r#"{"id":1,"op":"swap","bundle":"/","forced":true}"#,
            "1",
            "bad_request",
        ),
        (r#"{"id":1,"op":"swap"}"#, "1", "bad_request"),
        (r#"{"id":1,"op":"export","out":7}"#, "1", "bad_request"),
    ];
    let mut sent: String = cases
        .iter()
        .map(|(line, _, _)| format!("{line}\n\n \n"))
        .collect();
    sent.push_str("{\"id\":99,\"op\":\"status\"}\n");
    let replies = talk_at(&admin_path(&house.socket()), sent.as_bytes(), cases.len() + 1);
    for ((line, id, code), reply) in cases.iter().zip(&replies) {
        let start = format!(r#"{{"id":{id},"ok":false,"code":"{code}","message":""#);
        assert!(reply.starts_with(&start), "{line} -> {reply}");
    }
    assert!(
        replies[cases.len()].starts_with(r#"{"id":99,"ok":true"#),
        "{replies:?}"
    );
}

#[test]
fn a_last_line_without_an_end_is_answered() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let _daemon = house.start();
    let answers = |socket: &Path, bytes: &[u8]| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let status = br#"{"id":1,"op":"status"}"#;
    for socket in [house.socket(), admin_path(&house.socket())] {
        let said = answers(&socket, status);
        assert!(
            matches!(&said[..], [one] if one.starts_with(r#"{"id":1,"ok":true"#)),
            "{said:?}"
        );
    }
    let said = answers(
        &house.socket(),
        b"{\"id\":1,\"op\":\"status\"}\n{\"id\":2,\"op\":\"sta",
    );
    assert!(said.len() == 2 && said[1].contains("bad_json"), "{said:?}");
}

#[test]
fn the_257th_connection_is_told_that_the_house_is_full() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut clients: Vec<_> = (0..256).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.status().unwrap();
    }
    let refusal = talk(&house, b"", 1);
    assert!(
        refusal[0].starts_with(r#"{"id":null,"ok":false,"code":"busy""#),
        "{refusal:?}"
    );
    clients.pop();
    let begun = std::time::Instant::now();
    while daemon.client().status().is_err() {
        assert!(begun.elapsed().as_secs() < 5, "a seat is free again");
    }
}
