//! Where a log is: topics on a broker, or a blackboard; and how tests append to it and read it.

use std::sync::Arc;

use quorate::transport::blackboard::{self, Blackboard};
use quorate::transport::kafka::{Appender, Connection, Reader, Schemas};
use quorate::transport::{Appended, Entry, Error, Handle as _, Reading};
use quorate::wire::Codec;
use quorate_core::topic::Topic;

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
            Self::Blackboard(page) => page.write().unwrap(),
        }
    }

    /// Waits until everything has arrived; where it came to lie since last asked.
    pub(crate) fn settle(&mut self) -> Result<Vec<Appended>, Error> {
        match self {
            Self::Kafka(appender) => appender.settle(),
            Self::Blackboard(page) => {
                page.write()?;
                Ok(std::mem::take(&mut page.appended))
            }
        }
    }
}

impl Page {
    fn write(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
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
            self.appended.extend(self.edge.append(&entries)?);
        }
        Ok(())
    }
}
