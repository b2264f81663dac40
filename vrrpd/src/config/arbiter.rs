//! `arbiter.toml`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vrrpd_core::pool;

use super::{Mistakes, Process};
use crate::seal::Key;

/// What `arbiter.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub address: IpAddr,
    /// UDP port, default 8112.
    pub port: u16,
    /// `[paths] state`; each pool has a directory of its name in it.
    pub state: PathBuf,
    /// No pool's lease is longer.
    pub lease_max: Duration,
    /// `[[pool]]`, at least one.
    pub pools: Vec<Pool>,
    /// `[process]`.
    pub process: Process,
}

/// `[[pool]]`: one it votes in.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Unique in the file; a directory name.
    pub name: String,
    /// The key in `key_file`.
    pub key: Key,
    /// For the member.
    pub member: pool::Config,
}

impl Config {
    /// Reads and checks `file`.
    ///
    /// # Errors
    ///
    /// All mistakes in it, or why it could not be read.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        unimplemented!("{file:?}")
    }
}
