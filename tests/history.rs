//! A history as a file: exported, read by the second implementation with nothing else at hand, and
//! put on a blackboard again.

use std::path::Path;
use std::process::Command;

use crate::support::House;
use crate::support::history::History;
use crate::support::load::Random;
use crate::support::place::Place;

/// What a processor is told: not to wait long for schemas nobody registered.
const SETTINGS: &str = "[run]\nschema_wait_ms = 500\n";
/// How long nothing must have been appended before a history is over, in seconds.
const QUIET: &str = "6";

/// Whether the second implementation, and nothing beside it, finds a history as it must be, and
/// what it says.
fn audit(interpreter: &str, told: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    // Where a file is read, what lies beside the folder must not help.
    let is_alone = told[0] == "--export";
    if is_alone {
        let copied = Command::new("cp")
            .args(["-r".as_ref(), spec.join("reference").as_os_str()])
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
    }
    let ended = Command::new(interpreter)
        .args(["-m", "reference.history"])
        .args(told)
        .current_dir(if is_alone { folder.path() } else { &spec })
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        // A client of Kafka's may have remarked on something.
        return (true, said);
    }
    (false, said + &String::from_utf8_lossy(&ended.stderr))
}

/// Every record of a blackboard.
fn rows(file: &Path) -> Vec<rusqlite::types::Value> {
    let file = rusqlite::Connection::open(file).unwrap();
    let all = r#"SELECT topic || partition || ' ' || "offset" || ' ' || time || ' '
        || coalesce(hex(key), 'null') || ' ' || coalesce(hex(value), 'null') || ' '
        || coalesce(headers, '') FROM records ORDER BY topic, partition, "offset""#;
    let mut all = file.prepare(all).unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// What a call that is refused says.
fn refused(house: &House, arguments: &[&str]) -> String {
    let said = house.call(arguments);
    assert_eq!(said.status.code(), Some(1), "{arguments:?}: {said:?}");
    String::from_utf8(said.stderr).unwrap()
}

#[test]
fn whoever_has_only_the_file_and_the_reference_recomputes_a_history_and_it_comes_back() {
    let mut random = Random::of_this_run("an exported history");
    let (house, history) = History::begin_on_blackboard(2, &mut random);
    let processor = house.run_with("one", SETTINGS, None);
    history.run(150, 60);
    let board = house.file().to_str().unwrap();
    let (sound, said) = audit("python3", &["--blackboard", board, QUIET]);
    assert!(sound, "{said}");
    processor.stop();

    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (path(&folder, "a.avro"), path(&folder, "copy.db"));
    let told = house.ok(&["export", &file, "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["records"], rows(house.file()).len());
    let again = refused(&house, &["export", &file]);
    assert!(again.contains("is there already"), "{again}");
    let (sound, said_of_file) = audit("python3", &["--export", &file]);
    assert!(sound, "{said_of_file}");
    assert_eq!(said_of_file, said);

    // Put elsewhere, everything lies where it lay, and is exported again as it was.
    house.ok(&["import", &file, "--blackboard", &copy]);
    assert_eq!(rows(Path::new(&copy)), rows(house.file()));
    let twice = refused(&house, &["import", &file, "--blackboard", &copy]);
    assert!(twice.contains("board_not_empty"), "{twice}");
    let second = path(&folder, "b.avro");
    house.ok(&["export", &second, "--blackboard", &copy]);
    assert_eq!(audit("python3", &["--export", &second]), (true, said));

    // A file that is not whole is worth nothing, and leaves nothing behind.
    let bytes = std::fs::read(&file).unwrap();
    let half = path(&folder, "half.avro");
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let other = path(&folder, "other.db");
    let cut = refused(&house, &["import", &half, "--blackboard", &other]);
    assert!(cut.contains("file_truncated"), "{cut}");
    assert_eq!(rows(Path::new(&other)), []);
    let (sound, said) = audit("python3", &["--export", &half]);
    assert!(!sound && said.contains("truncated"), "{said}");
    let elsewhere = refused(&house, &["import", &file, "--blackboard", ""]);
    assert!(elsewhere.contains("import_needs_blackboard"), "{elsewhere}");

    // A part of it says which.
    let part = path(&folder, "part.avro");
    house.ok(&["export", &part, "--topics", "agents,policies,schemas"]);
    let tables = house.ok(&["import", &part, "--blackboard", &other]);
    assert!(tables.contains(" records in "), "{tables}");
    let unknown = house.call(&["export", &part, "--topics", "proposal"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_history_of_kafka_is_read_from_its_file_and_from_the_blackboard_it_is_put_on() {
    let mut random = Random::of_this_run("an exported history of kafka");
    let (house, history) = History::begin(2, &mut random);
    let processor = house.run_with("one", SETTINGS, None);
    history.run(60, 40);
    let Place::Kafka(_) = house.place() else {
        panic!("no broker")
    };
    let here = [house.bootstrap(), &house.prefix, QUIET];
    let (sound, said) = audit(crate::support::python(), &here);
    assert!(sound, "{said}");
    processor.stop();
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (path(&folder, "a.avro"), path(&folder, "copy.db"));
    house.ok(&["export", &file]);
    assert_eq!(audit("python3", &["--export", &file]), (true, said));
    house.ok(&["import", &file, "--blackboard", &copy]);
    // Its values are still in the registry's framing, and read by the ids that came with it.
    let round = house.records("outcomes", None, 1)[0]["proposal_id"].clone();
    let show = ["show", round.as_str().unwrap(), "--output", "json"];
    let there = house.ok(&[&show[..], &["--blackboard", &copy]].concat());
    assert_eq!(there, house.ok(&show));
    // Wherever it lies, it is verified.
    let verify = ["verify", "--grace", "0"];
    let said = house.ok(&verify);
    assert!(said.contains(" 0 broken, 0 not evaluated"), "{said}");
    assert_eq!(
        house.ok(&[&verify[..], &["--export", &file]].concat()),
        said
    );
    let copied = [&verify[..], &["--blackboard", &copy]].concat();
    assert_eq!(house.ok(&copied), said);
}
