//! Where a log is: topics on a broker, or a blackboard; and how tests append to it and read it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate::transport::blackboard::{self, Blackboard};
use quorate::transport::kafka::{Appender, Connection, Reader, Schemas};
use quorate::transport::{Appended, Entry, Error, Handle as _, Reading};
use quorate::wire::Codec;
use quorate_core::topic::Topic;

use super::{House, Started};

impl House {
    /// As [`House::on_blackboard`], with the file somewhere else than what its processors log.
    pub(crate) fn on_blackboard_at(
        file: &Path,
        partitions: u32,
        agents: &str,
        policies: &str,
    ) -> Self {
        let house = Self::of_file(file);
        house.furnish(partitions, agents, policies);
        house
    }

    /// A file that is there, or may be made.
    pub(crate) fn of_file(file: &Path) -> Self {
        let (address, keeper) = (String::new(), None);
        let mut house = Self::empty(Started { address, keeper }, "");
        house.blackboard = Some(file.to_owned());
        house
    }
}

/// A log of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Kafka(Connection),
    Blackboard(Blackboard),
}

impl From<Connection> for Place {
    fn from(connection: Connection) -> Self {
        Self::Kafka(connection)
    }
}

impl Place {
    /// What its records are written with.
    pub(crate) fn codec(&self) -> Arc<Codec> {
        match self {
            Self::Kafka(connection) => Arc::clone(Schemas::load(connection).unwrap().codec()),
            Self::Blackboard(board) => Arc::clone(blackboard::Edge::new(board.clone()).codec()),
        }
    }

    /// Somebody who reads it.
    pub(crate) fn reader(&self) -> Box<dyn Reading + Send> {
        match self {
            Self::Kafka(connection) => Box::new(Reader::open(connection).unwrap()),
            Self::Blackboard(board) => Box::new(blackboard::Reader::open(board).unwrap()),
        }
    }

    /// Somebody who appends to it.
    pub(crate) fn pen(&self) -> Pen {
        match self {
            Self::Kafka(connection) => Pen::Kafka(Appender::open(connection).unwrap()),
            Self::Blackboard(board) => Pen::Blackboard(Box::new(Page {
                edge: blackboard::Edge::new(board.clone()),
                waiting: Vec::new(),
                appended: Vec::new(),
            })),
        }
    }
}

/// Somebody who appends, a record after the other.
pub(crate) enum Pen {
    Kafka(Appender),
    Blackboard(Box<Page>),
}

/// What is written to a blackboard together.
pub(crate) struct Page {
    edge: blackboard::Edge,
    waiting: Vec<Waiting>,
    appended: Vec<Appended>,
}

struct Waiting {
    topic: Topic,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Pen {
    /// Appends a record, soon.
    pub(crate) fn append(
        &mut self,
        topic: Topic,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let header = |&(name, value): &(&str, &[u8])| (name.to_owned(), value.to_vec());
        match self {
            Self::Kafka(appender) => appender
                .append(topic, partition, key, value, headers)
                .unwrap(),
            Self::Blackboard(page) => page.waiting.push(Waiting {
                topic,
                partition,
                key: key.map(<[u8]>::to_vec),
                value: value.map(<[u8]>::to_vec),
                headers: headers.iter().map(header).collect(),
            }),
        }
    }

    /// Sees to it that what was appended arrives.
    pub(crate) fn go_on(&mut self) {
        match self {
            Self::Kafka(appender) => drop(appender.is_waiting()),
            Self::Blackboard(page) => page.write_if_it_may().map_or((), Result::unwrap),
        }
    }

    /// Waits until everything has arrived; where it came to lie since last asked.
    pub(crate) fn settle(&mut self) -> Result<Vec<Appended>, Error> {
        match self {
            Self::Kafka(appender) => appender.settle(),
            Self::Blackboard(page) => {
                page.write_when_it_may()?;
                Ok(std::mem::take(&mut page.appended))
            }
        }
    }
}

impl Page {
    /// None while the file takes nothing, as on a full disk; nothing is given up then.
    fn write_if_it_may(&mut self) -> Option<Result<(), Error>> {
        let waiting = std::mem::take(&mut self.waiting);
        let written = self.write(&waiting);
        if matches!(written, Err(Error::Unwritable { .. })) {
            self.waiting = waiting;
            return None;
        }
        Some(written)
    }

    fn write_when_it_may(&mut self) -> Result<(), Error> {
        loop {
            if let Some(written) = self.write_if_it_may() {
                return written;
            }
            // Only how often to look.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn write(&mut self, waiting: &[Waiting]) -> Result<(), Error> {
        let headers: Vec<Vec<(&str, &[u8])>> = waiting
            .iter()
            .map(|one| one.headers.iter().map(|(n, v)| (&**n, &**v)).collect())
            .collect();
        let entries: Vec<Entry<'_>> = waiting
            .iter()
            .zip(&headers)
            .map(|(one, headers)| Entry {
                topic: one.topic,
                partition: one.partition,
                key: one.key.as_deref(),
                value: one.value.as_deref(),
                headers,
            })
            .collect();
        if !entries.is_empty() {
            let appended = self.edge.append(&entries)?;
            self.appended.extend(appended);
        }
        Ok(())
    }
}
