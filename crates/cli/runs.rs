use crate::aligned::aligned;
use crate::args::Runs;
use crate::failure::{Failure, must_exist};
use crate::output::Output;
use haggle_learn::{ListedRun, damaged_runs, list_runs};
use serde::Serialize;
use std::path::PathBuf;

/// What a run is worth: the first of these that it has recorded.
const WORTH: [&str; 3] = [
    "pricing/ratio_to_optimum",
    "eval/mean_reward",
    "rollout/ep_rew_mean",
];

/// `haggle runs`: the runs of a folder, oldest first.
pub fn run(args: &Runs, output: Output) -> Result<(), Failure> {
    must_exist(&args.folder)?;
    let runs = list_runs(&args.folder)?;
    let mut rows = vec![
        [
            "status",
            "env",
            "algorithm",
            "seed",
            "steps",
            "worth",
            "age",
            "folder",
        ]
        .map(str::to_owned),
    ];
    rows.extend(runs.iter().map(row));
    let mut told: Vec<Told> = runs.into_iter().map(|run| Told::Run(Box::new(run))).collect();
    let mut reasons = String::new();
    for (folder, why) in damaged_runs(&args.folder)? {
        let error = why.to_string();
        reasons += &format!("damaged: {error}\n");
        let mut row = ["damaged", "-", "-", "-", "-", "-", "-", ""].map(str::to_owned);
        row[7] = folder.display().to_string();
        rows.push(row);
        told.push(Told::Damaged {
            status: "damaged",
            folder,
            error,
        });
    }
    output.result(aligned(&rows) + &reasons, &told);
    Ok(())
}

/// A line of the list for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Run(Box<ListedRun>),
    Damaged {
        status: &'static str,
        folder: PathBuf,
        error: String,
    },
}

fn row(run: &ListedRun) -> [String; 8] {
    let subject = &run.facts.subject;
    let worth = WORTH.iter().find_map(|tag| Some((run.metrics.get(*tag)?, tag)));
    [
        format!("{:?}", run.facts.status).to_lowercase(),
        subject.env.clone(),
        subject.algorithm.clone(),
        subject.seed.to_string(),
        run.facts.steps.to_string(),
        worth.map_or_else(
            || "-".to_owned(),
            |(value, tag)| match *tag {
                "pricing/ratio_to_optimum" => format!("{value:.4} of V*"),
                _ => format!("{value:.4}"),
            },
        ),
        age(run.age_s),
        run.folder.display().to_string(),
    ]
}

/// In the largest unit that gives at least 1.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit() {
        assert_eq!(
            [age(5), age(61), age(7300), age(200_000)],
            ["5 s", "1 min", "2 h", "2 d"]
        );
    }
}
