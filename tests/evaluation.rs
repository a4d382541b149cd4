//! Trained in a market, valued exactly, compared over seeds, reported on one page.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn haggle(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_haggle"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn json(args: &[&str]) -> Value {
    let done = haggle(&[args, &["--json"]].concat());
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{args:?}: {err}");
    serde_json::from_str(out.lines().last().unwrap()).unwrap()
}

/// The sentence with which a command is refused, and its exit code.
fn refused(args: &[&str]) -> (i32, String) {
    let done = haggle(args);
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    (done.status.code().unwrap(), said)
}

/// A short run of ten units in twenty periods.
fn train(runs: &Path, seed: u64, stock: usize) -> PathBuf {
    let sets = [
        format!("runs={}", runs.display()),
        format!("learner.seed={seed}"),
        format!("env.stock={stock}"),
        "env.periods=20".to_owned(),
        "learner.steps=4096".to_owned(),
        "learner.copies=16".to_owned(),
        "learner.horizon=32".to_owned(),
        "learner.eval_every=1024".to_owned(),
    ];
    let mut args = vec!["train", "configs/train/a2.toml"];
    args.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
    PathBuf::from(json(&args)["run"].as_str().unwrap())
}

fn number(told: &Value, key: &str) -> f64 {
    told[key].as_f64().unwrap_or_else(|| panic!("no {key} in {told}"))
}

#[test]
fn a_market_run_is_valued_compared_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (folder.path().join("good"), folder.path().join("other"));
    let [first, second] = [1, 2].map(|seed| train(&good, seed, 10));
    let elsewhere = train(&other, 1, 5);
    let (first_text, second_text) = (first.to_str().unwrap(), second.to_str().unwrap());

    // in its own market: exact, and what `oracle` says of the market
    let own = json(&["evaluate", first_text]);
    let sets = ["--set", "stock=10", "--set", "periods=20"];
    let oracle = json(&[&["oracle", "envs/a2.toml"], &sets[..]].concat());
    assert_eq!(
        (own["how"].as_str(), &own["interval"]),
        (Some("exact"), &Value::Null)
    );
    for key in ["v_star", "v_fixed"] {
        assert_eq!(number(&own, key), number(&oracle, key));
    }
    let (value, v_star, v_fixed) = (
        number(&own, "value"),
        number(&own, "v_star"),
        number(&own, "v_fixed"),
    );
    assert!(value > 0.0 && value <= v_star);
    assert!((number(&own, "ratio") - value / v_star).abs() < 1e-12);
    assert!((number(&own, "gap_score") - (value - v_fixed) / (v_star - v_fixed)).abs() < 1e-9);
    let bundle = own["bundle"].as_str().unwrap();
    assert_eq!(number(&json(&["evaluate", bundle]), "value"), value);

    // in another market of the same shape, told; in one of another ladder, refused
    let moved = json(&["evaluate", bundle, "--env", "envs/a2.toml", "--set", "stock=10"]);
    assert_eq!(
        moved["trained_elsewhere"][0],
        "periods = 20 in training, 100 here"
    );
    let ladder = [
        "evaluate",
        bundle,
        "--env",
        "envs/a2.toml",
        "--set",
        "prices=[20, 30]",
    ];
    let (code, said) = refused(&ladder);
    assert!(
        code == 2 && said.contains("19 prices") && said.contains("has 3, 2 and 1"),
        "{said}"
    );
    // its own market with another stock, of a run as of its bundle
    let fewer = ["--set", "stock=3"];
    let sets = ["--env", "envs/a2.toml", "--set", "periods=20"];
    let same = number(
        &json(&[&["evaluate", bundle], &sets[..], &fewer].concat()),
        "value",
    );
    for policy in [first_text, bundle] {
        let varied = json(&[&["evaluate", policy], &fewer[..]].concat());
        assert_eq!(varied["trained_elsewhere"][0], "stock = 10 in training, 3 here");
        assert_eq!(number(&varied, "value"), same);
    }
    let (code, said) = refused(&["evaluate", bundle, "--set", "stock=0"]);
    assert!(
        code == 2 && said.starts_with("haggle: --set stock=0: stock = 0: "),
        "{said}"
    );
    // several runs in one folder: which one?
    let (code, said) = refused(&["evaluate", good.to_str().unwrap()]);
    assert!(
        code == 2
            && said.contains("holds 2 runs: name one of them, e.g. ")
            && said.contains("haggle compare"),
        "{said}"
    );

    // compared: scores are V / V*
    let comparison = json(&["compare", good.to_str().unwrap(), second_text]);
    let groups = comparison["groups"].as_array().unwrap();
    assert_eq!(groups[0]["runs"].as_array().unwrap().len(), 2);
    assert_eq!(number(&groups[0]["runs"][0], "score"), value / v_star);
    let pair = &comparison["improvement"][0]["probability"];
    let scores = [0, 1].map(|run| number(&groups[0]["runs"][run], "score"));
    // the second seed against the first one and itself: half a point, and a whole one where it is better
    let expected = if scores[1] > scores[0] { 0.75 } else { 0.25 };
    assert_eq!(number(pair, "value"), expected);
    let (code, said) = refused(&["compare", first_text, elsewhere.to_str().unwrap()]);
    assert!(code == 2 && said.contains("different environments"), "{said}");
    let twice = format!("{first_text},{first_text}");
    let (code, said) = refused(&["compare", &twice]);
    assert!(code == 2 && said.contains("same seed"), "{said}");

    // reported: one file that fetches nothing
    let page = std::fs::read_to_string(first.join("report.html")).unwrap();
    let both = folder.path().join("both.html");
    json(&["report", good.to_str().unwrap(), "--out", both.to_str().unwrap()]);
    let both = std::fs::read_to_string(both).unwrap();
    for (page, words) in [
        (&page, ["The optimal price", "Learning curves", "[learner]"]),
        (&both, ["A dot per seed", "Learning curves", "[learner]"]),
    ] {
        assert!(words.iter().all(|word| page.contains(word)) && page.contains("<svg"));
        assert!(!page.contains("http") && !page.contains("<script"));
    }
    assert_eq!(refused(&["report", first_text, second_text]).0, 2);
}

#[test]
fn any_checkpoint_of_a_run_becomes_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(&folder.path().join("runs"), 1, 10);
    let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    let (run_text, out) = (run.to_str().unwrap(), folder.path().join("made"));
    let made = |name: &str| {
        json(&[
            "bundle",
            run_text,
            "--checkpoint",
            name,
            "--out",
            out.to_str().unwrap(),
        ])
    };
    let facts: Value = serde_json::from_str(&read("run.json")).unwrap();
    let last = made("last");
    assert_eq!(
        last["digest"], facts["bundle"],
        "the run's own bundle, to the bit"
    );

    // The best checkpoint is the highest point of the learning curve, and worth what stands there.
    let metrics = read("metrics.jsonl");
    let curve: Vec<(u64, f64)> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| Some((line["step"].as_u64()?, line["eval/mean_reward"].as_f64()?)))
        .collect();
    assert_eq!(curve.len(), 4);
    let highest = curve.iter().copied().fold(
        (0, f64::MIN),
        |best, point| if point.1 > best.1 { point } else { best },
    );
    let best = made("best");
    assert_eq!(best["steps"], highest.0);
    let worth = json(&["evaluate", best["bundle"].as_str().unwrap()]);
    assert_eq!(number(&worth, "value"), highest.1);
    let worth = json(&["evaluate", run_text, "--checkpoint", "best"]);
    assert_eq!(number(&worth, "value"), highest.1);
    let compared = json(&["compare", run_text, "--checkpoint", "best"]);
    assert_eq!(
        number(&compared["groups"][0]["runs"][0], "score"),
        number(&worth, "ratio")
    );
    let (code, said) = refused(&["bundle", run_text, "--checkpoint", "7", "--out", "made"]);
    assert!(code == 2 && said.contains("no checkpoint `7`"), "{said}");
}

#[test]
fn a_market_that_takes_long_to_solve_says_so_before() {
    let solved = |periods: &str| {
        let args = ["oracle", "envs/b1.toml", "--set", periods, "--set", "stock=5000"];
        let done = haggle(&args);
        assert!(done.status.success());
        String::from_utf8(done.stderr).unwrap()
    };
    assert_eq!(solved("periods=1000"), "");
    let told = solved("periods=5000");
    assert_eq!(
        told.trim_end(),
        "solving    envs/b1.toml: 4.0e8 updates of its tables; a minute or two for 2e10"
    );
}

#[test]
fn products_with_menus_of_their_own_are_trained_and_valued() {
    let folder = tempfile::tempdir().unwrap();
    let runs = format!("runs={}", folder.path().display());
    let sets = [
        "env.periods=20",
        "env.stock=[3, 3]",
        "learner.steps=2048",
        "learner.horizon=16",
        &runs,
    ];
    let mut args = vec!["train", "configs/train/b3.toml"];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let trained = json(&args);
    let told = json(&["evaluate", trained["bundle"].as_str().unwrap()]);
    assert_eq!(told["how"], "exact");
    assert_eq!(told["value"], trained["score"]["value"]);
    assert!(number(&told, "value") > 0.0 && number(&told, "value") <= number(&told, "v_star"));
}

#[test]
fn sellers_who_may_ask_any_price_are_valued_by_playing() {
    let folder = tempfile::tempdir().unwrap();
    let runs = format!("runs={}", folder.path().display());
    let steps = [
        "--set",
        "learner.steps=2048",
        "--set",
        "learner.horizon=16",
        "--set",
        &runs,
    ];
    let trained = json(&[&["train", "configs/train/c-continuous.toml"], &steps[..]].concat());
    let bundle = trained["bundle"].as_str().unwrap();
    let told = json(&["evaluate", bundle]);
    assert_eq!(told["how"], "rolled_out");
    assert!((told["nash_price"][0].as_f64().unwrap() - 1.472_927).abs() < 1e-6);
    assert_eq!(
        told["prices"], trained["score"]["prices"],
        "the same seeds play the same market"
    );
    // Hardly trained, the sellers ask prices about the middle of their range, 1 to 1.97.
    let price = told["prices"][0].as_f64().unwrap();
    assert!((1.2..1.8).contains(&price), "{price}");

    let (code, said) = refused(&["evaluate", bundle, "--env", "envs/c.toml"]);
    assert!(
        code == 2 && said.contains("this market has 32, 15 and 2"),
        "{said}"
    );
    let (code, said) = refused(&["q-learning", "envs/c-continuous.toml"]);
    assert!(code == 2 && said.contains("has no ladder"), "{said}");
}
