//! The agent that `quorate dev` writes out, with the Python client beside it: it runs as it is,
//! from any folder, by Python alone.

use std::fs;
use std::io;
use std::path::Path;

const AGENT: &str = include_str!("../../../examples/agents/by_rule.py");

/// The client but for what is for Kafka.
macro_rules! client {
    ($($file:literal)+) => {
        [$(($file, include_str!(concat!("../../../clients/python/src/quorate/", $file)))),+]
    };
}

const CLIENT: [(&str, &str); 8] = client!(
    "__init__.py" "agent.py" "backoff.py" "client.py" "errors.py" "loop.py" "outbox.py"
    "records.py"
);

/// Writes both.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    let client = folder.join("quorate");
    fs::create_dir_all(&client)?;
    for (file, text) in CLIENT {
        fs::write(client.join(file), text)?;
    }
    fs::write(folder.join("agent.py"), AGENT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_of_the_client_is_missing() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python/src/quorate");
        let files = fs::read_dir(folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let wanted: BTreeSet<String> = names
            .filter(|name| name.ends_with(".py") && name != "kafka.py")
            .collect();
        let held: BTreeSet<String> = CLIENT.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(held, wanted);
    }

    #[test]
    fn the_agent_is_of_twenty_lines_at_most() {
        assert!(AGENT.lines().count() <= 20);
    }
}
