//! How a copy becomes able to follow again: rewound, or replaced by a copy of
//! the primary's data. What is taken away is kept aside.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use replicator::plugin::serve::{Notifier, Token};
use replicator::plugin::{Failure, Source};
use replicator::role::{Lsn, Position, Progress, Upstream};

use crate::control::Control;
use crate::copy::{self, Stage};
use crate::file;
use crate::say;
use crate::server::Server;
use crate::session::REPLICATION_ROLE;
use crate::tool;
use crate::upstream;
use crate::wal::{self, History};

/// Kept aside: so many tails of the log, the newest.
const TAILS: usize = 5;

/// In the state directory: the ends of the log that rewinds took away.
const TAIL_DIRECTORY: &str = "tails";

impl Server {
    /// The timelines of the data: the newest is `timeline`.
    ///
    /// # Errors
    ///
    /// A history file that cannot be read.
    pub fn history(&self, timeline: u32) -> Result<History, Failure> {
        let path = self
            .config
            .data_directory
            .join("pg_wal")
            .join(History::file_name(timeline));
        let text = file::read(&path)?.unwrap_or_default();
        History::parse(timeline, &text)
            .map_err(|what| Failure::new(format!("{}: {what}", path.display())))
    }

    /// Takes back what is not in the source's history; the server does not run
    /// then.
    ///
    /// # Errors
    ///
    /// Why not: only a clone helps then, if the rewind had begun.
    pub fn rewind(&self, source: &Source, token: &Token) -> Result<(), Failure> {
        let facts = upstream::ask(&self.config, &source.upstream, &source.access, None, token)?;
        if facts.checkpoint_timeline < facts.history.timeline {
            return Err(Failure::new(format!(
                "the primary at {} has not finished its first checkpoint: waits for it",
                source.upstream
            )));
        }
        let end = self.sample().map(|sample| sample.position);
        self.stop(token)?;
        let (binaries, control) = (self.binaries()?, self.control()?);
        if !control.is_clean {
            return Err(Failure::new("not rewound: the server did not stop cleanly"));
        }
        let end = end.unwrap_or(control.checkpoint);
        let fork = self.history(end.timeline)?.fork(&facts.history);
        self.work("what no other copy has is taken back");
        self.keep_tail(fork, end, &control)?;
        self.copy.renew(Stage::NeedsClone)?;
        let mut command = tool::command(&binaries, "pg_rewind");
        command
            .arg("--target-pgdata")
            .arg(&self.config.data_directory)
            .arg("--source-server")
            .arg(self.conninfo(&source.upstream))
            .arg("--no-ensure-shutdown");
        tool::run(command, token, say::line)?;
        // It takes the primary's files along, this one among them.
        let data = &self.config.data_directory;
        file::touch(&data.join("standby.signal"))?;
        self.copy.settle(data, Stage::Fresh)?;
        let copy = self.copy.id()?;
        self.state.update(|inner| inner.copy = copy);
        Ok(())
    }

    /// Keeps the files of the log that hold what is behind `fork`.
    fn keep_tail(&self, fork: Lsn, end: Position, control: &Control) -> Result<(), Failure> {
        let tails = self.directory.join(TAIL_DIRECTORY);
        let tail = tails.join(format!("{}-timeline-{}", stamp(), end.timeline));
        let pg_wal = self.config.data_directory.join("pg_wal");
        let from = Lsn(fork.0 / control.segment_size * control.segment_size);
        make_directory(&tail)?;
        let entries =
            fs::read_dir(&pg_wal).map_err(|error| file::failed(&pg_wal, "read", &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_behind = wal::parse_segment_name(&name, control.segment_size)
                .is_some_and(|start| start.timeline == end.timeline && start.lsn >= from);
            // Recycled files ahead of the end hold nothing.
            let is_log = wal::parse_segment_name(&name, control.segment_size)
                .is_some_and(|start| start.lsn < end.lsn);
            if is_behind && is_log {
                let kept = tail.join(&name);
                fs::copy(entry.path(), &kept)
                    .map_err(|error| file::failed(&kept, "written", &error))?;
            }
        }
        say::warning(&format!(
            "what this copy has from {fork} to {} on timeline {} is in no other and is \
             taken back; it is kept in {}: read it with pg_waldump --path={} --timeline={} \
             --start={fork}",
            end.lsn,
            end.timeline,
            tail.display(),
            tail.display(),
            end.timeline,
        ));
        forget_oldest(&tails, TAILS)
    }

    /// Replaces the data by a copy of the source's; the server does not run
    /// then. The old data are kept aside.
    ///
    /// # Errors
    ///
    /// Why not: the old data are still there.
    pub fn replace(
        &self,
        source: &Source,
        notifier: &Notifier,
        token: &Token,
    ) -> Result<(), Failure> {
        upstream::ask(&self.config, &source.upstream, &source.access, None, token)?;
        let data = &self.config.data_directory;
        let new = data.with_added_extension("new");
        remove_directory(&new)?;
        make_directory(&new)?;
        let mut command = tool::command(&self.binaries()?, "pg_basebackup");
        command
            .arg("--pgdata")
            .arg(&new)
            .arg("--dbname")
            .arg(self.conninfo(&source.upstream))
            .args(["--wal-method=stream", "--checkpoint=fast", "--progress"])
            .arg("--no-password");
        tool::run(command, token, |line| match progress(line) {
            Some(progress) => notifier.progress(progress),
            None => say::line(line),
        })?;
        file::touch(&new.join("standby.signal"))?;
        file::remove(&new.join("postgresql.auto.conf.tmp"))?;
        // Up to here nothing of what was is touched.
        self.stop(token)?;
        self.work("the data are replaced by a copy");
        self.copy.announce_new(Stage::NeedsClone)?;
        self.copy.settle(&new, Stage::Fresh)?;
        self.put_aside()?;
        fs::rename(&new, data).map_err(|error| file::failed(data, "replaced", &error))?;
        file::sync_directory_of(data).map_err(|error| file::failed(data, "replaced", &error))?;
        let copy = self.copy.id()?;
        self.state.update(|inner| inner.copy = copy);
        Ok(())
    }

    /// Moves the old data aside. Of those that were a copy of the pool's only
    /// the newest stay; what was here before the pool is never removed.
    fn put_aside(&self) -> Result<(), Failure> {
        let data = &self.config.data_directory;
        let is_empty = fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none());
        if is_empty {
            return remove_directory(data);
        }
        let of_pool = data.join(copy::FILE).exists();
        let kind = if of_pool { "replaced" } else { "before-pool" };
        let aside = data.with_added_extension(format!("{kind}-{}", stamp()));
        fs::rename(data, &aside).map_err(|error| file::failed(&aside, "made", &error))?;
        say::warning(&format!(
            "the data before are kept in {}: remove them when they are not needed",
            aside.display()
        ));
        for old in siblings(data, ".replaced-")? {
            if old != aside && of_pool {
                say::warning(&format!("{}: older data are removed", old.display()));
                remove_directory(&old)?;
            }
        }
        Ok(())
    }

    /// How PostgreSQL's programs reach the source.
    fn conninfo(&self, upstream: &Upstream) -> String {
        let settings = self.settings();
        format!(
            "{} dbname={} user={REPLICATION_ROLE}",
            settings.conninfo(upstream),
            self.config.database
        )
    }
}

/// `1234/5678 kB (21%), 0/1 tablespace`
fn progress(line: &str) -> Option<Progress> {
    let (done, rest) = line.split_once('/')?;
    let (total, _) = rest.split_once(" kB")?;
    let done = done.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let total = total.trim().parse::<u64>().ok()?.saturating_mul(1024);
    Some(Progress {
        done,
        total: total.max(done),
    })
}

/// Seconds since 1970, for names.
fn stamp() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .map_err(|error| file::failed(path, "made", &error))
}

fn remove_directory(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file::failed(path, "removed", &error))
        }
        _ => Ok(()),
    }
}

/// Directories beside `path` that are named as it and then `.{kind}`.
fn siblings(path: &Path, kind: &str) -> Result<Vec<PathBuf>, Failure> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}{kind}");
    let entries = fs::read_dir(parent).map_err(|error| file::failed(parent, "read", &error))?;
    Ok(entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect())
}

/// Removes the oldest directories in `path`, by name, until `keep` are left.
fn forget_oldest(path: &Path, keep: usize) -> Result<(), Failure> {
    let entries = fs::read_dir(path).map_err(|error| file::failed(path, "read", &error))?;
    let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    let old = names.len().saturating_sub(keep);
    names[..old]
        .iter()
        .try_for_each(|path| remove_directory(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_lines_of_pg_basebackup() {
        let kib = 1024;
        assert_eq!(
            progress("  1234/5678 kB (21%), 0/1 tablespace"),
            Some(Progress {
                done: 1234 * kib,
                total: 5678 * kib
            })
        );
        assert_eq!(
            progress("5700/5678 kB (100%), 1/1 tablespace"),
            Some(Progress {
                done: 5700 * kib,
                total: 5700 * kib
            })
        );
        assert_eq!(progress("waiting for checkpoint"), None);
    }

    #[test]
    fn only_the_newest_tails_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["1700000001-a", "1700000003-a", "1700000002-a"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        forget_oldest(directory.path(), 2).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["1700000002-a", "1700000003-a"]);
    }
}
