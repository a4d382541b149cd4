//! docs/protocol.md, sent to a daemon: every example of it, in the order of the page.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, digest, fixed_bundle};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The lines of the page's examples, with the encoding of each block.
fn examples() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut block = None;
    let mut lines = Vec::new();
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(kind) => block = kind.strip_prefix("wire ").map(str::to_owned),
            None => lines.extend(block.clone().map(|kind| (kind, line.to_owned()))),
        }
    }
    lines
}

fn unhex(text: &str, policy: &str) -> Vec<u8> {
    let policy: String = policy.bytes().map(|byte| format!("{byte:02x}")).collect();
    let digits: String = text.replace("{policy}", &policy).split_whitespace().collect();
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(pair).collect()
}

#[test]
fn every_example_is_what_a_daemon_says() {
    let bundle = fixed_bundle(6, 0.0);
    let house = House::new(&bundle);
    let _daemon = house.start();
    let policy = digest(&bundle);
    let connect = || {
        let stream = UnixStream::connect(house.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        (BufReader::new(stream.try_clone().unwrap()), stream)
    };
    let ((mut lines, mut line_end), (mut frames, mut frame_end)) = (connect(), connect());
    let mut received = (0, 0);
    for (kind, example) in examples() {
        let (direction, text) = example.split_at(2);
        match (kind.as_str(), direction) {
            ("json", "> ") => line_end.write_all(format!("{text}\n").as_bytes()).unwrap(),
            ("json", "< ") => {
                let mut got = String::new();
                lines.read_line(&mut got).unwrap();
                assert_eq!(got, format!("{}\n", text.replace("{policy}", &policy)));
                received.0 += 1;
            }
            ("frames", "> ") => frame_end.write_all(&unhex(text, &policy)).unwrap(),
            ("frames", "< ") => {
                let expected = unhex(text, &policy);
                let mut got = vec![0; expected.len()];
                frames.read_exact(&mut got).unwrap();
                assert_eq!(got, expected, "{text}");
                received.1 += 1;
            }
            _ => panic!("neither sent nor received: {example}"),
        }
    }
    assert!(received.0 >= 13 && received.1 >= 4, "{received:?}");
}
