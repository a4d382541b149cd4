//! What a shop knows of a user when a session begins: sums over the user's earlier sessions.

use crate::{History, Session};
use haggle_core::SessionContext;

const DAY_S: i64 = 86_400;
const VISITS_WINDOW_S: i64 = 56 * DAY_S;

/// Totals over the first sessions of a user.
#[derive(Clone, Copy, Default)]
struct Before {
    time_s: i64,
    baskets: u32,
    lines: u64,
    spend_minor: u64,
}

/// The context of every session, from sessions of the same user with an earlier time. A session of nobody known has
/// only its time.
pub(crate) fn contexts(history: &History) -> Vec<SessionContext> {
    // Per user, one entry per session so far: its time, and the totals of it and all before it.
    let mut past: Vec<Vec<Before>> = vec![Vec::new(); history.users.len()];
    let context = |session: &Session| {
        let Some(user) = session.user else {
            return SessionContext {
                time_s: session.time_s,
                ..SessionContext::default()
            };
        };
        let past = &mut past[user as usize];
        let context = context_after(past, session.time_s);
        past.push(add(past.last(), session, history));
        context
    };
    history.sessions.iter().map(context).collect()
}

fn context_after(past: &[Before], time_s: i64) -> SessionContext {
    let earlier = &past[..past.partition_point(|before| before.time_s < time_s)];
    let Some(last) = earlier.last() else {
        return SessionContext {
            time_s,
            ..SessionContext::default()
        };
    };
    let outside = earlier.partition_point(|before| before.time_s < time_s - VISITS_WINDOW_S);
    let baskets = f64::from(last.baskets.max(1));
    SessionContext {
        time_s,
        basket_lines_mean: (last.lines as f64 / baskets) as f32,
        spend_mean_minor: (last.spend_minor as f64 / baskets) as f32,
        recency_days: (time_s - last.time_s) as f32 / DAY_S as f32,
        visits_56d: (earlier.len() - outside) as f32,
    }
}

/// The totals after one more session; a session without a purchase is a visit but no basket.
fn add(before: Option<&Before>, session: &Session, history: &History) -> Before {
    let before = before.copied().unwrap_or_default();
    let lines = &history.lines[session.lines.clone()];
    let spend = lines
        .iter()
        .map(|line| u64::from(line.units) * u64::from(line.price_minor.0));
    Before {
        time_s: before.time_s.max(session.time_s),
        baskets: before.baskets + u32::from(!lines.is_empty()),
        lines: before.lines + lines.len() as u64,
        spend_minor: before.spend_minor + spend.sum::<u64>(),
    }
}
