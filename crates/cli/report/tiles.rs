//! The large numbers at the top of a report.

use crate::value;
use haggle_eval::{Comparison, Evaluation, GroupScore, How, Interval, MarketValue, Page};

/// The numbers of one run in a market.
pub(super) fn market(value: &MarketValue) -> Vec<(&'static str, String, String)> {
    let how = match (value.how, value.interval) {
        (How::RolledOut, Some([low, high])) => {
            format!(
                "by episodes, 95 %: {:.4} to {:.4}",
                low / value.v_star,
                high / value.v_star
            )
        }
        _ => "exact".to_owned(),
    };
    let gap = value
        .gap_score
        .map_or("none".to_owned(), |gap| format!("{gap:.4}"));
    let mut tiles = vec![
        ("V / V*", format!("{:.4}", value.ratio), how),
        ("Gap score", gap, "0: best fixed price, 1: optimum".to_owned()),
        (
            "V",
            format!("{:.4}", value.value),
            format!("V* = {:.6}", value.v_star),
        ),
        (
            "Best fixed price",
            format!("{:.4}", value.v_fixed / value.v_star),
            format!("of V*, at {:.4}", value.fixed_price),
        ),
    ];
    if let Some(rivalry) = &value.rivalry {
        let reply = 100.0 * rivalry.reply_gain_max;
        let gains = rivalry.deviation.iter().map(|deviation| deviation.gain);
        let left = 100.0 * gains.fold(f64::NEG_INFINITY, f64::max);
        tiles.extend([
            (
                "Delta",
                format!("{:.4}", rivalry.delta),
                "0: equilibrium, 1: cartel".to_owned(),
            ),
            (
                "Best reply gains",
                format!("{reply:.3} %"),
                "largest over sellers, exact".to_owned(),
            ),
            (
                "One deviation gains",
                format!("{left:.3} %"),
                "below 0: it is punished".to_owned(),
            ),
        ]);
    }
    if value.guardrail_hits > 0.0 {
        let hits = format!("{:.1} %", 100.0 * value.guardrail_hits);
        tiles.push(("Guardrail hits", hits, "of decisions".to_owned()));
    }
    tiles
}

/// The numbers of one run in a shop.
pub(super) fn shop(page: &mut Page, evaluation: &Evaluation) {
    let Some(row) = value::trained(evaluation) else {
        return;
    };
    let percent = |interval: Interval| {
        let range = format!(
            "95 %: {:.2} to {:.2}",
            100.0 * interval.low,
            100.0 * interval.high
        );
        (format!("{:+.2} %", 100.0 * interval.value), range)
    };
    let (gain, gain_range) = percent(row.revenue_gain);
    let index = row.price_index;
    page.tiles(&[
        ("Revenue, simulated, over logged prices", gain, gain_range),
        (
            "Price index",
            format!("{:.4}", index.value),
            format!("95 %: {:.4} to {:.4}", index.low, index.high),
        ),
        (
            "Prices at the ladder's edge",
            format!("{:.1} %", 100.0 * row.edge_share),
            "of all prices".to_owned(),
        ),
    ]);
}

/// The numbers of one or several groups of runs.
pub(super) fn group(comparison: &Comparison) -> Vec<(&str, String, String)> {
    let tile = |group: &GroupScore| {
        let note = if group.runs.len() > 1 {
            format!(
                "IQM of {} seeds, 95 %: {:.4} to {:.4}",
                group.runs.len(),
                group.iqm.low,
                group.iqm.high
            )
        } else {
            "one seed".to_owned()
        };
        (format!("{:.4}", group.iqm.value), note)
    };
    let groups = comparison.groups.iter().map(|group| {
        let (number, note) = tile(group);
        (group.name.as_str(), number, note)
    });
    groups.collect()
}
