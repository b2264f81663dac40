//! What is to be done about the pool at the next start, noted on disk.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::replace::replace;

/// In the state directory.
const FILE: &str = "formation";

/// The voter's memory, beside it.
const VOTER: &str = "state";

/// How far the operator's procedure has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Formation {
    /// The pool is to form within the `formation_timeout`, or this manager is
    /// standalone again.
    OnHold,
    /// The pool is left: what it remembers of it is to be forgotten.
    Leaving,
    /// The pool has not formed: why.
    Failed(String),
}

impl Formation {
    /// What is noted in the state directory `state`.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn load(state: &Path) -> Result<Option<Self>, String> {
        let path = state.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| format!("{}: {error}: remove it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Notes it: on disk when it returns.
    pub(super) fn save(&self, state: &Path) -> Result<(), String> {
        let path = state.join(FILE);
        let text = serde_json::to_vec(self).expect("a formation is plain data");
        fs::create_dir_all(state)
            .and_then(|()| replace(&path, &text))
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))
    }

    /// Nothing is to be done any more.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn clear(state: &Path) -> Result<(), String> {
        remove(&state.join(FILE))
    }
}

/// Forgets the pool: one that is standalone votes in none, and may be formed
/// into another as a new voter.
///
/// # Errors
///
/// The disk refuses.
pub fn forget(state: &Path) -> Result<(), String> {
    remove(&state.join(VOTER))
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("{}: cannot be removed: {error}", path.display()))
        }
        _ => Ok(()),
    }
}
