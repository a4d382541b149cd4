//! `haggle bench serve` is the `haggled bench` beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// A folder with `haggle` alone; near the real one, so that it finds its libraries.
fn alone() -> tempfile::TempDir {
    let real = Path::new(env!("CARGO_BIN_EXE_haggle"));
    let folder = tempfile::tempdir_in(real.parent().unwrap()).unwrap();
    fs::hard_link(real, folder.path().join("haggle")).unwrap();
    folder
}

fn bench_serve(folder: &Path, args: &[&str]) -> Output {
    Command::new(folder.join("haggle"))
        .args(["bench", "serve"])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_daemon_beside_haggle_measures_itself() {
    let folder = alone();
    let haggled = folder.path().join("haggled");
    fs::write(&haggled, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&haggled, fs::Permissions::from_mode(0o755)).unwrap();
    for (args, told) in [
        (&[][..], "bench\n"),
        (&["--json"], "bench --json\n"),
        (&["--seconds", "2", "--json"], "bench --seconds 2 --json\n"),
        (&["start", "--records", "10"], "bench start --records 10\n"),
        (&["--help"], "bench --help\n"),
    ] {
        let done = bench_serve(folder.path(), args);
        assert_eq!(String::from_utf8_lossy(&done.stdout), told);
        assert_eq!(done.status.code(), Some(7), "its exit code is passed on");
    }
}

#[test]
fn without_the_daemon_the_sentence_says_where_it_should_be() {
    let folder = alone();
    let done = bench_serve(folder.path(), &[]);
    let said = String::from_utf8_lossy(&done.stderr);
    let place = fs::canonicalize(folder.path()).unwrap().join("haggled");
    let told = format!(
        "haggle: the daemon's program, {}, is not there: ",
        place.display()
    );
    assert!(said.starts_with(&told), "{said}");
    assert_eq!(done.status.code(), Some(2));
}
