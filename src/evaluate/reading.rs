//! Votes and truths as they lie in CSV files; a row that is wrong refuses them, with its line.
//!
//! `VOTES.csv` has `item_id,agent_id,vote,confidence,domain`: a vote is 1 (endorse) or 0
//! (challenge), a confidence the probability of being right (empty: certain), the domain may be
//! left out. `TRUTH.csv` has `item_id,truth`, in the order in which items are decided.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io::Read;

use csv::{ReaderBuilder, StringRecord};
use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;

use super::history::{History, Item, NO_DOMAIN, Notes, Vote};

/// Flaws that are told one by one; more are counted.
const FLAWS_TOLD: usize = 20;

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A column that must be there is not.
    BadHeader,
    /// It is no row of the file's columns in UTF-8.
    BadRow,
    /// A name is empty.
    BadId,
    /// A vote is neither 0 nor 1.
    BadVote,
    /// A confidence is no number in [0, 1].
    BadNumber,
    /// A truth is neither 0 nor 1.
    BadTruth,
    /// An item has two truths.
    ItemTwice,
}

impl Code {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadHeader => "bad_header",
            Self::BadRow => "bad_row",
            Self::BadId => "bad_id",
            Self::BadVote => "bad_vote",
            Self::BadNumber => "bad_number",
            Self::BadTruth => "bad_truth",
            Self::ItemTwice => "item_twice",
        }
    }
}

/// One row that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What kind of thing is wrong.
    pub code: Code,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, .. } = self;
        write!(f, "{file}:{line}: {}: {}", self.code.name(), self.detail)
    }
}

/// Rows that are refused, and with them the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// The first of them.
    pub told: Vec<Flaw>,
    /// How many there are.
    pub count: usize,
}

impl std::error::Error for Flaws {}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = if self.count == 1 { "row" } else { "rows" };
        write!(f, "{} {rows} cannot be read", self.count)?;
        self.told
            .iter()
            .try_for_each(|flaw| write!(f, "\n  {flaw}"))?;
        match self.count.saturating_sub(self.told.len()) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// A file that is read, with the name it is told by.
pub struct File<R> {
    /// What it is called.
    pub name: String,
    /// What lies in it.
    pub text: R,
}

impl<R> fmt::Debug for File<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("File").field(&self.name).finish()
    }
}

/// Reads both files.
///
/// # Errors
/// [`Flaws`]: every row that is not as it must be.
pub fn read(votes: File<impl Read>, truth: File<impl Read>) -> Result<History, Flaws> {
    let mut reading = Reading::default();
    reading.truth(truth);
    reading.votes(votes);
    if reading.flaws.count > 0 {
        return Err(reading.flaws);
    }
    Ok(reading.history())
}

#[derive(Default)]
struct Reading {
    flaws: Flaws,
    items: Vec<Item>,
    /// Whether an item has a domain already.
    has_domain: Vec<bool>,
    by_id: BTreeMap<String, usize>,
    agents: Names,
    domains: Names,
    notes: Notes,
}

/// Names in the order they first came, and where each stands.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }
}

impl Reading {
    fn truth(&mut self, file: File<impl Read>) {
        let Some(mut table) = Table::open(file, ["item_id", "truth"], [], &mut self.flaws) else {
            return;
        };
        while let Some(line) = table.next(&mut self.flaws) {
            let [id, truth] = table.fields();
            let flaw = if id.is_empty() {
                Some((Code::BadId, "`item_id` is empty".to_owned()))
            } else if !matches!(truth, "0" | "1") {
                Some((Code::BadTruth, format!("`{truth}` is neither 0 nor 1")))
            } else {
                match self.by_id.entry(id.to_owned()) {
                    Entry::Occupied(_) => {
                        Some((Code::ItemTwice, format!("`{id}` has a truth already")))
                    }
                    Entry::Vacant(place) => {
                        place.insert(self.items.len());
                        self.has_domain.push(false);
                        self.items.push(Item {
                            id: id.to_owned(),
                            domain: 0,
                            good: truth == "1",
                            votes: Vec::new(),
                        });
                        None
                    }
                }
            };
            if let Some((code, detail)) = flaw {
                self.flaws.add(&table.name, line, code, detail);
            }
        }
    }

    fn votes(&mut self, file: File<impl Read>) {
        let columns = ["item_id", "agent_id", "vote"];
        let Some(mut table) = Table::open(file, columns, ["confidence", "domain"], &mut self.flaws)
        else {
            return;
        };
        while let Some(line) = table.next(&mut self.flaws) {
            let [item, agent, vote] = table.fields();
            let [confidence, domain] = table.further();
            match checked(item, agent, vote, confidence) {
                Err((code, detail)) => self.flaws.add(&table.name, line, code, detail),
                Ok((endorses, confidence)) => {
                    let agent = self.agents.place(agent);
                    let vote = Vote {
                        agent,
                        endorses,
                        confidence,
                    };
                    self.take(item, vote, domain);
                }
            }
        }
    }

    fn take(&mut self, item: &str, vote: Vote, domain: &str) {
        let found = self.by_id.get(item).copied();
        let Some(at) = found else {
            self.notes.votes_without_truth += 1;
            return;
        };
        let (Some(item), Some(has_domain)) = (self.items.get_mut(at), self.has_domain.get_mut(at))
        else {
            return;
        };
        let domain = self
            .domains
            .place(if domain.is_empty() { NO_DOMAIN } else { domain });
        if !*has_domain {
            (*has_domain, item.domain) = (true, domain);
        } else if item.domain != domain {
            self.notes.other_domain += 1;
        }
        item.votes.push(vote);
    }

    fn history(mut self) -> History {
        let unnamed = self.domains.place(NO_DOMAIN);
        for (item, has_domain) in self.items.iter_mut().zip(&self.has_domain) {
            if !has_domain {
                item.domain = unnamed;
            }
            self.notes.superseded += supersede(&mut item.votes);
        }
        let is_used = |at: usize| self.items.iter().any(|item| item.domain == at);
        if !is_used(unnamed) && unnamed + 1 == self.domains.names.len() {
            self.domains.names.pop();
        }
        History {
            agents: self
                .agents
                .names
                .iter()
                .map(|name| AgentId::from(name.as_str()))
                .collect(),
            domains: self.domains.names,
            items: self.items,
            notes: self.notes,
        }
    }
}

/// Keeps the last vote of each agent, as a log does; how many were replaced.
fn supersede(votes: &mut Vec<Vote>) -> usize {
    let before = votes.len();
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, vote) in votes.iter().enumerate() {
        last.insert(vote.agent, at);
    }
    if last.len() < before {
        let mut at = 0;
        votes.retain(|vote| {
            let stands = last.get(&vote.agent) == Some(&at);
            at += 1;
            stands
        });
    }
    before - votes.len()
}

fn checked(
    item: &str,
    agent: &str,
    vote: &str,
    confidence: &str,
) -> Result<(bool, Millionths), (Code, String)> {
    for (name, id) in [("item_id", item), ("agent_id", agent)] {
        if id.is_empty() {
            return Err((Code::BadId, format!("`{name}` is empty")));
        }
    }
    let endorses = match vote {
        "1" => true,
        "0" => false,
        _ => return Err((Code::BadVote, format!("`{vote}` is neither 0 nor 1"))),
    };
    if confidence.is_empty() {
        return Ok((endorses, Millionths::ONE));
    }
    let probability: Option<f64> = confidence.parse().ok();
    let admitted = probability
        .filter(|q| (0.0..=1.0).contains(q))
        .and_then(confidence_from_probability);
    admitted
        .map(|admitted| (endorses, admitted))
        .ok_or_else(|| {
            let detail = format!("`{confidence}` is no number in [0, 1]");
            (Code::BadNumber, detail)
        })
}

/// The confidence on the wire of an agent that has a probability of being right.
fn confidence_from_probability(q: f64) -> Option<Millionths> {
    Millionths::admit((2.0 * q - 1.0).max(0.0)).ok()
}

impl Flaws {
    fn add(&mut self, file: &str, line: u64, code: Code, detail: String) {
        self.count += 1;
        if self.told.len() < FLAWS_TOLD {
            self.told.push(Flaw {
                file: file.to_owned(),
                line,
                code,
                detail,
            });
        }
    }
}

/// Rows of a file by the names of their columns: N that must be there, M that may.
struct Table<R, const N: usize, const M: usize> {
    name: String,
    rows: csv::Reader<R>,
    row: StringRecord,
    columns: [usize; N],
    further: [Option<usize>; M],
}

impl<R: Read, const N: usize, const M: usize> Table<R, N, M> {
    fn open(
        file: File<R>,
        columns: [&str; N],
        further: [&str; M],
        flaws: &mut Flaws,
    ) -> Option<Self> {
        let File { name, text } = file;
        let mut rows = ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text);
        let header = match rows.headers() {
            Ok(header) => header.clone(),
            Err(error) => {
                flaws.add(&name, 1, Code::BadHeader, error.to_string());
                return None;
            }
        };
        let place = |column: &str| {
            // A byte order mark stands before the first name where a spreadsheet wrote the file.
            let is = |name: &str| name.trim_start_matches('\u{feff}') == column;
            header.iter().position(is)
        };
        if let Some(missing) = columns.iter().find(|column| place(column).is_none()) {
            let detail = format!("there is no column `{missing}`");
            flaws.add(&name, 1, Code::BadHeader, detail);
            return None;
        }
        Some(Self {
            name,
            rows,
            row: StringRecord::new(),
            columns: columns.map(|column| place(column).unwrap_or(usize::MAX)),
            further: further.map(place),
        })
    }

    /// Reads the next row that can be; its line.
    fn next(&mut self, flaws: &mut Flaws) -> Option<u64> {
        loop {
            let here = self.rows.position().line();
            match self.rows.read_record(&mut self.row) {
                Ok(false) => return None,
                Ok(true) => {
                    let line = self.row.position().map_or(here, csv::Position::line);
                    if self.columns.iter().all(|at| *at < self.row.len()) {
                        return Some(line);
                    }
                    let detail = format!("it has {} fields", self.row.len());
                    flaws.add(&self.name, line, Code::BadRow, detail);
                }
                Err(error) => {
                    let line = error.position().map_or(here, csv::Position::line);
                    flaws.add(&self.name, line, Code::BadRow, error.to_string());
                    if error.is_io_error() {
                        return None;
                    }
                }
            }
        }
    }

    fn fields(&self) -> [&str; N] {
        self.columns.map(|at| self.row.get(at).unwrap_or(""))
    }

    fn further(&self) -> [&str; M] {
        let field = |at: Option<usize>| at.and_then(|at| self.row.get(at)).unwrap_or("");
        self.further.map(field)
    }
}
