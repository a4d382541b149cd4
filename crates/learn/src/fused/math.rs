//! Elementary functions without branches, so that loops over them become vector instructions.

/// Rational approximation of `tanh` (as in Eigen's `ptanh`), absolute error below 4e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    /// Beyond this the result is 1 in single precision.
    const FLAT: f32 = 7.905_311;
    let x = x.clamp(-FLAT, FLAT);
    let square = x * x;
    let top = square.mul_add(-2.760_768_5e-16, 2.000_188e-13);
    let top = square.mul_add(top, -8.604_672e-11);
    let top = square.mul_add(top, 5.122_297e-8);
    let top = square.mul_add(top, 1.485_722_4e-5);
    let top = square.mul_add(top, 6.372_619_4e-4);
    let top = square.mul_add(top, 4.893_525e-3);
    let bottom = square.mul_add(1.198_258_4e-6, 1.185_347_1e-4);
    let bottom = square.mul_add(bottom, 2.268_434_7e-3);
    let bottom = square.mul_add(bottom, 4.893_525_3e-3);
    x * top / bottom
}

/// `exp` for numbers up to 88, relative error below 3e-7; 0 below -87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// 1.5 x 2^23: adding it leaves the nearest whole number in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let scaled = x.clamp(-87.0, 88.0) * std::f32::consts::LOG2_E;
    let whole = (scaled + ROUND) - ROUND;
    let rest = (scaled - whole) * std::f32::consts::LN_2;
    let power = rest.mul_add(1.0 / 720.0, 1.0 / 120.0);
    let power = rest.mul_add(power, 1.0 / 24.0);
    let power = rest.mul_add(power, 1.0 / 6.0);
    let power = rest.mul_add(power, 0.5);
    let power = rest.mul_add(power, 1.0);
    let power = rest.mul_add(power, 1.0);
    let bits = ((scaled + ROUND).to_bits() << 23).wrapping_add(0x3f80_0000);
    let result = power * f32::from_bits(bits);
    if x < -87.0 { 0.0 } else { result }
}

/// Natural logarithm of a normal positive number (Cephes `logf`), absolute error below 1e-6 + 1e-7 of the result.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    // The mantissa in [sqrt 1/2, sqrt 2): the exponent of what is left is even around 1.
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (shifted as i32) >> 23;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let square = mantissa * mantissa;
    let series = mantissa.mul_add(7.037_684e-2, -1.151_461e-1);
    let series = mantissa.mul_add(series, 1.167_699_9e-1);
    let series = mantissa.mul_add(series, -1.242_014_1e-1);
    let series = mantissa.mul_add(series, 1.424_932_3e-1);
    let series = mantissa.mul_add(series, -1.666_805_7e-1);
    let series = mantissa.mul_add(series, 2.000_071_5e-1);
    let series = mantissa.mul_add(series, -2.499_999_4e-1);
    let series = mantissa.mul_add(series, 3.333_333e-1);
    let tail = square.mul_add(mantissa * series, -0.5 * square);
    (exponent as f32).mul_add(std::f32::consts::LN_2, mantissa + tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(from: f32, to: f32, error: impl Fn(f32) -> f64) -> f64 {
        (0..=200_000)
            .map(|n| error(from + (to - from) * n as f32 / 200_000.0))
            .fold(0.0, f64::max)
    }

    #[test]
    fn they_are_the_functions_they_are_called() {
        let tanh = worst(-12.0, 12.0, |x| (f64::from(tanh(x)) - f64::from(x).tanh()).abs());
        assert!(tanh < 4e-7, "{tanh}");
        let exp = worst(-86.9, 87.0, |x| {
            (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs()
        });
        assert!(exp < 4e-6, "{exp}"); // the argument's own rounding grows with it
        let near = worst(-1.0, 1.0, |x| {
            (f64::from(super::exp(x)) / f64::from(x).exp() - 1.0).abs()
        });
        assert!(near < 3e-7, "{near}");
        let ln = worst(-86.0, 0.5, |x| {
            let x = f64::from(x).exp() as f32;
            let truth = f64::from(x).ln();
            (f64::from(ln(x)) - truth).abs() / (1.0 + 0.1 * truth.abs())
        });
        assert!(ln < 1e-6, "{ln}");
        assert_eq!(super::exp(-200.0), 0.0);
        assert_eq!(super::ln(1.0), 0.0);
    }
}
