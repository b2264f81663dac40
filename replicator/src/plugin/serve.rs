//! The library for authors of plugins.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::rpc::{self, Failure, FromPlugin, FromReplicator, NOT_A_REQUEST, NOT_JSON, Version};
use super::{
    BUSY, Command, Description, Follow, Followed, Notification, Observation, Promote, Setup,
    Source, Stop, Stopped, Synchronous,
};
use crate::role::Progress;

/// A database server that can be kept in a role.
///
/// [`Database::observe`] answers at once, from what is known. The six commands
/// may take their time; they run one at a time, on a thread of their own, and
/// look at their [`Token`] wherever they wait. What a command has done is known
/// when it returns.
pub trait Database: Sync {
    /// Takes its configuration, finds a server that runs already, and begins
    /// to watch it, telling `notifier` of each change.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration and how to mend it. The plugin is
    /// then asked again, later.
    fn describe(&self, setup: Setup, notifier: &Notifier) -> Result<Description, Failure>;

    /// What is known now.
    fn observe(&self) -> Observation;

    /// Makes a standby read-write.
    ///
    /// # Errors
    ///
    /// Why it is not.
    fn promote(&self, promote: &Promote, token: &Token) -> Result<(), Failure>;

    /// Makes it a standby, whatever it was, starting it if need be; never
    /// read-write meanwhile, nor later by a promotion that was begun. Done when it stands by *and* is set to replicate
    /// from the upstream, whose history it was found to share.
    ///
    /// # Errors
    ///
    /// Why it does not; it is asked again.
    fn follow(&self, follow: &Follow, token: &Token) -> Result<Followed, Failure>;

    /// Stops it cleanly, or prepares that; of a server that does not run, says
    /// whether it was stopped cleanly.
    ///
    /// # Errors
    ///
    /// Why it runs still.
    fn stop(&self, stop: &Stop, token: &Token) -> Result<Stopped, Failure>;

    /// Replaces its data by a copy of the source's, telling `notifier` how far
    /// it has come.
    ///
    /// # Errors
    ///
    /// Why not; the data it had are still there.
    fn copy(&self, source: &Source, notifier: &Notifier, token: &Token) -> Result<(), Failure>;

    /// Takes back what is not in the source's history.
    ///
    /// # Errors
    ///
    /// Why not; only `clone` helps then.
    fn rewind(&self, source: &Source, token: &Token) -> Result<(), Failure>;

    /// Sets which copy commits wait for, and who may replicate.
    ///
    /// # Errors
    ///
    /// Why it is not in effect.
    fn synchronous(&self, synchronous: &Synchronous, token: &Token) -> Result<(), Failure>;
}

/// Tells the replicator something unasked.
#[derive(Clone)]
pub struct Notifier {
    output: Arc<Mutex<Output<dyn Write + Send>>>,
}

struct Output<W: ?Sized> {
    /// The last observation that was told unasked, and how many were.
    told: (u64, Option<Observation>),
    writer: W,
}

impl Notifier {
    fn new(output: impl Write + Send + 'static) -> Self {
        Self {
            output: Arc::new(Mutex::new(Output {
                told: (0, None),
                writer: output,
            })),
        }
    }

    /// Something has changed. Observations are told in the order in which they
    /// were made: call it under the lock that guards what is observed.
    pub fn observed(&self, observation: &Observation) {
        let mut output = lock(&self.output);
        output.told = (output.told.0 + 1, Some(observation.clone()));
        output.write(&FromPlugin::Notification {
            jsonrpc: Version::Two,
            notification: Notification::Observed(observation.clone()),
        });
    }

    /// How far a clone has come.
    pub fn progress(&self, progress: Progress) {
        self.write(&FromPlugin::Notification {
            jsonrpc: Version::Two,
            notification: Notification::Progress(progress),
        });
    }

    /// Answers `observe`; never with something older than what was told.
    fn answer_observe(&self, id: u64, database: &impl Database) {
        let before = lock(&self.output).told.0;
        let observation = database.observe();
        let mut output = lock(&self.output);
        let (count, last) = &output.told;
        let newest = last.as_ref().filter(|_| *count != before);
        let result = answer(Ok(newest.unwrap_or(&observation)));
        output.answer(id, result);
    }

    fn answer(&self, id: u64, answer: Result<Value, Failure>) {
        lock(&self.output).answer(id, answer);
    }

    fn refuse(&self, code: i32, message: String) {
        self.write(&FromPlugin::Error {
            jsonrpc: Version::Two,
            id: None,
            error: Failure { code, message },
        });
    }

    fn write(&self, line: &impl Serialize) {
        lock(&self.output).write(line);
    }
}

impl Output<dyn Write + Send> {
    fn answer(&mut self, id: u64, answer: Result<Value, Failure>) {
        let jsonrpc = Version::Two;
        self.write(&match answer {
            Ok(result) => FromPlugin::Result {
                jsonrpc,
                id,
                result,
            },
            Err(error) => FromPlugin::Error {
                jsonrpc,
                id: Some(id),
                error,
            },
        });
    }

    fn write(&mut self, line: &impl Serialize) {
        // A replicator that is gone reads nothing; the end of the input says so.
        drop(rpc::write_line(&mut self.writer, line));
    }
}

/// Whether the command being worked on is still wanted.
#[derive(Clone, Default)]
pub struct Token {
    cancelled: Arc<(Mutex<bool>, Condvar)>,
}

impl Token {
    /// Whether it is to end early.
    pub fn is_cancelled(&self) -> bool {
        *lock(&self.cancelled.0)
    }

    /// Goes on unless it is to end early.
    ///
    /// # Errors
    ///
    /// [`Failure::cancelled`].
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_cancelled() {
            return Err(Failure::cancelled());
        }
        Ok(())
    }

    /// Waits for `span`, less if it is to end early.
    ///
    /// # Errors
    ///
    /// [`Failure::cancelled`].
    pub fn pause(&self, span: Duration) -> Result<(), Failure> {
        let (cancelled, changed) = &*self.cancelled;
        let (guard, _) = changed
            .wait_timeout_while(lock(cancelled), span, |cancelled| !*cancelled)
            .unwrap_or_else(PoisonError::into_inner);
        if *guard {
            return Err(Failure::cancelled());
        }
        Ok(())
    }

    /// Ends it early.
    pub fn cancel(&self) {
        *lock(&self.cancelled.0) = true;
        self.cancelled.1.notify_all();
    }
}

/// A thread that panicked has left nothing half-written that is not safe to read.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One command for the worker.
struct Job {
    id: u64,
    command: Command,
    token: Token,
}

/// Answers requests until the input ends; the command being worked on then is
/// cancelled and waited for.
///
/// # Errors
///
/// The input's.
pub fn serve(
    database: &impl Database,
    mut input: impl BufRead,
    output: impl Write + Send + 'static,
) -> io::Result<()> {
    let notifier = Notifier::new(output);
    let working = AtomicBool::new(false);
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::scope(|scope| {
        scope.spawn(|| work(database, &notifier, &working, queue));
        let mut token = Token::default();
        let outcome = loop {
            let line = match rpc::read_line(&mut input) {
                Ok(Some(line)) => line,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            match parse(&line) {
                Ok(FromReplicator::Cancel { .. }) => token.cancel(),
                Ok(FromReplicator::Request { id, command, .. }) => match command {
                    Command::Describe(setup) => {
                        notifier.answer(id, answer(database.describe(setup, &notifier)));
                    }
                    Command::Observe {} => notifier.answer_observe(id, database),
                    command if working.swap(true, Ordering::SeqCst) => notifier.answer(
                        id,
                        Err(Failure {
                            code: BUSY,
                            message: format!(
                                "{} must wait for the answer to the command before it",
                                command.method()
                            ),
                        }),
                    ),
                    command => {
                        token = Token::default();
                        let token = token.clone();
                        // The worker ends only after this loop.
                        drop(jobs.send(Job { id, command, token }));
                    }
                },
                Err((code, message)) => notifier.refuse(code, message),
            }
        };
        token.cancel();
        drop(jobs);
        outcome
    })
}

fn parse(line: &str) -> Result<FromReplicator, (i32, String)> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| (NOT_JSON, format!("not JSON: {error}")))?;
    // An untagged type's own message does not say which field is wrong.
    let command = serde_json::from_value::<Command>(value.clone()).err();
    serde_json::from_value(value).map_err(|error| {
        let error = command.map_or_else(|| error.to_string(), |command| command.to_string());
        (NOT_A_REQUEST, format!("not a request: {error}"))
    })
}

fn work(database: &impl Database, notifier: &Notifier, working: &AtomicBool, queue: Receiver<Job>) {
    for Job { id, command, token } in queue {
        let answer = match &command {
            Command::Promote(promote) => answer(done(database.promote(promote, &token))),
            Command::Follow(follow) => answer(database.follow(follow, &token)),
            Command::Stop(stop) => answer(database.stop(stop, &token)),
            Command::Clone(source) => answer(done(database.copy(source, notifier, &token))),
            Command::Rewind(source) => answer(done(database.rewind(source, &token))),
            Command::Synchronous(synchronous) => {
                answer(done(database.synchronous(synchronous, &token)))
            }
            Command::Describe(_) | Command::Observe {} => {
                unreachable!("answered where it is read")
            }
        };
        // Before the answer, which may be followed by the next command at once.
        working.store(false, Ordering::SeqCst);
        notifier.answer(id, answer);
    }
}

fn done(outcome: Result<(), Failure>) -> Result<Value, Failure> {
    outcome.map(|()| json!({}))
}

fn answer(outcome: Result<impl Serialize, Failure>) -> Result<Value, Failure> {
    serde_json::to_value(outcome?).map_err(|error| Failure::new(error.to_string()))
}
