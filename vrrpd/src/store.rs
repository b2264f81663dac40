//! A voter's durable state on disk (PROTOCOL.md, State of a voter).

use std::fs::File;
use std::path::{Path, PathBuf};

use vrrpd_core::pool::record::Durable;

/// A state directory, held by this process alone until dropped.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    lock: File,
}

impl Store {
    /// Makes the directory if it is missing (0700) and locks it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        unimplemented!("{directory:?}")
    }

    /// What was saved last; `None` in a new directory.
    ///
    /// # Errors
    ///
    /// A damaged file is refused, never taken for a new one.
    pub fn load(&self) -> Result<Option<Durable>, Error> {
        unimplemented!("{:?} {:?}", self.directory, self.lock)
    }

    /// Replaces the saved state: on disk, synced, when it returns.
    pub fn save(&mut self, durable: &Durable) -> Result<(), Error> {
        unimplemented!("{durable:?}")
    }
}

/// Why the state could not be read or written: what, where, how to mend it.
#[derive(Debug)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
