//! The pool protocol: who may be Primary (PROTOCOL.md).
//!
//! [`member::Member`] is a party of the pool, manager or arbiter. It is given
//! [`Event`]s and answers with [`Action`]s, which its driver performs in their
//! order: what is persisted before it is sent stands before it in the list.

mod claim;
pub mod codec;
pub mod database;
mod decision;
mod handover;
mod in_sync;
pub mod member;
pub mod message;
mod pause;
mod peer;
mod primary;
pub mod record;
pub mod rule;
pub mod status;
mod vote;
mod voter;

pub use decision::{Decision, Ending, Refusal};
pub use pause::Pause;

use core::time::Duration;

use crate::time::Instant;
use database::{Desired, Observed};
use message::Envelope;
use record::{Durable, Epoch, NodeId};

/// Clocks' rates differ by less than one part in this many (1 %).
pub const DRIFT: u32 = 100;

/// Whether the database keeps waiting for a second copy when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A Primary whose other copy is gone acknowledges commits alone.
    Available,
    /// Commits wait until two copies have them, always.
    Strict,
}

/// What a party of the pool is told at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which party this is.
    pub id: NodeId,
    /// Between renewals; also the unit of the Active_Down_Interval.
    pub advertise_interval: Duration,
    /// How long a grant lasts. At least `3 × advertise_interval`.
    pub lease: Duration,
    /// A copy that is silent, or that falls behind without progress, for this
    /// long leaves the in-sync set.
    pub remove_after: Duration,
    /// Nobody Primary so long after a switchover began: the old one claims again.
    pub switchover_timeout: Duration,
    /// A Primary whose database is not read-write so long after its claim releases.
    pub promote_timeout: Duration,
    /// A Primary whose replicator is silent for this long steps down.
    pub replicator_timeout: Duration,
    /// The other has been in sync and healthy this long before it is handed the
    /// Primary status for its higher priority.
    pub stable: Duration,
    /// The Master's option: act as Primary when up.
    pub active: bool,
    /// Whether commits may be acknowledged by one copy.
    pub durability: Durability,
    /// A digest of what the parties must have in common; with it, a blank
    /// party lets itself be formed into a pool.
    pub offer: Option<u64>,
}

/// What happened. Facts only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The deadline has come.
    Wake,
    /// An authenticated message arrived.
    Received(Envelope),
    /// The database reported.
    Database(Observed),
    /// The replicator's connection ended.
    ReplicatorLost,
    /// The priority after checks; 0 is a fault. 1 to 254 otherwise.
    Priority(u8),
    /// An operator's order.
    Order(Order),
}

/// An operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Hand the Primary status over. Refused unless `epoch` is the present one.
    Switchover {
        /// The reign in which it was given.
        epoch: Epoch,
    },
    /// Become Primary though the in-sync check would refuse it; needs a
    /// quorum's promises.
    Force {
        /// The highest epoch known when it was given.
        epoch: Epoch,
        /// Both others are attested to be off: without promises.
        alone: bool,
    },
    /// Begin or end maintenance: no failover but by an order.
    Pause {
        /// Begin.
        paused: bool,
    },
}

/// What the driver is to do, in order.
///
/// An action that fails ends the process, and the kernel ends the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// On disk, synced, before the next action.
    Persist(Durable),
    /// Send it; it may be lost.
    Send(Envelope),
    /// Hold the virtual addresses until `until` unless held longer by another
    /// [`Action::Hold`]: add them, announce them, advertise.
    Hold {
        /// The kernel ends it then.
        until: Instant,
    },
    /// Give the virtual addresses up, and stop advertising.
    Drop,
    /// Admit clients until `until` unless opened for longer.
    OpenGate {
        /// The kernel closes it then.
        until: Instant,
    },
    /// Admit nobody.
    CloseGate,
    /// The state that the database shall have.
    Database(Desired),
    /// For the log and the journal of decisions.
    Decided(Decision),
    /// An order's outcome, when it is refused.
    Refused(Refusal),
}

#[cfg(test)]
mod tests;
