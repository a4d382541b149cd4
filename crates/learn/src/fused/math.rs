//! Elementary functions on vectors, without branches.

use pulp::Simd;

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

/// `x` where it lies between the two, else the nearer one.
#[inline(always)]
pub(crate) fn clamp<S: Simd>(simd: S, x: S::f32s, low: f32, high: f32) -> S::f32s {
    simd.min_f32s(simd.max_f32s(x, simd.splat_f32s(low)), simd.splat_f32s(high))
}

/// Rational approximation of `tanh` (as in Eigen's `ptanh`), absolute error below 4e-7.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Beyond this the result is 1 in single precision.
    const FLAT: f32 = 7.905_311;
    const TOP: [f32; 7] = [
        -2.760_768_5e-16,
        2.000_188e-13,
        -8.604_672e-11,
        5.122_297e-8,
        1.485_722_4e-5,
        6.372_619_4e-4,
        4.893_525e-3,
    ];
    const BOTTOM: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_7e-3, 4.893_525_3e-3];
    let x = clamp(simd, x, -FLAT, FLAT);
    let square = simd.mul_f32s(x, x);
    let top = simd.mul_f32s(x, polynomial(simd, square, TOP));
    simd.div_f32s(top, polynomial(simd, square, BOTTOM))
}

/// `exp` for numbers up to 88, relative error below 3e-7 near 0; 0 below -87.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// 1.5 x 2^23: adding it leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const TAYLOR: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let low = simd.splat_f32s(-87.0);
    let scaled = simd.mul_f32s(
        clamp(simd, x, -87.0, 88.0),
        simd.splat_f32s(std::f32::consts::LOG2_E),
    );
    let shifted = simd.add_f32s(scaled, simd.splat_f32s(ROUND));
    let rest = simd.sub_f32s(scaled, simd.sub_f32s(shifted, simd.splat_f32s(ROUND)));
    let rest = simd.mul_f32s(rest, simd.splat_f32s(std::f32::consts::LN_2));
    let whole = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(whole, simd.splat_u32s(1f32.to_bits())));
    let result = simd.mul_f32s(power, polynomial(simd, rest, TAYLOR));
    simd.select_f32s(simd.less_than_f32s(x, low), simd.splat_f32s(0.0), result)
}

/// Natural logarithm of a normal positive number (Cephes `logf`), absolute error below 1e-6 + 1e-7 of the result.
#[inline(always)]
pub(crate) fn ln<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// The square root of 1/2: mantissas lie between it and its double, even around 1.
    const LEAST: u32 = 0x3f35_04f3;
    /// 2^23, whose lowest bits count; and what counts as exponent 0.
    const COUNT: f32 = 8_388_608.0;
    const BIAS: f32 = 127.0;
    const SERIES: [f32; 9] = [
        7.037_684e-2,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let bits = simd.add_u32s(
        simd.transmute_u32s_f32s(x),
        simd.splat_u32s(1f32.to_bits() - LEAST),
    );
    let count = simd.or_u32s(
        simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23)),
        simd.splat_u32s(COUNT.to_bits()),
    );
    let exponent = simd.sub_f32s(simd.transmute_f32s_u32s(count), simd.splat_f32s(COUNT + BIAS));
    let mantissa = simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff));
    let mantissa = simd.transmute_f32s_u32s(simd.add_u32s(mantissa, simd.splat_u32s(LEAST)));
    let rest = simd.sub_f32s(mantissa, simd.splat_f32s(1.0));
    let square = simd.mul_f32s(rest, rest);
    let series = simd.mul_f32s(rest, polynomial(simd, rest, SERIES));
    let tail = simd.mul_f32s(square, simd.sub_f32s(series, simd.splat_f32s(0.5)));
    simd.mul_add_e_f32s(
        exponent,
        simd.splat_f32s(std::f32::consts::LN_2),
        simd.add_f32s(rest, tail),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Scalar;

    fn worst(from: f32, to: f32, error: impl Fn(f32) -> f64) -> f64 {
        (0..=200_000)
            .map(|n| error(from + (to - from) * n as f32 / 200_000.0))
            .fold(0.0, f64::max)
    }

    #[test]
    fn they_are_the_functions_they_are_called() {
        let simd = Scalar::new();
        let tanh = worst(-12.0, 12.0, |x| {
            (f64::from(tanh(simd, x)) - f64::from(x).tanh()).abs()
        });
        assert!(tanh < 4e-7, "{tanh}");
        let relative = |x: f32| (f64::from(exp(simd, x)) / f64::from(x).exp() - 1.0).abs();
        let far = worst(-86.9, 87.0, relative);
        assert!(far < 4e-6, "{far}"); // the argument's own rounding grows with it
        let near = worst(-1.0, 1.0, relative);
        assert!(near < 3e-7, "{near}");
        let ln = worst(-86.0, 0.5, |x| {
            let x = f64::from(x).exp() as f32;
            let truth = f64::from(x).ln();
            (f64::from(ln(simd, x)) - truth).abs() / (1.0 + 0.1 * truth.abs())
        });
        assert!(ln < 1e-6, "{ln}");
        assert_eq!(exp(simd, -200.0), 0.0);
        assert_eq!(super::ln(simd, 1.0), 0.0);
    }
}
