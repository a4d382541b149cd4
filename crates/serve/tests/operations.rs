//! What an operator sees: metrics, health, signals, the service manager, copies and forgotten users.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Daemon, HAGGLED, House, ask, earn, fixed_bundle, get_http, mlp_bundle, named, outcome};
use haggle_core::read_segment;
use haggle_serve::{AdminRequest, Checked, Exported, Forgotten, admin_path, http_path};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

#[test]
fn an_operator_reads_a_decision_back_and_asks_why() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    let reply = client.price(&named("d1", "s1", "milk-0")).unwrap();
    client.reward(&earn("d1", "r1", 7)).unwrap();
    let socket = house.socket().display().to_string();
    let ctl = |args: &[&str]| house.haggled(&[&["ctl", "--socket", &socket], args].concat());
    let json = |output: Output| -> serde_json::Value { serde_json::from_slice(&output.stdout).unwrap() };
    let got = json(ctl(&["get", "d1"]));
    assert_eq!((&got["ok"], &got["value_minor"]), (&true.into(), &7.into()));
    assert_eq!(got["price_minor"], reply.price_minor.0);
    let card = json(ctl(&["explain", "d1"]));
    assert_eq!(
        (&card["decision"], &card["replayed"]),
        (&"d1".into(), &true.into())
    );
    for verb in ["get", "explain"] {
        let refused = ctl(&[verb, "nobody's"]);
        assert_eq!(refused.status.code(), Some(3));
        assert_eq!(json(refused)["code"], "unknown_decision");
        let refused = json(ctl(&[verb, ""]));
        assert_eq!(refused["code"], "bad_request");
        assert_eq!(refused["message"], "`decision` has 0 bytes, allowed are 1 to 64");
    }
}

#[test]
fn metrics_tell_what_happened_and_keep_the_rules_of_names() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    for n in 0..20 {
        let reply = client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
        client.reward(&earn(&reply.decision, "r", 7)).unwrap();
    }
    let http = http_path(&house.socket());
    let begun = Instant::now();
    let text = loop {
        // The last reward is counted just after it is acknowledged.
        let text = get_http(&http, "/metrics");
        if text.contains("haggle_rewards_total{result=\"durable\"} 20\n")
            || begun.elapsed() > Duration::from_secs(5)
        {
            break text;
        }
    };
    let policy = client.status().unwrap().policy.short();
    for line in [
        format!("haggle_decisions_total{{policy=\"{policy}\",source=\"policy\"}} 20"),
        "haggle_rewards_total{result=\"durable\"} 20".to_owned(),
        "haggle_decide_seconds_count 20".to_owned(),
        "haggle_reward_commit_seconds_count 20".to_owned(),
        format!("haggle_policy_info{{policy=\"{policy}\",mode=\"live\"}} 1"),
        "haggle_store_ready 1".to_owned(),
        "haggle_decisions_open 20".to_owned(),
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/openmetrics-text"), "{head}");
    assert!(body.ends_with("# EOF\n"));
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("haggle_"), "{line}");
    }
    assert!(get_http(&http, "/readyz").starts_with("HTTP/1.0 200"));
    assert!(get_http(&http, "/nothing").starts_with("HTTP/1.0 404"));
}

/// What the service manager is told.
fn told(manager: &UnixDatagram) -> String {
    let mut message = [0; 256];
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let count = manager.recv(&mut message).unwrap();
    String::from_utf8_lossy(&message[..count]).trim().to_owned()
}

#[test]
fn the_service_manager_is_told_of_start_reload_life_and_stop() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let path = house.dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut command = house.command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let daemon = Daemon::start(&mut command, &house.socket());
    let mut seen = vec![told(&manager), told(&manager), told(&manager)];
    assert!(
        seen.contains(&"READY=1".to_owned()) && seen.contains(&"WATCHDOG=1".to_owned()),
        "{seen:?}"
    );
    kill_process(Pid::from_child(&daemon.child), Signal::HUP).unwrap();
    while !seen
        .iter()
        .any(|state| state.starts_with("RELOADING=1\nMONOTONIC_USEC="))
    {
        seen.push(told(&manager));
    }
    while seen.last().is_some_and(|state| state != "READY=1") {
        seen.push(told(&manager));
    }
    daemon.signal();
    while seen.last().is_some_and(|state| state != "STOPPING=1") {
        seen.push(told(&manager));
    }
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn a_second_sigterm_leaves_clients_that_take_nothing_and_still_writes_everything() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut client = daemon.client();
    for n in 0..50 {
        client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
    }
    // A client that asks for much and reads nothing holds the drain up.
    let mut deaf = UnixStream::connect(house.socket()).unwrap();
    let line = b"{\"op\":\"status\"}\n".repeat(20_000);
    deaf.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut deaf, &line).is_ok() {}
    daemon.signal();
    std::thread::sleep(Duration::from_millis(200));
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0));
    assert!(
        took < Duration::from_secs(4),
        "it does not wait for the deaf client: {took:?}"
    );
    assert_eq!(house.start().client().status().unwrap().decisions, 50);
}

#[test]
fn sockets_of_the_service_manager_are_served_and_left_where_they_are() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let socket = house.socket();
    let mut command = Command::new("systemd-socket-activate");
    for path in [socket.clone(), admin_path(&socket), http_path(&socket)] {
        command.arg("-l").arg(path);
    }
    command
        .arg(HAGGLED)
        .arg("serve")
        .arg("--store")
        .arg(house.store());
    command.arg("--bundle").arg(&house.bundle).stdout(Stdio::null());
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: systemd-socket-activate is not here");
        return;
    }
    let daemon = Daemon::start(&mut command, &socket);
    daemon.client().price(&ask("s", "milk-0")).unwrap();
    assert!(get_http(&http_path(&socket), "/readyz").starts_with("HTTP/1.0 200"));
    assert_eq!(daemon.terminate().0, Some(0));
    assert!(socket.exists(), "it is the manager's");
}

#[test]
fn a_running_daemon_is_copied_and_the_copy_serves_what_was_acknowledged() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    let reply = client.price(&ask("s", "milk-0")).unwrap();
    client.reward(&earn(&reply.decision, "r", 7)).unwrap();
    let out = house.dir.path().join("copy");
    let request = AdminRequest::Backup { out: out.clone() };
    let copied: Checked = daemon.operator().admin(&request).unwrap();
    assert_eq!((copied.decisions, copied.rewards), (1, 1));
    client.reward(&earn(&reply.decision, "r2", 8)).unwrap();
    daemon.kill();
    fs::remove_dir_all(house.store()).unwrap();
    fs::rename(&out, house.store()).unwrap();
    let there = house.start().client().get(&reply.decision).unwrap();
    assert_eq!((there.value_minor, there.rewards), (7, vec!["r".to_owned()]));
}

#[test]
fn a_forgotten_user_is_in_no_file_and_the_chain_is_whole() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    let mut decisions = Vec::new();
    for n in 0..30 {
        let mut request = ask(&format!("visit-{n}"), "milk-0");
        request.user = Some(if n % 3 == 0 { "somebody" } else { "another" }.to_owned());
        let reply = client.price(&request).unwrap();
        client.reward(&earn(&reply.decision, "r", 7)).unwrap();
        decisions.push(reply.decision);
    }
    let out = house.dir.path().join("out");
    let exported: Exported = daemon
        .operator()
        .admin(&AdminRequest::Export { out: out.clone() })
        .unwrap();
    assert_eq!(exported.offers, 30);
    daemon.terminate();
    let store = house.store();
    let [store, out] = [&store, &out].map(|path| path.to_str().unwrap());
    let check = || -> Checked {
        serde_json::from_slice(&house.haggled(&["check", "--json", "--store", store]).stdout).unwrap()
    };
    let before = check();
    let args = [
        "forget",
        "--json",
        "--store",
        store,
        "--user",
        "somebody",
        "--segments",
        out,
    ];
    let done = house.haggled(&args);
    let forgotten: Forgotten = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (
            forgotten.sessions,
            forgotten.decisions,
            forgotten.records,
            forgotten.offers
        ),
        (10, 10, 20, 10)
    );
    let after = check();
    assert!(after.sound(), "{after:?}");
    assert_eq!((after.erased, &after.chain), (20, &before.chain));
    for name in ["somebody", "visit-0", "visit-27", decisions[3].as_str()] {
        let found = Command::new("grep")
            .args(["-rla", name, store, out])
            .output()
            .unwrap();
        assert!(
            found.stdout.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
    assert_eq!(
        read_segment(&fs::read(&exported.segments[0]).unwrap())
            .unwrap()
            .len(),
        20
    );
    let daemon = house.start();
    let mut client = daemon.client();
    assert!(client.get(&decisions[3]).is_err(), "nobody made that decision");
    assert_eq!(client.get(&decisions[4]).unwrap().value_minor, 7);
    let status = client.status().unwrap();
    assert_eq!((status.decisions, status.rewards), (20, 20));
}

#[test]
fn a_damaged_store_is_repaired_by_hand_and_serves_the_rest() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut client = daemon.client();
    let mut decisions = Vec::new();
    for n in 0..100 {
        let reply = client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
        client.reward(&earn(&reply.decision, "r", 7)).unwrap();
        decisions.push(reply.decision);
    }
    daemon.terminate();
    let volume = house.store().join("log/00000000000000000000.log");
    let mut bytes = fs::read(&volume).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    fs::write(&volume, bytes).unwrap();
    assert_eq!(house.refusal().0, 3);
    let store = house.store();
    let store = store.to_str().unwrap();
    let (code, message) = outcome(house.haggled(&["check", "--store", store]));
    assert_eq!(code, 3);
    assert!(message.contains("`--repair` keeps the rest"), "{message}");
    let repaired = house.haggled(&["check", "--json", "--repair", "--store", store]);
    assert!(repaired.status.success());
    let found: Checked = serde_json::from_slice(&repaired.stdout).unwrap();
    assert_eq!((found.lost_records, found.records), (1, 200));
    let daemon = house.start();
    let mut client = daemon.client();
    let left = decisions
        .iter()
        .filter(|decision| client.get(decision).is_ok())
        .count();
    assert!(left >= 99, "{left}");
    client.price(&ask("more", "milk-0")).unwrap();
}

#[test]
fn top_needs_a_daemon() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let socket = house.socket();
    let (code, message) = outcome(house.haggled(&["top", "--socket", socket.to_str().unwrap()]));
    assert_eq!(code, 2);
    assert!(message.contains("no metrics of a daemon"), "{message}");
}
