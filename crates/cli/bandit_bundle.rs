use crate::args::bandit::BanditBundle;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::price_list;
use haggle_core::{Digest, Guardrails, MemoryRates, Policy};
use haggle_learn::PROGRAM;
use haggle_policy::bandit::{BanditConfig, BanditPlan, Forgetting, Pooling};
use haggle_policy::{Bundle, Provenance, Terms};
use serde::Serialize;
use std::path::PathBuf;

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    bundle: PathBuf,
    digest: Digest,
    items: usize,
    features: Vec<String>,
    segments: Vec<String>,
}

/// `haggle bandit bundle`.
pub fn run(args: &BanditBundle, output: Output) -> Result<(), Failure> {
    let plan = plan(args)?;
    let terms = terms(args)?;
    let items = terms.catalog.items().len();
    let bundle = Bundle::bandit(terms, plan).or_fail(Kind::Usage)?;
    std::fs::create_dir_all(&args.out).or_fail_at(Kind::Data, &args.out)?;
    let (_, folder) = bundle.write(&args.out).or_fail(Kind::Data)?;
    let made = Made {
        digest: bundle.digest(),
        items,
        features: args.features.clone(),
        segments: args.segments.clone(),
        bundle: folder,
    };
    let people = format!(
        "bundle    {}\nbandits   {items}, one per item, over {} features and {} segments; they have learnt nothing yet",
        made.bundle.display(),
        args.features.len(),
        args.segments.len() + 1,
    );
    output.result(people, &made);
    Ok(())
}

fn plan(args: &BanditBundle) -> Result<BanditPlan, Failure> {
    let preset = args.policy.config(Vec::new(), args.features.len(), args.seed);
    let segments = args.segments.len() + 1;
    let pooling = match (args.segments.is_empty(), args.separate) {
        (true, true) => {
            let sentence = "--separate needs --segments: there is nothing to keep apart";
            return Err(Failure::say(Kind::Usage, sentence));
        }
        (true, false) => Pooling::Pooled,
        (false, true) => Pooling::Separate(segments),
        (false, false) => Pooling::Partial(segments),
    };
    let like = BanditConfig {
        pooling,
        knots: args.knots,
        forgetting: match args.forgetting.as_deref() {
            Some([level, slope]) => Some(Forgetting {
                level: *level,
                slope: *slope,
            }),
            _ => None,
        },
        ..preset
    };
    BanditPlan::of(&like, args.features.clone(), args.segments.clone()).or_fail(Kind::Usage)
}

/// The catalogue of another bundle with all its terms, or that of a price list.
fn terms(args: &BanditBundle) -> Result<Terms, Failure> {
    let provenance = Provenance {
        run: "haggle bandit bundle".to_owned(),
        seed: args.seed,
        identification: "learnt from its own randomised prices".to_owned(),
        objective: "margin where the unit cost is known, else revenue".to_owned(),
        program: PROGRAM.to_owned(),
        ..Provenance::default()
    };
    let floor = args.floor;
    if let Some(folder) = &args.like {
        let like = Bundle::load(folder).or_fail(Kind::Data)?;
        return Ok(Terms {
            floor,
            price_index_limit: None,
            multiplier: 0.0,
            provenance,
            ..like.terms().clone()
        });
    }
    let Some(list) = &args.price_list else {
        let sentence = "the items come from --like BUNDLE or --price-list FILE: one of them expected";
        return Err(Failure::say(Kind::Usage, sentence));
    };
    Ok(Terms {
        catalog: price_list::read(list, usize::from(args.rungs))?.into(),
        floor,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: None,
        multiplier: 0.0,
        provenance,
    })
}
