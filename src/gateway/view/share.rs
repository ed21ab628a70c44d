//! A share of some, and how sure one can be of it.

use serde::Serialize;
use utoipa::ToSchema;

/// z of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// How many of some, and Wilson's interval of that share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub(in crate::gateway) struct Share {
    /// How many there are.
    #[schema(minimum = 0)]
    pub(in crate::gateway) of: u64,
    /// How many of them.
    #[schema(minimum = 0)]
    pub(in crate::gateway) count: u64,
    /// Their share, 0 to 1; 0 of none.
    #[schema(minimum = 0, maximum = 1)]
    pub(in crate::gateway) share: f64,
    /// The lower end of the interval in which it is at 95 %.
    #[schema(minimum = 0, maximum = 1)]
    pub(in crate::gateway) low: f64,
    /// The upper end.
    #[schema(minimum = 0, maximum = 1)]
    pub(in crate::gateway) high: f64,
}

impl Share {
    /// So many of so many.
    pub(in crate::gateway) fn new(count: u64, of: u64) -> Self {
        if of == 0 {
            let (share, low, high) = (0.0, 0.0, 1.0);
            return Self {
                of,
                count,
                share,
                low,
                high,
            };
        }
        let (n, p) = (as_float(of), as_float(count) / as_float(of));
        let middle = p + Z * Z / (2.0 * n);
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Self {
            of,
            count,
            share: p,
            low: ((middle - half) / scale).clamp(0.0, 1.0),
            high: ((middle + half) / scale).clamp(0.0, 1.0),
        }
    }
}

/// A count as a float; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "nobody remembers that many records"
)]
const fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        // By the formula, worked out elsewhere.
        let share = Share::new(45, 50);
        assert!((share.low - 0.786_397_7).abs() < 1e-6, "{share:?}");
        assert!((share.high - 0.956_524_2).abs() < 1e-6, "{share:?}");
        let all = Share::new(3, 3);
        assert!(
            all.high > 0.999 && all.low > 0.43 && all.low < 0.44,
            "{all:?}"
        );
        let none = Share::new(0, 0);
        assert_eq!((none.low, none.high), (0.0, 1.0), "nothing is known");
    }
}
