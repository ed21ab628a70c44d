//! Plain decimals compared exactly, whatever their length or exponent.
//!
//! A plain decimal is an optional sign, digits, an optional fraction and an optional exponent:
//! `-12.50e3`, and so every JSON number. No white space, no bare point, no infinity. Nothing is
//! converted and nothing allocated: the digits are compared where they stand.

use core::cmp::Ordering;

/// A plain decimal, borrowed from its text.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: Exponent<'a>,
}

/// A power of ten of any length.
#[derive(Clone, Copy, Debug)]
struct Exponent<'a> {
    negative: bool,
    digits: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads a plain decimal; none if the text is anything else.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent),
            None => (text, "0"),
        };
        let (negative, mantissa) = signed(mantissa);
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, digits(fraction)?),
            None => (mantissa, ""),
        };
        let (exponent_negative, exponent) = signed(exponent);
        Some(Self {
            negative,
            whole: digits(whole)?,
            fraction,
            exponent: Exponent {
                negative: exponent_negative,
                digits: digits(exponent)?,
            },
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    /// Zeros before the first other digit; none for zero.
    fn leading_zeros(&self) -> Option<usize> {
        self.digits().position(|digit| digit != b'0')
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.leading_zeros(), self.negative) {
            (None, _) => 0,
            (Some(_), true) => -1,
            (Some(_), false) => 1,
        }
    }

    /// Compares two that are not zero by what they are without their signs.
    fn compare_magnitudes(&self, other: &Self) -> Ordering {
        // Each is 0.d… × 10^(point + exponent) with d > 0, so the greater power is the greater.
        let point = |one: &Self| {
            let zeros = one.leading_zeros().unwrap_or(0);
            as_wide(one.whole.len()) - as_wide(zeros)
        };
        let powers = self.exponent.minus(other.exponent) + point(self) - point(other);
        powers.cmp(&0).then_with(|| {
            let significant = |one: &Self| one.digits().skip_while(|&digit| digit == b'0');
            let (mut left, mut right) = (significant(self), significant(other));
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        })
    }
}

impl Exponent<'_> {
    /// The difference, exact where a text's length could still make it up.
    fn minus(self, other: Self) -> i128 {
        const FAR: i128 = 1 << 100;
        let length = self.digits.len().max(other.digits.len());
        let padded = |one: Self| {
            let sign = if one.negative { -1 } else { 1 };
            core::iter::repeat_n(b'0', length - one.digits.len())
                .chain(one.digits.bytes())
                .map(move |digit| sign * i128::from(digit - b'0'))
        };
        padded(self)
            .zip(padded(other))
            // Once that far from zero, no later digit leads back: 10 × FAR - 18 > FAR.
            .fold(0, |sum, (a, b)| (sum * 10 + a - b).clamp(-FAR, FAR))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign()
            .cmp(&other.sign())
            .then_with(|| match self.sign() {
                0 => Ordering::Equal,
                1 => self.compare_magnitudes(other),
                _ => other.compare_magnitudes(self),
            })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())).then_some(text)
}

fn as_wide(length: usize) -> i128 {
    i128::try_from(length).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::cases;

    fn compare(left: &str, right: &str) -> Ordering {
        Decimal::parse(left)
            .unwrap()
            .cmp(&Decimal::parse(right).unwrap())
    }

    #[test]
    fn only_plain_decimals_are_read() {
        for text in ["0", "-0", "+1", "007", "1.50", "1e5", "1E+5", "-1.5e-05"] {
            assert!(Decimal::parse(text).is_some(), "{text}");
        }
        for text in [
            "", "-", "+", ".5", "5.", "1e", "1e+", "e5", " 1", "1 ", "1,000", "1_000", "0x10",
            "NaN", "inf", "--1", "1.2.3", "1e1.5", "1e5e5", "１",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn values_are_compared_and_not_their_spelling() {
        for (left, right) in [
            ("1", "1.0"),
            ("-0", "0.00e9"),
            ("007", "7"),
            ("1e3", "1000"),
            ("0.001", "1e-3"),
            ("12.5e-1", "1.25"),
            ("0e999999999999999999999999", "0"),
        ] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} {right}");
        }
    }

    #[test]
    fn a_digit_far_behind_the_precision_of_doubles_decides() {
        assert_eq!(
            compare("10000.00000000000000000001", "10000"),
            Ordering::Greater
        );
        assert_eq!(
            compare("0.1", "0.1000000000000000055511151231257827"),
            Ordering::Less
        );
        assert_eq!(compare("-2", "1"), Ordering::Less);
        assert_eq!(compare("-2", "-1"), Ordering::Less);
    }

    #[test]
    fn exponents_of_any_length_are_exact() {
        let nines = "9".repeat(60);
        let eights = format!("{}8", "9".repeat(59));
        let (more, less) = (format!("1e{nines}"), format!("1e{eights}"));
        assert_eq!(compare(&more, &less), Ordering::Greater);
        assert_eq!(compare(&more, &format!("10e{eights}")), Ordering::Equal);
        assert_eq!(compare(&more, &format!("10.1e{eights}")), Ordering::Less);
        assert_eq!(compare(&format!("1e-{nines}"), "0"), Ordering::Greater);
        assert_eq!(
            compare(&format!("1e-{nines}"), &format!("1e-{eights}")),
            Ordering::Less
        );
        assert_eq!(compare(&format!("-1e{nines}"), "-5"), Ordering::Less);
    }

    /// A decimal of integer × 10^(point) as text, written with its point `places` from the right
    /// and the exponent that makes up for it.
    fn spelled(integer: i64, power: i32, places: usize) -> String {
        let digits = format!("{:0width$}", integer.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if integer < 0 { "-" } else { "" };
        let point = if places > 0 { "." } else { "" };
        let exponent = power + i32::try_from(places).unwrap();
        format!("{sign}{whole}{point}{fraction}e{exponent}")
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn order_is_that_of_integers_scaled_alike(
            (a, b) in (-2000_i64..2000, -2000_i64..2000),
            (p, q) in (-6_i32..6, -6_i32..6),
            (i, j) in (0_usize..8, 0_usize..8),
        ) {
            let scaled = |integer: i64, power: i32| {
                i128::from(integer) * 10_i128.pow(u32::try_from(power + 6).unwrap())
            };
            prop_assert_eq!(
                compare(&spelled(a, p, i), &spelled(b, q, j)),
                scaled(a, p).cmp(&scaled(b, q))
            );
        }

        #[test]
        fn what_is_read_is_what_doubles_read_with_every_point_between_digits(
            text in "[-+]{0,2}[0-9.]{0,4}([eE][-+0-9.]{0,3})?"
        ) {
            let digit = |c: Option<&u8>| c.is_some_and(u8::is_ascii_digit);
            let bytes = text.as_bytes();
            let inside = (0..bytes.len()).filter(|&at| bytes[at] == b'.').all(|at| {
                at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
            });
            let double = text.parse::<f64>().is_ok();
            prop_assert_eq!(Decimal::parse(&text).is_some(), double && inside);
        }
    }
}
