//! What a party can say of itself.

use super::database::Observed;
use super::member::{Member, Role};
use super::message::Report;
use super::primary::Phase;
use super::record::{Durable, NodeId};
use crate::time::Instant;

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It remembers no pool.
    Blank,
    /// Not Primary.
    Online,
    /// Asks to be Primary.
    Claiming,
    /// Is Primary; clients are not admitted yet, or for now.
    Promoting,
    /// Is Primary; clients are admitted.
    Serving,
    /// Is Primary, and hands over to the other.
    HandingOver,
    /// Was Primary; its database is being stopped.
    Releasing,
}

/// What is known of another party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Which one.
    pub node: NodeId,
    /// When it was last heard.
    pub heard: Option<Instant>,
    /// What it said of itself then.
    pub report: Option<Report>,
}

/// A party's state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which party.
    pub id: NodeId,
    /// What it is.
    pub standing: Standing,
    /// What it remembers.
    pub durable: Durable,
    /// The end of its lease, while that lasts.
    pub lease_until: Option<Instant>,
    /// Failover is paused, as far as this party knows.
    pub paused: bool,
    /// It is Primary, and nobody else can be promoted.
    pub alone: bool,
    /// It neither promises nor claims until then.
    pub quiet_until: Instant,
    /// Its priority after checks.
    pub priority: u8,
    /// What its database is, if its replicator is connected.
    pub database: Option<Observed>,
    /// Why it could not claim now, if it is not Primary.
    pub held_back: Option<&'static str>,
    /// The others, in order.
    pub peers: [PeerStatus; 2],
}

impl Status {
    /// Whether it holds a valid lease or the right to be alone (I2).
    pub const fn reigns(&self) -> bool {
        self.lease_until.is_some() || self.alone
    }
}

impl Member {
    /// The state at `now`.
    pub fn status(&self, now: Instant) -> Status {
        let standing = match &self.role {
            Role::Online(_) if self.voter.is_blank() => Standing::Blank,
            Role::Online(_) => Standing::Online,
            Role::Claiming(_) => Standing::Claiming,
            Role::Releasing(_) => Standing::Releasing,
            Role::Primary(primary) => match primary.phase {
                Phase::Serving if primary.gate_until().is_some() => Standing::Serving,
                Phase::Serving
                | Phase::Promoting { .. }
                | Phase::Recovering { .. }
                | Phase::Fenced { .. } => Standing::Promoting,
                Phase::Checkpointing { .. } | Phase::Stopping { .. } => Standing::HandingOver,
            },
        };
        let lease_until = match &self.role {
            Role::Primary(primary) if self.has_lease(now) => Some(primary.lease_until),
            _ => None,
        };
        let held_back = match self.role {
            Role::Primary(_) => None,
            _ if self.pause_holds_back() => Some("failover is paused"),
            _ => self.may_claim(false, now).err(),
        };
        Status {
            id: self.config.id,
            standing,
            durable: self.voter.durable,
            lease_until,
            paused: self.is_paused(),
            alone: self.is_alone(),
            quiet_until: self.voter.quiet_until,
            priority: self.priority,
            database: self.database,
            held_back,
            peers: self.config.id.others().map(|node| PeerStatus {
                node,
                heard: self.peers[node.index()].heard(),
                report: self.peers[node.index()].report().copied(),
            }),
        }
    }
}
