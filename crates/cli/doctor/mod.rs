//! `haggle doctor`: is this machine ready to train and to serve, and what should be done where it is not?

mod machine;
mod places;

use crate::args::Doctor;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use haggle_learn::Machine;
use machine::{cores, cuda, descriptors, libtorch, memory, tensorboard, vectors};
use places::{default_socket, disk, socket_folder, writable};
use serde::Serialize;

const GIB: u64 = 1 << 30;
/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

#[derive(Serialize)]
struct Told<'a> {
    ok: bool,
    checks: &'a [Check],
}

/// `haggle doctor`: exit code 4 when something fails.
pub fn run(args: &Doctor, output: Output) -> Result<(), Failure> {
    let machine = Machine::look();
    let mut checks = vec![
        libtorch(&machine),
        cuda(&machine),
        cores(),
        vectors(&machine),
        memory(),
        writable(&args.runs),
        disk(&args.runs),
        tensorboard(),
        descriptors(),
    ];
    let socket = args.socket.clone().unwrap_or_else(default_socket);
    checks.push(socket_folder(&socket));
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| check.state == State::Fail)
        .map(|check| check.name)
        .collect();
    let ok = failed.is_empty();
    output.result(table(&checks), &Told { ok, checks: &checks });
    if ok {
        Ok(())
    } else {
        let sentence = format!("this machine is not ready: {}", failed.join(", "));
        Err(Failure::told(Kind::Device, sentence))
    }
}

fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        text += &format!("{state:<5} {:<width$}  {}\n", check.name, check.found);
        if let Some(advice) = &check.advice {
            text += &format!("{:<5} {:<width$}  -> {advice}\n", "", "");
        }
    }
    text
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// `ok`, or else something to do.
    fn unless(ok: bool, state: State, name: &'static str, found: impl Into<String>, advice: &str) -> Self {
        let check = Self::ok(name, found);
        if ok {
            return check;
        }
        Self {
            state,
            advice: Some(advice.to_owned()),
            ..check
        }
    }
}
