//! A manager's database: its data directory, its server and its replicator.
//!
//! State only; what happens to it is in `world/database.rs`,
//! `world/replicator.rs` and `world/stream.rs`.

use std::collections::VecDeque;

use vrrpd_core::pool::database::{Desired, Follower, Observed, Position, Role, Server, Ticket};
use vrrpd_core::pool::record::{CopyId, Epoch, NodeId};

use crate::ledger::{Entry, Ledger};

/// What is on the disk of the database.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    /// The copy id; none until the directory is made.
    pub copy: Option<CopyId>,
    /// The log, all of it flushed: what is not flushed is in no log.
    pub log: Vec<Entry>,
    /// A rewind or a copy has begun and not ended: only a copy mends it.
    pub ruined: bool,
}

impl Directory {
    /// The timeline at the end of the log.
    pub fn timeline(&self, ledger: &Ledger) -> u32 {
        self.log.last().map_or(1, |&entry| ledger.timeline(entry))
    }

    /// The end of the log.
    pub fn end(&self) -> u64 {
        self.log.len() as u64
    }

    /// Whether `other` goes on where this log ends.
    pub fn is_prefix_of(&self, other: &[Entry]) -> bool {
        other.get(..self.log.len()) == Some(&self.log[..])
    }
}

/// Work on the server that takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Starting as a standby, with recovery.
    Start,
    /// Becoming read-write.
    Promote,
    /// A stop that sends nothing more.
    Kill,
    /// A clean stop, with the shutdown checkpoint shipped.
    Stop,
    /// Rewinding or copying from the leader.
    Copy(NodeId),
}

/// `synchronous_standby_names`, as written and as in effect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synchronous {
    /// As written.
    pub wanted: Option<CopyId>,
    /// As every commit sees it.
    pub effective: Option<CopyId>,
    /// Of the change that is under way.
    pub change: u32,
}

impl Synchronous {
    /// The copy that every commit demonstrably waits for.
    pub fn proven(&self) -> Option<CopyId> {
        self.effective.filter(|_| self.effective == self.wanted)
    }
}

/// A manager's database.
#[derive(Clone, Debug)]
pub struct Manager {
    /// On disk.
    pub directory: Directory,
    /// An older state of the directory, for a hand to put back.
    pub snapshot: Option<Directory>,
    /// What the server does.
    pub server: Server,
    /// Writes hang.
    pub hung: bool,
    /// The last promotion failed.
    pub failed: bool,
    /// Raised at each start of the server.
    pub run: u64,
    /// Raised at each end of the server: what was in flight is void.
    pub generation: u32,
    /// Entries below it are visible whoever waited for them.
    pub visible: usize,
    /// Already counted as read.
    pub read: usize,
    /// Clients have been admitted to this run of it, as a primary.
    pub admitted: bool,
    /// Commits that wait for the other copy, by their place in the log.
    pub waiting: VecDeque<usize>,
    /// Whom commits wait for.
    pub synchronous: Synchronous,
    /// As a standby: the leader that streams to it.
    pub leader: Option<NodeId>,
    /// Of the stream; the two ends of one stream have the same number.
    pub stream: u32,
    /// As a primary: who streams from it.
    pub follower: Option<Follower>,
    /// Log is on its way to the follower.
    pub shipping: bool,
    /// The replicator runs.
    pub replicator: bool,
    /// Of the replicator's connection with the daemon.
    pub socket: u32,
    /// Both ends of the socket are connected.
    pub connected: bool,
    /// The order received last.
    pub order: Option<Desired>,
    /// The order that was taken up.
    pub reconciled: Ticket,
    /// The reign that gave it.
    pub epoch: Epoch,
    /// The last reign in which the server was read-write.
    pub reign: Epoch,
    /// Reported read-write under the order that holds: once it dies, it is
    /// not started again before another role is ordered.
    pub served: bool,
    /// A checkpoint was done since [`Role::Retiring`].
    pub checkpointed: bool,
    /// Work under way.
    pub task: Option<Task>,
    /// Of the work.
    pub work: u32,
    /// A retry is due.
    pub retrying: bool,
    /// On their way to the replicator.
    pub orders: VecDeque<Desired>,
    /// On their way to the daemon.
    pub reports: VecDeque<Observed>,
    /// The report that left last.
    pub reported: Option<Observed>,
    /// How many reports have left.
    pub said: u64,
    /// A report of a moved position is due.
    pub reporting: bool,
}

impl Manager {
    /// A stopped database with `directory`.
    pub fn new(directory: Directory) -> Self {
        Self {
            directory,
            snapshot: None,
            server: Server::Down,
            hung: false,
            failed: false,
            run: 0,
            generation: 0,
            visible: 0,
            read: 0,
            admitted: false,
            waiting: VecDeque::new(),
            synchronous: Synchronous::default(),
            leader: None,
            stream: 0,
            follower: None,
            shipping: false,
            replicator: false,
            socket: 0,
            connected: false,
            order: None,
            reconciled: Ticket::default(),
            epoch: Epoch::ZERO,
            reign: Epoch::ZERO,
            served: false,
            checkpointed: false,
            task: None,
            work: 0,
            retrying: false,
            orders: VecDeque::new(),
            reports: VecDeque::new(),
            reported: None,
            said: 0,
            reporting: false,
        }
    }

    /// Whether it is fit for its role.
    pub fn is_healthy(&self) -> bool {
        !self.hung
            && !self.failed
            && !self.directory.ruined
            && matches!(
                self.server,
                Server::Standby | Server::Primary | Server::Stopped
            )
    }

    /// Whether clients' writes proceed.
    pub fn is_writable(&self) -> bool {
        self.server == Server::Primary && !self.hung
    }

    /// What the replicator sees now.
    pub fn observe(&self, ledger: &Ledger) -> Observed {
        let primary = self.server == Server::Primary;
        let position = Position {
            timeline: self.directory.timeline(ledger),
            lsn: self.directory.end(),
        };
        Observed {
            ticket: self.reconciled,
            server: self.server,
            healthy: self.is_healthy(),
            copy: self.directory.copy,
            run: self.run,
            synchronous: self.synchronous.proven().filter(|_| primary),
            position: Some(position).filter(|_| self.server != Server::Busy),
            follower: self.follower.filter(|_| primary),
            checkpointed: self.checkpointed,
        }
    }

    /// Whether `role` asks for a read-write server.
    pub const fn is_read_write(role: Role) -> bool {
        match role {
            Role::Primary | Role::Retiring => true,
            Role::Standby | Role::Stopped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Directory, Synchronous};
    use vrrpd_core::pool::record::CopyId;

    #[test]
    fn a_log_that_differs_is_no_prefix() {
        let directory = Directory {
            log: vec![1, 2],
            ..Directory::default()
        };
        assert!(directory.is_prefix_of(&[1, 2, 3]));
        assert!(!directory.is_prefix_of(&[1, 3, 3]));
        assert!(!directory.is_prefix_of(&[1]));
    }

    #[test]
    fn synchronous_is_proven_when_written_and_in_effect() {
        let copy = Some(CopyId(7));
        let mut synchronous = Synchronous {
            wanted: copy,
            effective: None,
            change: 0,
        };
        assert_eq!(synchronous.proven(), None);
        synchronous.effective = copy;
        assert_eq!(synchronous.proven(), copy);
        synchronous.wanted = None;
        assert_eq!(synchronous.proven(), None);
    }
}
