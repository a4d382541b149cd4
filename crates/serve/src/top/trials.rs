use super::scrape::Scrape;

/// What is known of the canary and of the holdout, where there is one: a name and what is said of it.
pub fn trials(now: &Scrape) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (policy, share) in now.by("haggle_canary_share_ratio", "policy") {
        rows.push((
            format!("canary {policy}"),
            users(now, "canary", ["new", "old"], share),
        ));
        rows.push(difference(now, "canary"));
    }
    let share = now.sum("haggle_holdout_share_ratio");
    if share > 0.0 {
        let arms = ["priced", "held_out"];
        rows.push(("holdout".to_owned(), users(now, "holdout", arms, share)));
        rows.push(difference(now, "holdout"));
    }
    rows
}

fn users(now: &Scrape, trial: &str, arms: [&str; 2], share: f64) -> String {
    let [new, old] = arms.map(|arm| {
        let users = now.of("haggle_trial_users", &[("trial", trial), ("arm", arm)]);
        format!("{} {:.0}", arm.replace('_', " "), users.unwrap_or(0.0))
    });
    format!("{:.1} %, users: {new}, {old}", 100.0 * share)
}

fn difference(now: &Scrape, trial: &str) -> (String, String) {
    let bound = |bound| {
        now.of(
            "haggle_trial_difference_minor",
            &[("trial", trial), ("bound", bound)],
        )
    };
    let known = match (bound("mean"), bound("low"), bound("high")) {
        (Some(mean), Some(low), Some(high)) => format!("{mean:+.2} ({low:+.2} to {high:+.2})"),
        _ => "not known yet".to_owned(),
    };
    ("  more a decision, minor units".to_owned(), known)
}
