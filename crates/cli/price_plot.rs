//! A policy's prices in a market beside the best ones, state by state.

use haggle_env::market::Chart;
use haggle_eval::RivalryValue;
use haggle_eval::plot::{HeatMap, Level, LineChart, Point, Series};

/// Two heat maps where a state is two numbers, else two lines.
pub fn prices(chart: &Chart, name: &str, best: &str) -> Vec<String> {
    let Some(y_name) = chart.y_name else {
        return vec![lines(chart, name, best)];
    };
    let step = |numbers: &[f64]| {
        let step = if numbers.len() > 1 {
            numbers[1] - numbers[0]
        } else {
            1.0
        };
        (numbers[0], step)
    };
    let map = |title: &str, prices: &[f64]| HeatMap {
        title: title.to_owned(),
        x_name: chart.x_name.to_owned(),
        y_name: y_name.to_owned(),
        x: step(&chart.xs),
        y: step(&chart.ys),
        rows: prices.chunks(chart.xs.len()).map(<[f64]>::to_vec).collect(),
    };
    let maps = [map(name, &chart.price), map(best, &chart.best)];
    let range = HeatMap::range(&maps);
    maps.iter().map(|map| map.html(range)).collect()
}

fn lines(chart: &Chart, name: &str, best: &str) -> String {
    let line = |name: &str, prices: &[f64]| {
        let points = chart.xs.iter().zip(prices).filter(|(_, price)| price.is_finite());
        series(name, points.map(|(x, price)| (*x, *price)))
    };
    let chart = LineChart {
        title: format!("Price against the {}", chart.x_name),
        x_name: chart.x_name.to_owned(),
        y_name: "price".to_owned(),
        series: vec![line(name, &chart.price), line(best, &chart.best)],
        levels: Vec::new(),
    };
    chart.html()
}

/// What happens to prices when the first seller leaves the path once.
pub fn deviation(rivalry: &RivalryValue, nash_price: f64, monopoly_price: f64) -> Option<String> {
    let deviation = rivalry.deviation.first()?;
    let before = |price: f64, prices: &[f64]| {
        let path = [price, price].into_iter().chain(prices.iter().copied());
        path.enumerate()
            .map(|(period, price)| (period as f64 - 2.0, price))
            .collect::<Vec<_>>()
    };
    let others = &rivalry.prices[1..];
    let mean = others.iter().sum::<f64>() / others.len() as f64;
    let others =
        (!others.is_empty()).then(|| series("the others", before(mean, &deviation.others).into_iter()));
    let level = |name: &str, value: f64| Level {
        name: name.to_owned(),
        value,
    };
    let chart = LineChart {
        title: "Deviation test: the first seller leaves the path in period 0".to_owned(),
        x_name: "periods after the deviation".to_owned(),
        y_name: "mean price".to_owned(),
        series: std::iter::once(series(
            "the seller who deviates",
            before(rivalry.prices[0], &deviation.own).into_iter(),
        ))
        .chain(others)
        .collect(),
        levels: vec![level("cartel", monopoly_price), level("equilibrium", nash_price)],
    };
    Some(chart.html())
}

fn series(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        points: points.map(|(x, y)| Point { x, y, band: None }).collect(),
    }
}
