//! A page with tables that tests find out: each compares its own, or writes it with `UPDATE=1`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A table of what was found out: its head, and its rows.
pub(crate) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(crate) fn headed(head: &[&str]) -> Self {
        let mut table = Self { lines: Vec::new() };
        table.row("", head);
        table.row("---", &vec!["---"; head.len()]);
        table
    }

    pub(crate) fn row(&mut self, what: &str, cells: &[impl AsRef<str>]) {
        let cells: Vec<_> = cells.iter().map(AsRef::as_ref).collect();
        self.lines
            .push(format!("| {what} | {} |", cells.join(" | ")));
    }

    /// Compares the table of a section of `docs/roles.md`.
    pub(crate) fn is_that_of(&self, section: &str) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/roles.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let heading = format!("## {section}\n");
        let (before, after) = page.split_once(&heading).expect("the page has the section");
        let end = after.find("\n## ").unwrap_or(after.len());
        let (own, rest) = after.split_at(end);
        let told: Vec<_> = own.lines().filter(|line| line.starts_with('|')).collect();
        let found = self.lines.join("\n");
        if std::env::var_os("UPDATE").is_some() {
            let mut prose: Vec<_> = own.lines().filter(|line| !line.starts_with('|')).collect();
            while prose.last().is_some_and(|line| line.is_empty()) {
                prose.pop();
            }
            let own = format!("{}\n\n{found}\n", prose.join("\n"));
            std::fs::write(&path, format!("{before}{heading}{own}{rest}")).unwrap();
            return;
        }
        assert_eq!(
            told.join("\n"),
            found,
            "`{section}` is not so; UPDATE=1 writes it anew"
        );
    }
}

/// A mark for what may be done.
pub(crate) fn mark(may: bool) -> &'static str {
    if may { "yes" } else { "–" }
}
