use crate::args::Gate;
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::output::Output;
use crate::tune::read_log;
use haggle_config::Loaded;
use haggle_eval::{GateConfig, GateConfigError, GateVerdict, judge};
use haggle_policy::Bundle;
use std::path::Path;

/// `haggle gate`: writes `gate.json` beside the candidate; a refusal is exit code 6.
pub fn run(args: &Gate, output: Output) -> Result<(), Failure> {
    let config = read_config(&args.config, &args.sets)?.value;
    must_exist(&args.candidate)?;
    must_exist(&args.incumbent)?;
    let candidate = Bundle::load(&args.candidate).or_fail(Kind::Data)?;
    let incumbent = Bundle::load(&args.incumbent).or_fail(Kind::Data)?;
    let verdict = decide((&candidate, &args.candidate), &incumbent, &config, &args.segments)?;
    output.result(people(&verdict), &verdict);
    if verdict.verdict.passed {
        Ok(())
    } else {
        Err(Failure::told(
            Kind::Refused,
            format!("the gate refuses the candidate: {}", verdict.reasons.join("; ")),
        ))
    }
}

/// Judges a candidate, which lies in a folder, on a log; writes `gate.json` into that folder.
pub fn decide(
    (candidate, folder): (&Bundle, &Path),
    incumbent: &Bundle,
    config: &GateConfig,
    log: &Path,
) -> Result<GateVerdict, Failure> {
    let (offers, sources) = read_log(log)?;
    let verdict = judge(config, candidate, incumbent, &offers, sources).or_fail(Kind::Usage)?;
    verdict.write(folder).or_fail(Kind::Data)?;
    Ok(verdict)
}

/// Reads and checks a file like `configs/gate.toml`.
pub fn read_config(path: &Path, sets: &[String]) -> Result<Loaded<GateConfig>, Failure> {
    let loaded: Loaded<GateConfig> = haggle_config::load(path, sets)?;
    let fault = |error: GateConfigError| loaded.source.fault(error.field, error.to_string());
    loaded.value.validate().map_err(fault)?;
    Ok(loaded)
}

/// What a person reads.
pub fn people(verdict: &GateVerdict) -> String {
    let mut text = String::from(if verdict.verdict.passed {
        "passed"
    } else {
        "refused"
    });
    if let Some(report) = &verdict.report {
        let gain = &report.difference.doubly_robust;
        text += &format!(
            "\ngain      {:+.5} per occasion (doubly robust, s.e. {:.5}; {} occasions)",
            gain.value, gain.std_error, report.occasions
        );
        if report.offers_held_out > 0 {
            let (left_out, all) = (report.offers_held_out, report.offers + report.offers_held_out);
            text += &format!("\nheld out  {left_out} of {all} offers, at the static price: left out");
        }
    }
    if let Some(bound) = verdict.gain_lower_bound {
        text += &format!("\nbound     {bound:+.5}: the candidate passes above 0");
    }
    for reason in &verdict.reasons {
        text += &format!("\nreason    {reason}");
    }
    if let Some(needed) = verdict.occasions_needed {
        text += &format!("\nneeds     {needed} occasions in all, if what was seen is true");
    }
    text
}
