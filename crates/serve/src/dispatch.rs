use crate::clock::now_s;
use crate::engine::Engine;
use crate::price_request::PriceRequest;
use crate::quote::{Arrival, Quote};
use crate::refusal::Refusal;
use crate::reply::{Reply, RewardReply};
use crate::request::{DecisionName, Op, Request, RewardsRequest};
use crate::waiting::Waiting;
use crate::wire::Caller;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// What becomes of a request.
pub(crate) enum Outcome {
    /// It is answered.
    Now(Caller, Result<Reply, Refusal>),
    /// Its answer waits.
    Later(Waiting),
}

/// A message: who sent it, and what he wants or why that cannot be read.
pub(crate) type Asked = (Caller, Result<Request, Refusal>);

/// Carries out the messages of a turn in their order; their bytes arrived at `since`. Prices that stand next to each other
/// are decided together, so that connections do not fight for the engine's lock.
pub(crate) fn dispatch(engine: &Arc<Engine>, turn: Vec<Asked>, since: Instant) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(turn.len());
    let mut together = Vec::new();
    for (caller, asked) in turn {
        if !matches!(asked, Ok(Request::Price(_))) {
            prices(engine, &mut together, since, &mut outcomes);
        }
        outcomes.push(match asked {
            Ok(Request::Price(request)) => {
                together.push((caller, *request));
                continue;
            }
            Ok(Request::Hello(request)) => {
                let reply = engine.hello(&request).map(|reply| Reply::Hello(Box::new(reply)));
                Outcome::Now(caller, reply)
            }
            Ok(Request::Reward(request)) => match engine.reward(request, now_s()) {
                Ok((status, ticket)) => Outcome::Later(Waiting::disk(
                    caller,
                    Reply::Reward(RewardReply { status }),
                    ticket,
                )),
                Err(refusal) => Outcome::Now(caller, Err(refusal)),
            },
            Ok(Request::Rewards(request)) => rewards(engine, caller, request),
            Ok(Request::Decision(op, name)) => about(engine, caller, op, name),
            Ok(Request::Status) => Outcome::Now(caller, Ok(Reply::Status(Box::new(engine.status())))),
            Err(refusal) => Outcome::Now(caller, Err(refusal)),
        });
    }
    prices(engine, &mut together, since, &mut outcomes);
    outcomes
}

fn prices(
    engine: &Engine,
    together: &mut Vec<(Caller, PriceRequest)>,
    since: Instant,
    outcomes: &mut Vec<Outcome>,
) {
    if together.is_empty() {
        return;
    }
    let (callers, requests): (Vec<_>, Vec<_>) = together.drain(..).unzip();
    let now_s = now_s();
    let quotes = engine.quotes(requests.into_iter(), Arrival { now_s, since });
    let took = since.elapsed();
    outcomes.extend(callers.into_iter().zip(quotes).map(|(caller, quote)| {
        engine.metrics.decided(took);
        match quote {
            Ok(Quote { reply, ticket: None }) => Outcome::Now(caller, Ok(Reply::Price(Box::new(reply)))),
            Ok(Quote {
                reply,
                ticket: Some(ticket),
            }) => Outcome::Later(Waiting::disk(caller, Reply::Price(Box::new(reply)), ticket)),
            Err(refusal) => Outcome::Now(caller, Err(refusal)),
        }
    }));
}

fn rewards(engine: &Engine, caller: Caller, request: RewardsRequest) -> Outcome {
    if let Err(refusal) = request.check() {
        return Outcome::Now(caller, Err(refusal));
    }
    let now_s = now_s();
    let parts = request
        .rewards
        .into_iter()
        .map(|reward| engine.reward(reward, now_s))
        .collect();
    Outcome::Later(Waiting::rewards(caller, parts))
}

fn about(engine: &Arc<Engine>, caller: Caller, op: Op, name: DecisionName) -> Outcome {
    if let Err(refusal) = name.check() {
        return Outcome::Now(caller, Err(refusal));
    }
    let decision = name.decision;
    let staged = match op {
        Op::Activate => engine.activate(&decision, now_s()),
        Op::Cancel => engine.cancel(&decision, now_s()),
        Op::Cart => engine.cart(&decision, now_s()),
        Op::Explain => return explain(Arc::clone(engine), caller, decision),
        _ => {
            let reply = engine.get(&decision).map(|reply| Reply::Get(Box::new(reply)));
            return Outcome::Now(caller, reply);
        }
    };
    match staged {
        Ok((stage, ticket)) => Outcome::Later(Waiting::disk(caller, Reply::Stage(stage), ticket)),
        Err(refusal) => Outcome::Now(caller, Err(refusal)),
    }
}

/// Reads the disk and asks the policy many times: not on the threads that answer prices.
fn explain(engine: Arc<Engine>, caller: Caller, decision: String) -> Outcome {
    let (sender, receiver) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let card = engine
            .explain(&decision, now_s())
            .map(|card| Reply::Card(Box::new(card)));
        // Whoever asked may have hung up.
        let _ = sender.send(card);
    });
    Outcome::Later(Waiting::elsewhere(caller, receiver))
}
