//! How much is done: the peer's figures, unless the environment says otherwise.

/// Partitions of every topic routed by proposal, as the peer has them.
pub(crate) const PARTITIONS: i32 = 4;
/// Responses to a round.
pub(crate) const PER: usize = 8;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Runs of each kind (`REPEATS`).
    pub(crate) repeats: usize,
    /// Rounds to drain, and open rounds at a restart (`ROUNDS`).
    pub(crate) rounds: usize,
    /// Rounds that have closed before the restart (`CLOSED`).
    pub(crate) closed: usize,
    /// Seconds of live load, and how many of them are not looked at (`SECONDS`).
    pub(crate) seconds: usize,
    pub(crate) warm: usize,
    /// Silences listened to in each partition (`SILENCES`).
    pub(crate) silences: usize,
    /// Engines of the processor (`ENGINES`); the peer has as many threads.
    pub(crate) engines: usize,
}

impl Sizes {
    /// As much as it takes a broker to be warm.
    pub(crate) fn to_warm_up(self) -> Self {
        Self {
            rounds: self.rounds.min(50_000),
            ..self
        }
    }

    /// What the environment asks for; `SMALL=1` is a tenth or less of everything.
    pub(crate) fn of_this_run() -> Self {
        let small = std::env::var("SMALL").is_ok_and(|value| value == "1");
        let number = |name: &str, full: usize, little: usize| {
            let named = std::env::var(name).ok();
            let usual = if small { little } else { full };
            named.map_or(usual, |text| text.parse().unwrap())
        };
        let seconds = number("SECONDS", 40, 8);
        Self {
            repeats: number("REPEATS", 3, 1),
            rounds: number("ROUNDS", 200_000, 20_000),
            closed: number("CLOSED", 1_000_000, 50_000),
            seconds,
            warm: seconds * 3 / 8,
            silences: number("SILENCES", 15, 4),
            engines: number("ENGINES", 2, 2),
        }
    }
}
