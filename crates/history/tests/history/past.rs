//! What a session looked like when it began comes from its past alone.

use crate::shop::Shop;
use haggle_core::{Loyalty, MemoryRates, PriceMinor};
use haggle_history::{History, Replay, SelectedCategory, SelectedItem, Selection};

/// One category of both items.
fn selection() -> Selection {
    let item = |id: &str| SelectedItem {
        index: 0,
        id: id.into(),
        base_minor: PriceMinor(125),
        low_minor: PriceMinor(100),
        high_minor: PriceMinor(150),
    };
    Selection {
        categories: vec![SelectedCategory {
            name: "ALL".into(),
            items: vec![item("20"), item("10")],
        }],
        train_weeks: 1..5,
    }
}

fn replay(history: &History) -> Replay {
    Replay::new(history, &selection())
}

#[test]
fn a_context_sums_the_users_earlier_sessions() {
    let (history, _) = Shop::new().import();
    let sessions = replay(&history).sessions;
    assert_eq!(sessions[0].context.visits_56d, 0.0);
    assert_eq!(sessions[1].context.visits_56d, 0.0, "another user");
    let third = sessions[2].context;
    assert_eq!((third.basket_lines_mean, third.spend_mean_minor), (2.0, 500.0));
    assert_eq!((third.recency_days, third.visits_56d), (22.5, 1.0));
}

#[test]
fn loyalty_counts_each_item_of_an_earlier_session_in_agent_order() {
    let (history, _) = Shop::new().import();
    let replay = replay(&history);
    let rates = MemoryRates {
        loyalty_decay: 0.5,
        ..MemoryRates::default()
    };
    assert_eq!(
        replay.loyalty_before(0, 0, &rates),
        [Loyalty::default(), Loyalty::default()]
    );
    let before_third = replay.loyalty_before(2, 0, &rates);
    assert_eq!(
        before_third[0],
        Loyalty {
            counts: vec![0.5, 1.0],
            last: Some(1)
        }
    ); // item 20 is agent 0, then 10
    assert_eq!(
        before_third[1],
        Loyalty {
            counts: vec![0.0, 1.0],
            last: Some(1)
        }
    );
    assert_eq!(replay.buyers(0), [0, 1, 2]);
}

/// Weeks of the past are told the same whether the future is known or not; posted prices too, once an item has sold.
#[test]
fn later_sessions_change_nothing_earlier() {
    let (now, _) = Shop::new().import();
    let (later, _) = Shop::new()
        .and(
            "sessions.csv",
            "s5,u1,2,2017-02-10T10:00:00,6,2,9\ns6,u2,1,2017-02-12T10:00:00,7,1,9\n",
        )
        .and(
            "lines.csv",
            "s5,10,9,9.00,9,0\ns5,20,1,9.00,9,0\ns6,10,1,8.00,8,0\n",
        )
        .and("promotions.csv", "10,1,1,A,6\n")
        .import();
    let (before, after) = (replay(&now), replay(&later));
    assert_eq!(after.sessions[..3], before.sessions);
    assert_eq!(after.sessions.len(), 5);
    for week in 1..5 {
        assert_eq!(after.shelf(week, 0..2), before.shelf(week, 0..2), "week {week}");
    }
    for session in 0..3 {
        let rates = MemoryRates::default();
        assert_eq!(
            after.loyalty_before(session, 0, &rates),
            before.loyalty_before(session, 0, &rates)
        );
        assert_eq!(after.bought(session, 0), before.bought(session, 0));
    }
}

#[test]
fn sessions_of_one_instant_do_not_see_each_other() {
    let (history, _) = Shop::new()
        .and("sessions.csv", "s4,u1,1,2017-01-24T22:00:00,4,1,2\n")
        .and("lines.csv", "s4,10,1,1.00,1,0\n")
        .import();
    let replay = replay(&history);
    assert_eq!(replay.sessions[2].context, replay.sessions[3].context);
    let rates = MemoryRates::default();
    assert_eq!(
        replay.loyalty_before(2, 0, &rates),
        replay.loyalty_before(3, 0, &rates)
    );
}

#[test]
fn an_item_that_the_history_lacks_stands_at_its_base_price() {
    let (history, _) = Shop::new().import();
    let mut selection = selection();
    selection.categories[0].items[0].id = "unheard of".into();
    let replay = Replay::new(&history, &selection);
    assert_eq!(replay.shelf(2, 0..1)[0].posted_minor, PriceMinor(125));
    assert!(replay.bought(2, 0).is_empty());
}
