//! Who owns which partition: engines that share a file, each seen to be there now and then.
//!
//! They are told apart by an epoch that no two lives share. A partition is given up before another
//! takes it, unless its owner was not seen for a session. That is only who should work; what keeps
//! two from deciding is that a commit asks, in its own transaction, whether the partitions are
//! still its own under its epoch.

use std::time::{Duration, Instant};

use quorate_core::fault::{self, Fault};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::file::{NOW, all_or_nothing};
use super::open::sql;
use crate::transport::Error;

/// How often an engine gives a sign in the time after which it is taken for dead.
const SIGNS: u32 = 5;
/// How often to look whether partitions are to be shared anew.
const LOOK: Duration = Duration::from_millis(200);

/// An engine's place among those that share the file.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    epoch: i64,
    /// What it owns, and may read.
    owned: Vec<i32>,
    /// Whether it was told to give that up.
    leaving: bool,
    /// After how long without a sign it is taken for dead.
    session: Duration,
    signed: Instant,
    looked: Option<Instant>,
    comes_back: bool,
}

/// What becomes of an engine's partitions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Assigned(Vec<i32>),
    Revoked,
}

impl Place {
    /// Takes a place under a name; whoever has it loses it, as this one does without a sign for a
    /// session.
    pub(super) fn take(
        file: &mut Connection,
        name: &str,
        comes_back: bool,
        session: Duration,
    ) -> Result<Self, Error> {
        let millis = i64::try_from(session.as_millis()).unwrap_or(i64::MAX);
        let epoch = write(file, |file| {
            file.execute("UPDATE state SET epoch = epoch + 1", [])?;
            let epoch: i64 = file.query_row("SELECT epoch FROM state", [], |row| row.get(0))?;
            let member = format!(
                "INSERT INTO members (name, epoch, seen, session) VALUES (?1, ?2, {NOW}, ?3)
                ON CONFLICT (name) DO UPDATE SET epoch = ?2, seen = {NOW}, session = ?3"
            );
            file.execute(&member, params![name, epoch, millis])?;
            file.execute("UPDATE owners SET member = NULL WHERE member = ?1", [name])?;
            Ok(epoch)
        })?;
        Ok(Self {
            name: name.to_owned(),
            epoch,
            owned: Vec::new(),
            leaving: false,
            session,
            signed: Instant::now(),
            looked: None,
            comes_back,
        })
    }

    /// What becomes of its partitions, if anything does.
    pub(super) fn look(&mut self, file: &mut Connection) -> Result<Option<Change>, Error> {
        if self.leaving || self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(None);
        }
        if self.signed.elapsed() >= self.session / SIGNS {
            self.sign(file)?;
        }
        self.looked = Some(Instant::now());
        let due = self.due(file).map_err(sql("look who is there"))?;
        if due == self.owned {
            return Ok(None);
        }
        if !self.owned.is_empty() {
            self.leaving = true;
            return Ok(Some(Change::Revoked));
        }
        if !self.claim(file, &due)? {
            return Ok(None);
        }
        self.owned.clone_from(&due);
        Ok(Some(Change::Assigned(due)))
    }

    /// The partitions that are its own, as far as it knows.
    pub(super) fn owned(&self) -> &[i32] {
        &self.owned
    }

    /// Gives its partitions to whoever is to have them.
    pub(super) fn release(&mut self, file: &mut Connection) -> Result<(), Error> {
        self.owned.clear();
        self.leaving = false;
        self.looked = None;
        let (name, epoch) = (&self.name, self.epoch);
        write(file, |file| {
            let free = "UPDATE owners SET member = NULL WHERE member = ?1 AND epoch = ?2";
            file.execute(free, params![name, epoch]).map(drop)
        })
    }

    /// Leaves, so that the others need not wait for a session to end; one that comes back under its
    /// name keeps its place.
    pub(super) fn leave(&mut self, file: &mut Connection) -> Result<(), Error> {
        self.release(file)?;
        if self.comes_back {
            return Ok(());
        }
        let (name, epoch) = (&self.name, self.epoch);
        write(file, |file| {
            let gone = "DELETE FROM members WHERE name = ?1 AND epoch = ?2";
            file.execute(gone, params![name, epoch]).map(drop)
        })
    }

    /// Whether a partition is its own still, as the caller's transaction has it; a sign besides.
    pub(super) fn owns(&self, file: &Transaction<'_>, partition: i32) -> rusqlite::Result<bool> {
        let own = "SELECT 1 FROM owners WHERE partition = ?1 AND member = ?2 AND epoch = ?3";
        let mut own = file.prepare_cached(own)?;
        own.exists(params![partition, self.name, self.epoch])
    }

    /// Why a partition is not its own any more.
    pub(super) fn lost(&self, file: &Connection) -> Error {
        let epoch = "SELECT epoch FROM members WHERE name = ?1";
        let epoch = file.query_row(epoch, [&self.name], |row| row.get::<_, i64>(0));
        match epoch.optional() {
            Ok(Some(epoch)) if epoch != self.epoch => Error::Replaced(format!(
                "another processor has started under the name of this one and took the place of \
                 its engine `{}`; see that no two processors run with the same `--instance`",
                self.name
            )),
            Err(error) => sql("look who is there")(error),
            _ => Error::Unfit(format!(
                "engine `{}` was not seen for {} ms, and others have taken its partitions",
                self.name,
                self.session.as_millis()
            )),
        }
    }

    /// Says that it is there, and takes those for dead that do not.
    fn sign(&mut self, file: &mut Connection) -> Result<(), Error> {
        let (name, epoch) = (&self.name, self.epoch);
        let there = write(file, |file| {
            let sign = format!("UPDATE members SET seen = {NOW} WHERE name = ?1 AND epoch = ?2");
            let there = file.execute(&sign, params![name, epoch])? > 0;
            // Each by its own session, which may be another's configuration.
            let dead = format!("DELETE FROM members WHERE seen < {NOW} - session");
            file.execute(&dead, [])?;
            let free = "UPDATE owners SET member = NULL
                WHERE member NOT IN (SELECT name FROM members)";
            file.execute(free, [])?;
            Ok(there)
        })?;
        if !there && !fault::is_on(Fault::FencingOff) {
            return Err(self.lost(file));
        }
        self.signed = Instant::now();
        Ok(())
    }

    /// The partitions that should be its own: the engines by name, each a range as long as any
    /// other or one longer.
    fn due(&self, file: &Connection) -> rusqlite::Result<Vec<i32>> {
        let names = "SELECT name FROM members ORDER BY name";
        let mut names = file.prepare_cached(names)?;
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let all = "SELECT partition FROM owners ORDER BY partition";
        let mut all = file.prepare_cached(all)?;
        let all: Vec<i32> = all
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let Some(place) = names.iter().position(|name| *name == self.name) else {
            // The next sign says what became of it.
            return Ok(self.owned.clone());
        };
        Ok(range(&all, place, names.len()))
    }

    /// Takes partitions, if nobody has any of them.
    fn claim(&self, file: &mut Connection, partitions: &[i32]) -> Result<bool, Error> {
        if partitions.is_empty() {
            return Ok(false);
        }
        let taken = "SELECT count(*) FROM owners WHERE partition = ?1 AND member IS NOT NULL";
        let own = "UPDATE owners SET member = ?2, epoch = ?3 WHERE partition = ?1";
        write(file, |file| {
            for partition in partitions {
                let taken: i64 = file.query_row(taken, [partition], |row| row.get(0))?;
                if taken > 0 {
                    return Ok(false);
                }
            }
            for partition in partitions {
                file.execute(own, params![partition, self.name, self.epoch])?;
            }
            Ok(true)
        })
    }
}

/// The share of one of so many in turn.
fn range(all: &[i32], place: usize, of: usize) -> Vec<i32> {
    let (each, more) = (all.len() / of, all.len() % of);
    let first = place * each + place.min(more);
    let many = each + usize::from(place < more);
    all.iter().copied().skip(first).take(many).collect()
}

fn write<T>(
    file: &mut Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Error> {
    all_or_nothing(file, change).map_err(sql("change who owns what"))
}

#[cfg(test)]
mod tests {
    use super::super::Blackboard;
    use super::*;

    const SESSION: Duration = Duration::from_secs(10);

    fn file(folder: &tempfile::TempDir) -> Connection {
        let path = folder.path().join("log.db");
        let (board, _) = Blackboard::make(&path, 5, -1).unwrap();
        board.writer().unwrap()
    }

    fn look(place: &mut Place, file: &mut Connection) -> Option<Change> {
        place.looked = None;
        place.look(file).unwrap()
    }

    #[test]
    fn ranges_cover_everything_once() {
        let all = [0, 1, 2, 3, 4];
        assert_eq!(range(&all, 0, 2), [0, 1, 2]);
        assert_eq!(range(&all, 1, 2), [3, 4]);
        assert_eq!(range(&all, 6, 7), [] as [i32; 0]);
    }

    #[test]
    fn a_partition_is_given_up_before_another_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder);
        let mut one = Place::take(&mut file, "one", false, SESSION).unwrap();
        let all = Change::Assigned(vec![0, 1, 2, 3, 4]);
        assert_eq!(look(&mut one, &mut file), Some(all));
        let mut two = Place::take(&mut file, "two", false, SESSION).unwrap();
        assert_eq!(look(&mut two, &mut file), None);
        assert_eq!(look(&mut one, &mut file), Some(Change::Revoked));
        assert_eq!(look(&mut two, &mut file), None);
        one.release(&mut file).unwrap();
        let halves = [vec![0, 1, 2], vec![3, 4]].map(|half| Some(Change::Assigned(half)));
        assert_eq!(look(&mut two, &mut file), halves[1]);
        assert_eq!(look(&mut one, &mut file), halves[0]);
        two.leave(&mut file).unwrap();
        assert_eq!(look(&mut one, &mut file), Some(Change::Revoked));
    }

    #[test]
    fn who_is_not_seen_for_a_session_loses_its_partitions_and_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder);
        let mut one = Place::take(&mut file, "one", false, SESSION).unwrap();
        look(&mut one, &mut file).unwrap();
        let mut two = Place::take(&mut file, "two", false, SESSION).unwrap();
        file.execute("UPDATE members SET seen = 0 WHERE name = 'one'", [])
            .unwrap();
        two.sign(&mut file).unwrap();
        assert!(look(&mut two, &mut file).is_some());
        let transaction = file.transaction().unwrap();
        assert!(!one.owns(&transaction, 0).unwrap());
        drop(transaction);
        let lost = one.sign(&mut file).unwrap_err();
        assert!(matches!(lost, Error::Unfit(_)), "{lost}");
    }

    #[test]
    fn each_is_taken_for_dead_after_a_session_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder);
        Place::take(&mut file, "long", false, SESSION * 6).unwrap();
        Place::take(&mut file, "short", false, SESSION / 2).unwrap();
        let mut other = Place::take(&mut file, "other", false, SESSION).unwrap();
        file.execute("UPDATE members SET seen = seen - 8000", [])
            .unwrap();
        other.sign(&mut file).unwrap();
        let mut left = file.prepare("SELECT name FROM members ORDER BY 1").unwrap();
        let left = left.query_map([], |row| row.get(0)).unwrap();
        let left: Vec<String> = left.map(Result::unwrap).collect();
        assert_eq!(left, ["long", "other"]);
    }

    #[test]
    fn who_comes_under_a_name_has_its_partitions_at_once_and_the_other_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder);
        let mut old = Place::take(&mut file, "one", true, SESSION).unwrap();
        look(&mut old, &mut file).unwrap();
        let mut new = Place::take(&mut file, "one", true, SESSION).unwrap();
        assert!(look(&mut new, &mut file).is_some());
        let transaction = file.transaction().unwrap();
        assert!(!old.owns(&transaction, 0).unwrap() && new.owns(&transaction, 0).unwrap());
        drop(transaction);
        assert!(matches!(old.lost(&file), Error::Replaced(_)));
    }
}
