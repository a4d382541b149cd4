use super::*;
use crate::list_runs;

fn subject() -> RunSubject {
    RunSubject {
        env: "one-price".into(),
        algorithm: "mappo".into(),
        seed: 3,
        data: vec![("store".into(), Digest::of(b"rows"))],
    }
}

#[test]
fn a_run_explains_itself_and_is_listed() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(parent.path(), subject(), "gamma = 0.9\n", &[]).expect("a run");
    run.record(64, &Metrics::from([("time/fps".to_owned(), 5.0)]))
        .expect("a line");
    let folder = run.folder().to_owned();
    assert_eq!(run.finish(RunStatus::Finished).expect("finished"), None);
    let text = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    assert_eq!(text, "{\"step\":64,\"time/fps\":5.0}\n");
    let runs = list_runs(parent.path()).expect("a list");
    assert_eq!(
        (runs.len(), runs[0].facts.status, runs[0].facts.steps),
        (1, RunStatus::Finished, 64)
    );
    assert!(runs[0].facts.name.starts_with("one-price__mappo__s3__"));
    let latest = fs::canonicalize(parent.path().join("latest")).expect("the link");
    assert_eq!(latest, fs::canonicalize(folder).expect("the folder"));
}

#[test]
fn a_run_that_was_killed_is_listed_as_interrupted() {
    let parent = tempfile::tempdir().expect("a folder");
    let run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
    let status = || list_runs(parent.path()).expect("a list")[0].facts.status;
    assert_eq!(status(), RunStatus::Running);
    drop(run); // as a kill leaves it: `run.json` says running, and the lock is free
    assert_eq!(status(), RunStatus::Interrupted);
}

#[test]
fn runs_of_a_group_are_listed_with_their_last_numbers() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("group/s3");
    let mut run = Run::create_at(&folder, subject(), "", &[]).expect("a run");
    for (step, value) in [(64, 5.0), (128, 6.0)] {
        run.record(step, &Metrics::from([("a".to_owned(), value)]))
            .expect("a line");
    }
    run.record(128, &Metrics::from([("b".to_owned(), 1.0)]))
        .expect("a line");
    let runs = list_runs(parent.path()).expect("a list");
    assert_eq!(
        (runs.len(), runs[0].facts.steps, runs[0].facts.name.as_str()),
        (1, 128, "s3")
    );
    assert_eq!(
        runs[0].metrics,
        Metrics::from([("a".to_owned(), 6.0), ("b".to_owned(), 1.0)])
    );
    assert!(
        Run::create_at(&folder, subject(), "", &[]).is_err(),
        "a run is never written over another"
    );
}

#[test]
fn resuming_forgets_what_came_after_the_checkpoint() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
    for step in [64, 128, 192] {
        run.record(step, &Metrics::new()).expect("a line");
    }
    let folder = run.folder().to_owned();
    run.finish(RunStatus::Interrupted).expect("finished");
    let mut run = Run::resume(&folder, 128).expect("resumed");
    run.record(192, &Metrics::from([("a".to_owned(), 1.0)]))
        .expect("a line");
    let text = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
    assert_eq!(text, "{\"step\":64}\n{\"step\":128}\n{\"step\":192,\"a\":1.0}\n");
    assert!(Run::resume(parent.path(), 0).is_err());
}
