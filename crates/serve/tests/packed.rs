//! MessagePack frames as sound, hostile and broken clients send them.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Daemon, House, ask, earn, fixed_bundle, mlp_bundle};
use haggle_core::Seeds;
use haggle_serve::{
    AsyncClient, Client, Code, FRAME_VERSION, MESSAGE_BYTES_MAX, Op, REFUSAL_TYPE, RewardResult, RewardStatus,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// `{"session":"s","item":"milk-1","decision":"d"}` as MessagePack.
const PRICE: &[u8] = b"\x83\xa7session\xa1s\xa4item\xa6milk-1\xa8decision\xa1d";

fn frame(version: u8, kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = (10 + body.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&[version, kind]);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

struct Wire(UnixStream);

impl Wire {
    fn new(house: &House) -> Self {
        let stream = UnixStream::connect(house.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Type, id and body of the next frame.
    fn reply(&mut self) -> (u8, u64, Vec<u8>) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes[0], FRAME_VERSION);
        (
            bytes[1],
            u64::from_be_bytes(bytes[2..10].try_into().unwrap()),
            bytes[10..].to_vec(),
        )
    }

    fn refusal(&mut self, bytes: &[u8]) -> (u64, Code) {
        self.send(bytes);
        let (kind, id, body) = self.reply();
        assert_eq!(kind, REFUSAL_TYPE, "{body:?}");
        let refusal: haggle_serve::Refusal = rmp_serde::from_slice(&body).unwrap();
        assert!(!refusal.message.is_empty());
        (id, refusal.code)
    }

    fn closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

fn open() -> (House, Daemon) {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    (house, daemon)
}

#[test]
fn a_frame_may_be_cut_anywhere() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    let bytes = frame(1, Op::Price as u8, 9, PRICE);
    wire.send(&bytes);
    let whole = wire.reply();
    assert_eq!((whole.0, whole.1), (128 + Op::Price as u8, 9));
    for cut in 1..bytes.len() {
        wire.send(&bytes[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        wire.send(&bytes[cut..]);
        assert_eq!(wire.reply(), whole, "cut at {cut}");
    }
}

#[test]
fn unsound_frames_are_refused_one_by_one() {
    let (house, _daemon) = open();
    let mut wire = Wire::new(&house);
    let price = Op::Price as u8;
    let deep = |byte: u8| vec![byte; 10_000];
    let with = |key: &str, value: &[u8]| {
        let mut body = vec![0x84, 0xa0 + key.len() as u8];
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(value);
        [&body, &PRICE[1..]].concat()
    };
    let nan = [&b"\x81\xaavisits_56d\xcb"[..], &f64::NAN.to_be_bytes()].concat();
    let cases: Vec<(Vec<u8>, u64, Code)> = vec![
        (vec![0, 0, 0, 0], 0, Code::BadFrame),
        (vec![0, 0, 0, 3, 1, 2, 0], 0, Code::BadFrame),
        (frame(2, price, 5, PRICE), 5, Code::Version),
        (frame(1, 0, 5, PRICE), 5, Code::UnknownOp),
        (frame(1, 200, 5, PRICE), 5, Code::UnknownOp),
        (frame(1, price, 5, b""), 5, Code::BadFrame),
        (frame(1, price, 5, &PRICE[..20]), 5, Code::BadFrame),
        (frame(1, price, 5, &[PRICE, b"\xc0"].concat()), 5, Code::BadFrame),
        (frame(1, price, 5, b"\xc1"), 5, Code::BadRequest),
        (
            frame(1, price, 5, b"\x93\xa1s\xa6milk-1\xa1d"),
            5,
            Code::BadRequest,
        ),
        (frame(1, price, 5, &with("bound", b"\x80")), 5, Code::BadRequest),
        (frame(1, price, 5, &with("id", b"\x07")), 5, Code::BadRequest),
        (
            frame(1, price, 5, &with("session", b"\xa1t")),
            5,
            Code::BadRequest,
        ),
        (frame(1, price, 5, &with("context", &nan)), 5, Code::BadRequest),
        (
            frame(1, price, 5, &with("context", &deep(0x91))),
            5,
            Code::BadRequest,
        ),
        (frame(1, price, 5, &deep(0x91)), 5, Code::BadRequest),
        (frame(1, price, 5, b"\xdf\xff\xff\xff\xff"), 5, Code::BadFrame),
        (
            frame(1, price, 5, &with("user", b"\xdb\xff\xff\xff\xff")),
            5,
            Code::BadFrame,
        ),
        (
            frame(1, Op::Status as u8, 5, b"\x81\xa1x\x01"),
            5,
            Code::BadRequest,
        ),
        (
            frame(1, Op::Rewards as u8, 5, b"\x81\xa7rewards\x90"),
            5,
            Code::BadRequest,
        ),
        (
            frame(1, Op::Hello as u8, 5, b"\x81\xa8protocol\xa8haggle/2"),
            5,
            Code::Version,
        ),
        (
            frame(1, Op::Get as u8, u64::MAX, b"\x81\xa8decision\xa1x"),
            u64::MAX,
            Code::UnknownDecision,
        ),
    ];
    // The first byte of a connection has to be that of a frame.
    wire.send(&frame(1, Op::Status as u8, 1, b"\x80"));
    assert_eq!(wire.reply().0, 128 + Op::Status as u8);
    for (bytes, id, code) in &cases {
        assert_eq!(
            wire.refusal(bytes),
            (*id, *code),
            "{:?}",
            &bytes[..bytes.len().min(40)]
        );
    }
    wire.send(&frame(1, Op::Status as u8, 1, b"\x80"));
    assert_eq!(wire.reply().0, 128 + Op::Status as u8, "and the connection lives");
}

#[test]
fn an_impossible_length_ends_the_connection_and_nothing_else() {
    let (house, _daemon) = open();
    for length in [MESSAGE_BYTES_MAX as u32 + 1, 0x0100_0000, 0x8000_0000, u32::MAX] {
        let mut wire = Wire::new(&house);
        assert_eq!(
            wire.refusal(&length.to_be_bytes()),
            (0, Code::FrameTooLong),
            "{length}"
        );
        assert!(wire.closed());
    }
    let largest = vec![0xc1; MESSAGE_BYTES_MAX - 10];
    let mut wire = Wire::new(&house);
    assert_eq!(
        wire.refusal(&frame(1, 2, 3, &largest)),
        (3, Code::BadRequest),
        "the longest that is read"
    );
}

/// A sound frame with one to four bytes of its header and body changed: one answer, whatever it is.
#[test]
fn every_damaged_frame_has_one_answer() {
    let (house, daemon) = open();
    let seeds = Seeds::new(8).named("damage");
    let number = |name: &str, below: usize| (seeds.uniform_of(name.as_bytes()) * below as f64) as usize;
    let mut wire = Wire::new(&house);
    for round in 0..3_000 {
        let mut bytes = frame(1, Op::Price as u8, 7, PRICE);
        for change in 0..=number(&format!("{round} changes"), 4) {
            let place = 4 + number(&format!("{round} {change} place"), bytes.len() - 4);
            bytes[place] = number(&format!("{round} {change} byte"), 256) as u8;
        }
        wire.send(&bytes);
        wire.reply();
    }
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn whoever_dawdles_is_told_and_left_and_others_are_not() {
    let (house, daemon) = open();
    let mut slow = Wire::new(&house);
    slow.send(&frame(1, Op::Price as u8, 7, PRICE)[..20]);
    let mut line = Wire::new(&house);
    line.send(b"{\"op\":\"sta");
    let silent = Wire::new(&house);
    let mut half = Wire::new(&house);
    half.send(&frame(1, Op::Status as u8, 4, b"\x80"));
    half.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(
        (half.reply().1, half.closed()),
        (4, true),
        "a half-closed connection is answered"
    );
    assert_eq!(slow.refusal(&[]), (0, Code::TooSlow));
    assert!(slow.closed());
    let mut told = String::new();
    line.0.read_to_string(&mut told).unwrap();
    assert!(
        told.starts_with(r#"{"id":null,"ok":false,"code":"too_slow""#),
        "{told}"
    );
    let mut silent = silent;
    silent.send(&frame(1, Op::Status as u8, 4, b"\x80"));
    assert_eq!(silent.reply().1, 4, "silence is no dawdling");
    daemon.client().status().unwrap();
}

#[test]
fn a_client_that_never_reads_is_left_and_holds_up_nobody() {
    let (house, daemon) = open();
    let deaf = UnixStream::connect(house.socket()).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let status = frame(1, Op::Status as u8, 1, b"\x80").repeat(500);
    while (&deaf).write_all(&status).is_ok() {}
    let mut client = daemon.client();
    for n in 0..200 {
        client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
    }
    let begun = std::time::Instant::now();
    while (&deaf).write_all(b"\0").is_ok()
        || (&deaf)
            .write(b"\0")
            .is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it is left after five seconds"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn both_encodings_and_both_clients_say_the_same() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let (mut lines, mut packed) = (daemon.client(), Client::connect_packed(&house.socket()).unwrap());
    assert_eq!(lines.hello().unwrap(), packed.hello().unwrap());
    let mut request = ask("s", "milk-0");
    request.decision = Some("d".to_owned());
    request.channel = Some("web".to_owned());
    request.log = haggle_serve::LogMode::Sync;
    let told = packed.price(&request).unwrap();
    assert_eq!(lines.price(&request).unwrap(), told);
    let batch = [earn("d", "a", 5), earn("none", "a", 5), earn("d", "a", 6)];
    let results = packed.batch(&batch).unwrap();
    let taken = |result: &RewardResult| match result {
        RewardResult::Taken(reply) => Ok(reply.status),
        RewardResult::Refused(refusal) => Err(refusal.code),
    };
    let expected = [
        Ok(RewardStatus::Durable),
        Err(Code::UnknownDecision),
        Err(Code::Conflict),
    ];
    assert_eq!(results.iter().map(taken).collect::<Vec<_>>(), expected);
    assert_eq!(packed.get("d").unwrap(), lines.get("d").unwrap());
    let (a, b) = (packed.explain("d").unwrap(), lines.explain("d").unwrap());
    assert_eq!((a.contributions, a.why), (b.contributions, b.why));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Arc::new(AsyncClient::connect(&house.socket()).await.unwrap());
        assert_eq!(client.price(&request).await.unwrap(), told);
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let client = Arc::clone(&client);
                tokio::spawn(async move {
                    let reply = client.price(&ask(&format!("a{n}"), "tea-1")).await.unwrap();
                    client.reward(&earn(&reply.decision, "r", n)).await.unwrap();
                    client.get(&reply.decision).await.unwrap().value_minor
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), n as i64);
        }
        assert_eq!(client.status().await.unwrap().rewards, 201);
        daemon.kill();
        assert!(
            client.status().await.is_err(),
            "a broken connection is an error, not a wait"
        );
    });
}
