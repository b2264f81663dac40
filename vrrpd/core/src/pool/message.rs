//! What the three parties say to one another.

use core::time::Duration;

use super::Pause;
use super::database::Position;
use super::record::{CopyId, Epoch, Incarnation, NodeId, Record};

/// Ties an answer to one sending of one boot of the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce {
    /// The asker's boot: an answer to another boot's nonce extends nothing.
    pub boots: u64,
    /// Raised by each sending that starts a lease.
    pub count: u64,
}

/// One message, with what every message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's voter.
    pub incarnation: Incarnation,
    /// The sender's boot.
    pub boots: u64,
    /// The receiver's incarnation and the highest boot of it that the sender
    /// has seen: one that finds its own lower has been rolled back.
    pub seen: Option<(Incarnation, u64)>,
    /// How the sender is.
    pub report: Report,
    /// What it says.
    pub body: Body,
}

/// How a party is: told with every message, for priority, status and checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Base priority plus checks; 0 is a fault. The arbiter's is 0.
    pub priority: u8,
    /// It is the Master and has the option `active`.
    pub active: bool,
    /// It may not vote: it remembers no record.
    pub blank: bool,
    /// It is Primary now.
    pub primary: bool,
    /// Its database is fit to be Primary.
    pub healthy: bool,
    /// Its database's copy id.
    pub copy: Option<CopyId>,
    /// What its database has on disk.
    pub position: Option<Position>,
    /// A digest of what a pool's parties must have in common; of a blank one
    /// that is ready to be formed into a pool.
    pub offer: Option<u64>,
    /// Whether failover is paused, by the last word that it heard.
    pub pause: Pause,
}

/// Why a claim, or a renewal, was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It has promised, or recorded, as high a ballot.
    Outbid,
    /// It started less than a lease ago.
    Quiet,
    /// It remembers no record.
    Blank,
    /// Its grant to another still runs.
    Granted,
    /// It is Primary itself.
    Primary,
    /// The claimer is not in sync in the higher of the two records.
    NotInSync,
    /// The claimer's forced record was accepted by nobody it knows of.
    Forced,
    /// Its own record does not name it as a voter.
    Replaced,
}

/// The body of a message. A record travels whole: it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Here I am. `answer` asks for one back.
    Hello {
        /// Whether the receiver shall say hello too.
        answer: bool,
    },
    /// May I be Primary in `epoch`?
    Claim {
        /// The ballot.
        epoch: Epoch,
        /// The claimer's record.
        record: Option<Record>,
        /// The claimer knows its record to be accepted by a quorum.
        effective: bool,
        /// The claimer's present copy id.
        copy: CopyId,
        /// An operator's word replaces the in-sync check.
        force: bool,
    },
    /// Not in `epoch`, or: that record has been overtaken.
    Deny {
        /// The ballot of the claim, or of the record, that is denied.
        epoch: Epoch,
        /// The highest ballot promised.
        promised: Epoch,
        /// The highest record accepted. It is not to be adopted.
        record: Option<Record>,
        /// Ask again no sooner.
        retry_after: Duration,
        /// Why.
        reason: Reason,
    },
    /// No lower ballot than `epoch` counts any more.
    Promise {
        /// The ballot.
        epoch: Epoch,
        /// The highest record accepted.
        record: Option<Record>,
        /// The highest record known to be accepted by a quorum.
        effective: Option<Record>,
    },
    /// Remember this record, and grant me a lease.
    Accept {
        /// The new record.
        record: Record,
        /// Of the first sending.
        nonce: Nonce,
    },
    /// Remembered and granted.
    Accepted {
        /// The record's epoch.
        epoch: Epoch,
        /// The record's version.
        version: u32,
        /// As in the request.
        nonce: Nonce,
    },
    /// I am Primary by this record: extend my lease.
    Renew {
        /// The Primary's highest record.
        record: Record,
        /// It is known to be accepted by a quorum.
        effective: bool,
        /// Of this sending.
        nonce: Nonce,
    },
    /// Extended.
    Renewed {
        /// The record's epoch.
        epoch: Epoch,
        /// The record's version.
        version: u32,
        /// As in the request.
        nonce: Nonce,
    },
    /// The Primary of `epoch` has stopped: gate, address, writes. Its own node
    /// says so; the other manager may pass it on.
    Release {
        /// The reign that ended.
        epoch: Epoch,
        /// What the next Primary must hold, after a clean stop.
        position: Option<Position>,
    },
}
