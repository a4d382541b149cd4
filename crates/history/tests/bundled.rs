//! The bundled sessions give the numbers that the bars of the demand model are measured on.

use haggle_core::PriceMinor;
use haggle_history::{History, ImportReport, Replay, Selection, import_complete_journey};
use std::path::Path;

fn bundled() -> (History, ImportReport) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envs/sessions/complete-journey");
    import_complete_journey(&folder).unwrap()
}

#[test]
fn the_report_counts_the_bundled_rows() {
    let start = std::time::Instant::now();
    let (_, report) = bundled();
    eprintln!("{:?}\n{report}", start.elapsed());
    assert_eq!(report.rows_read["lines.csv.gz"], 338_522);
    assert_eq!(
        (report.sessions, report.users, report.items),
        (32_537, 1_340, 35_006)
    );
    assert_eq!((report.lines_kept, report.lines_merged), (338_522, 0));
    assert_eq!(report.items_unknown, 2);
    assert_eq!((report.week_first, report.week_last), (1, 40));
    assert!(report.dropped.is_empty(), "{}", report.dropped_text());
}

#[test]
fn the_choice_sets_are_those_of_the_bars() {
    let (history, _) = bundled();
    let selection = Selection::choose(&history, 1..31);
    assert_eq!(selection.categories.len(), 47);
    let items: usize = selection
        .categories
        .iter()
        .map(|category| category.items.len())
        .sum();
    assert_eq!(items, 222);
    let train: usize = selection.occasions(&history, &(1..31)).iter().sum();
    let test: usize = selection.occasions(&history, &(31..41)).iter().sum();
    assert_eq!((train, test), (29_235, 9_416));
    for item in selection.categories.iter().flat_map(|category| &category.items) {
        assert!(PriceMinor(0) < item.low_minor, "{}", item.id);
        assert!(item.low_minor <= item.base_minor && item.base_minor <= item.high_minor);
    }
    let start = std::time::Instant::now();
    let replay = Replay::new(&history, &selection);
    eprintln!("replay {:?}", start.elapsed());
}
