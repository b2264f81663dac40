//! Authenticity of pool datagrams: the key, the seal, the session.

use std::path::Path;

use vrrpd_core::pool::message::Envelope;
use vrrpd_core::pool::record::{Incarnation, NodeId};
use vrrpd_core::time::Instant;

/// The secret that the three parties of a pool share: 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key(pool {:02x?})", self.pool_id().0)
    }
}

/// Which pool a datagram belongs to; derived from the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub [u8; 8]);

impl Key {
    /// Reads a key file: 64 hexadecimal digits, mode 0600 or stricter.
    pub fn read(path: &Path) -> Result<Self, String> {
        unimplemented!("{path:?}")
    }

    /// Which pool the key is of.
    pub fn pool_id(&self) -> PoolId {
        unimplemented!("{:?}", self.0)
    }

    /// The password of the replication role, 64 hexadecimal digits.
    pub fn replication_password(&self) -> String {
        unimplemented!()
    }
}

/// The pool of a datagram that may be one of ours, before it is opened: for
/// the arbiter, which serves many.
pub fn pool_of(datagram: &[u8]) -> Option<PoolId> {
    unimplemented!("{datagram:?}")
}

/// One life of one voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boot {
    /// The voter.
    pub incarnation: Incarnation,
    /// Its start counter, from 1.
    pub boots: u64,
}

/// This party's end of the sessions with the two others.
#[derive(Debug)]
pub struct Session {
    me: NodeId,
    own: Boot,
}

/// What a datagram turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Authentic, new, for this boot: give it to the member as
    /// `Event::Received`, and remember its address for the sender (the arbiter).
    Accepted(Envelope),
    /// Proof that this voter's state was rolled back: a peer has seen a higher
    /// boot of it. The envelope carries nothing but that; give it to the member.
    RolledBack(Envelope),
    /// Send these bytes back to where the datagram came from; nothing else.
    Reply(Vec<u8>),
    /// Nothing to do; counted.
    Dropped(Reject),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Not one of ours, or cut short.
    Malformed,
    /// Of another pool.
    OtherPool,
    /// The tag does not fit: another key, or tampered with.
    Forged,
    /// Seen before, or older than what was seen.
    Replayed,
    /// For another boot of this party, or another party.
    Misaddressed,
}

impl Session {
    /// The sessions of `me` in its boot `own`, as the member's first `Persist`
    /// has it.
    pub fn new(key: &Key, me: NodeId, own: Boot) -> Self {
        let _ = key;
        Self { me, own }
    }

    /// The voter has a new incarnation (or boot): every session begins anew.
    pub fn reborn(&mut self, own: Boot) {
        self.own = own;
    }

    /// Seals a message: the datagram to send to `envelope.to`.
    pub fn stamp(&mut self, envelope: &Envelope, now: Instant) -> Vec<u8> {
        unimplemented!("{envelope:?} {now} {}", self.me)
    }

    /// Opens a datagram.
    pub fn open(&mut self, datagram: &[u8], now: Instant) -> Verdict {
        unimplemented!("{datagram:?} {now}")
    }
}
