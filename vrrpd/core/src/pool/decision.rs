//! What was decided, and why: one line of the journal each.

use core::fmt;

use super::message::Reason;
use super::record::{CopyId, Epoch, Incarnation, NodeId, Record};

/// A decision worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The pool was formed.
    Formed {
        /// The record.
        record: Record,
    },
    /// This voter has no memory of the pool any more.
    Forgot {
        /// The new incarnation.
        incarnation: Incarnation,
        /// Why.
        why: &'static str,
    },
    /// Asks to be Primary.
    Claims {
        /// The reign or ballot.
        epoch: Epoch,
        /// Why.
        why: &'static str,
    },
    /// A claim was denied by `by`.
    Denied {
        /// The reign or ballot.
        epoch: Epoch,
        /// Who denied.
        by: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A claim was given up.
    Abandons {
        /// The reign or ballot.
        epoch: Epoch,
        /// Why.
        why: &'static str,
    },
    /// This voter promised.
    Promised {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// Is Primary: its record is effective, its database is being promoted.
    Primary {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// Goes on after a restart as the only current copy.
    ResumesAlone {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// Clients are admitted.
    Serves {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// Clients are not admitted for now.
    Holds {
        /// The reign or ballot.
        epoch: Epoch,
        /// Why.
        why: &'static str,
    },
    /// No longer Primary.
    Ends {
        /// The reign or ballot.
        epoch: Epoch,
        /// Why.
        why: Ending,
    },
    /// The lease ran out and it goes on: it alone holds the current copy.
    Alone {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// A change of the in-sync set or the voters was proposed.
    Proposes {
        /// The record.
        record: Record,
        /// Why.
        why: &'static str,
    },
    /// It is accepted by a quorum.
    Effective {
        /// The record.
        record: Record,
    },
    /// Synchronous replication begins, before `copy` is added.
    AddBegins {
        /// The copy.
        copy: CopyId,
    },
    /// It ends without an addition.
    AddCancelled {
        /// The copy.
        copy: CopyId,
        /// Why.
        why: &'static str,
    },
    /// A ballot was seen above a healthy Primary's; it claims again in place.
    Reclaims {
        /// The reign or ballot.
        epoch: Epoch,
    },
    /// Maintenance begins or ends.
    Pauses {
        /// It begins.
        paused: bool,
    },
    /// A copy or a voter that the record does not name: what to expect.
    Notices {
        /// A sentence.
        what: &'static str,
    },
}

/// Why a Primary's reign ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// No answer in time.
    LeaseRanOut,
    /// A higher record was shown.
    Superseded,
    /// Its database failed and the other is in sync.
    DatabaseFailed,
    /// The database could not be promoted.
    PromotionFailed,
    /// The database is not the copy that was elected.
    CopyReplaced,
    /// The replicator is gone.
    ReplicatorLost,
    /// Its priority is 0.
    Fault,
    /// A planned switchover.
    Switchover,
    /// It was rolled back or replaced.
    Forgot,
}

/// Why an order was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The order was given in an epoch that has passed.
    Stale,
    /// This manager is not Primary.
    NotPrimary,
    /// This manager is Primary already.
    AlreadyPrimary,
    /// Another change is under way.
    Busy,
    /// The other manager does not answer.
    PeerSilent,
    /// The other manager's copy is not in sync.
    PeerNotInSync,
    /// The other manager's database or checks are not healthy.
    PeerUnhealthy,
    /// The other manager is too far behind.
    PeerBehind,
    /// This manager's own database is not healthy.
    Unhealthy,
    /// No pool has been formed.
    Blank,
    /// This party holds no data.
    Arbiter,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Formed { record } => write!(f, "the pool has formed: {record}"),
            Self::Forgot { incarnation, why } => {
                write!(f, "starts blank as voter {incarnation}: {why}")
            }
            Self::Claims { epoch, why } => write!(f, "claims epoch {epoch}: {why}"),
            Self::Denied { epoch, by, reason } => {
                write!(f, "claim of epoch {epoch} denied by {by}: {reason}")
            }
            Self::Abandons { epoch, why } => {
                write!(f, "abandons its claim of epoch {epoch}: {why}")
            }
            Self::Promised { epoch } => write!(f, "promised epoch {epoch}"),
            Self::Primary { epoch } => write!(
                f,
                "Online -> Primary in epoch {epoch}: a quorum has accepted its record"
            ),
            Self::ResumesAlone { epoch } => {
                write!(
                    f,
                    "Online -> Primary in epoch {epoch}: it held the only current copy when it stopped"
                )
            }
            Self::Serves { epoch } => write!(f, "clients are admitted, epoch {epoch}"),
            Self::Holds { epoch, why } => {
                write!(f, "clients are not admitted, epoch {epoch}: {why}")
            }
            Self::Ends { epoch, why } => write!(f, "Primary -> Online, epoch {epoch}: {why}"),
            Self::Alone { epoch } => {
                write!(
                    f,
                    "goes on alone in epoch {epoch}: nobody else holds the current copy"
                )
            }
            Self::Proposes { record, why } => write!(f, "proposes {record}: {why}"),
            Self::Effective { record } => write!(f, "effective: {record}"),
            Self::AddBegins { copy } => write!(f, "synchronous replication to copy {copy} begins"),
            Self::AddCancelled { copy, why } => {
                write!(f, "copy {copy} is not added to the in-sync set: {why}")
            }
            Self::Reclaims { epoch } => {
                write!(
                    f,
                    "claims epoch {epoch} in place: a higher ballot was promised"
                )
            }
            Self::Pauses { paused: true } => {
                f.write_str("failover is paused: nobody becomes Primary but by an operator's order")
            }
            Self::Pauses { paused: false } => f.write_str("failover is resumed"),
            Self::Notices { what } => f.write_str(what),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outbid => "a ballot as high has been promised",
            Self::Quiet => "it started less than a lease ago",
            Self::Blank => "it remembers no pool",
            Self::Granted => "its grant to another still runs",
            Self::Primary => "it is Primary itself",
            Self::NotInSync => "the claimer's copy is not in sync",
            Self::Forced => "the claimer's forced record was accepted by nobody",
            Self::Replaced => "it is no longer named as a voter",
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseRanOut => "nobody renewed its lease in time",
            Self::Superseded => "it was shown a higher record",
            Self::DatabaseFailed => "its database failed",
            Self::PromotionFailed => "its database could not be promoted in time",
            Self::CopyReplaced => "its data directory is not the copy that was elected",
            Self::ReplicatorLost => "its replicator is gone",
            Self::Fault => "its priority is 0 (fault)",
            Self::Switchover => "planned switchover",
            Self::Forgot => "its voter starts blank",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the order was given in an epoch that has passed: look at the status and give it again",
            Self::NotPrimary => "this manager is not Primary: give the order on the Primary",
            Self::AlreadyPrimary => "this manager is Primary already",
            Self::Busy => "another change is under way: try again when it has ended",
            Self::PeerSilent => "the other manager does not answer",
            Self::PeerNotInSync => "the other manager's copy is not in sync",
            Self::PeerUnhealthy => "the other manager's database or checks are not healthy",
            Self::PeerBehind => "the other manager's copy is too far behind: try again when it has caught up",
            Self::Unhealthy => "this manager's own database is not healthy",
            Self::Blank => "no pool has been formed",
            Self::Arbiter => "the arbiter holds no data",
        })
    }
}

impl core::error::Error for Refusal {}
