//! Who takes part, what they propose and what they say: all of it follows from a round's number, in
//! the proportions of the peer's data.

use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::records::{Action, Proposal, Response, Stakes, Verdict};

const AGENTS: u64 = 50;
const DOMAINS: u64 = 8;
const WORDS: &str = "the evidence supports this claim but risk of rollback latency budget schema \
    drift partition quorum agent review shows cost model within bounds prior incident suggests \
    caution deploy window traffic peak error rate baseline test coverage adequate security posture \
    unknown dependency version pinned replay verified outcome needs human approval because data \
    retention policy conflicts domain expert agrees capacity headroom thirty percent observed \
    metric stable";

/// The policy of every round. The margin is the peer's, said of endorsements and challenges alone,
/// so that as many rounds escalate; no weight is asked for, so that one endorsement may be enough.
pub(crate) fn policies() -> String {
    let margin = std::env::var("MARGIN").unwrap_or_else(|_| "0.235".to_owned());
    format!(
        "[[policy]]\npattern = \"bench\"\nquorum_margin = {margin}\nmin_weight = 0\n\
         min_confidence = 0\nproposer_counts = false\n\
         deadline_min = \"1 ms\"\nmax_open_per_proposer = 1000000000\n"
    )
}

/// The agents, each with a record and an authority in every domain.
pub(crate) fn agents() -> String {
    let agent = |number: u64| {
        let mut numbers = Numbers(7_777 + number);
        let right = 15 + numbers.below(35);
        let grants = (0..DOMAINS).map(|domain| {
            let authority = 20 + numbers.below(81);
            format!(
                "{{ domain = \"bench.d{domain}\", authority = {:.2}, \
                 prior = {{ right = {right}, wrong = 8, source = \"bench\" }} }}",
                authority as f64 / 100.0
            )
        });
        let grants: Vec<String> = grants.collect();
        format!(
            "[[agent]]\nagent_id = \"agent-{number:02}\"\nprincipal = \"team-{:02}\"\n\
             domains = [{}]\n",
            number % 20,
            grants.join(", ")
        )
    };
    (0..AGENTS).map(agent).collect()
}

/// Numbers that follow from a seed (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From a half to one.
    fn upper_half(&mut self) -> f64 {
        0.5 + 0.5 * (self.below(1 << 20) as f64 / f64::from(1 << 20))
    }

    fn text(&mut self, at_least: usize) -> String {
        let words = words();
        let mut text = String::with_capacity(at_least + 16);
        while text.len() < at_least {
            if !text.is_empty() {
                text.push(' ');
            }
            let at = usize::try_from(self.below(words.len() as u64)).unwrap();
            text.push_str(words.get(at).unwrap());
        }
        text
    }
}

fn words() -> &'static [&'static str] {
    static WORDS_LIST: std::sync::LazyLock<Vec<&str>> =
        std::sync::LazyLock::new(|| WORDS.split_whitespace().collect());
    &WORDS_LIST
}

/// A round of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// What tells its run from others.
    pub(crate) run: u64,
    /// Its number in the run.
    pub(crate) number: u64,
    /// When it was proposed.
    pub(crate) at: Timestamp,
}

impl Round {
    /// UUIDv7 of its time and number.
    pub(crate) fn id(&self) -> ProposalId {
        let time = self.at.0.to_be_bytes();
        let [_, _, a, b, c, d, e, f] = time;
        let mut numbers = Numbers(self.run ^ self.number.wrapping_mul(0x1000_0000_01b3));
        let [g, h, ..] = numbers.next().to_be_bytes();
        let [i, rest @ ..] = numbers.next().to_be_bytes();
        let mut bytes = [
            a,
            b,
            c,
            d,
            e,
            f,
            0x70 | g & 0x0f,
            h,
            0x80 | i & 0x3f,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        bytes
            .iter_mut()
            .skip(9)
            .zip(rest)
            .for_each(|(to, from)| *to = from);
        ProposalId::from_bytes(bytes)
    }

    fn numbers(&self, of: u64) -> Numbers {
        let mut numbers = Numbers(self.run ^ (self.number << 8 | of));
        Numbers(numbers.next())
    }

    /// What is proposed, to be answered until a deadline.
    pub(crate) fn proposal(&self, id: String, deadline: Timestamp) -> Proposal {
        let mut numbers = self.numbers(0);
        Proposal {
            proposal_id: id,
            proposer: format!("agent-{:02}", numbers.below(AGENTS)),
            domain: format!("bench.d{}", numbers.below(DOMAINS)),
            action: Action {
                r#type: "bench.act".to_owned(),
                subject: format!("subject-{}", self.number),
                parameters: Vec::new(),
            },
            summary: numbers.text(80),
            rationale: String::new(),
            confidence: numbers.upper_half(),
            stakes: Stakes::Low,
            deadline: Some(deadline),
            supersedes: None,
            labels: Vec::new(),
        }
    }

    /// An agent of another owner than the proposer's.
    pub(crate) fn stranger(&self) -> String {
        format!("agent-{:02}", (self.numbers(0).below(AGENTS) + 1) % AGENTS)
    }

    /// One of the answers.
    pub(crate) fn response<'a>(&self, id: &'a str, number: u64) -> Response<'a> {
        let mut numbers = self.numbers(1 + number);
        let (endorse, challenge) = match self.numbers(0xff).below(3) {
            0 => (70, 15),
            1 => (15, 70),
            _ => (42, 42),
        };
        let dice = numbers.below(100);
        let verdict = if dice < endorse {
            Verdict::Endorse
        } else if dice < endorse + challenge {
            Verdict::Challenge
        } else {
            Verdict::Abstain
        };
        Response {
            response_id: format!("r-{:016x}", numbers.next()).into(),
            proposal_id: id.into(),
            proposal_digest: None,
            agent_id: format!("agent-{:02}", numbers.below(AGENTS)).into(),
            verdict,
            confidence: numbers.upper_half(),
            reasoning: numbers.text(196).into(),
            evidence: Vec::new(),
        }
    }
}
