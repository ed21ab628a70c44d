//! What decisions are worth: accuracy, Brier and log loss of p, errors among automatic decisions.

use quorate_core::records::Status;
use serde::Serialize;

/// No logarithm is taken of less.
pub const P_LEAST: f64 = 0.001;
/// p this near one half is a tie.
const TIE: f64 = 1e-12;

/// What a rule made of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Where the item stands in its history.
    pub item: usize,
    /// Whether it was good.
    pub good: bool,
    /// The rule's probability that it is good.
    pub p: f64,
    /// What the rule would have done.
    pub status: Status,
}

/// The measures of a rule over items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// The share of items on whose better side p lies; a tie is half right.
    pub accuracy: f64,
    /// Mean of (p − truth)².
    pub brier: f64,
    /// Mean of −ln of the probability given to what turned out, p within [0.001, 0.999].
    pub log_loss: f64,
    /// The share of automatic decisions that were wrong; none without any.
    pub error_automatic: Option<f64>,
    /// The share of items that a person is asked about.
    pub escalated: f64,
}

/// Sums from which measures follow: of items as they are, or as they are drawn again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    items: f64,
    right: f64,
    brier: f64,
    log_loss: f64,
    automatic: f64,
    wrong: f64,
}

impl Row {
    /// What a rule made of the item at this place.
    #[must_use]
    pub const fn new(item: usize, good: bool, p: f64, status: Status) -> Self {
        Self {
            item,
            good,
            p,
            status,
        }
    }

    const fn truth(&self) -> f64 {
        if self.good { 1.0 } else { 0.0 }
    }

    /// 1 if p lies on the better side, ½ for a tie.
    #[must_use]
    pub const fn right(&self) -> f64 {
        let lead = self.p - 0.5;
        if lead.abs() < TIE {
            0.5
        } else if (lead > 0.0) == self.good {
            1.0
        } else {
            0.0
        }
    }

    /// How far p is from a coin flip.
    #[must_use]
    pub const fn sureness(&self) -> f64 {
        (self.p - 0.5).abs()
    }

    /// Whether it was decided without a person, and wrongly.
    #[must_use]
    pub const fn automatic(&self) -> Option<bool> {
        match self.status {
            Status::Escalated => None,
            Status::Approved => Some(!self.good),
            Status::Rejected => Some(self.good),
        }
    }

    /// This item alone.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let given = if self.good { self.p } else { 1.0 - self.p };
        let automatic = self.automatic();
        Sums {
            items: 1.0,
            right: self.right(),
            brier: (self.p - self.truth()).powi(2),
            log_loss: -given.clamp(P_LEAST, 1.0 - P_LEAST).ln(),
            automatic: f64::from(u8::from(automatic.is_some())),
            wrong: f64::from(u8::from(automatic == Some(true))),
        }
    }
}

impl Sums {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.items += other.items;
        self.right += other.right;
        self.brier += other.brier;
        self.log_loss += other.log_loss;
        self.automatic += other.automatic;
        self.wrong += other.wrong;
    }

    /// The measures that follow.
    #[must_use]
    pub fn measures(&self) -> Measures {
        let items = self.items.max(1.0);
        Measures {
            accuracy: self.right / items,
            brier: self.brier / items,
            log_loss: self.log_loss / items,
            error_automatic: (self.automatic > 0.0).then(|| self.wrong / self.automatic),
            escalated: 1.0 - self.automatic / items,
        }
    }
}

/// The measures over rows.
#[must_use]
pub fn measures<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Measures {
    let mut sums = Sums::default();
    for row in rows {
        sums.add(&row.sums());
    }
    sums.measures()
}

/// Accuracy on what is left once the least sure share of items is escalated, for each share.
///
/// Where equally sure items lie on the edge, so many of them are left as fit, each as right as they
/// are on average.
#[must_use]
pub fn accuracy_on_the_rest(rows: &[Row], shares: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<(f64, f64)> = rows.iter().map(|r| (r.sureness(), r.right())).collect();
    sorted.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    // Cumulated over groups of equally sure items, surest first.
    let mut groups: Vec<(f64, f64)> = vec![(0.0, 0.0)];
    let (mut items, mut right) = (0.0, 0.0);
    for group in sorted.chunk_by(|(one, _), (other, _)| (one - other).abs() < TIE) {
        items += group.len() as f64;
        right += group.iter().map(|(_, right)| right).sum::<f64>();
        groups.push((items, right));
    }
    let kept = |share: f64| {
        let wanted = (1.0 - share) * items;
        let at = groups.partition_point(|(items, _)| *items < wanted);
        let (upper, right_upper) = groups.get(at).copied().unwrap_or((items, right));
        let before = at.checked_sub(1).and_then(|at| groups.get(at)).copied();
        let (lower, right_lower) = before.unwrap_or((0.0, 0.0));
        let part = if upper > lower {
            (wanted - lower) / (upper - lower)
        } else {
            0.0
        };
        let right = right_lower + part * (right_upper - right_lower);
        if wanted > 0.0 { right / wanted } else { 1.0 }
    };
    shares.iter().map(|share| kept(*share)).collect()
}

/// Items whose p lies in one tenth of [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// How many.
    pub items: usize,
    /// Their mean p.
    pub p: f64,
    /// The share of them that was good.
    pub good: f64,
}

/// Rows by tenths of p; empty tenths are left out.
#[must_use]
pub fn reliability(rows: &[Row]) -> Vec<Bin> {
    let mut bins = [Bin::default(); 10];
    for row in rows {
        let tenth = (1..10).filter(|at| row.p >= f64::from(*at) / 10.0).count();
        if let Some(bin) = bins.get_mut(tenth) {
            bin.items += 1;
            bin.p += row.p;
            bin.good += row.truth();
        }
    }
    let mean = |bin: Bin| Bin {
        items: bin.items,
        p: bin.p / bin.items as f64,
        good: bin.good / bin.items as f64,
    };
    let full = bins.into_iter().filter(|bin| bin.items > 0);
    full.map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(f64, bool, Status)]) -> Vec<Row> {
        let numbered = of.iter().enumerate();
        numbered
            .map(|(at, &(p, good, status))| Row::new(at, good, p, status))
            .collect()
    }

    #[test]
    fn measures_by_hand() {
        let rows = rows(&[
            (0.9, true, Status::Approved),
            (0.8, false, Status::Approved),
            (0.5, true, Status::Escalated),
            (0.0, false, Status::Rejected),
        ]);
        let measures = measures(&rows);
        assert_eq!(measures.accuracy, 2.5 / 4.0);
        assert!((measures.brier - (0.01 + 0.64 + 0.25) / 4.0).abs() < 1e-12);
        let log_loss = -(0.9_f64.ln() + 0.2_f64.ln() + 0.5_f64.ln() + 0.999_f64.ln()) / 4.0;
        assert!((measures.log_loss - log_loss).abs() < 1e-12);
        assert_eq!(measures.error_automatic, Some(1.0 / 3.0));
        assert_eq!(measures.escalated, 0.25);
    }

    #[test]
    fn nothing_automatic_has_no_error() {
        let rows = rows(&[(0.6, true, Status::Escalated)]);
        assert_eq!(measures(&rows).error_automatic, None);
    }

    #[test]
    fn the_least_sure_are_escalated_first_and_equally_sure_ones_in_part() {
        let rows = rows(&[
            (0.9, true, Status::Approved),
            (0.1, true, Status::Rejected),
            (0.6, false, Status::Escalated),
            (0.4, true, Status::Escalated),
        ]);
        // Of the two sure ones one is right, of the two unsure ones none.
        let kept = accuracy_on_the_rest(&rows, &[0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(kept, [0.25, 1.0 / 3.0, 0.5, 0.5, 1.0]);
    }

    #[test]
    fn tenths_of_p_have_their_own_share() {
        let rows = rows(&[
            (0.95, true, Status::Approved),
            (1.0, false, Status::Approved),
            (0.1, false, Status::Rejected),
        ]);
        let bins = reliability(&rows);
        let told: Vec<_> = bins
            .iter()
            .map(|bin| (bin.items, bin.p, bin.good))
            .collect();
        assert_eq!(told, [(1, 0.1, 0.0), (2, 0.975, 0.5)]);
    }
}
