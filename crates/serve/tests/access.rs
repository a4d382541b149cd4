//! Who may connect, and where to.
#![allow(clippy::unwrap_used)]

mod common;

use common::{HAGGLED, House, ask, fixed_bundle};
use haggle_serve::Client;
use std::fs::{Permissions, set_permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Users and groups of this number own nothing on usual systems.
const NOBODY: u32 = 65_534;

#[test]
fn the_daemons_own_user_is_let_in_and_another_one_only_by_name() {
    let house = House::new(&fixed_bundle(6, 0.0));
    house.configure(&format!("[access]\nuser_ids = [{}]\n", NOBODY - 1));
    let daemon = house.start();
    assert!(daemon.client().price(&ask("s", "milk-0")).is_ok());
    daemon.terminate();
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can become another user: the refusal was not tried");
        return;
    }
    set_permissions(house.dir.path(), Permissions::from_mode(0o755)).unwrap();
    for (named, told) in [(NOBODY, "unknown_op"), (NOBODY - 1, "forbidden")] {
        house.configure(&format!("[access]\ngroup_id = {NOBODY}\nuser_ids = [{named}]\n"));
        let daemon = house.start();
        let socket = house.socket();
        let script = concat!(
            "import socket, sys\n",
            "s = socket.socket(socket.AF_UNIX)\n",
            "s.connect(sys.argv[1])\n",
            "try: s.sendall(b'{\"id\":1,\"op\":\"none\"}\\n')\n",
            "except BrokenPipeError: pass # refused and closed already: the answer is there\n",
            "print(s.recv(999).decode())",
        );
        let mut stranger = Command::new("python3");
        stranger.args(["-c", script]).arg(&socket).current_dir("/");
        let output = stranger.uid(NOBODY).gid(NOBODY).output().unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(
            answer.contains(told),
            "{named}: {answer} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        daemon.terminate();
    }
}

#[test]
fn without_a_socket_the_usual_one_is_served_and_found() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let mut serve = Command::new(HAGGLED);
    serve
        .args(["serve", "--store"])
        .arg(house.store())
        .arg("--bundle")
        .arg(&house.bundle);
    serve
        .env_remove("HAGGLE_SOCKET")
        .env("XDG_RUNTIME_DIR", house.dir.path());
    let mut daemon = serve.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let socket = house.dir.path().join("haggle/price.sock");
    let serving = format!("serving on {}", socket.display());
    assert!(
        lines.map_while(Result::ok).any(|line| line.contains(&serving)),
        "{serving}"
    );
    assert!(Client::connect(&socket).is_ok());
    let mut ctl = Command::new(HAGGLED);
    ctl.args(["ctl", "status"]).env("HAGGLE_SOCKET", &socket);
    let status = ctl.output().unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}
