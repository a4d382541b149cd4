use haggle_demand::*;
use haggle_history::*;
use std::path::Path;
use std::time::Instant;

#[test]
fn timing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envs/sessions/complete-journey");
    let t = Instant::now();
    let (history, _) = import_complete_journey(&folder).unwrap();
    println!("import {:?}", t.elapsed());
    let selection = Selection::choose(&history, 1..31);
    let replay = Replay::new(&history, &selection);
    println!("replay {:?}", t.elapsed());
    let t = Instant::now();
    let model = fit(
        &history,
        &selection,
        &replay,
        &FitConfig {
            members: 3,
            ..FitConfig::default()
        },
    )
    .unwrap();
    println!("fit {:?} {}", t.elapsed(), model.digest());
    model.save(Path::new("/tmp/proto/model.json")).unwrap();
}
