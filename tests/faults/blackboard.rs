//! The same load on a blackboard: three processors share one file, and are killed wherever they
//! stand, or stopped for longer than a session and let go on.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use super::{PARTITIONS, house_on_blackboard, play, tell, times, until, wait, within};
use crate::blackboard::confined;
use crate::support::load::{self, Random};
use crate::support::{House, Processor};

/// What is said where a file cannot grow.
const FULL: &str = "of the blackboard: disk I/O error";
/// How long it may take until the partitions of one that was stopped are others'.
const TAKEN: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["one", "two", "three"];
fn all(start: impl Fn(&str) -> Processor) -> Vec<Processor> {
    NAMES.iter().map(|name| start(name)).collect()
}

/// Whether there are rounds that were opened and have come to nothing yet.
fn has_open_rounds(house: &House) -> bool {
    let file = rusqlite::Connection::open(house.file()).unwrap();
    file.busy_timeout(Duration::from_secs(15)).unwrap();
    let open = "SELECT (SELECT count(DISTINCT key) FROM rounds WHERE value IS NOT NULL)
        > (SELECT count(DISTINCT key) FROM outcomes)";
    file.query_row(open, [], |row| row.get(0)).unwrap()
}

/// How often something was killed, and how many of these times in the midst of rounds.
#[derive(Debug, Default)]
struct Kills {
    all: usize,
    amid_rounds: usize,
}

impl Kills {
    fn count(&mut self, house: &House) {
        self.all += 1;
        self.amid_rounds += usize::from(has_open_rounds(house));
    }
}

impl std::fmt::Display for Kills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { all, amid_rounds } = self;
        assert!(
            amid_rounds * 2 > *all,
            "{amid_rounds} of {all} prove little"
        );
        write!(f, "{all}: {amid_rounds} with rounds open")
    }
}

/// Kills one of them now and then, and starts it again.
fn kill(house: &House, random: &mut Random, times: usize, kills: &mut Kills) -> Vec<Processor> {
    let mut running = all(|name| house.run_as(name));
    for _ in 0..times {
        wait(random.within(300..2_500));
        kills.count(house);
        let which = usize::try_from(random.within(0..3)).unwrap();
        let (name, _) = running.remove(which).kill_and_read();
        // Mostly at once, under a name that has its partitions back without a session passing.
        if random.percent(30) {
            wait(random.within(0..3_000));
        }
        running.push(house.run_as(&name));
    }
    running
}

#[test]
fn processors_killed_on_one_file_lose_and_double_nothing() {
    let fault = "`kill -9` of one of three processors on a blackboard";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house_on_blackboard();
    let (count, mut kills) = (times(10, 100), Kills::default());
    let played = play(&house, &mut random, |random| {
        kill(&house, random, count, &mut kills)
    });
    tell(fault, kills, seed, &house, &played);
}

/// Kills the one process that is everything, and starts it again.
fn kill_dev(house: &House, random: &mut Random, times: usize, kills: &mut Kills) -> Vec<Processor> {
    let mut running = house.run_dev("0.5");
    for left in (0..times).rev() {
        wait(random.within(300..2_500));
        kills.count(house);
        running.kill();
        // The last one opens no rounds, so that there is an end.
        running = house.run_dev(if left > 0 { "0.5" } else { "0" });
    }
    vec![running]
}

#[test]
fn everything_in_one_process_killed_again_and_again_loses_and_doubles_nothing() {
    let fault = "`kill -9` of `quorate dev`";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house_on_blackboard();
    let (count, mut kills) = (times(10, 100), Kills::default());
    let played = play(&house, &mut random, |random| {
        kill_dev(&house, random, count, &mut kills)
    });
    tell(fault, kills, seed, &house, &played);
}

/// Whether somebody holds the file, so that nobody else can write.
fn is_held(house: &House) -> bool {
    let file = rusqlite::Connection::open(house.file()).unwrap();
    file.busy_timeout(Duration::from_millis(500)).unwrap();
    file.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_err()
}

/// Stops a processor where it does not hold the file: others would wait for it, and not only it for
/// them (docs/blackboard.md).
fn stop_between_writes(house: &House, processor: &Processor) {
    until(|| {
        processor.pause();
        let held = is_held(house);
        if held {
            processor.resume();
        }
        !held
    });
}

/// Stops one for so long that the others take its partitions, then lets it go on.
fn stop(
    house: &House,
    random: &mut Random,
    times: usize,
    start: impl Fn(&str) -> Processor,
    enough: impl Fn() -> bool,
) -> Vec<Processor> {
    let running = all(start);
    until(|| house.logged("restored") >= PARTITIONS.unsigned_abs() as usize);
    wait(2_000);
    let mut stopped = 0;
    for number in 0.. {
        if stopped >= times && enough() {
            break;
        }
        assert!(number < times + 20, "it never was enough");
        // The last by name has no partition: there are twice as many engines.
        let which = *random.one_of(&[0, 2]);
        let restored = house.logged("restored");
        stop_between_writes(house, &running[which]);
        // Its session ends, and others have its partitions; unless it was stopped before it had
        // any again, where the machine gave it no time.
        let taken = within(TAKEN, || house.logged("restored") > restored);
        stopped += usize::from(taken);
        wait(random.within(100..1_000));
        running[which].resume();
        wait(random.within(500..2_000));
    }
    running
}

#[test]
fn a_processor_that_comes_back_after_its_session_decides_nothing() {
    let fault = "SIGSTOP past the session of a processor on a blackboard, then SIGCONT";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house_on_blackboard();
    let count = times(2, 20);
    let played = play(&house, &mut random, |random| {
        let start = |name: &str| house.run_as(name);
        let told = || house.logged("others have taken its partitions") > 0;
        stop(&house, random, count, start, told)
    });
    tell(fault, count, seed, &house, &played);
}

/// Lets no file grow now and then, as a full disk would, for one of two processors.
fn fill(house: &House, random: &mut Random, times: usize) -> Vec<Processor> {
    // Who would exceed a limit is told so by an error, and not killed.
    let limited = house.run_by(r#"trap "" XFSZ; exec "$@""#, "one");
    let other = house.run_as("two");
    wait(2_000);
    let mut filled = 0;
    while filled < times || house.logged(FULL) == 0 {
        // The second is too low for its log, too: it goes on without a word.
        limited.limit_files(["100000", "4096"][filled % 2]);
        filled += 1;
        wait(random.within(500..4_000));
        limited.limit_files("unlimited");
        wait(random.within(1_000..4_000));
    }
    vec![limited, other]
}

#[test]
fn a_file_that_cannot_grow_is_said_and_nothing_is_lost() {
    let fault = "no room for a blackboard's file to grow";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house_on_blackboard();
    let count = times(3, 30);
    let played = play(&house, &mut random, |random| fill(&house, random, count));
    tell(fault, count, seed, &house, &played);
}

/// Writes until nothing more goes onto the disk.
fn fill_disk(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// Whether a verb that writes is told why it cannot; as long as it can, it is about no round.
fn says_that_there_is_no_room(house: &House) -> bool {
    let nothing = uuid::Uuid::now_v7().to_string();
    let about = ["respond", "--proposal", &nothing, "--agent", "a1"];
    let answer =
        house.call(&[&about[..], &["--verdict", "endorse", "--confidence", "0.9"]].concat());
    let complaint = String::from_utf8(answer.stderr).unwrap();
    assert_eq!(answer.status.success(), complaint.is_empty(), "{complaint}");
    complaint.contains("(log_full)")
}

/// Leaves no room on the disk now and then.
fn fill_now_and_then(
    house: &House,
    random: &mut Random,
    times: usize,
    ballast: &Path,
) -> Vec<Processor> {
    let running = vec![house.run_as("one"), house.run_as("two")];
    wait(2_000);
    let mut filled = 0;
    while filled < times || house.logged("(log_full)") == 0 {
        fill_disk(ballast);
        filled += 1;
        wait(random.within(500..4_000));
        if filled == 1 {
            until(|| says_that_there_is_no_room(house));
        }
        std::fs::remove_file(ballast).unwrap();
        wait(random.within(1_000..4_000));
    }
    running
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let test = "faults::blackboard::a_full_disk_is_said_and_nothing_is_lost";
    confined::to_a_disk(test, 192, |disk| {
        let fault = "a full disk under a blackboard";
        let mut random = Random::of_this_run(fault);
        let seed = random.seed();
        let file = disk.join("bank.db");
        let house = House::on_blackboard_at(&file, 3, &load::agents(), load::POLICIES);
        let (count, ballast) = (times(3, 30), disk.join("ballast"));
        let played = play(&house, &mut random, |random| {
            fill_now_and_then(&house, random, count, &ballast)
        });
        tell(fault, count, seed, &house, &played);
    });
}

#[cfg(debug_assertions)]
#[test]
fn a_processor_that_nobody_fences_on_a_blackboard_would_be_seen() {
    let switch = "fencing-off";
    let house = house_on_blackboard();
    super::must_show(switch, &house, |random| {
        let start = |name: &str| house.run_faulty(name, switch);
        stop(&house, random, 1, start, || true)
    });
}
