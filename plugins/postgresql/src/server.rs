//! The server of this plugin: started as a standby, promoted, stopped.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use replicator::plugin::serve::Token;
use replicator::plugin::{Access, Failure};
use replicator::role::{CopyId, Position, Upstream};
use rustix::process::Signal;

use crate::config::Config;
use crate::control::Control;
use crate::copy::Copy;
use crate::file;
use crate::hba;
use crate::process::{self, Launch, Postmaster};
use crate::say;
use crate::session;
use crate::settings::{Settings, Synchronous};
use crate::state::{Phase, Sample, State};
use crate::watch;

/// How often a wait for a process looks whether its command is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// A server that is to end at once gets this long to do it by itself.
const QUIT: Duration = Duration::from_millis(300);

/// How long another plugin of this data directory may take to give way.
const SUCCESSION: Duration = Duration::from_secs(10);

/// What the server writes until its own logging begins, in the state directory.
const LOG: &str = "server.log";

/// Held by the plugin that owns the server, in the state directory.
const LOCK: &str = "lock";

/// Made by a plugin that waits for the lock.
const SUCCESSOR: &str = "successor";

/// What a server says that cannot be started with its data, however often.
const RUINED: [&str; 6] = [
    "could not locate a valid checkpoint record",
    "incorrect checksum in control file",
    "invalid checkpoint record",
    "WAL ends before consistent recovery point",
    "WAL ends before end of online backup",
    "could not locate required checkpoint record",
];

/// Why a server did not start.
#[derive(Debug)]
pub enum StartFailure {
    /// Its data are of no use.
    Ruined(String),
    /// Anything else.
    Other(Failure),
}

impl From<Failure> for StartFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// The server, its files and what is known of it.
pub struct Server {
    /// The plugin's section.
    pub config: Config,
    /// Outlives the data directory.
    pub directory: PathBuf,
    /// The identity of the data.
    pub copy: Copy,
    /// What is known.
    pub state: Arc<State>,
    settings: Mutex<Settings>,
    /// What was said of the operator's files last.
    complaints: Mutex<Vec<String>>,
    /// Held while the server is ours.
    _lock: File,
}

impl Server {
    /// Takes the server over from the plugin before, if that runs still, and
    /// adopts one that runs; then watches it.
    ///
    /// # Errors
    ///
    /// A directory that cannot be used, or a plugin that does not give way.
    pub fn open(
        config: Config,
        directory: PathBuf,
        state: Arc<State>,
    ) -> Result<Arc<Self>, Failure> {
        fs::create_dir_all(&directory).map_err(|error| file::failed(&directory, "made", &error))?;
        let lock = take_lock(&directory)?;
        let server = Arc::new(Self {
            copy: Copy::new(&config.data_directory, &directory),
            settings: Mutex::new(Settings::new(&directory)),
            complaints: Mutex::default(),
            config,
            directory,
            state,
            _lock: lock,
        });
        server.adopt()?;
        watch::start(&server);
        Ok(server)
    }

    fn adopt(self: &Arc<Self>) -> Result<(), Failure> {
        let data = &self.config.data_directory;
        let found = Postmaster::find(data, self.settings().path());
        let copy = self.copy.id()?;
        let run = self.copy.run()?;
        let Some(postmaster) = found else {
            let why = match self.control() {
                Ok(control) if control.is_clean => "the server does not run",
                Ok(_) => "the server does not run: it did not stop cleanly",
                Err(_) => "there are no data yet",
            };
            self.state.update(|inner| {
                inner.copy = copy;
                inner.run = run;
                inner.end(Phase::Down(why.to_owned()));
            });
            return Ok(());
        };
        if postmaster.ours {
            self.settings().adopt()?;
            self.prepare(&self.control()?)?;
        } else {
            say::warning(&format!(
                "a server that was not started by vrrpd runs in {}: it will be stopped; \
                 disable whatever started it",
                data.display()
            ));
        }
        self.state
            .update(|inner| inner.begin(postmaster, copy, run));
        Ok(())
    }

    /// What is in the settings file, and what is to be.
    pub fn settings(&self) -> MutexGuard<'_, Settings> {
        // A thread that panicked has left plain values.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The control file of the data.
    ///
    /// # Errors
    ///
    /// There are no data, or their version is not installed.
    pub fn control(&self) -> Result<Control, Failure> {
        Control::read(&self.binaries()?, &self.config.data_directory)
    }

    /// Where the programs of the data's version are.
    ///
    /// # Errors
    ///
    /// They are not installed.
    pub fn binaries(&self) -> Result<PathBuf, Failure> {
        self.config.binaries(self.config.major()?)
    }

    /// Whether there are no data yet.
    ///
    /// # Errors
    ///
    /// There are some, of something else.
    pub fn is_empty(&self) -> Result<bool, Failure> {
        Ok(self.config.major()?.is_none())
    }

    /// A session with the server.
    ///
    /// # Errors
    ///
    /// It does not answer.
    pub fn connect(&self) -> Result<Client, Failure> {
        session::own(&self.config, session::Waits::No).map_err(|error| {
            Failure::new(format!(
                "the server does not answer: {}",
                session::said(&error)
            ))
        })
    }

    /// Its last sample, if it runs.
    pub fn sample(&self) -> Option<Sample> {
        self.state.look(|inner| inner.sample)
    }

    /// Starts it as a standby, replicating from `upstream`, and waits until it
    /// answers.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn start(
        &self,
        control: &Control,
        upstream: Option<&Upstream>,
        access: &Access,
        token: &Token,
    ) -> Result<(), StartFailure> {
        let data = &self.config.data_directory;
        if !process::sweep(data) {
            let what = "processes of the server before do not end: is its disk frozen?";
            return Err(Failure::new(what).into());
        }
        let (copy, run) = self.copy.begin_run()?;
        self.write_settings(control, |settings| {
            settings.changing.upstream = upstream.cloned();
            settings.changing.node.clone_from(&access.node);
            settings.changing.copy = Some(copy);
            settings.changing.synchronous = Synchronous::Off;
        })?;
        self.admit(access)?;
        for signal in ["promote", "recovery.signal"] {
            file::remove(&data.join(signal))?;
        }
        file::touch(&data.join("standby.signal"))?;
        let launch = Launch {
            binaries: self.binaries()?,
            data: data.clone(),
            config_file: self.settings().path().to_owned(),
            log: self.log(),
        };
        let log_end = fs::metadata(&launch.log).map_or(0, |metadata| metadata.len());
        let (postmaster, child) = Postmaster::start(&launch)
            .map_err(|error| Failure::new(format!("postgres: cannot be started: {error}")))?;
        process::reap(child);
        self.state.update(|inner| {
            inner.begin(postmaster, Some(copy), run);
            inner.upstream = upstream.cloned();
        });
        self.wait_started(run, log_end, token)
    }

    fn wait_started(&self, run: u64, log_end: u64, token: &Token) -> Result<(), StartFailure> {
        let started = self.state.wait(token, |inner| {
            if inner.run != run || inner.postmaster.is_none() {
                return Some(false);
            }
            inner.sample.map(|_| true)
        })?;
        if started {
            return Ok(());
        }
        let said = self.said_since(log_end);
        let last = said
            .lines()
            .rfind(|line| is_complaint(line))
            .unwrap_or("it said nothing");
        let what = format!(
            "the server does not start: {last}; see {}",
            self.log().display()
        );
        if RUINED.iter().any(|ruin| said.contains(ruin)) {
            return Err(StartFailure::Ruined(what));
        }
        Err(Failure::new(what).into())
    }

    /// Reads the operator's files and writes ours.
    fn write_settings(
        &self,
        control: &Control,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), Failure> {
        let complaints = {
            self.prepare(control)?;
            let mut settings = self.settings();
            change(&mut settings);
            settings.write(&self.config)?;
            settings.complaints()
        };
        let mut said = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for complaint in complaints.iter().filter(|new| !said.contains(new)) {
            say::warning(complaint);
        }
        *said = complaints;
        Ok(())
    }

    fn prepare(&self, control: &Control) -> Result<(), Failure> {
        let binaries = self.binaries()?;
        let major = self.config.major()?.unwrap_or_default();
        self.settings()
            .prepare(&self.config, &binaries, major, &control.standby_minimums)
    }

    /// Lets the peers replicate, and knows the password to replicate with; a
    /// running server is told.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn admit(&self, access: &Access) -> Result<(), Failure> {
        let hba_file = {
            let settings = self.settings();
            settings.set_password(&access.password)?;
            settings.hba_file()
        };
        if let Some(hba_file) = hba_file
            && hba::write(&hba_file, &self.config, access)?
        {
            self.reload();
        }
        Ok(())
    }

    /// Changes settings of the running server.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Failure> {
        let changed = {
            let mut settings = self.settings();
            change(&mut settings);
            settings.write(&self.config)?
        };
        if changed {
            self.reload();
        }
        Ok(())
    }

    /// Has the server read its files again.
    pub fn reload(&self) {
        if let Some(postmaster) = self.postmaster() {
            postmaster.signal(Signal::HUP);
        }
    }

    fn postmaster(&self) -> Option<Arc<Postmaster>> {
        self.state.look(|inner| inner.postmaster.clone())
    }

    /// Makes the standby `copy` read-write.
    ///
    /// # Errors
    ///
    /// It is another copy, or no standby, or it ended.
    pub fn promote(&self, copy: CopyId, token: &Token) -> Result<(), Failure> {
        let present = self.copy.id()?;
        let known = self.state.look(|inner| inner.copy);
        if present != Some(copy) || known != present {
            let present = present.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
            return Err(Failure::new(format!(
                "not promoted: the data are copy {present}, not {copy} that the pool means"
            )));
        }
        let postmaster = self
            .state
            .look(|inner| inner.postmaster.clone().filter(|_| inner.is_standby()))
            .ok_or_else(|| Failure::new("not promoted: the server is no standby"))?;
        token.check()?;
        file::touch(&self.config.data_directory.join("promote"))?;
        self.state.update(|inner| {
            inner.promoting = true;
            inner.hurried = true;
        });
        postmaster.signal(Signal::USR1);
        let promoted = self.state.wait(token, |inner| match &inner.postmaster {
            Some(running) if Arc::ptr_eq(running, &postmaster) => {
                inner.sample.filter(|sample| !sample.standby).map(|_| true)
            }
            _ => Some(false),
        });
        self.state.update(|inner| {
            inner.hurried = false;
            if promoted == Ok(true) {
                inner.upstream = None;
            }
        });
        if !promoted? {
            return Err(Failure::new(format!(
                "the server ended while it was promoted: see {}",
                self.log().display()
            )));
        }
        self.copy.becomes_whole()
    }

    /// Stops it cleanly, whatever it is; nothing to do if it does not run.
    ///
    /// # Errors
    ///
    /// When it was called off.
    pub fn stop(&self, token: &Token) -> Result<(), Failure> {
        let Some(postmaster) = self.postmaster() else {
            return Ok(());
        };
        let position = self.sample().map(|sample| sample.position);
        self.state
            .update(|inner| inner.phase = Phase::Working("stops".to_owned()));
        postmaster.signal(Signal::INT);
        while !postmaster.has_ended_within(LOOK) {
            if let Err(called_off) = token.check() {
                // It goes on stopping; whoever asks next finds what became of it.
                self.state.update(|inner| inner.phase = Phase::Running);
                return Err(called_off);
            }
        }
        self.settle_end(|server| match server.control() {
            Ok(control) if control.is_clean => {
                let end = control
                    .shutdown_end(&server.config.data_directory)
                    .unwrap_or_else(|failure| {
                        say::warning(&failure.message);
                        None
                    });
                Phase::Stopped(end.or(position))
            }
            _ => Phase::Down(server.died()),
        });
        Ok(())
    }

    /// Ends it at once: nothing more is acknowledged.
    pub fn kill(&self, why: &str) {
        let Some(postmaster) = self.postmaster() else {
            return;
        };
        self.state
            .update(|inner| inner.phase = Phase::Working("is stopped at once".to_owned()));
        postmaster.signal(Signal::QUIT);
        if !postmaster.has_ended_within(QUIT) {
            postmaster.signal(Signal::KILL);
            process::sweep(&self.config.data_directory);
            postmaster.has_ended_within(SUCCESSION);
        }
        self.settle_end(|_| Phase::Down(why.to_owned()));
    }

    /// Something long is done with the data of a server that does not run.
    pub fn work(&self, what: &str) {
        self.state
            .update(|inner| inner.phase = Phase::Working(what.to_owned()));
    }

    /// The postmaster has ended, by itself or not: tells it, and clears up.
    pub fn settle_end(&self, phase: impl FnOnce(&Self) -> Phase) {
        let phase = phase(self);
        self.state.update(|inner| inner.end(phase));
        process::sweep(&self.config.data_directory);
        // Whoever starts it by hand now gets a standby.
        let signal = self.config.data_directory.join("standby.signal");
        let outcome = self.copy.end_run().and_then(|()| file::touch(&signal));
        if let Err(failure) = outcome {
            say::warning(&failure.message);
        }
    }

    /// Why it does not run, in one line.
    pub fn died(&self) -> String {
        let said = self.said_since(0);
        let last = said.lines().rfind(|line| is_complaint(line));
        let last = last.map_or_else(String::new, |line| format!("{line}; "));
        format!("the server has died: {last}see {}", self.log().display())
    }

    /// A standby that has replayed all that it has.
    ///
    /// # Errors
    ///
    /// It ended, or the command was called off.
    pub fn replayed(&self, token: &Token) -> Result<Position, Failure> {
        self.state
            .wait(token, |inner| match (&inner.postmaster, inner.sample) {
                (None, _) => Some(None),
                (Some(_), Some(sample)) if sample.is_replayed => Some(Some(sample.position)),
                _ => None,
            })?
            .ok_or_else(|| Failure::new(self.died()))
    }

    /// What the server wrote before its own logging began.
    pub fn log(&self) -> PathBuf {
        self.directory.join(LOG)
    }

    /// The end of that, from `start` on and not longer than 64 KiB.
    fn said_since(&self, start: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(self.log())?;
            let end = file.metadata()?.len();
            // A file that was put aside meanwhile begins anew.
            let start = if start > end { 0 } else { start };
            file.seek(SeekFrom::Start(start.max(end.saturating_sub(64 << 10))))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_default()
    }

    /// Whether another plugin waits to take the server over.
    pub fn has_successor(&self) -> bool {
        self.directory.join(SUCCESSOR).exists()
    }
}

/// Waits until the plugin before has let go.
fn take_lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join(LOCK);
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| file::failed(&path, "opened", &error))?;
    let deadline = Instant::now() + SUCCESSION;
    loop {
        match lock.try_lock() {
            Ok(()) => {
                file::remove(&directory.join(SUCCESSOR))?;
                return Ok(lock);
            }
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                file::touch(&directory.join(SUCCESSOR))?;
                thread::sleep(LOOK);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!(
                    "{}: held by another plugin: end it, or give each manager its own state \
                     directory",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(file::failed(&path, "locked", &error)),
        }
    }
}

fn is_complaint(line: &str) -> bool {
    ["FATAL:", "PANIC:", "ERROR:"]
        .iter()
        .any(|severity| line.contains(severity))
}
