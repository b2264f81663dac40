//! The plugin kit: how the replicator and the plugin of a database talk.
//!
//! A plugin is an executable that speaks JSON-RPC 2.0, one object a line: it
//! reads requests on its standard input and writes answers and notifications
//! on its standard output; what it writes on its standard error becomes the
//! replicator's log. [`serve`] is the library for authors; [`client`] is the
//! replicator's side, and [`contract`] the test that a plugin has to pass.
//!
//! Requests: `describe` first, once; `observe` at any time, answered at once;
//! and one at a time of `follow`, `promote`, `synchronous`, `stop`, `clone`
//! and `rewind`. Each of these six ends early, with error
//! [`CANCELLED`], after the notification `cancel`. Notifications from the
//! plugin: `observed` at each change, `progress` while it clones.
//!
//! The plugin owns the database server and must leave it running when it ends
//! itself: it is started again at once and adopts the server. When nobody
//! starts it again within [`ORPHANED`], the server is to be stopped.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::role::{CopyId, Follower, Position, Progress, Server, Upstream};

pub mod client;
pub mod contract;
pub mod rpc;
pub mod serve;

pub use rpc::Failure;

/// The version of this protocol, in [`Description`].
pub const PROTOCOL: u32 = 1;

/// How long a plugin whose standard input has ended waits for a successor
/// before it stops the server.
pub const ORPHANED: Duration = Duration::from_secs(2);

/// Error code: the request could not be done; the message says why.
pub const FAILED: i32 = -32000;

/// Error code: the request was ended by `cancel`.
pub const CANCELLED: i32 = -32001;

/// Error code: another request is still being worked on.
pub const BUSY: i32 = -32002;

/// A request, by its method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
pub enum Command {
    /// Hands over the configuration; answered with a [`Description`].
    Describe(Setup),
    /// Answered with an [`Observation`], at once.
    Observe {},
    /// Makes it read-write; answered with `{}` when it is.
    Promote(Promote),
    /// Makes it a standby, never read-write meanwhile; answered with
    /// [`Followed`].
    Follow(Follow),
    /// Prepares a stop, or stops it cleanly; answered with [`Stopped`].
    Stop(Stop),
    /// Replaces the data by a copy of the source's; answered with `{}`. The
    /// server is then not running: `follow` comes next.
    Clone(Source),
    /// Takes back what is not in the source's history; answered with `{}`. The
    /// server is then not running: `follow` comes next.
    Rewind(Source),
    /// Sets which copy commits wait for, and who may replicate; answered with
    /// `{}` when it is in effect.
    Synchronous(Synchronous),
}

impl Command {
    /// The method's name.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Describe(_) => "describe",
            Self::Observe {} => "observe",
            Self::Promote(_) => "promote",
            Self::Follow(_) => "follow",
            Self::Stop(_) => "stop",
            Self::Clone(_) => "clone",
            Self::Rewind(_) => "rewind",
            Self::Synchronous(_) => "synchronous",
        }
    }
}

/// What a plugin is told first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The plugin's own section of `vrrpd.toml`, `[replication.<plugin>]`.
    pub config: serde_json::Value,
    /// A directory that is the plugin's alone, and outlives the database
    /// directory. It exists.
    pub state: PathBuf,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The database's kind and major version: the managers' must be equal.
    pub database: String,
}

/// Who may replicate, and how.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Addresses of the other managers.
    pub peers: Vec<String>,
    /// The replication password.
    pub password: String,
    /// This manager: `a` or `b`.
    pub node: String,
}

impl core::fmt::Debug for Access {
    // Without the password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Access")
            .field("peers", &self.peers)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Parameters of `follow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// Whom to replicate from; nobody if absent.
    pub upstream: Option<Upstream>,
    /// Who may replicate, and how.
    pub access: Access,
}

/// The answer to `follow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Followed {
    /// A standby; and its history is part of the upstream's, if there is one.
    Following,
    /// It cannot follow that upstream as it is.
    Diverged {
        /// What makes it able to.
        remedy: Remedy,
        /// One sentence for people.
        why: String,
    },
}

/// What makes a copy able to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// `rewind`, and if that fails `clone`.
    Rewind,
    /// `clone`.
    Clone,
}

/// Parameters of `promote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promote {
    /// The copy that is meant; another is not promoted.
    pub copy: CopyId,
    /// The copy that every commit waits for, from the first on.
    pub synchronous: Option<CopyId>,
}

/// Parameters of `synchronous`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synchronous {
    /// The copy that every commit waits for; nobody if absent.
    pub copy: Option<CopyId>,
    /// Who may replicate, and how.
    pub access: Access,
}

/// Parameters of `stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Only makes the coming stop short; the server goes on serving.
    pub prepare: bool,
}

/// The answer to `stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Whether the server has stopped cleanly. One that died before, or was
    /// only prepared, has not.
    pub clean: bool,
}

/// Parameters of `clone` and `rewind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Whose data.
    pub upstream: Upstream,
    /// How to get them.
    pub access: Access,
}

/// What a database is, as its plugin sees it; also the parameters of the
/// notification `observed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What the server is doing.
    pub server: Server,
    /// Fit to serve in its role, or to be promoted.
    pub healthy: bool,
    /// The present copy id.
    pub copy: Option<CopyId>,
    /// Raised at each start of the server.
    pub run: u64,
    /// The copy that every commit demonstrably waits for.
    pub synchronous: Option<CopyId>,
    /// Primary: flushed. Standby: received and flushed. Stopped: the end of
    /// the log. Read after `synchronous`.
    pub position: Option<Position>,
    /// The replica that streams from this server.
    pub follower: Option<Follower>,
    /// Whom a standby is set to replicate from.
    pub upstream: Option<Upstream>,
    /// Whether a standby receives the upstream's log now.
    pub streaming: bool,
    /// See [`crate::role::Report::cancelled_waits`].
    pub cancelled_waits: u64,
    /// One sentence for people; may be empty.
    pub detail: String,
}

impl Observation {
    /// Of a server of which nothing is known, not even whether it runs.
    pub fn unknown(detail: String) -> Self {
        Self {
            server: Server::Busy,
            ..Self::down(detail)
        }
    }

    /// Of a server of which nothing is known but that it does not run.
    pub const fn down(detail: String) -> Self {
        Self {
            server: Server::Down,
            healthy: false,
            copy: None,
            run: 0,
            synchronous: None,
            position: None,
            follower: None,
            upstream: None,
            streaming: false,
            cancelled_waits: 0,
            detail,
        }
    }
}

/// What a plugin says unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "lowercase")]
pub enum Notification {
    /// Something has changed.
    Observed(Observation),
    /// How far `clone` has come.
    Progress(Progress),
}
