//! Whether this client may do what a role of `quorate topics acls` must, as far as that can be
//! found out without writing anything.

use std::time::Duration;

use quorate_core::topic::Topic;

use super::Findings;
use crate::command::acls::Needs;
use crate::transport::kafka::{Connection, Edge, Reader};
use crate::transport::{Error, Handle as _, Start};

/// How long a broker may take to say that there is nothing to read, or nothing for us.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says what this client may not do that a role must.
pub(super) fn look(found: &mut Findings, connection: &Connection, name: &str, needs: &Needs) {
    let mend = format!("allow it as `quorate topics acls` says of `{name}`");
    let refused = |what: String, error: Error| format!("{what}: {:#}", anyhow::Error::from(error));
    let reader = match Reader::open(connection) {
        Ok(reader) => reader,
        Err(error) => return found.why("role", refused("cannot read".to_owned(), error), &mend),
    };
    let mut may = 0;
    for &topic in &needs.reads {
        match read(&reader, topic) {
            Ok(()) => may += 1,
            Err(error) => {
                let what = format!("cannot read `{}`", connection.topic(topic));
                found.why("role", refused(what, error), &mend);
            }
        }
    }
    if needs.asks_processors {
        let edge = Edge::open(connection);
        if let Err(error) = edge.and_then(|edge| edge.committed(Topic::Responses, 0)) {
            let what = "cannot ask how far processors are".to_owned();
            found.why("role", refused(what, error), &mend);
        }
    }
    if may == needs.reads.len() && !found.ails("role") {
        let what = format!("this client may read the {may} topics that `{name}` must");
        found.ok("role", what);
    }
    if !needs.appends.is_empty() {
        let names = needs.appends.iter().map(|&topic| connection.topic(topic));
        let names = names.collect::<Vec<_>>().join(", ");
        let what =
            format!("whether it may append to {names} shows when it does; nothing was tried");
        found.note("role", what);
    }
}

/// Asks for what comes next at the end of a topic: a broker says at once that there is nothing, or
/// that it is not for us.
fn read(reader: &Reader, topic: Topic) -> Result<(), Error> {
    reader.go_to(&[(topic, 0, Start::End)])?;
    reader.next(PATIENCE).map(drop)
}
