//! PostgreSQL for the lab: a cluster made once and copied, as its owner.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use nix::unistd::{Gid, Uid, User};

use crate::directory;
use crate::fault::{Attempt, Fault, Result};

/// The programs of PostgreSQL 15, as Debian installs them.
pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The port of the database.
pub const PORT: u16 = 5432;

/// Who owns a cluster, and runs it.
///
/// # Errors
///
/// There is no user `postgres`.
pub fn owner() -> Result<(Uid, Gid)> {
    let user = User::from_name("postgres").attempt(|| "look up the user postgres".into())?;
    let user = user.ok_or_else(|| {
        Fault::new("there is no user postgres: install the package postgresql-15")
    })?;
    Ok((user.uid, user.gid))
}

/// What an operator's `pg_hba.conf` lets in: everybody here, without a
/// password. Replication is for the pool to arrange.
const PG_HBA: &str = "\
local all all trust
host all all 127.0.0.1/32 trust
host all all 192.0.2.0/24 trust
";

/// What an operator's `postgresql.conf` says, beyond initdb's.
const SETTINGS: &str = "\
max_connections = 200
shared_buffers = 16MB
min_wal_size = 64MB
log_min_messages = warning
";

/// Gives `data` a cluster: a fresh one, stopped.
///
/// # Errors
///
/// PostgreSQL 15 is not installed, or the disk is full.
pub fn prepare(data: &Path) -> Result<()> {
    let template = template()?;
    give(parent(data)?)?;
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(&template).arg(data);
    run(&mut copy)
}

/// Makes a new cluster at `data`, with `initdb`, as an operator does.
///
/// # Errors
///
/// PostgreSQL 15 is not installed, or the disk is full.
pub fn initialize(data: &Path) -> Result<()> {
    let (user, group) = owner()?;
    give(parent(data)?)?;
    let mut initdb = Command::new(format!("{PROGRAMS}/initdb"));
    initdb
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--data-checksums", "--no-sync", "--pgdata"])
        .arg(data)
        .current_dir("/")
        .uid(user.as_raw())
        .gid(group.as_raw());
    run(&mut initdb)?;
    let settings = data.join("postgresql.conf");
    fs::read_to_string(&settings)
        .and_then(|before| fs::write(&settings, before + SETTINGS))
        .attempt(|| format!("write {}", settings.display()))?;
    directory::write(&data.join("pg_hba.conf"), PG_HBA)
}

fn parent(data: &Path) -> Result<&Path> {
    data.parent()
        .ok_or_else(|| Fault::new(format!("{} has no parent", data.display())))
}

/// Makes a directory that belongs to the database's owner.
///
/// # Errors
///
/// What the file system says.
pub fn give(path: &Path) -> Result<()> {
    let (user, group) = owner()?;
    directory::make(path)?;
    std::os::unix::fs::chown(path, Some(user.as_raw()), Some(group.as_raw()))
        .attempt(|| format!("give {} to postgres", path.display()))
}

/// A cluster to copy: made by the first lab on this machine that needs one.
fn template() -> Result<PathBuf> {
    let template = PathBuf::from("/tmp/vrrpd-lab-template-15");
    if template.join("PG_VERSION").exists() {
        return Ok(template);
    }
    let parent = PathBuf::from(format!("/tmp/vrrpd-lab-new-template-{}", process::id()));
    let new = parent.join("main");
    initialize(&new)?;
    // Whoever is first wins; a second one's is as good.
    let moved = fs::rename(&new, &template);
    fs::remove_dir_all(&parent).attempt(|| format!("remove {}", parent.display()))?;
    if moved.is_err() && !template.join("PG_VERSION").exists() {
        moved.attempt(|| format!("move a cluster to {}", template.display()))?;
    }
    Ok(template)
}

fn run(command: &mut Command) -> Result<()> {
    let what = format!("{}", command.get_program().display());
    let output = command.output().attempt(|| format!("start {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Fault::new(format!("{what}: {}", errors.trim_end())))
}
