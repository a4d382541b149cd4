use crate::engine::Engine;
use crate::quote::{Arrival, Quote};
use crate::recovery::now_s;
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

/// Carries out a request that arrived at `since`.
pub(crate) fn dispatch(engine: &Arc<Engine>, caller: Caller, request: Request, since: Instant) -> Outcome {
    match request {
        Request::Hello(request) => {
            let reply = engine.hello(&request).map(|reply| Reply::Hello(Box::new(reply)));
            Outcome::Now(caller, reply)
        }
        Request::Price(request) => {
            let arrival = Arrival {
                now_s: now_s(),
                since,
            };
            let quote = engine.quote(*request, arrival);
            engine.metrics.decided(since.elapsed());
            match quote {
                Ok(Quote { reply, ticket: None }) => Outcome::Now(caller, Ok(Reply::Price(Box::new(reply)))),
                Ok(Quote {
                    reply,
                    ticket: Some(ticket),
                }) => Outcome::Later(Waiting::disk(caller, Reply::Price(Box::new(reply)), ticket)),
                Err(refusal) => Outcome::Now(caller, Err(refusal)),
            }
        }
        Request::Reward(request) => match engine.reward(request, now_s()) {
            Ok((status, ticket)) => Outcome::Later(Waiting::disk(
                caller,
                Reply::Reward(RewardReply { status }),
                ticket,
            )),
            Err(refusal) => Outcome::Now(caller, Err(refusal)),
        },
        Request::Rewards(request) => rewards(engine, caller, request),
        Request::Decision(op, name) => about(engine, caller, op, name),
        Request::Status => Outcome::Now(caller, Ok(Reply::Status(Box::new(engine.status())))),
    }
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

fn about(engine: &Arc<Engine>, caller: Caller, op: Op, DecisionName { decision }: DecisionName) -> Outcome {
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
