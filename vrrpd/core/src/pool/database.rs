//! What the pool asks of the database, and what it hears of it.
//!
//! Desired state, not commands: [`Desired`] is what holds now, told again after
//! any reconnect; [`Observed`] is what *is*.

use core::fmt;

use super::record::{CopyId, Epoch, NodeId};

/// A place in the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Raised by each promotion.
    pub timeline: u32,
    /// Bytes of log, as PostgreSQL's LSN.
    pub lsn: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:X}/{:X} on timeline {}",
            self.lsn >> 32,
            self.lsn & 0xffff_ffff,
            self.timeline
        )
    }
}

/// The role the database shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Read-only; replicates from [`Desired::follow`] when that is known.
    Standby,
    /// Read-write. A server that is not running is started as a standby first,
    /// then promoted; but one that has died after it was reported read-write is
    /// left down until another role is ordered: the gate is to be closed before
    /// what was never acknowledged becomes visible.
    Primary,
    /// Read-write, with a checkpoint just done so that a stop will be short.
    /// [`Observed::checkpointed`] answers.
    Retiring,
    /// Stopped cleanly, so that a follower that keeps up has the shutdown
    /// checkpoint. [`Server::Stopped`] answers, with its end as the position.
    Stopped,
}

/// Which order a report answers. Raised by every change of [`Desired`], and
/// different in every run of the daemon that orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The first ticket of a run, which `seed` tells from every other run.
    pub(crate) const fn first(seed: u64) -> Self {
        Self(seed << 32)
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether one that has reconciled with this order has seen `other` too.
    pub const fn covers(self, other: Self) -> bool {
        self.0 >> 32 == other.0 >> 32 && self.0 >= other.0
    }
}

/// The state that shall hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Desired {
    /// Echoed by the reports that have reconciled with this order.
    pub ticket: Ticket,
    /// The reign that gave it.
    pub epoch: Epoch,
    /// What the database shall be.
    pub role: Role,
    /// The only copy this is meant for. [`Role::Primary`] and
    /// [`Role::Retiring`]: this server's; another is not promoted. With
    /// `follow`: the leader's; a history of one's own is given up for no other.
    pub copy: Option<CopyId>,
    /// The manager to replicate from, for [`Role::Standby`].
    pub follow: Option<NodeId>,
    /// The copy that every commit waits for; `None`: commits wait for nobody.
    ///
    /// Applied under [`Role::Primary`] and [`Role::Retiring`] only. On the way
    /// down the server is stopped with whatever holds: relaxing it first would
    /// acknowledge the commits that wait.
    pub synchronous: Option<CopyId>,
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// Not running, and not by a clean stop that was ordered.
    Down,
    /// Starting, recovering, being rewound or copied: neither serves nor follows.
    Busy,
    /// Stopped cleanly as ordered by [`Role::Stopped`]; no process is left.
    Stopped,
    /// Read-only.
    Standby,
    /// Read-write.
    Primary,
}

/// A replica that streams from this server now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Follower {
    /// The replica's copy id, which it presents when it connects.
    pub copy: CopyId,
    /// Up to where it has written and synced the log.
    pub flushed: u64,
}

/// What the database is, as its plugin saw it.
///
/// Sent at each change, and at least every 200 ms: a silent replicator is a lost
/// one. The fields are read in their order: the position is read after
/// `synchronous` was found in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Observed {
    /// The order that this report has reconciled with: what it says of
    /// `server` is the outcome of that order or of work towards it.
    pub ticket: Ticket,
    /// What the server is doing.
    pub server: Server,
    /// Fit to serve in its role, or to be promoted. A write that hangs, a full
    /// disk or a failed promotion clear it.
    pub healthy: bool,
    /// The present copy id; unknown while the data directory is being made.
    pub copy: Option<CopyId>,
    /// Raised at each start of the server: a change while Primary means that
    /// commits never acknowledged may have become visible.
    pub run: u64,
    /// The copy that every commit demonstrably waits for.
    pub synchronous: Option<CopyId>,
    /// Primary: flushed. Standby: received and flushed. Stopped: the end of the
    /// shutdown checkpoint.
    pub position: Option<Position>,
    /// The replica that streams from this server.
    pub follower: Option<Follower>,
    /// A checkpoint was done since [`Role::Retiring`] was ordered.
    pub checkpointed: bool,
}
