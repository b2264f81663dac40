//! Whether the server is fit for its role: it answers, a write ends, there is
//! room on its disks. Also what is counted and noted now and then.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use replicator::role::{Lsn, Position};
use rustix::process::Signal;

use crate::process::Postmaster;
use crate::say;
use crate::server::Server;
use crate::session::{self, Waits};
use crate::state::{Phase, Sample};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// A server that does not answer for this long is silent.
const SILENT: Duration = Duration::from_secs(2);

/// A write that takes longer is a fault.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);

/// Between two probing writes of a server that others write to.
const WRITE_IN_USE: Duration = Duration::from_secs(1);

/// Between two probing writes of a server that nobody writes to.
const WRITE_IDLE: Duration = Duration::from_secs(10);

/// Between two notes of the position.
const NOTE: Duration = Duration::from_secs(5);

/// A file system with fewer bytes left is full.
const FULL: u64 = 32 << 20;

/// What the server says of a commit whose wait for the copy was cancelled.
const CANCELLED: &str = "canceling wait for synchronous replication due to user request";

/// Begins to look, for as long as the process runs.
pub fn start(server: &Arc<Server>) {
    let (requests, due) = mpsc::channel();
    let (outcomes, done) = mpsc::channel();
    let writer = Arc::clone(server);
    thread::spawn(move || write_when_due(&writer, &due, &outcomes));
    let mut fitness = Fitness {
        server: Arc::clone(server),
        requests,
        outcomes: done,
        writing: None,
        written: None,
        noted: Instant::now(),
        log: Tail::default(),
    };
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK);
            fitness.look();
        }
    });
}

/// What a probing write came to: the end of its record, or why it failed.
type Outcome = Result<Lsn, String>;

/// A write that has ended.
#[derive(Clone, Copy, Debug)]
struct Written {
    run: u64,
    at: Instant,
    /// Where the log ended a while later: whether others write shows by it.
    lsn: Lsn,
}

struct Fitness {
    server: Arc<Server>,
    requests: Sender<u64>,
    outcomes: Receiver<(u64, Outcome)>,
    /// The write under way: of which run, since when.
    writing: Option<(u64, Instant)>,
    written: Option<Written>,
    noted: Instant,
    log: Tail,
}

impl Fitness {
    fn look(&mut self) {
        let (phase, run, sample, answered) = self.server.state.look(|inner| {
            let sample = inner.sample.filter(|_| inner.postmaster.is_some());
            (inner.phase.clone(), inner.run, sample, inner.answered)
        });
        match (phase, sample) {
            (Phase::Running, Some(sample)) => {
                self.look_at_disks();
                self.look_at_answers(answered);
                self.look_at_writes(run, sample);
                self.note(sample);
                self.count_cancelled(run);
            }
            (Phase::Down(_) | Phase::Stopped(_), _) => self.look_for_strangers(),
            (Phase::Running, None) | (Phase::Working(_), _) => {}
        }
    }

    fn look_at_answers(&self, answered: Instant) {
        if answered.elapsed() >= SILENT {
            self.server.state.update(|inner| inner.faults.silent = true);
        }
    }

    fn look_at_disks(&self) {
        let data = &self.server.config.data_directory;
        let full = [data.clone(), data.join("pg_wal")]
            .into_iter()
            .find(|directory| {
                rustix::fs::statvfs(directory)
                    .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < FULL)
            })
            .map(|directory| {
                format!(
                    "{}: less than {} MiB are left: make room",
                    directory.display(),
                    FULL >> 20
                )
            });
        self.server.state.update(|inner| inner.faults.full = full);
    }

    /// Probes a primary with a write: soon after others wrote, else now and then.
    fn look_at_writes(&mut self, run: u64, sample: Sample) {
        while let Ok((run, outcome)) = self.outcomes.try_recv() {
            self.writing = None;
            self.on_written(run, outcome, sample);
        }
        if sample.standby {
            return;
        }
        if let Some((of, since)) = self.writing {
            if of == run && since.elapsed() >= WRITE_DEADLINE {
                let what = format!(
                    "a write has not ended within {} s: is a disk frozen?",
                    WRITE_DEADLINE.as_secs()
                );
                self.server
                    .state
                    .update(|inner| inner.faults.write = Some(what));
            }
            return;
        }
        let span = match self.written {
            Some(written) if written.run == run && written.lsn == sample.position.lsn => WRITE_IDLE,
            _ => WRITE_IN_USE,
        };
        let is_due = self
            .written
            .is_none_or(|written| written.run != run || written.at.elapsed() >= span);
        if is_due && self.requests.send(run).is_ok() {
            self.writing = Some((run, Instant::now()));
        }
    }

    fn on_written(&mut self, run: u64, outcome: Outcome, sample: Sample) {
        let lsn = sample.position.lsn;
        self.written = Some(Written {
            run,
            at: Instant::now(),
            lsn,
        });
        let fault = outcome.as_ref().err().cloned();
        self.server.state.update(|inner| {
            if inner.run == run && inner.postmaster.is_some() {
                inner.faults.write = fault.map(|why| format!("a write failed: {why}"));
            }
        });
        if let Ok(end) = outcome
            && !sample.standby
        {
            self.write_note(Position {
                timeline: sample.position.timeline,
                lsn: end,
            });
        }
    }

    fn note(&mut self, sample: Sample) {
        if let Some(replayed) = sample.replayed
            && self.noted.elapsed() >= NOTE
        {
            self.write_note(Position {
                timeline: sample.position.timeline,
                lsn: replayed,
            });
        }
    }

    fn write_note(&mut self, position: Position) {
        self.noted = Instant::now();
        if let Err(failure) = self.server.copy.note(position) {
            say::warning(&failure.message);
        }
    }

    fn count_cancelled(&mut self, run: u64) {
        let count = self.log.count(&self.server.log(), run);
        if count > 0 {
            say::warning(&format!(
                "{count} commits are on this server alone: their clients cancelled the \
                 wait for the other copy"
            ));
            self.server
                .state
                .update(|inner| inner.cancelled_waits += count);
        }
    }

    /// A server that anyone else started is stopped.
    fn look_for_strangers(&self) {
        let settings = self.server.settings().path().to_owned();
        let data = &self.server.config.data_directory;
        let Some(stranger) = Postmaster::find(data, &settings) else {
            return;
        };
        // It may be ours, started in this very moment.
        let runs = self
            .server
            .state
            .look(|inner| !matches!(inner.phase, Phase::Down(_) | Phase::Stopped(_)));
        if runs || stranger.ours {
            return;
        }
        say::warning(&format!(
            "process {} was started by somebody else in {}: it is stopped; disable \
             whatever starts it",
            stranger.id,
            data.display()
        ));
        stranger.signal(Signal::INT);
    }
}

/// Writes once for each request, however long that takes.
fn write_when_due(server: &Server, due: &Receiver<u64>, outcomes: &Sender<(u64, Outcome)>) {
    let mut kept: Option<(u64, Client)> = None;
    for run in due {
        // A session ends with its server, and is not told before it is used.
        let session = kept.take().filter(|(of, _)| *of == run);
        let outcome = match session {
            Some((_, client)) => write(client),
            None => connect(server).and_then(write),
        };
        let outcome = outcome.map(|(client, end)| {
            kept = Some((run, client));
            end
        });
        if outcomes.send((run, outcome)).is_err() {
            return;
        }
    }
}

fn connect(server: &Server) -> Result<Client, String> {
    session::own(&server.config, Waits::No).map_err(|error| session::said(&error))
}

/// A small transaction; where its record ends.
fn write(mut client: Client) -> Result<(Client, Lsn), String> {
    let statement = "SELECT pg_logical_emit_message(true, 'vrrpd', '')::text";
    let row = client
        .query_one(statement, &[])
        .map_err(|error| session::said(&error))?;
    let end: &str = row.get(0);
    let end = end.parse().map_err(|error| format!("{end}: {error}"))?;
    Ok((client, end))
}

/// New lines of the server's log.
#[derive(Debug, Default)]
struct Tail {
    run: u64,
    path: PathBuf,
    at: u64,
}

impl Tail {
    /// Counts the cancelled waits since the last look, within one run.
    fn count(&mut self, path: &Path, run: u64) -> u64 {
        let Ok(mut file) = File::open(path) else {
            return 0;
        };
        let end = file.metadata().map_or(0, |metadata| metadata.len());
        if self.run != run || self.path != path || end < self.at {
            *self = Self {
                run,
                path: path.to_owned(),
                at: end,
            };
            return 0;
        }
        if file.seek(SeekFrom::Start(self.at)).is_err() {
            return 0;
        }
        let mut count = 0;
        let mut line = Vec::new();
        let mut reader = BufReader::new(file);
        while let Ok(length @ 1..) = reader.read_until(b'\n', &mut line) {
            if !line.ends_with(b"\n") {
                // The rest of it is read with the next look.
                break;
            }
            self.at += length as u64;
            count += u64::from(String::from_utf8_lossy(&line).contains(CANCELLED));
            line.clear();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn cancelled_waits_of_a_run_are_counted_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = File::create(&path).unwrap();
        let line = format!("2026-11-24 WARNING:  {CANCELLED}\n");
        log.write_all(line.as_bytes()).unwrap();
        let mut tail = Tail::default();
        assert_eq!(tail.count(&path, 1), 0);
        log.write_all(format!("x\n{line}{line}").as_bytes())
            .unwrap();
        log.write_all(b"half a li").unwrap();
        assert_eq!(tail.count(&path, 1), 2);
        assert_eq!(tail.count(&path, 1), 0);
        log.write_all(format!("ne\n{line}").as_bytes()).unwrap();
        assert_eq!(tail.count(&path, 1), 1);
        assert_eq!(tail.count(&path, 2), 0);
    }
}
