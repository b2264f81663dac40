//! Where a lab keeps its hosts' disks and logs: gone with it, and with the next
//! start at the latest.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::fault::{Attempt, Fault, Result};

const PREFIX: &str = "/tmp/vrrpd-lab-";

/// How many labs run at once on one machine.
const SLOTS: u32 = 2;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// `/tmp/vrrpd-lab-<process>-<number>/`.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    rescue: Option<PathBuf>,
    /// Held while the lab runs.
    _slots: Vec<Flock<File>>,
}

impl Directory {
    /// A new one, when fewer than two labs run on this machine; waits until then.
    /// Removes what labs left behind whose processes are gone.
    ///
    /// # Errors
    ///
    /// `/tmp` cannot be written.
    pub fn new() -> Result<Self> {
        Self::with(vec![slot()?])
    }

    /// A new one, when no other lab runs: for measurements.
    ///
    /// # Errors
    ///
    /// As [`Directory::new`].
    pub fn alone() -> Result<Self> {
        // In order, so that two who want all do not wait for each other.
        let all = (0..SLOTS)
            .map(|slot| lock(slot, FlockArg::LockExclusive).attempt(|| "wait for a slot".into()));
        Self::with(all.collect::<Result<_>>()?)
    }

    fn with(slots: Vec<Flock<File>>) -> Result<Self> {
        remove_leftovers()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("{PREFIX}{}-{number}", process::id()));
        make(&path)?;
        let owner = Owner::this().attempt(|| "read /proc/self/stat".into())?;
        write(&path.join("owner"), &owner.to_string())?;
        Ok(Self {
            path,
            rescue: None,
            _slots: slots,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the hosts' logs to this directory when the lab goes; or not.
    pub fn rescue_logs(&mut self, to: Option<PathBuf>) {
        self.rescue = to;
    }

    /// Copies `<host>/log` to `<to>/<host>`, in place of an earlier lab's.
    fn rescue(&self, to: &Path) -> std::io::Result<()> {
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        for host in fs::read_dir(&self.path)? {
            let host = host?;
            let logs = host.path().join("log");
            if !logs.is_dir() {
                continue;
            }
            let kept = to.join(host.file_name());
            fs::create_dir_all(&kept)?;
            for log in fs::read_dir(logs)? {
                let log = log?;
                fs::copy(log.path(), kept.join(log.file_name()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(to) = &self.rescue
            && let Err(error) = self.rescue(to)
        {
            eprintln!("the logs could not be copied to {}: {error}", to.display());
        }
        // What cannot be removed now is a leftover, removed at the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a directory that all users can pass through.
///
/// # Errors
///
/// What the file system says.
pub fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .attempt(|| format!("make {}", path.display()))
}

/// Lets all users make files in a directory.
///
/// # Errors
///
/// What the file system says.
pub fn open_to_all(path: &Path) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o1777))
        .attempt(|| format!("open {}", path.display()))
}

/// Writes a file.
///
/// # Errors
///
/// What the file system says.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).attempt(|| format!("write {}", path.display()))
}

/// A process, told from a later one with the same number by its start.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    id: u32,
    /// Ticks after the machine's boot.
    started: u64,
}

impl Owner {
    fn this() -> std::result::Result<Self, String> {
        Self::of(process::id()).ok_or_else(|| "it is not as proc(5) says".into())
    }

    /// The running process of this number.
    fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may hold anything; field 22 is the start.
        let (_, fields) = stat.rsplit_once(") ")?;
        let started = fields.split(' ').nth(19)?.parse().ok()?;
        Some(Self { id, started })
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, started) = text.trim().split_once(' ')?;
        Some(Self {
            id: id.parse().ok()?,
            started: started.parse().ok()?,
        })
    }

    fn lives(&self) -> bool {
        Self::of(self.id).as_ref() == Some(self)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.started)
    }
}

/// A lab's processes and networks end with their owner; its files are left.
fn remove_leftovers() -> Result<()> {
    let entries = fs::read_dir("/tmp").attempt(|| "read /tmp".into())?;
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.to_string_lossy().starts_with(PREFIX) || !path.is_dir() {
            continue;
        }
        let owner = fs::read_to_string(path.join("owner"))
            .ok()
            .and_then(|text| Owner::parse(&text));
        // Without an owner it may be a moment old: its maker writes it next.
        if owner.is_some_and(|owner| !owner.lives()) {
            // Another lab may be removing it at the same time.
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

fn lock(slot: u32, how: FlockArg) -> std::result::Result<Flock<File>, Errno> {
    let path = format!("{PREFIX}slot-{slot}");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    Flock::lock(file, how).map_err(|(_, errno)| errno)
}

/// Any free slot.
fn slot() -> Result<Flock<File>> {
    loop {
        for slot in 0..SLOTS {
            match lock(slot, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(held),
                Err(Errno::EWOULDBLOCK) => {}
                Err(errno) => return Err(Fault::new(format!("lock {PREFIX}slot-{slot}: {errno}"))),
            }
        }
        thread::park_timeout(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_alive_only_with_its_start() {
        let owner = Owner::this().expect("this process runs");
        assert!(owner.lives());
        assert_eq!(Owner::parse(&owner.to_string()).as_ref(), Some(&owner));
        let earlier = Owner {
            started: owner.started - 1,
            ..owner
        };
        assert!(!earlier.lives());
    }

    #[test]
    fn leftovers_of_a_dead_owner_are_removed_and_a_living_lab_is_kept() {
        let dead = PathBuf::from(format!("{PREFIX}test-{}", process::id()));
        make(&dead).expect("/tmp can be written");
        // Process 1 was started at boot: this owner is none.
        write(&dead.join("owner"), "1 18446744073709551615").expect("/tmp can be written");
        let living = Directory::new().expect("a lab");
        assert!(!dead.exists());
        assert!(living.path().exists());
    }
}
