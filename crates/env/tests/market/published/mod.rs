//! Every market of `envs/` against published numbers, and against solvers that share nothing with the ones under test.

mod seasons;
mod sellers;
mod shoppers;

/// The printed number, to 1e-6 or half a unit of its last digit.
#[track_caller]
fn close(got: f64, printed: f64, digits: i32) {
    let tolerance = 1e-6 * printed.abs() + 0.5 * 10f64.powi(-digits);
    assert!((got - printed).abs() <= tolerance, "{got} is not {printed}");
}
