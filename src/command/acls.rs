//! `quorate topics acls`: the least that each role must be allowed, as `kafka-acls` command lines.
//!
//! Until records are signed, these are the boundary. Only the processor gets a transactional id: a
//! transaction that hangs holds the last stable offset, and with it every round of the partition.

use anyhow::Context as _;
use clap::Args;
use quorate_core::topic::Topic;
use serde::Serialize;
use serde_json::json;

use super::Output;
use crate::config::Config;
use crate::gateway::FOLLOWED;
use crate::gateway::access::{self, rights::appended_by_gateways};
use crate::history::{INPUTS, OUTPUTS, TABLES};

/// Whom to allow, and how to say it.
#[derive(Debug, Args)]
pub(super) struct Acls {
    /// What comes before the role in the name of its principal
    #[arg(long, default_value = "User:quorate-")]
    principal_prefix: String,
    /// Command lines for people, or a role's entries a line for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What somebody may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Entry {
    resource: Resource,
    pattern: Pattern,
    names: Vec<String>,
    operations: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Resource {
    Topic,
    Group,
    TransactionalId,
    Cluster,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Pattern {
    Literal,
    Prefixed,
}

/// A role, and why it may do what.
struct Role {
    name: &'static str,
    why: &'static str,
    entries: Vec<Entry>,
}

/// What a role must be able to do with topics.
pub(super) struct Needs {
    pub(super) reads: Vec<Topic>,
    pub(super) appends: Vec<Topic>,
    /// Whether it asks how far processors are.
    pub(super) asks_processors: bool,
}

/// What a role must be able to do.
pub(super) fn needs(name: &str, operates: bool) -> anyhow::Result<Needs> {
    let roles = roles("", operates);
    let named = roles.iter().find(|role| role.name == name);
    let named = named.with_context(|| {
        let names: Vec<_> = roles.iter().map(|role| role.name).collect();
        format!("`{name}` is no role; there are {}", names.join(", "))
    })?;
    let with = |operation| {
        let may = |topic: &&Topic| {
            named
                .entries
                .iter()
                .any(|entry| entry.is_on(**topic, operation))
        };
        Topic::ALL.iter().filter(may).copied().collect()
    };
    let on_group = |entry: &Entry| {
        entry.resource == Resource::Group && entry.names.iter().any(|name| name == "processor")
    };
    Ok(Needs {
        reads: with("Read"),
        appends: with("Write"),
        asks_processors: named.entries.iter().any(on_group),
    })
}

const READ: &[&str] = &["Read"];
const WRITE: &[&str] = &["Write"];
const DESCRIBE: &[&str] = &["Describe"];

impl Acls {
    pub(super) fn call(&self, config: &Config) -> anyhow::Result<()> {
        for role in roles(&config.prefix, config.gateway.operates) {
            let principal = format!("{}{}", self.principal_prefix, role.name);
            let line = |entry: &Entry| entry.line(&config.bootstrap, &principal);
            let lines: Vec<_> = role.entries.iter().map(line).collect();
            super::answer(&match self.output {
                Output::Text => format!("# {}: {}\n{}\n", role.name, role.why, lines.join("\n")),
                Output::Json => json!({
                    "role": role.name,
                    "why": role.why,
                    "principal": principal,
                    "acls": role.entries,
                    "commands": lines,
                })
                .to_string(),
            })?;
        }
        Ok(())
    }
}

impl Entry {
    /// Whether it allows something to be done with a topic, where names have no prefix.
    fn is_on(&self, topic: Topic, operation: &str) -> bool {
        let is_named = self
            .names
            .iter()
            .any(|name| name == topic.name() || name == "*");
        self.resource == Resource::Topic && is_named && self.operations.contains(&operation)
    }

    /// The command that allows it.
    fn line(&self, bootstrap: &str, principal: &str) -> String {
        let mut line = format!(
            "kafka-acls --bootstrap-server {} --add --allow-principal {}",
            quoted(bootstrap),
            quoted(principal)
        );
        for operation in self.operations {
            line.push_str(&format!(" --operation {operation}"));
        }
        let flag = match self.resource {
            Resource::Topic => "--topic",
            Resource::Group => "--group",
            Resource::TransactionalId => "--transactional-id",
            Resource::Cluster => "--cluster",
        };
        if self.names.is_empty() {
            line.push_str(&format!(" {flag}"));
        }
        for name in &self.names {
            line.push_str(&format!(" {flag} {}", quoted(name)));
        }
        if self.pattern == Pattern::Prefixed {
            line.push_str(" --resource-pattern-type prefixed");
        }
        line
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:,/@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Entries for what has a prefix.
struct Under<'a>(&'a str);

impl Under<'_> {
    fn topics(&self, operations: &'static [&'static str], topics: &[Topic]) -> Entry {
        Entry {
            resource: Resource::Topic,
            pattern: Pattern::Literal,
            names: topics.iter().map(|t| format!("{}{t}", self.0)).collect(),
            operations,
        }
    }

    /// Every resource whose name begins so; with no beginning, every one there is.
    fn all(&self, resource: Resource, of: &str, operations: &'static [&'static str]) -> Entry {
        let start = format!("{}{of}", self.0);
        let (pattern, name) = if start.is_empty() {
            (Pattern::Literal, "*".to_owned())
        } else {
            (Pattern::Prefixed, start)
        };
        Entry {
            resource,
            pattern,
            names: vec![name],
            operations,
        }
    }

    fn group(&self, name: &str, operations: &'static [&'static str]) -> Entry {
        Entry {
            resource: Resource::Group,
            pattern: Pattern::Literal,
            names: vec![format!("{}{name}", self.0)],
            operations,
        }
    }

    /// What the command line needs beyond the records it reads and writes: how many partitions
    /// there are, which schema ids are registered, and the name its readers go by.
    fn edge(&self, mut read: Vec<Topic>) -> Vec<Entry> {
        read.push(Topic::Schemas);
        vec![
            self.topics(READ, &read),
            self.all(Resource::Topic, "", DESCRIBE),
            self.group("reader", DESCRIBE),
        ]
    }
}

/// Every role; `operates`: gateways suspend and resume.
fn roles(prefix: &str, operates: bool) -> Vec<Role> {
    let under = Under(prefix);
    vec![
        agent(&under),
        reviewer(&under),
        reporter(&under),
        operator(&under),
        processor(&under),
        gateway(&under, operates),
        consumer(&under),
        auditor(&under),
    ]
}

/// Somebody who takes part: what the table of rights says, by the command line or by a client of
/// its own.
fn person(under: &Under<'_>, role: access::Role, why: &'static str) -> Role {
    let mut entries = vec![under.topics(WRITE, &role.appends())];
    entries.extend(under.edge(role.reads()));
    entries.push(under.all(Resource::Group, &format!("{}-", role.name()), READ));
    Role {
        name: role.name(),
        why,
        entries,
    }
}

fn agent(under: &Under<'_>) -> Role {
    let why = "proposes and responds; no transactional id, since a transaction that hangs would \
               hold the rounds of its partition; give each agent a principal of its own";
    person(under, access::Role::Agent, why)
}

fn reviewer(under: &Under<'_>) -> Role {
    person(under, access::Role::Reviewer, "decides what was escalated")
}

fn reporter(under: &Under<'_>) -> Role {
    person(under, access::Role::Reporter, "says how actions turned out")
}

fn operator(under: &Under<'_>) -> Role {
    let role = access::Role::Operator;
    let manage = &["Create", "Read", "DescribeConfigs", "AlterConfigs"];
    Role {
        name: role.name(),
        why: "says who takes part and by which rules; suspends, by a control record among the \
              responses; keeps the topics in order and the processors' offsets",
        entries: vec![
            under.topics(WRITE, &role.appends()),
            under.all(Resource::Topic, "", manage),
            under.all(Resource::Group, "", DESCRIBE),
            // To restore the offsets of the processors.
            under.group("processor", READ),
            Entry {
                resource: Resource::Cluster,
                pattern: Pattern::Literal,
                names: Vec::new(),
                operations: &["DescribeConfigs"],
            },
        ],
    }
}

fn gateway(under: &Under<'_>, operates: bool) -> Role {
    let mut entries = vec![under.topics(WRITE, &appended_by_gateways(operates))];
    entries.extend(under.edge([&FOLLOWED[..], &[Topic::Claims]].concat()));
    // It tells when processors have passed what was said.
    entries.push(under.group("processor", DESCRIBE));
    entries.push(under.all(Resource::Group, "webhook-", READ));
    Role {
        name: "gateway",
        why: "appends what agents, reviewers and reporters say over HTTP, each as itself, and who \
              is at which escalation; whoever has its credentials speaks as anybody",
        entries,
    }
}

fn processor(under: &Under<'_>) -> Role {
    // It appends ticks and forwards to inputs, and reads back what it keeps.
    let both = [
        Topic::Proposals,
        Topic::Responses,
        Topic::Decisions,
        Topic::Results,
        Topic::Rounds,
        Topic::TrustUpdates,
        Topic::Trust,
    ];
    let write = [Topic::Outcomes, Topic::Escalations, Topic::DeadLetters];
    Role {
        name: "processor",
        why: "runs the rounds; nobody else writes their state and what comes of them",
        entries: vec![
            under.topics(&["Read", "Write"], &both),
            under.topics(READ, &[Topic::Agents, Topic::Policies, Topic::Schemas]),
            under.topics(WRITE, &write),
            under.group("processor", READ),
            under.group("reader", DESCRIBE),
            under.all(Resource::TransactionalId, "", WRITE),
        ],
    }
}

fn consumer(under: &Under<'_>) -> Role {
    Role {
        name: "consumer",
        why: "acts on outcomes, by a client of its own",
        entries: vec![
            under.topics(READ, &[Topic::Outcomes]),
            under.all(Resource::Group, "consumer-", READ),
        ],
    }
}

fn auditor(under: &Under<'_>) -> Role {
    let history = TABLES.into_iter().chain(OUTPUTS).chain(INPUTS);
    let mut entries = under.edge(history.filter(|topic| *topic != Topic::Schemas).collect());
    // Who follows a log looks no further than processors have committed.
    entries.push(under.group("processor", DESCRIBE));
    Role {
        name: "auditor",
        why: "exports, verifies and replays what was decided; writes nothing",
        entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writers(topic: Topic) -> Vec<&'static str> {
        let name = format!("acp.{topic}");
        let writes = |entry: &Entry| {
            let named = entry.names.iter().any(|of| match entry.pattern {
                Pattern::Literal => *of == name,
                Pattern::Prefixed => name.starts_with(of.as_str()),
            });
            entry.resource == Resource::Topic && named && entry.operations.contains(&"Write")
        };
        let roles = roles("acp.", false).into_iter();
        let writing = roles.filter(|role| role.entries.iter().any(writes));
        writing.map(|role| role.name).collect()
    }

    #[test]
    fn only_who_should_writes_a_topic() {
        for topic in [
            Topic::Rounds,
            Topic::Outcomes,
            Topic::Trust,
            Topic::DeadLetters,
        ] {
            assert_eq!(writers(topic), ["processor"], "{topic}");
        }
        for topic in [Topic::Agents, Topic::Policies, Topic::Schemas] {
            assert_eq!(writers(topic), ["operator"], "{topic}");
        }
        assert_eq!(writers(Topic::Claims), ["gateway"]);
        let reads = |role: &Role| {
            role.entries
                .iter()
                .any(|entry| entry.is_on(Topic::Claims, "Read"))
        };
        let roles = roles("", true).into_iter().filter(reads);
        let readers: Vec<_> = roles.map(|role| role.name).collect();
        assert_eq!(readers, ["operator", "gateway"]);
        let both = ["processor", "gateway"];
        let with = |own: &[&'static str]| [own, &both].concat();
        assert_eq!(writers(Topic::Proposals), with(&["agent"]));
        assert_eq!(writers(Topic::Responses), with(&["agent", "operator"]));
        assert_eq!(writers(Topic::Decisions), with(&["reviewer"]));
        assert_eq!(writers(Topic::Results), with(&["reporter"]));
    }

    #[test]
    fn a_gateway_that_suspends_writes_tables_and_no_other_does() {
        let writes = |operates| {
            let all = roles("acp.", operates);
            let gateway = all.iter().find(|role| role.name == "gateway").unwrap();
            let named = gateway.entries.iter();
            let named = named.filter(|entry| entry.operations.contains(&"Write"));
            let names: Vec<String> = named.flat_map(|entry| entry.names.clone()).collect();
            ["acp.agents", "acp.policies"].map(|name| names.iter().any(|of| of == name))
        };
        assert_eq!(writes(false), [false, false]);
        assert_eq!(writes(true), [true, true]);
    }

    #[test]
    fn an_auditor_reads_all_that_decisions_follow_from_and_alters_nothing() {
        let all = roles("acp.", false);
        let auditor = all.iter().find(|role| role.name == "auditor").unwrap();
        let operations = auditor.entries.iter().flat_map(|entry| entry.operations);
        for operation in operations {
            assert!(["Read", "Describe"].contains(operation), "{operation}");
        }
        let needs = needs("auditor", false).unwrap();
        let decides = |topic: &&Topic| **topic != Topic::Claims;
        let all: Vec<_> = Topic::ALL.iter().filter(decides).copied().collect();
        assert_eq!(needs.reads, all);
        assert!(needs.appends.is_empty() && needs.asks_processors);
    }

    #[test]
    fn only_the_processor_has_a_transactional_id() {
        for role in roles("acp.", false) {
            let transacts = role
                .entries
                .iter()
                .any(|entry| entry.resource == Resource::TransactionalId);
            assert_eq!(transacts, role.name == "processor", "{}", role.name);
        }
    }

    #[test]
    fn a_command_line_survives_a_shell() {
        let entry = Under("").all(Resource::Topic, "", DESCRIBE);
        let line = entry.line("b:9092", "User:CN=o'neil, O=bank");
        assert!(line.contains(r"--allow-principal 'User:CN=o'\''neil, O=bank' --operation"));
        assert!(line.ends_with("--topic '*'"), "{line}");
    }
}
