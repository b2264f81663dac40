//! The identity of this copy of the data (PROTOCOL.md, State of a voter).
//!
//! A copy id is random and lives inside the data directory. A start counter
//! lives there too; both are also in the state directory. Data put back by
//! hand bring their own id and counter along, which then differ from those in
//! the state directory: such a copy gets a new id. So does one whose log ends
//! before the position noted last. A snapshot taken within the same run and
//! newer than that note stays undetected.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use replicator::plugin::Failure;
use replicator::role::{CopyId, Position};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::file;

/// In the data directory.
pub const FILE: &str = "vrrpd_copy";

/// In the state directory.
const STATE_FILE: &str = "copy";

/// In the state directory.
const NOTE_FILE: &str = "position";

/// What is in both directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    copy: CopyId,
    /// Raised at every start and observed stop; goes on when the id changes.
    count: u64,
}

/// How a copy was made, until it stands on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It stands on its own: all that its data need is in its own log.
    Whole,
    /// A rewind has begun and not ended: the data are of no use.
    NeedsClone,
    /// Rewound or cloned: it has to receive log before it is consistent.
    Fresh,
}

/// What is in the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    mark: Mark,
    /// The counter is being raised from here: the data directory may have
    /// either.
    from: Option<u64>,
    /// The counter as of the last start.
    #[serde(default)]
    run: u64,
    stage: Stage,
}

/// The copy id and counter of a data directory, kept in step with the state
/// directory.
#[derive(Clone, Debug)]
pub struct Copy {
    data: PathBuf,
    state: PathBuf,
    /// Held while something changes: an end is observed by one thread while
    /// another starts the server again.
    changing: Arc<Mutex<()>>,
}

impl Copy {
    /// Of that data and state directory; touches neither.
    pub fn new(data: &Path, state: &Path) -> Self {
        Self {
            data: data.to_owned(),
            state: state.to_owned(),
            changing: Arc::default(),
        }
    }

    /// The present copy id, if the data directory and the state directory
    /// agree on one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn id(&self) -> Result<Option<CopyId>, Failure> {
        let _alone = self.alone();
        Ok(self.agreed()?.map(|state| state.mark.copy))
    }

    /// The counter, as far as it is known.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn count(&self) -> Result<u64, Failure> {
        let state = self.read::<State>(&self.state_file())?;
        let mark = self.read::<Mark>(&self.data_file())?;
        Ok(state
            .map(|state| state.mark.count)
            .into_iter()
            .chain(mark.map(|mark| mark.count))
            .max()
            .unwrap_or(0))
    }

    /// How the copy was made.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn stage(&self) -> Result<Stage, Failure> {
        let state = self.read::<State>(&self.state_file())?;
        Ok(state.map_or(Stage::Whole, |state| state.stage))
    }

    /// Raises the counter for a start. Without an agreed id there is a new one
    /// afterwards. Returns the id and the counter, which is the run's number.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn begin_run(&self) -> Result<(CopyId, u64), Failure> {
        let _alone = self.alone();
        self.raise(true)
    }

    /// Raises the counter for an observed stop; the run keeps its number.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn end_run(&self) -> Result<(), Failure> {
        let _alone = self.alone();
        self.raise(false).map(drop)
    }

    /// The number of the last run.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn run(&self) -> Result<u64, Failure> {
        let state = self.read::<State>(&self.state_file())?;
        Ok(state.map_or(0, |state| state.run))
    }

    fn raise(&self, starts: bool) -> Result<(CopyId, u64), Failure> {
        let count = self.count()?;
        let Some(state) = self.agreed()? else {
            // A rewind that did not end is not forgotten over it.
            let copy = self.make_new(self.stage()?)?;
            let count = self.count()?;
            if starts && let Some(state) = self.read::<State>(&self.state_file())? {
                self.write_state(State {
                    run: count,
                    ..state
                })?;
            }
            return Ok((copy, count));
        };
        let mark = Mark {
            count: count + 1,
            ..state.mark
        };
        let run = if starts { mark.count } else { state.run };
        // The state directory allows both counters while the data directory's
        // is being raised, so that a loss of power between costs no copy id.
        self.write_state(State {
            mark,
            run,
            from: Some(count),
            ..state
        })?;
        self.write_mark(mark)?;
        self.write_state(State {
            mark,
            run,
            from: None,
            ..state
        })?;
        Ok((mark.copy, mark.count))
    }

    /// Gives the copy a new id. The state directory is first: whatever the data
    /// directory has until then, or gets from another copy, does not agree.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn renew(&self, stage: Stage) -> Result<CopyId, Failure> {
        let _alone = self.alone();
        self.make_new(stage)
    }

    fn make_new(&self, stage: Stage) -> Result<CopyId, Failure> {
        let mark = self.announce(stage)?;
        self.write_mark(mark)?;
        Ok(mark.copy)
    }

    /// Gives the copy that will be in the data directory a new id, in the state
    /// directory alone: from here on no copy agrees. [`Copy::settle`] follows.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn announce_new(&self, stage: Stage) -> Result<(), Failure> {
        let _alone = self.alone();
        self.announce(stage).map(drop)
    }

    /// Writes the id of the state directory into `data`, a directory that is
    /// to become the data directory, or is it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn settle(&self, data: &Path, stage: Stage) -> Result<(), Failure> {
        let _alone = self.alone();
        let Some(state) = self.read::<State>(&self.state_file())? else {
            return self.make_new(stage).map(drop);
        };
        file::replace(&data.join(FILE), &encode(&state.mark)?)?;
        self.write_state(State { stage, ..state })
    }

    /// The copy stands on its own now.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn becomes_whole(&self) -> Result<(), Failure> {
        let _alone = self.alone();
        match self.read::<State>(&self.state_file())? {
            Some(state) if state.stage != Stage::Whole => self.write_state(State {
                stage: Stage::Whole,
                ..state
            }),
            _ => Ok(()),
        }
    }

    /// Notes a position that is on disk.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn note(&self, position: Position) -> Result<(), Failure> {
        file::replace(&self.state.join(NOTE_FILE), &encode(&position)?)
    }

    /// The position noted last of this copy.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn noted(&self) -> Result<Option<Position>, Failure> {
        self.read(&self.state.join(NOTE_FILE))
    }

    fn announce(&self, stage: Stage) -> Result<Mark, Failure> {
        let mark = Mark {
            copy: random()?,
            count: self.count()? + 1,
        };
        file::remove(&self.state.join(NOTE_FILE))?;
        let run = self.run()?;
        self.write_state(State {
            mark,
            from: None,
            run,
            stage,
        })?;
        Ok(mark)
    }

    /// What the state directory has, if the data directory has the same.
    fn agreed(&self) -> Result<Option<State>, Failure> {
        let (Some(state), Some(mark)) = (
            self.read::<State>(&self.state_file())?,
            self.read::<Mark>(&self.data_file())?,
        ) else {
            return Ok(None);
        };
        let counts = [Some(state.mark.count), state.from];
        let agrees = mark.copy == state.mark.copy && counts.contains(&Some(mark.count));
        Ok(agrees.then_some(state))
    }

    /// Everything is on disk when it is given back, also by a thread that panicked.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_file(&self) -> PathBuf {
        self.state.join(STATE_FILE)
    }

    fn data_file(&self) -> PathBuf {
        self.data.join(FILE)
    }

    fn write_state(&self, state: State) -> Result<(), Failure> {
        file::replace(&self.state_file(), &encode(&state)?)
    }

    fn write_mark(&self, mark: Mark) -> Result<(), Failure> {
        if !fs::exists(&self.data).unwrap_or(false) {
            return Ok(());
        }
        file::replace(&self.data_file(), &encode(&mark)?)
    }

    /// What cannot be understood agrees with nothing, which is safe.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Failure> {
        Ok(file::read(path)?.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

fn encode(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(error.to_string()))
}

fn random() -> Result<CopyId, Failure> {
    loop {
        let id = getrandom::u64()
            .map_err(|error| Failure::new(format!("the system has no random numbers: {error}")))?;
        // 0 names a copy that does not exist.
        if id != 0 {
            return Ok(CopyId(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicator::role::Lsn;

    struct Place {
        _directory: tempfile::TempDir,
        copy: Copy,
    }

    fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (data, state) = (
            directory.path().join("data"),
            directory.path().join("state"),
        );
        fs::create_dir(&data).unwrap();
        fs::create_dir(&state).unwrap();
        Place {
            copy: Copy::new(&data, &state),
            _directory: directory,
        }
    }

    #[test]
    fn an_id_stays_while_the_counters_agree() {
        let Place { copy, _directory } = place();
        assert_eq!(copy.id(), Ok(None));
        let (first, count) = copy.begin_run().unwrap();
        assert_eq!(copy.begin_run(), Ok((first, count + 1)));
        assert_eq!(copy.id(), Ok(Some(first)));
    }

    #[test]
    fn starts_and_stops_at_the_same_time_are_all_counted() {
        let Place { copy, _directory } = place();
        let (first, run) = copy.begin_run().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        assert_eq!(copy.id(), Ok(Some(first)));
                        copy.end_run().unwrap();
                        assert_eq!(copy.begin_run().unwrap().0, first);
                    }
                });
            }
        });
        assert_eq!(copy.count(), Ok(run + 64));
    }

    #[test]
    fn a_stop_raises_the_counter_and_is_no_run() {
        let Place { copy, _directory } = place();
        let (first, run) = copy.begin_run().unwrap();
        copy.end_run().unwrap();
        assert_eq!(copy.run(), Ok(run));
        assert_eq!(copy.count(), Ok(run + 1));
        assert_eq!(copy.id(), Ok(Some(first)));
    }

    #[test]
    fn data_put_back_by_hand_get_a_new_id() {
        let Place { copy, _directory } = place();
        let (first, _) = copy.begin_run().unwrap();
        let snapshot = fs::read(copy.data_file()).unwrap();
        let (_, count) = copy.begin_run().unwrap();
        fs::write(copy.data_file(), snapshot).unwrap();
        assert_eq!(copy.id(), Ok(None));
        let (second, higher) = copy.begin_run().unwrap();
        assert_ne!(second, first);
        assert!(higher > count);
    }

    #[test]
    fn an_empty_or_foreign_state_directory_gives_a_new_id() {
        let Place { copy, _directory } = place();
        let (first, count) = copy.begin_run().unwrap();
        fs::remove_file(copy.state_file()).unwrap();
        let (second, higher) = copy.begin_run().unwrap();
        assert_ne!(second, first);
        assert!(higher > count);
        fs::write(copy.state_file(), "scribble").unwrap();
        assert_eq!(copy.id(), Ok(None));
    }

    #[test]
    fn power_lost_while_the_counter_is_raised_costs_no_id() {
        let Place { copy, _directory } = place();
        let (first, count) = copy.begin_run().unwrap();
        let before = fs::read(copy.data_file()).unwrap();
        let (_, raised) = copy.begin_run().unwrap();
        // After the first of the three writes.
        let between =
            format!(r#"{{"copy":"{first}","count":{raised},"from":{count},"stage":"whole"}}"#);
        fs::write(copy.state_file(), &between).unwrap();
        fs::write(copy.data_file(), before).unwrap();
        assert_eq!(copy.id(), Ok(Some(first)));
        assert_eq!(copy.begin_run(), Ok((first, raised + 1)));
    }

    #[test]
    fn a_clone_does_not_take_the_id_of_its_source() {
        let Place { copy, _directory } = place();
        let source = place();
        source.copy.begin_run().unwrap();
        let (first, _) = copy.begin_run().unwrap();
        copy.note(Position {
            timeline: 1,
            lsn: Lsn(9),
        })
        .unwrap();
        copy.announce_new(Stage::NeedsClone).unwrap();
        assert_eq!(copy.id(), Ok(None));
        assert_eq!(copy.noted(), Ok(None));
        fs::copy(source.copy.data_file(), copy.data_file()).unwrap();
        assert_eq!(copy.id(), Ok(None));
        assert_eq!(copy.stage(), Ok(Stage::NeedsClone));
        copy.settle(&copy.data, Stage::Fresh).unwrap();
        let second = copy.id().unwrap().unwrap();
        assert!(second != first && Some(second) != source.copy.id().unwrap());
        assert_eq!(copy.stage(), Ok(Stage::Fresh));
        copy.becomes_whole().unwrap();
        assert_eq!(copy.stage(), Ok(Stage::Whole));
        assert_eq!(copy.id(), Ok(Some(second)));
    }
}
