//! Numbers read exactly from their literals, never through a float.

/// A decimal literal in parts: value = `int.frac` * 10^`exp`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Num<'a> {
    negative: bool,
    int: &'a [u8],
    frac: &'a [u8],
    exp: i64,
}

/// Why a number does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Digits after the point would be lost.
    Fraction,
    /// Too large.
    Range,
}

/// What becomes of digits behind the last one kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// They must be zero.
    Exact,
    /// Half away from zero.
    HalfUp,
    /// Down, towards minus infinity.
    Floor,
    /// Cut, towards zero.
    Cut,
}

/// Digits that fit into every `i128`.
const MAX_DIGITS: i64 = 38;

impl<'a> Num<'a> {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, one of the two groups of digits being enough.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        let (int, rest) = digits(rest);
        let (frac, rest) = match rest.split_first() {
            Some((b'.', rest)) => digits(rest),
            _ => (&[][..], rest),
        };
        if int.is_empty() && frac.is_empty() {
            return None;
        }
        let exp = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', rest)) => exponent(rest)?,
            Some(_) => return None,
        };

        Some(Self { negative, int, frac, exp })
    }

    /// The value times 10^`scale` as a whole number of at most 38 digits.
    pub(crate) fn scaled(&self, scale: i64, round: Round) -> Result<i128, Misfit> {
        let mut digits = self.int.iter().chain(self.frac).map(|d| d - b'0').peekable();
        let mut count = i64::try_from(self.int.len() + self.frac.len()).unwrap_or(i64::MAX);
        while digits.next_if_eq(&0).is_some() {
            count -= 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let frac = i64::try_from(self.frac.len()).unwrap_or(i64::MAX);
        let shift = self.exp.saturating_sub(frac).saturating_add(scale);
        let keep = count.saturating_add(shift);
        if keep > MAX_DIGITS {
            return Err(Misfit::Range);
        }

        let mut value = 0u128;
        for _ in 0..keep.min(count).max(0) {
            value = value * 10 + u128::from(digits.next().unwrap_or(0));
        }
        for _ in 0..shift.max(0) {
            value *= 10;
        }
        let first_dropped = if keep < 0 { 0 } else { digits.peek().copied().unwrap_or(0) };
        let lossy = digits.any(|d| d != 0);
        match round {
            Round::Exact if lossy => return Err(Misfit::Fraction),
            Round::HalfUp if first_dropped >= 5 => value += 1,
            Round::Floor if lossy && self.negative => value += 1,
            _ => {}
        }
        let value = i128::try_from(value).map_err(|_| Misfit::Range)?;

        Ok(if self.negative { -value } else { value })
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let (digits, rest) = digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    // Larger exponents than this change nothing: the number is zero or out of range either way.
    let value = digits.iter().fold(0i64, |v, d| (v * 10 + i64::from(d - b'0')).min(1_000_000_000));

    Some(if negative { -value } else { value })
}

/// A whole number of up to 18 plain digits; anything else needs [`Num`].
#[inline]
pub(crate) fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for d in digits {
        let d = d.wrapping_sub(b'0');
        if d > 9 {
            return None;
        }
        value = value * 10 + i64::from(d);
    }

    Some(if negative { -value } else { value })
}

/// A whole number between `min` and `max`.
pub(crate) fn integer(text: &[u8], min: i64, max: i64) -> Option<Result<i64, Misfit>> {
    let value = match short_integer(text) {
        Some(value) => Ok(i128::from(value)),
        None => Num::parse(text)?.scaled(0, Round::Exact),
    };

    Some(value.and_then(|v| match i64::try_from(v) {
        Ok(v) if (min..=max).contains(&v) => Ok(v),
        _ => Err(Misfit::Range),
    }))
}

/// `decimal(precision, scale)` as a whole number of its last digit, rounded half up.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<Result<i128, Misfit>> {
    let value = Num::parse(text)?.scaled(i64::from(scale), Round::HalfUp);
    let limit = 10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);

    Some(value.and_then(|v| if v.abs() < limit { Ok(v) } else { Err(Misfit::Range) }))
}

/// The nearest float; also `nan`, `inf` and `infinity`, signed or not, in any case.
pub(crate) fn float<F>(text: &[u8]) -> Option<Result<F, Misfit>>
where
    F: std::str::FromStr + Into<f64> + Copy,
{
    let text = std::str::from_utf8(text).ok()?;
    let word = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_word = ["nan", "inf", "infinity"].iter().any(|w| word.eq_ignore_ascii_case(w));
    if !is_word {
        Num::parse(text.as_bytes())?;
    }
    let value: F = text.parse().ok()?;
    let wide: f64 = value.into();

    Some(if wide.is_infinite() && !is_word { Err(Misfit::Range) } else { Ok(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_and_checked() {
        use Misfit::{Fraction, Range};
        for (text, expected) in [
            ("42", Some(Ok(42))),
            ("+42", Some(Ok(42))),
            ("-0", Some(Ok(0))),
            ("007", Some(Ok(7))),
            ("9007199254740993.0", Some(Ok(9_007_199_254_740_993))),
            ("9223372036854775807", Some(Ok(i64::MAX))),
            ("-9223372036854775808", Some(Ok(i64::MIN))),
            ("9223372036854775808", Some(Err(Range))),
            ("1e3", Some(Ok(1000))),
            ("1.0e3", Some(Ok(1000))),
            ("1500e-2", Some(Ok(15))),
            ("1e400", Some(Err(Range))),
            ("0e999999999999999999", Some(Ok(0))),
            ("1e-999999999999999999", Some(Err(Fraction))),
            ("42.9", Some(Err(Fraction))),
            (".5", Some(Err(Fraction))),
            ("1_000", None),
            ("4,200", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1e", None),
            ("NaN", None),
            ("0x10", None),
            ("\u{0664}", None),
        ] {
            assert_eq!(integer(text.as_bytes(), i64::MIN, i64::MAX), expected, "{text}");
        }
        assert_eq!(integer(b"128", -128, 127), Some(Err(Range)));
        assert_eq!(integer(b"-128", -128, 127), Some(Ok(-128)));
    }

    #[test]
    fn decimals_round_half_up_and_are_checked() {
        for (text, expected) in [
            ("123.45", Some(Ok(12_345))),
            ("123.455", Some(Ok(12_346))),
            ("-123.455", Some(Ok(-12_346))),
            ("0.125", Some(Ok(13))),
            ("0.005", Some(Ok(1))),
            ("0.0049999", Some(Ok(0))),
            ("1E+3", Some(Ok(100_000))),
            ("99999999.994", Some(Ok(9_999_999_999))),
            ("99999999.995", Some(Err(Misfit::Range))),
            ("1234567890123.45", Some(Err(Misfit::Range))),
            ("abc", None),
        ] {
            assert_eq!(decimal(text.as_bytes(), 10, 2), expected, "{text}");
        }
        let nines = "9".repeat(38);
        assert_eq!(decimal(nines.as_bytes(), 38, 0), Some(Ok(10i128.pow(38) - 1)));
        assert_eq!(decimal(format!("{nines}.5").as_bytes(), 38, 0), Some(Err(Misfit::Range)));
        assert_eq!(decimal(b"9007199254740993.12", 20, 2), Some(Ok(900_719_925_474_099_312)));
    }

    #[test]
    fn floats_overflow_is_an_error_and_words_are_kept() {
        assert_eq!(float::<f64>(b"1e5"), Some(Ok(1e5)));
        assert_eq!(float::<f64>(b".5"), Some(Ok(0.5)));
        assert_eq!(float::<f64>(b"1e400"), Some(Err(Misfit::Range)));
        assert_eq!(float::<f32>(b"1e39"), Some(Err(Misfit::Range)));
        assert_eq!(float::<f64>(b"-Infinity"), Some(Ok(f64::NEG_INFINITY)));
        assert_eq!(float::<f64>(b"+inf"), Some(Ok(f64::INFINITY)));
        assert!(float::<f64>(b"NaN").unwrap().unwrap().is_nan());
        for text in ["1_0.5", "1,5", "", "infinite", "--1"] {
            assert_eq!(float::<f64>(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn rounding_directions() {
        let of = |text: &str, round| Num::parse(text.as_bytes()).unwrap().scaled(0, round);
        assert_eq!(of("-1.5", Round::Floor), Ok(-2));
        assert_eq!(of("1.5", Round::Floor), Ok(1));
        assert_eq!(of("-1.5", Round::Cut), Ok(-1));
        assert_eq!(of("-1.5", Round::HalfUp), Ok(-2));
    }
}
