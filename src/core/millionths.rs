//! Fixed-point numbers: every quantity a decision rests on is a whole number of millionths.
//!
//! A double from the wire is admitted once, by [`Millionths::admit`], and refused, never clamped,
//! when it is not a number in [0, 1]. What is published as a double is the exact millionths, so
//! that reading it back gives the same integer.

use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One whole, in millionths.
pub const ONE: u64 = 1_000_000;

/// A number in [0, 1], in millionths; a double on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millionths(u32);

/// The refusal of a double that is not a number in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("number is not in [0, 1]")]
pub struct OutOfRange;

impl Millionths {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One whole.
    pub const ONE: Self = Self(1_000_000);

    /// Takes a whole number of millionths, at most one million.
    #[must_use]
    pub const fn new(millionths: u32) -> Option<Self> {
        if millionths as u64 <= ONE {
            Some(Self(millionths))
        } else {
            None
        }
    }

    /// Admits a double: rint(x × 10⁶), half to even (protocol section 2).
    ///
    /// # Errors
    /// [`OutOfRange`] for NaN, infinities and values outside [0, 1]; a negative zero is zero.
    pub fn admit(x: f64) -> Result<Self, OutOfRange> {
        if !(0.0..=1.0).contains(&x) {
            return Err(OutOfRange);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "x is in [0, 1], so the product is a whole number of at most one million"
        )]
        let millionths = libm::rint(x * 1e6) as u32;
        Ok(Self(millionths))
    }

    /// The whole number of millionths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0 as u64
    }

    /// The double that is published: exactly the millionths.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl fmt::Display for Millionths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.get() / ONE, self.get() % ONE)
    }
}

impl Serialize for Millionths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

impl<'de> Deserialize<'de> for Millionths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::admit(deserializer.deserialize_f64(Double)?).map_err(de::Error::custom)
    }
}

/// A sum of weights, in millionths; a double on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum(u64);

impl Sum {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest sum a double holds exactly; a round's sum is at most 2 × 10⁹.
    pub const MAX: Self = Self(1 << 52);

    /// Takes a whole number of millionths, saturating at [`Sum::MAX`].
    #[must_use]
    pub const fn new(millionths: u64) -> Self {
        if millionths < Self::MAX.0 {
            Self(millionths)
        } else {
            Self::MAX
        }
    }

    /// The whole number of millionths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The double that is published.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a sum is at most 2^52")]
    pub const fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / ONE, self.0 % ONE)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let x = deserializer.deserialize_f64(Double)?;
        if !(0.0..=Self::MAX.to_f64()).contains(&x) {
            return Err(de::Error::custom(
                "sum is negative, too large or not a number",
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie between zero and the largest sum"
        )]
        let millionths = libm::rint(x * 1e6) as u64;
        Ok(Self::new(millionths))
    }
}

/// Reads a double, or an integer where JSON or a promoted Avro field has one.
struct Double;

impl Visitor<'_> for Double {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, x: f64) -> Result<f64, E> {
        Ok(x)
    }

    fn visit_f32<E>(self, x: f32) -> Result<f64, E> {
        Ok(f64::from(x))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what is out of range is refused afterwards"
    )]
    fn visit_i64<E>(self, x: i64) -> Result<f64, E> {
        Ok(x as f64)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what is out of range is refused afterwards"
    )]
    fn visit_u64<E>(self, x: u64) -> Result<f64, E> {
        Ok(x as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_admitted_half_to_even_and_refused_outside() {
        assert_eq!(Millionths::admit(0.000_000_5), Ok(Millionths(0)));
        assert_eq!(Millionths::admit(0.000_001_5), Ok(Millionths(2)));
        assert_eq!(Millionths::admit(-0.0), Ok(Millionths::ZERO));
        assert_eq!(Millionths::admit(1.0), Ok(Millionths::ONE));
        for x in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1.000_000_5,
            -1e-300,
            1e308,
        ] {
            assert_eq!(Millionths::admit(x), Err(OutOfRange), "{x}");
        }
    }

    #[test]
    fn every_millionth_survives_publication() {
        let step = if cfg!(miri) { 9_973 } else { 1 };
        for m in (0..=1_000_000).step_by(step) {
            let published = Millionths(m).to_f64();
            assert_eq!(Millionths::admit(published), Ok(Millionths(m)));
        }
    }
}
