//! `quorate doctor`: each line `ok`, or `why` and how to mend it.
//!
//! It reads, and writes nothing unless `--tick` asks it to. What this client cannot find out is
//! said in a `note`, so that an `ok` never stands for something nobody looked at.

mod board;
mod brokers;
mod clocks;
mod records;
mod registry;
mod role;
mod tables;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use records::Lying;

use super::{Output, acls, client};
use crate::config::Config;
use crate::transport::kafka::{Cluster, Connection, Reader, Schemas};
use crate::wire::Codec;

/// How to examine, and how to say it.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Measure the brokers' clocks by appending a tick to every partition of the responses;
    /// rounds whose deadline has passed close by it, as by any tick
    #[arg(long)]
    tick: bool,
    /// Newest records of each partition of an input to look at
    #[arg(long, default_value = "500")]
    recent: u32,
    /// Look only whether this client may do what a role of `topics acls` must, such as `gateway`
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Lines for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// As it should.
    Ok,
    /// It does not; somebody has to do something.
    Why,
    /// This cannot be told from here, or is nobody's fault.
    Note,
}

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// What was found out so far, under the name of the check at work.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        check: &'static str,
        state: State,
        what: impl Into<String>,
        mend: Option<&str>,
    ) {
        self.0.push(Finding {
            check,
            state,
            what: what.into(),
            mend: mend.map(str::to_owned),
        });
    }

    fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, State::Ok, what, None);
    }

    fn why(&mut self, check: &'static str, what: impl Into<String>, mend: &str) {
        self.add(check, State::Why, what, Some(mend));
    }

    fn note(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(check, State::Note, what, None);
    }

    /// Takes that a check could not be made; what it gave otherwise.
    fn made<T>(
        &mut self,
        check: &'static str,
        made: Result<T, impl Into<anyhow::Error>>,
        mend: &str,
    ) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                self.why(check, format!("{:#}", error.into()), mend);
                None
            }
        }
    }

    /// Whether a check has found something wrong.
    fn ails(&self, check: &str) -> bool {
        let wrong = |finding: &Finding| finding.check == check && finding.state == State::Why;
        self.0.iter().any(wrong)
    }
}

impl Doctor {
    pub(super) fn call(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let findings = if config.blackboard.is_empty() {
            self.examine(config)?
        } else {
            let why =
                "`--role` is about brokers: on a blackboard the file's modes say who may what";
            anyhow::ensure!(self.role.is_none(), why);
            let mut found = Findings::default();
            board::look(&mut found, self, Path::new(&config.blackboard));
            found.0
        };
        for finding in &findings {
            super::answer(&self.line(finding)?)?;
        }
        let ails = findings.iter().any(|finding| finding.state == State::Why);
        Ok(if ails {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn line(&self, finding: &Finding) -> anyhow::Result<String> {
        if self.output == Output::Json {
            return Ok(serde_json::to_string(finding)?);
        }
        let state = match finding.state {
            State::Ok => "ok",
            State::Why => "why",
            State::Note => "note",
        };
        let mend = finding.mend.iter().map(|mend| format!("; {mend}"));
        let mend: String = mend.collect();
        Ok(format!(
            "{state:<5}{}: {}{mend}",
            finding.check, finding.what
        ))
    }

    fn examine(&self, config: &Config) -> anyhow::Result<Vec<Finding>> {
        let runtime = client::runtime()?;
        let connection = client::unreached(config)?;
        let mut found = Findings::default();
        let cluster = match connection.reach(|| false) {
            Ok(_) => runtime.block_on(Cluster::ask(&connection)),
            Err(error) => Err(error),
        };
        let needs = match &self.role {
            None => None,
            Some(name) => Some((name, acls::needs(name, config.gateway.operates)?)),
        };
        let mend = "see that `bootstrap` and [security] are right, and that this \
                    principal may describe the topics";
        let Some(cluster) = found.made("brokers", cluster, mend) else {
            return Ok(found.0);
        };
        if let Some((name, needs)) = needs {
            role::look(&mut found, &connection, name, &needs);
        } else {
            brokers::look(&mut found, &cluster, config);
            runtime.block_on(brokers::topics(&mut found, &connection, &cluster, config));
            // Without its topics there is nothing on the log to look at.
            if !found.ails("partitions") {
                self.read(&mut found, &connection, &cluster, config, &runtime)?;
            }
        }
        Ok(found.0)
    }

    /// Looks at what lies on the log.
    fn read(
        &self,
        found: &mut Findings,
        connection: &Connection,
        cluster: &Cluster,
        config: &Config,
        runtime: &tokio::runtime::Runtime,
    ) -> anyhow::Result<()> {
        let name = |topic| connection.topic(topic);
        let mend = "see that this principal may read the table";
        let schemas = found.made("schemas", Schemas::load(connection), mend);
        let reach = "see that this principal may read every topic with the prefix";
        let mut newest = None;
        let mut codec = Arc::new(Codec::single_object());
        // Without schemas no record can be read, which is nothing to hold against a table.
        if let Some(schemas) = &schemas {
            codec = Arc::clone(schemas.codec());
            let registry = client::registry(config)?;
            let prefix = connection.prefix();
            runtime.block_on(registry::look(found, &registry, schemas, prefix));
            let tables = Reader::open(connection)
                .and_then(|reader| tables::look(found, &reader, &name, &codec, &mut newest));
            found.made("tables", tables, reach);
        }
        let held = records::stable(found, connection, cluster, config);
        found.made("last stable offset", held, reach);
        let recent = Reader::open(connection).and_then(|reader| {
            let lying = Lying {
                reader: &reader,
                name: &name,
                partitions: records::partitions(cluster),
                codec: &codec,
                mend: "have senders on librdkafka set `partitioner` to `murmur2_random`; a \
                       response that is forwarded may come too late",
            };
            records::recent(found, &lying, self.recent, &mut newest)
        });
        found.made("partitioners", recent, reach);
        if self.tick {
            let measured = clocks::measure(found, connection, cluster);
            found.made(
                "clocks",
                measured,
                "see that this principal may append to the responses",
            );
        } else {
            clocks::compare(found, newest);
        }
        Ok(())
    }
}
