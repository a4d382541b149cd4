use crate::committer::Ticket;
use crate::refusal::{Code, Refusal};
use crate::reply::{Reply, RewardReply, RewardResult, RewardStatus, RewardsReply};
use crate::wire::Caller;
use std::collections::VecDeque;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// A reply that waits for the disk, or for somebody who makes it elsewhere.
pub(crate) struct Waiting {
    pub caller: Caller,
    reply: Result<Reply, Refusal>,
    /// What the disk says, for each part of the reply.
    tickets: VecDeque<(usize, Ticket)>,
    elsewhere: Option<Elsewhere>,
}

/// Told what to reply.
pub(crate) type Elsewhere = oneshot::Receiver<Result<Reply, Refusal>>;

impl Waiting {
    /// A reply that is right once the ticket says so.
    pub fn disk(caller: Caller, reply: Reply, ticket: Ticket) -> Self {
        Self {
            caller,
            reply: Ok(reply),
            tickets: VecDeque::from([(0, ticket)]),
            elsewhere: None,
        }
    }

    /// A reply to many rewards, each of which has its own ticket or is refused already.
    pub fn rewards(caller: Caller, parts: Vec<Result<(RewardStatus, Ticket), Refusal>>) -> Self {
        let (mut results, mut tickets) = (Vec::with_capacity(parts.len()), VecDeque::new());
        for (place, part) in parts.into_iter().enumerate() {
            results.push(match part {
                Ok((status, ticket)) => {
                    tickets.push_back((place, ticket));
                    RewardResult::Taken(RewardReply { status })
                }
                Err(refusal) => RewardResult::Refused(refusal),
            });
        }
        Self {
            caller,
            reply: Ok(Reply::Rewards(RewardsReply { results })),
            tickets,
            elsewhere: None,
        }
    }

    /// A reply that is made elsewhere.
    pub fn elsewhere(caller: Caller, reply: Elsewhere) -> Self {
        Self {
            caller,
            reply: Err(closed()),
            tickets: VecDeque::new(),
            elsewhere: Some(reply),
        }
    }

    /// The reply, if nothing is waited for any more.
    pub fn poll(&mut self) -> Option<Result<Reply, Refusal>> {
        while let Some((place, ticket)) = self.tickets.front_mut() {
            let (place, answer) = match ticket.try_recv() {
                Ok(answer) => (*place, answer),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Closed) => (*place, Err(closed())),
            };
            self.settle(place, answer);
        }
        match &mut self.elsewhere {
            None => {}
            Some(reply) => match reply.try_recv() {
                Ok(reply) => self.reply = reply,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Closed) => {}
            },
        }
        Some(std::mem::replace(&mut self.reply, Err(closed())))
    }

    /// Returns when something that is waited for has come; nothing is lost when it is dropped before.
    pub async fn wait(&mut self) {
        if let Some((place, ticket)) = self.tickets.front_mut() {
            let (place, answer) = (*place, ticket.await.unwrap_or_else(|_| Err(closed())));
            self.settle(place, answer);
        } else if let Some(reply) = &mut self.elsewhere {
            self.reply = reply.await.unwrap_or_else(|_| Err(closed()));
            self.elsewhere = None;
        }
    }

    fn settle(&mut self, place: usize, answer: Result<(), Refusal>) {
        self.tickets.pop_front();
        let Err(refusal) = answer else {
            return;
        };
        match &mut self.reply {
            Ok(Reply::Rewards(RewardsReply { results })) => results[place] = RewardResult::Refused(refusal),
            reply => *reply = Err(refusal),
        }
    }
}

fn closed() -> Refusal {
    Refusal::new(Code::StoreFailed, "the store is closed")
}
