//! The programs under test: built by cargo, copied so that a build cannot change
//! them under a running lab.

use std::fs;
use std::path::{Path, PathBuf};

use crate::directory;
use crate::fault::{Attempt, Fault, Result};

/// The daemons, the control program and the PostgreSQL plugin.
const NAMES: [&str; 5] = ["vrrpd", "vrrpctl", "arbiterd", "replicator", "postgresql"];

/// A directory with a copy of every program.
#[derive(Clone, Debug)]
pub struct Programs(PathBuf);

impl Programs {
    /// Copies them to `bin` in the directory `lab`: from `VRRPD_BIN_DIR` if that
    /// is set, else from beside the running program, else from the workspace's
    /// `target/release`.
    ///
    /// # Errors
    ///
    /// One is missing: which, and how to build it.
    pub fn install(lab: &Path) -> Result<Self> {
        let source = source()?;
        let bin = lab.join("bin");
        directory::make(&bin)?;
        for name in NAMES {
            let built = source.join(name);
            fs::copy(&built, bin.join(name)).map_err(|error| {
                Fault::new(format!(
                    "{}: {error}: run `cargo build --release`, or set VRRPD_BIN_DIR to where the \
                     programs are",
                    built.display()
                ))
            })?;
        }
        Ok(Self(bin))
    }

    /// Where the program `name` is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory of the programs; also of the plugins.
    pub fn directory(&self) -> &Path {
        &self.0
    }
}

/// Where cargo puts what it builds.
///
/// # Errors
///
/// The running program cannot be found.
pub fn source() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("VRRPD_BIN_DIR") {
        return Ok(directory.into());
    }
    let this = std::env::current_exe().attempt(|| "find the running program".into())?;
    let beside = this.parent().filter(|directory| {
        let built = |name| directory.join(name).is_file();
        NAMES.into_iter().all(built)
    });
    let release = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release");
    Ok(beside.map_or_else(|| release.into(), Path::to_path_buf))
}
