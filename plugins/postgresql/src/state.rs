//! What is known of the server: one truth, shared by the threads that learn it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use replicator::plugin::serve::{Notifier, Token};
use replicator::plugin::{Failure, Observation};
use replicator::role::{CopyId, Follower, Lsn, Position, Server, Upstream};

use crate::process::Postmaster;

/// How often a wait looks whether its command is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// What the server said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Whether it is a standby; else it is read-write.
    pub standby: bool,
    /// Read-write: flushed. Standby: received and flushed.
    pub position: Position,
    /// Up to where a standby has replayed: the end of a record, and on disk.
    pub replayed: Option<Lsn>,
    /// A standby that has replayed all the log it has.
    pub is_replayed: bool,
    /// A standby that receives log now.
    pub streaming: bool,
    /// The replica that streams from it.
    pub follower: Option<Follower>,
}

/// What is being done with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No process; why.
    Down(String),
    /// Stopped cleanly, with the end of its log if that is known.
    Stopped(Option<Position>),
    /// A command changes it; what it does.
    Working(String),
    /// It runs in a role: the sample says which.
    Running,
}

/// Why a running server is not fit for its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// It does not answer.
    pub silent: bool,
    /// A write has not ended in time, or failed.
    pub write: Option<String>,
    /// A file system is full.
    pub full: Option<String>,
    /// The promotion failed; until the next start.
    pub promotion: Option<String>,
}

impl Faults {
    fn first(&self) -> Option<&str> {
        let silent = self
            .silent
            .then_some("the server does not answer: see its log, and whether its disk is frozen");
        silent
            .or(self.full.as_deref())
            .or(self.write.as_deref())
            .or(self.promotion.as_deref())
    }
}

/// The truth.
#[derive(Debug)]
pub struct Inner {
    /// What is being done.
    pub phase: Phase,
    /// The process, while there is one.
    pub postmaster: Option<Arc<Postmaster>>,
    /// The present copy id, once it was verified.
    pub copy: Option<CopyId>,
    /// Raised at each start.
    pub run: u64,
    /// The last sample of this run.
    pub sample: Option<Sample>,
    /// The last sample differed from the one before.
    pub moving: bool,
    /// When the server last answered, be it with a refusal.
    pub answered: Instant,
    /// The copy that commits wait for.
    pub synchronous: Option<CopyId>,
    /// It was told to become read-write, in this run.
    pub promoting: bool,
    /// Whom it is set to replicate from.
    pub upstream: Option<Upstream>,
    /// Samples are wanted as fast as they come.
    pub hurried: bool,
    /// What is wrong.
    pub faults: Faults,
    /// Commits of this run whose wait was cancelled.
    pub cancelled_waits: u64,
}

impl Inner {
    /// What the replicator is told.
    pub fn observation(&self) -> Observation {
        let server = match (&self.phase, &self.sample) {
            (Phase::Down(_), _) => Server::Down,
            (Phase::Stopped(_), _) => Server::Stopped,
            (Phase::Working(_), _) | (Phase::Running, None) => Server::Busy,
            (Phase::Running, Some(sample)) if sample.standby => Server::Standby,
            (Phase::Running, Some(_)) => Server::Primary,
        };
        let serves = matches!(server, Server::Standby | Server::Primary);
        let fault = self.faults.first();
        let detail = match (&self.phase, fault) {
            (Phase::Down(why), _) => why,
            (Phase::Working(what), _) => what,
            (Phase::Running, Some(fault)) => fault,
            (Phase::Running, None) if self.sample.is_none() => "starts: recovers its log",
            (Phase::Stopped(_) | Phase::Running, _) => "",
        };
        let sample = self.sample.filter(|_| serves);
        Observation {
            server,
            healthy: fault.is_none() && (serves || server == Server::Stopped),
            copy: self.copy,
            run: self.run,
            synchronous: self.synchronous.filter(|_| server == Server::Primary),
            position: match &self.phase {
                Phase::Stopped(position) => *position,
                _ => sample.map(|sample| sample.position),
            },
            follower: sample.and_then(|sample| sample.follower),
            upstream: self.upstream.clone(),
            streaming: sample.is_some_and(|sample| sample.streaming),
            cancelled_waits: self.cancelled_waits,
            detail: detail.to_owned(),
        }
    }

    /// Whether it runs read-write, or may at any moment.
    pub fn is_writable(&self) -> bool {
        let writable = self.sample.is_some_and(|sample| !sample.standby);
        self.postmaster.is_some() && (writable || self.promoting)
    }

    /// Whether it runs as a standby and goes on to.
    pub fn is_standby(&self) -> bool {
        let standby = self.sample.is_some_and(|sample| sample.standby);
        self.postmaster.is_some() && standby && !self.promoting
    }

    /// A server of the run `run` begins.
    pub fn begin(&mut self, postmaster: Postmaster, copy: Option<CopyId>, run: u64) {
        self.phase = Phase::Running;
        self.postmaster = Some(Arc::new(postmaster));
        self.copy = copy;
        self.run = run;
        self.sample = None;
        self.answered = Instant::now();
        self.synchronous = None;
        self.promoting = false;
        self.faults = Faults::default();
        self.cancelled_waits = 0;
    }

    /// No server is left.
    pub fn end(&mut self, phase: Phase) {
        self.phase = phase;
        self.postmaster = None;
        self.sample = None;
        self.synchronous = None;
        self.promoting = false;
        self.upstream = None;
    }
}

/// The truth, and who is told of its changes.
pub struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
    notifier: OnceLock<Notifier>,
}

impl Default for State {
    /// Of a server of which nothing is known yet.
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                phase: Phase::Down("the server was not looked for yet".to_owned()),
                postmaster: None,
                copy: None,
                run: 0,
                sample: None,
                moving: false,
                answered: Instant::now(),
                synchronous: None,
                promoting: false,
                upstream: None,
                hurried: false,
                faults: Faults::default(),
                cancelled_waits: 0,
            }),
            changed: Condvar::new(),
            notifier: OnceLock::new(),
        }
    }
}

impl State {
    /// From now on `notifier` is told of each change.
    pub fn notify(&self, notifier: &Notifier) {
        // A plugin that is described again goes on telling the same one.
        drop(self.notifier.set(notifier.clone()));
    }

    /// Looks.
    pub fn look<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.lock())
    }

    /// Changes something, and tells it.
    pub fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let before = inner.observation();
        let outcome = change(&mut inner);
        let after = inner.observation();
        self.changed.notify_all();
        // Told under the lock: changes are told in their order.
        if let Some(notifier) = self.notifier.get().filter(|_| before != after) {
            notifier.observed(&after);
        }
        outcome
    }

    /// Waits until `found` finds something.
    ///
    /// # Errors
    ///
    /// When the command is called off.
    pub fn wait<T>(
        &self,
        token: &Token,
        mut found: impl FnMut(&Inner) -> Option<T>,
    ) -> Result<T, Failure> {
        let mut inner = self.lock();
        loop {
            if let Some(found) = found(&inner) {
                return Ok(found);
            }
            token.check()?;
            inner = self.sleep(inner, LOOK);
        }
    }

    /// Waits until `found` finds something, at most `span`.
    pub fn wait_for<T>(
        &self,
        span: Duration,
        mut found: impl FnMut(&Inner) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + span;
        let mut inner = self.lock();
        loop {
            let outcome = found(&inner);
            let left = deadline.saturating_duration_since(Instant::now());
            if outcome.is_some() || left.is_zero() {
                return outcome;
            }
            inner = self.sleep(inner, left);
        }
    }

    fn sleep<'a>(&self, inner: MutexGuard<'a, Inner>, span: Duration) -> MutexGuard<'a, Inner> {
        self.changed
            .wait_timeout(inner, span)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the truth whole, also one that panicked.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
