//! Who proposes what in the sample's two days, who answers how well, and who has the last word.

/// Rounds of a kind.
pub(super) struct Scene {
    pub(super) domain: &'static str,
    pub(super) action: &'static str,
    /// What a subject is called; a number follows.
    pub(super) subject: &'static str,
    /// What is proposed, in a line.
    pub(super) summaries: &'static [&'static str],
    /// What the amounts are called, and are.
    pub(super) parameter: &'static str,
    pub(super) amounts: &'static [u32],
    pub(super) proposers: &'static [&'static str],
    pub(super) voters: &'static [Voter],
    pub(super) reviewers: &'static [&'static str],
    pub(super) reporter: &'static str,
    /// Minutes between two of them, about.
    pub(super) every: i64,
    /// Seconds for which one is open.
    pub(super) open: i64,
    /// Minutes until somebody decides an escalation: from, and to.
    pub(super) decided: (i64, i64),
    /// Minutes before the end from which on some wait for people.
    pub(super) waiting: i64,
}

/// Somebody who answers.
pub(super) struct Voter {
    pub(super) name: &'static str,
    /// How often it is right, of a thousand; a thousand and one: it endorses everything.
    pub(super) right: u64,
    /// How sure it says it is, in hundredths of confidence, about.
    pub(super) sure: u64,
}

const fn voter(name: &'static str, right: u64, sure: u64) -> Voter {
    Voter { name, right, sure }
}

/// Whoever endorses everything.
pub(super) const LIAR: u64 = 1_001;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        domain: "fraud.payments",
        action: "payment.block",
        subject: "payment",
        summaries: &[
            "block a payment from a telephone not seen before",
            "block a payment to an account opened yesterday",
            "block the third payment of the same amount in an hour",
        ],
        parameter: "amount",
        amounts: &[40, 120, 310, 640, 900, 1_200, 4_800, 9_000, 31_000],
        proposers: &["fraud-expert", "device-signals", "pattern-scout"],
        voters: &[
            voter("fraud-expert", 930, 85),
            voter("device-signals", 790, 75),
            voter("customer-voice", 640, 60),
            voter("pattern-scout", 850, 80),
            voter("wire-watcher", LIAR, 95),
        ],
        reviewers: &["omar.haddad", "ines.laurent"],
        reporter: "chargeback-desk",
        every: 24,
        open: 10,
        decided: (3, 50),
        waiting: 100,
    },
    Scene {
        domain: "lending",
        action: "loan.grant",
        subject: "loan",
        summaries: &[
            "a loan for a customer of eleven years",
            "a loan for a new customer who comes recommended",
            "a second loan beside one that is paid on time",
        ],
        parameter: "amount",
        amounts: &[8_000, 20_000, 30_000, 45_000, 120_000, 1_500_000],
        proposers: &["loan-desk"],
        voters: &[
            voter("credit-scorer", 900, 80),
            voter("customer-advocate", 690, 70),
            voter("compliance-checker", 880, 85),
        ],
        reviewers: &["anna.berg", "joon.park", "lucia.mendes"],
        reporter: "loan-ledger",
        every: 70,
        open: 60,
        decided: (20, 400),
        waiting: 600,
    },
    Scene {
        domain: "supply",
        action: "shipment.reroute",
        subject: "shipment",
        summaries: &[
            "send it by Trieste, as Hamburg is closed",
            "split it over two carriers",
            "hold it for a day and fill the container",
        ],
        parameter: "pallets",
        amounts: &[6, 12, 18, 33],
        proposers: &["norra-planner", "kupfer-sales"],
        voters: &[
            voter("norra-forecast", 740, 70),
            voter("kupfer-sales", 800, 75),
            voter("hanse-dispatch", 860, 80),
            voter("safety-lab", 950, 85),
        ],
        reviewers: &["elin.sand", "tomas.vogt", "rita.lund"],
        reporter: "goods-receipt",
        every: 120,
        open: 1_800,
        decided: (20, 240),
        waiting: 420,
    },
    Scene {
        domain: "marketing",
        action: "campaign.launch",
        subject: "campaign",
        summaries: &[
            "a spring campaign on two channels",
            "repeat last month's newsletter with another picture",
            "a campaign for customers who left",
        ],
        parameter: "budget",
        amounts: &[4_000, 12_000, 18_000, 65_000],
        proposers: &["campaign-planner"],
        voters: &[
            voter("audience-insight", 660, 80),
            voter("sales-forecast", 760, 70),
            voter("finance-controller", 850, 75),
        ],
        reviewers: &["mei.tanaka", "paul.adeyemi"],
        reporter: "attribution",
        every: 170,
        open: 900,
        decided: (60, 600),
        waiting: 900,
    },
    Scene {
        domain: "support.refunds",
        action: "refund.grant",
        subject: "ticket",
        summaries: &[
            "give the price of a late delivery back",
            "give half back for a scratched table",
            "give it back although the month is over",
        ],
        parameter: "amount",
        amounts: &[15, 40, 60, 95, 140],
        proposers: &["ticket-desk"],
        voters: &[
            voter("tone-reader", 800, 70),
            voter("refund-scout", 740, 75),
            voter("policy-reader", 900, 80),
        ],
        reviewers: &["nora.lind"],
        reporter: "ines.laurent",
        every: 60,
        open: 120,
        decided: (4, 90),
        waiting: 150,
    },
];

/// Why somebody is for it.
pub(super) const FOR: &[&str] = &[
    "it fits what was seen in the months before",
    "the documents are there, and say the same",
    "nothing in the history stands against it",
    "cheap to undo, and costly to leave",
];
/// Why somebody is against it.
pub(super) const AGAINST: &[&str] = &[
    "the same was asked for twice this week",
    "one of the papers does not match the others",
    "the pattern of the last quarter says otherwise",
    "it can wait until somebody has called back",
];
/// Codes of reviewers for approving and for not.
pub(super) const APPROVES: &[&str] = &["evidence_sufficient", "confirmed_with_subject"];
pub(super) const REJECTS: &[&str] = &["evidence_insufficient", "subject_disputes"];
