//! On a blackboard: what the file allows one's user, by plain SQL and by every command line.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{AGENTS, POLICIES, command_lines, prepared};
use crate::support::House;
use crate::support::page::{Table, mark};

/// What a user may, by the modes of the folder and of the file.
const USERS: [(&str, u32, u32); 3] = [
    ("may write the file", 0o777, 0o666),
    ("may read it", 0o555, 0o444),
    ("may not", 0o555, 0o000),
];

/// By plain SQL: a record put in, and records read.
const SQL: [(&str, &str); 2] = [
    (
        "INSERT INTO responses …",
        "INSERT INTO responses (partition, key, value) VALUES (0, 'key', x'00')",
    ),
    ("SELECT … FROM outcomes", "SELECT count(*) FROM outcomes"),
];

#[test]
fn on_a_blackboard_everybody_may_what_the_page_says() {
    let folder = TempDir::new().unwrap();
    let (file, program) = (folder.path().join("log.db"), folder.path().join("quorate"));
    let house = House::on_blackboard_at(&file, 1, AGENTS, POLICIES);
    let processor = house.run();
    let users = USERS.map(|(user, ..)| user);
    let round = prepared(&house, &house, &house, &users);
    fs::copy(env!("CARGO_BIN_EXE_quorate"), &program).unwrap();
    let files = TempDir::new().unwrap();
    fs::set_permissions(files.path(), Permissions::from_mode(0o777)).unwrap();

    let mut tried = Vec::new();
    for (user, of_folder, of_file) in USERS {
        fs::set_permissions(folder.path(), Permissions::from_mode(of_folder)).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path != program {
                fs::set_permissions(path, Permissions::from_mode(of_file)).unwrap();
            }
        }
        let sql = SQL.map(|(name, sql)| (name.to_owned(), does_sql(&file, sql)));
        let lines = command_lines(&house, user, &round, files.path().to_str().unwrap()).into_iter();
        // What is about brokers says that it is.
        let lines = lines.filter(|(name, _)| !["offsets save"].contains(name));
        let lines = lines.map(|(name, line)| {
            let mut words = vec!["--blackboard".to_owned(), file.display().to_string()];
            words.extend(line);
            (format!("quorate {name}"), obeys(&program, &words))
        });
        tried.push(sql.into_iter().chain(lines).collect::<Vec<_>>());
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    processor.stop();
    let mut table = Table::headed(&users);
    for (at, (name, _)) in tried[0].iter().enumerate() {
        let marks: Vec<_> = tried.iter().map(|tried| mark(tried[at].1)).collect();
        table.row(&format!("`{name}`"), &marks);
    }
    table.is_that_of("On a blackboard");
}

/// A program run by somebody whom the modes hold, as they do not hold root.
fn somebody(program: &Path) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(program);
    command
}

fn obeys(program: &Path, words: &[String]) -> bool {
    done(somebody(program).args(words).output().unwrap())
}

fn does_sql(file: &Path, sql: &str) -> bool {
    let script = "import sqlite3, sys\n\
                  log = sqlite3.connect(sys.argv[1])\n\
                  print(log.execute(sys.argv[2]).fetchall())\n\
                  log.commit()\n";
    let python = Path::new("/usr/bin/python3");
    let mut command = somebody(python);
    done(
        command
            .args(["-c", script])
            .arg(file)
            .arg(sql)
            .output()
            .unwrap(),
    )
}

/// Whether something was done, or refused for want of a right.
fn done(said: Output) -> bool {
    let complaint = String::from_utf8_lossy(&said.stderr).to_lowercase();
    let refused = ["readonly", "read-only", "unable to open", "may not"];
    match said.status.code() {
        Some(0 | 3) => true,
        Some(1) if refused.iter().any(|why| complaint.contains(why)) => false,
        code => panic!("{code:?} {complaint}"),
    }
}
