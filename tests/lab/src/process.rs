//! A process of a host: started there, watched to its end, its words kept.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::fault::{Attempt, Fault, Result};
use crate::namespace::Namespace;
use crate::timeline::Timeline;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What the timeline calls it, e.g. `vrrpd`.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Set in its environment, besides ours.
    pub environment: Vec<(String, String)>,
    /// The user and group it runs as; ours if left out.
    pub user: Option<(u32, u32)>,
}

/// A running process, or one that has ended.
#[derive(Clone, Debug)]
pub struct Process {
    name: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not fetched yet, so its number is nobody else's.
    Running(u32),
    Ended(ExitStatus),
}

impl Process {
    /// Starts `program` on `host`; each line it writes goes to `log` and, as
    /// the words of `who`, to the timeline.
    ///
    /// # Errors
    ///
    /// It cannot be executed, or its log cannot be written.
    pub fn start(
        program: &Program,
        host: &Namespace,
        log: PathBuf,
        who: &str,
        timeline: &Timeline,
    ) -> Result<Self> {
        let what = || format!("start {}", program.path.display());
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .attempt(|| format!("open {}", log.display()))?;
        let (reader, writer) = io::pipe().attempt(what)?;
        let mut command = command(program);
        command
            .stdout(writer.try_clone().attempt(what)?)
            .stderr(writer);
        let child = host.run(move || command.spawn()).attempt(what)?;
        let process = Self {
            name: program.name.clone(),
            shared: Arc::new(Shared {
                state: Mutex::new(State::Running(child.id())),
                changed: Condvar::new(),
            }),
        };
        {
            let (who, timeline) = (who.to_owned(), timeline.clone());
            spawn("log", move || keep(reader, log_file, &who, &timeline))?;
        }
        let (who, timeline, shared) = (who.to_owned(), timeline.clone(), process.shared.clone());
        spawn("wait", move || shared.fetch(child, &who, &timeline))?;
        Ok(process)
    }

    /// Its number, as this process sees it, while it runs.
    pub fn id(&self) -> Option<u32> {
        match *self.shared.lock() {
            State::Running(id) => Some(id),
            State::Ended(_) => None,
        }
    }

    /// Sends it a signal; false if it has ended.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<bool> {
        let state = self.shared.lock();
        match *state {
            State::Running(id) => kill(Pid::from_raw(id.cast_signed()), signal)
                .attempt(|| format!("send {signal} to {}", self.name))
                .map(|()| true),
            State::Ended(_) => Ok(false),
        }
    }

    /// Waits for its end, for `patience` at most.
    ///
    /// # Errors
    ///
    /// It runs still.
    pub fn ended(&self, patience: Duration) -> Result<ExitStatus> {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, |state| matches!(state, State::Running(_)));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Ended(status) => Ok(status),
            State::Running(_) => Err(Fault::new(format!(
                "{} has not ended within {} s",
                self.name,
                patience.as_secs_f64()
            ))),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end, and fetches it while nobody can signal its number.
    fn fetch(&self, mut child: Child, who: &str, timeline: &Timeline) {
        let id = Pid::from_raw(child.id().cast_signed());
        let ends = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(id), ends) == Err(Errno::EINTR) {}
        let mut state = self.lock();
        if let Ok(status) = child.wait() {
            *state = State::Ended(status);
            timeline.note(who, format!("ended: {}", Words(status)));
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// `status 1`, `killed by signal 9`.
struct Words(ExitStatus);

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "status {code}"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}"),
            (None, None) => f.write_str("nobody knows how"),
        }
    }
}

fn command(program: &Program) -> Command {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .envs(program.environment.iter().map(|(key, value)| (key, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    if let Some((user, group)) = program.user {
        // Without the supplementary groups of root: std drops them with the user.
        command.uid(user).gid(group);
    }
    command
}

fn keep(reader: io::PipeReader, mut log: File, who: &str, timeline: &Timeline) {
    for line in BufReader::new(reader)
        .split(b'\n')
        .map_while(io::Result::ok)
    {
        let line = String::from_utf8_lossy(&line);
        timeline.note(who, line.as_ref());
        // The timeline has the line also when the disk is full.
        let _ = writeln!(log, "{line}");
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .attempt(|| "start a thread".into())
}
