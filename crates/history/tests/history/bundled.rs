//! The bundled sessions give the numbers that the bars of the demand model are measured on, and survive the store.

use haggle_core::{Digest, MemoryRates, PriceMinor};
use haggle_history::{History, ImportReport, Replay, Selection, import_complete_journey};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static BUNDLED: LazyLock<(History, ImportReport)> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envs/sessions/complete-journey");
    timed("import", || import_complete_journey(&folder)).unwrap()
});

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    let took = start.elapsed();
    eprintln!("{what}: {took:?}");
    assert!(took < Duration::from_secs(60), "{what} took {took:?}");
    done
}

#[test]
fn the_report_counts_the_bundled_rows() {
    let report = &BUNDLED.1;
    assert_eq!(report.rows_read["lines.csv.gz"], 338_522);
    assert_eq!(report.rows_read["promotions.csv.gz"], 127_016);
    assert_eq!(
        (report.sessions, report.users, report.items),
        (32_537, 1_340, 35_006)
    );
    assert_eq!((report.lines_kept, report.lines_merged), (338_522, 0));
    assert_eq!((report.items_unknown, report.users_described), (2, 486));
    assert_eq!((report.week_first, report.week_last), (1, 40));
    assert!(report.dropped.is_empty(), "{}", report.dropped_text());
    assert!(
        (report.prices.paid_over_posted - 1.0).abs() < 0.01,
        "{}",
        report.prices.paid_over_posted
    );
}

#[test]
fn the_choice_sets_are_those_of_the_bars() {
    let history = &BUNDLED.0;
    let selection = Selection::choose(history, 1..31);
    let items = || selection.categories.iter().flat_map(|category| &category.items);
    assert_eq!((selection.categories.len(), items().count()), (47, 222));
    let train: usize = selection.occasions(history, &(1..31)).iter().sum();
    let test: usize = selection.occasions(history, &(31..41)).iter().sum();
    assert_eq!((train, test), (29_235, 9_416));
    for item in items() {
        assert!(PriceMinor(0) < item.low_minor, "{}", item.id);
        assert!(
            item.low_minor <= item.base_minor && item.base_minor <= item.high_minor,
            "{}",
            item.id
        );
    }
}

#[test]
fn the_replay_counts_every_purchase_of_a_selected_item() {
    let history = &BUNDLED.0;
    let selection = Selection::choose(history, 1..31);
    let replay = timed("replay", || Replay::new(history, &selection));
    let categories = 0..replay.agents.len();
    let bought: usize = (0..replay.sessions.len())
        .flat_map(|session| categories.clone().map(move |category| (session, category)))
        .map(|(session, category)| replay.bought(session, category).len())
        .sum();
    let past = haggle_history::past_offers(history, &selection, &(1..41));
    assert_eq!(bought, past.iter().filter(|offer| offer.units > 0).count());
    let passed: BTreeSet<&str> = past.iter().map(|offer| offer.session.as_str()).collect();
    assert_eq!(
        passed.len(),
        replay.sessions.len(),
        "every session leaves a trace"
    );
    let last = replay.sessions.len() - 1;
    let loyalties = timed("loyalties", || {
        categories
            .map(|category| replay.loyalty_before(last, category, &MemoryRates::default()))
            .collect::<Vec<_>>()
    });
    assert_eq!(loyalties.len(), 47);
    assert_eq!(loyalties[0].len(), 1_340);
}

#[test]
fn the_store_keeps_everything() {
    let history = &BUNDLED.0;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let digest = timed("save", || history.save(&store, false)).unwrap();
    let loaded = timed("load", || History::load(&store)).unwrap();
    assert_eq!(loaded.digest, digest);
    assert_eq!(
        digest,
        Digest::of(&std::fs::read(store.join("store.json")).unwrap())
    );
    for file in std::fs::read_dir(&store).unwrap() {
        let file = file.unwrap();
        eprintln!("{:?}: {} bytes", file.file_name(), file.metadata().unwrap().len());
    }
    assert!(
        loaded
            == History {
                digest,
                ..history.clone()
            }
    );
}

#[test]
fn the_halves_share_items_and_split_users() {
    let history = &BUNDLED.0;
    let (one, two) = (history.half(true), history.half(false));
    assert_eq!(one.sessions.len() + two.sessions.len(), history.sessions.len());
    assert_eq!(one.lines.len() + two.lines.len(), history.lines.len());
    assert_eq!(one.items, two.items);
    let users = |half: &History| -> BTreeSet<u32> {
        half.sessions.iter().filter_map(|session| session.user).collect()
    };
    assert!(users(&one).is_disjoint(&users(&two)));
    let share = one.sessions.len() as f64 / history.sessions.len() as f64;
    assert!((0.4..0.6).contains(&share), "{share}");
}
