//! Configuration and rulebook as files: what is refused and how, what a reload does, and what the log says of them.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Daemon, House, engine_config, engine_with, fixed_bundle, named};
use haggle_core::PriceMinor;
use haggle_policy::Bundle;
use haggle_serve::{AdminRequest, Code, Engine, Source, Status};
use std::path::Path;

const NOW: i64 = 1_600_000_000;

#[test]
fn unsound_rules_and_configurations_are_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let bundle: Bundle = fixed_bundle(6, 0.0);
    let refusal = |config: &str, book: Option<&str>| {
        let config = engine_config(dir.path(), &bundle, config, book);
        Engine::open(&config).unwrap_err().to_string()
    };
    let cases = [
        (
            "[all]\nflor_minor = 1",
            "guardrails.toml:2:1: all.flor_minor: unknown field `flor_minor`",
        ),
        (
            "[all]\nfloor_minor = 9\nceiling_minor = 8",
            "guardrails.toml:2:15: all.floor_minor: 9 is above ceiling_minor, 8",
        ),
        (
            "[all]\nfloor_minor = 900",
            "item milk-0: no rung of the ladder 0.70 to 1.30 satisfies all rules; the last to bind was `floor`",
        ),
        (
            "[all]\nmargin_min = 1.0",
            "guardrails.toml:2:14: all.margin_min: 1: 0 or more and below 1 expected",
        ),
        (
            "[item.milk-9]\nfreeze = true",
            "guardrails.toml:1:7: item `milk-9` is not in the catalogue; did you mean `milk-0`?",
        ),
        (
            "[category.beer]\nfreeze = true",
            "category `beer` is not in the catalogue",
        ),
        (
            "[all]\nendings = [\"x\"]",
            "guardrails.toml:2:11: all.endings: `x` is no price ending",
        ),
        (
            "[all]\ncorridor = { share_max = 0.1, memory_s = 9 }",
            "guardrails.toml: segment_by: it is missing, and `[all]` has a corridor",
        ),
        ("segment_by = \"\"", "`segment_by`"),
    ];
    for (book, sentence) in cases {
        let said = refusal("", Some(book));
        assert!(said.contains(sentence), "{said}");
    }
    let said = refusal("[law]\nprotected = [\"tier\"]", Some("segment_by = \"tier\""));
    assert!(said.contains("which the configuration protects"), "{said}");
    for (config, sentence) in [
        (
            "[rewards]\nterms = { window_s = 4 }",
            "daemon.toml:2:22: rewards.terms.window_s = 4: 5 to 2592000 expected",
        ),
        (
            "[prices]\ndeadline_ms = 0",
            ":2:15: prices.deadline_ms = 0: at least 1",
        ),
        (
            "[rewards]\nterms = { default_minor = 9223372036854775807 }",
            "rewards.terms.default_minor = 9223372036854775807: -1000000000000 to 1000000000000, as for a reward, expected",
        ),
        (
            "[policy.0123456789ab]\ndefault_minor = -1000000000001",
            "daemon.toml:2:17: policy.0123456789ab.default_minor = -1000000000001",
        ),
        (
            "[policy.E5045EC27C10]\nwindow_s = 9",
            "policy.E5045EC27C10: the first 12 digits of a bundle's digest are expected, 0 to 9 and a to f",
        ),
        ("[policy.abc]\nwindow_s = 9", "policy.abc: the first 12 digits"),
        ("[prices]\nsticky = 0", "did you mean `sticky_s`?"),
    ] {
        let said = refusal(config, None);
        assert!(said.contains(sentence), "{said}");
    }
    let mut config = engine_config(dir.path(), &bundle, "", None);
    config.files.guardrails = Some(dir.path().join("missing.toml"));
    let error = Engine::open(&config).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(
        error.to_string().starts_with("cannot read config") && error.to_string().ends_with("missing.toml"),
        "{error}"
    );
    let engine = engine_with(
        dir.path(),
        &bundle,
        "",
        Some("[all]\nfloor_minor = 1\nceiling_minor = 900"),
    );
    std::fs::write(Path::new(dir.path()).join("guardrails.toml"), "[all]\nfloor = 1").unwrap();
    assert_eq!(engine.reload().unwrap_err().code, Code::ConfigRefused);
    assert_eq!(
        engine.price(named("a", "a", "milk-0"), NOW).unwrap().source,
        Source::Policy,
        "the old rules stay"
    );
    std::fs::write(
        Path::new(dir.path()).join("guardrails.toml"),
        "[all]\nfreeze = true",
    )
    .unwrap();
    engine.reload().unwrap();
    assert_eq!(
        engine.price(named("b", "b", "milk-0"), NOW).unwrap().source,
        Source::Static
    );
}

#[test]
fn the_shipped_files_are_what_the_daemon_reads() {
    let dir = tempfile::tempdir().unwrap();
    let shipped = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../configs/daemon")
            .join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let (config, book) = (shipped("daemon.toml"), shipped("guardrails.toml"));
    let engine = engine_with(dir.path(), &fixed_bundle(9, 0.0), &config, Some(&book));
    let mut request = named("d", "s", "milk-0");
    request.bounds.floor_minor = Some(PriceMinor(1));
    request.bounds.ceiling_minor = Some(PriceMinor(900));
    assert_eq!(engine.price(request, NOW).unwrap().price_minor, PriceMinor(115));
}

#[test]
fn a_rulebook_that_leaves_everything_static_is_told_of_at_the_start_and_at_a_reload() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let book = house.dir.path().join("guardrails.toml");
    let told = |daemon: &Daemon| daemon.log().matches("nothing is automated").count();
    let start = |text: &str| {
        std::fs::write(&book, text).unwrap();
        Daemon::start(house.command().arg("--guardrails").arg(&book), &house.socket())
    };
    let daemon = start("[all]\nfloor_minor = 1\n[category.milk]\nmargin_min = 0.1");
    assert_eq!(told(&daemon), 1, "a floor alone is no bounds: {}", daemon.log());
    let reload = || daemon.operator().admin::<Status>(&AdminRequest::Reload).unwrap();
    reload();
    assert_eq!(told(&daemon), 2);
    std::fs::write(
        &book,
        "[all]\nfloor_minor = 1\n[item.milk-0]\nceiling_minor = 900",
    )
    .unwrap();
    reload();
    assert_eq!(told(&daemon), 2, "one item is automated: {}", daemon.log());
    drop(daemon);
    assert_eq!(told(&house.start()), 0, "without a rulebook no bounds are needed");
}
