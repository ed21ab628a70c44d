//! Where humans decide: static files, in the binary as they are, and no build step.

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name in a URL; empty: the page itself.
    pub name: &'static str,
    /// What it is, as `Content-Type` has it.
    pub kind: &'static str,
    /// What is in it.
    pub content: &'static str,
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            content: include_str!($name),
        }
    };
}

/// All of them.
pub const FILES: &[File] = &[
    File {
        name: "",
        ..file!("index.html", "text/html; charset=utf-8")
    },
    file!("console.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("agent.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("audit.js", "text/javascript; charset=utf-8"),
    file!("background.js", "text/javascript; charset=utf-8"),
    file!("ballot.js", "text/javascript; charset=utf-8"),
    file!("bars.js", "text/javascript; charset=utf-8"),
    file!("changes.js", "text/javascript; charset=utf-8"),
    file!("claims.js", "text/javascript; charset=utf-8"),
    file!("console.js", "text/javascript; charset=utf-8"),
    file!("decision.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("health.js", "text/javascript; charset=utf-8"),
    file!("help.js", "text/javascript; charset=utf-8"),
    file!("keys.js", "text/javascript; charset=utf-8"),
    file!("lists.js", "text/javascript; charset=utf-8"),
    file!("operate.js", "text/javascript; charset=utf-8"),
    file!("outbox.js", "text/javascript; charset=utf-8"),
    file!("plots.js", "text/javascript; charset=utf-8"),
    file!("policies.js", "text/javascript; charset=utf-8"),
    file!("queue.js", "text/javascript; charset=utf-8"),
    file!("result.js", "text/javascript; charset=utf-8"),
    file!("round.js", "text/javascript; charset=utf-8"),
    file!("settings.js", "text/javascript; charset=utf-8"),
    file!("signin.js", "text/javascript; charset=utf-8"),
    file!("tables.js", "text/javascript; charset=utf-8"),
    file!("told.js", "text/javascript; charset=utf-8"),
    file!("words.js", "text/javascript; charset=utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_every_module_at_once() {
        let page = FILES.first().unwrap().content;
        let names = FILES.iter().map(|file| file.name);
        for name in names.filter(|name| name.ends_with(".js") && *name != "console.js") {
            let link = format!("<link rel=\"modulepreload\" href=\"{name}\" />");
            assert!(page.contains(&link), "{name}");
        }
    }
}
