//! Child processes that checks and hooks ask for.
//!
//! [`Hooks`](crate::hook::Hooks) and [`Checks`](crate::check::Checks) only
//! decide: they order launches and kills, and are told how each job ended.
//! [`Runner`] performs the orders and watches the children.

mod runner;

use core::fmt;

pub use runner::Runner;

/// Who ordered a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// [`crate::check::Checks`].
    Check,
    /// [`crate::hook::Hooks`].
    Hook,
}

/// A job: never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Who is told how it ended.
    pub owner: Owner,
    /// Raised by each launch of that owner.
    pub number: u64,
}

/// What to run, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    /// Its environment, besides `PATH`.
    pub environment: Vec<(String, String)>,
}

/// What the driver is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start it in a process group of its own, with standard input, output and
    /// errors on `/dev/null`, and tell its owner once how it ended.
    Launch(Id, Command),
    /// Kill its process group; its end is still to be told.
    Kill(Id),
    /// For the log.
    Say(log::Level, String),
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It could not be started; the reason.
    NotStarted(String),
}

impl Outcome {
    /// Exit status 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::NotStarted(reason) => write!(f, "could not be started: {reason}"),
        }
    }
}
