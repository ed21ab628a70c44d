//! Bounds what each ballot may come to weigh while some agents have not spoken.
//!
//! Without caps a weight is what it is. Under a cap a ballot weighs least when its own group grows
//! by all who may join it and nobody else speaks, and most the other way round.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::caps::{Cap, Group, limited};
use super::count::{Control, uncapped};
use super::{Case, Voice};
use crate::electorate::Standing;
use crate::millionths::Millionths;
use crate::records::Verdict;
use crate::trust;

/// An agent that may yet speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending<'a> {
    pub(crate) standing: &'a Standing,
    /// The most its ballot can weigh.
    pub(crate) weight: u64,
    pub(crate) is_proposer: bool,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(standing: &'a Standing, is_proposer: bool) -> Self {
        Self {
            standing,
            weight: trust::weight(standing.authority, Millionths::ONE, standing.trust),
            is_proposer,
        }
    }
}

/// A ballot of a qualified agent, and the least and most it may come to weigh.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) voice: &'a Voice,
    least: u64,
    most: u64,
}

impl Bounds<'_> {
    /// The least, or the most, it may come to weigh.
    pub(crate) const fn weight(&self, most: bool) -> u64 {
        if most { self.most } else { self.least }
    }

    pub(crate) fn speaks(&self) -> bool {
        self.voice.verdict != Verdict::Abstain
    }
}

/// The bounds of what has been said; observers and suspended agents are left out.
pub(crate) fn bounds<'a>(
    case: &Case<'a>,
    heard: &[&'a Voice],
    pending: &[Pending<'a>],
) -> Vec<Bounds<'a>> {
    let mut ballots: Vec<Bounds<'a>> = heard
        .iter()
        .map(|voice| uncapped(case, voice, Control::Obeyed))
        .filter(|counted| counted.is_counted())
        .map(|counted| Bounds {
            voice: counted.voice,
            least: counted.weight,
            most: counted.weight,
        })
        .collect();
    let whole = ballots.clone();
    for cap in Cap::ALL {
        let Some(share) = cap.share(case.policy) else {
            continue;
        };
        let sums = Sums::new(cap, &whole, pending);
        for (ballot, whole) in ballots.iter_mut().zip(&whole) {
            let (least, most) = sums.bounds(whole, share);
            ballot.least = ballot.least.min(least);
            ballot.most = ballot.most.min(most);
        }
    }
    ballots
}

/// What each group weighs, and what may join it.
struct Sums<'a> {
    cap: Cap,
    /// By group: what was said, and what may be.
    groups: BTreeMap<Group<'a>, (u128, u128)>,
    said: u128,
    pending: u128,
}

impl<'a> Sums<'a> {
    fn new(cap: Cap, ballots: &[Bounds<'a>], pending: &[Pending<'a>]) -> Self {
        let mut sums = Self {
            cap,
            groups: BTreeMap::new(),
            said: 0,
            pending: 0,
        };
        for Bounds { voice, most, .. } in ballots {
            let group = cap.group(&voice.standing, voice.agent_id.as_str());
            sums.groups.entry(group).or_default().0 += u128::from(*most);
            sums.said += u128::from(*most);
        }
        for Pending {
            standing, weight, ..
        } in pending
        {
            if let Some(group) = cap.shared_group(standing) {
                sums.groups.entry(group).or_default().1 += u128::from(*weight);
            }
            sums.pending += u128::from(*weight);
        }
        sums
    }

    /// The least and most a ballot of this whole weight may come to weigh.
    fn bounds(&self, ballot: &Bounds<'a>, share: Millionths) -> (u64, u64) {
        let Voice {
            standing, agent_id, ..
        } = ballot.voice;
        let group = self.cap.group(standing, agent_id.as_str());
        let (sum, joining) = self.groups.get(&group).copied().unwrap_or((0, 0));
        let (rest, opposing) = (self.said - sum, self.pending - joining);
        let least = match (rest, opposing) {
            // A group that is alone has no cap, until a word of another gives it a low one.
            (0, 1..) => 0,
            _ => limited(ballot.most, sum + joining, rest, share),
        };
        let most = match rest {
            0 => ballot.most,
            _ => limited(ballot.most, sum, rest + opposing, share),
        };
        (least, most)
    }
}
