//! Authenticity of pool datagrams: the key, the seal, the session.
//!
//! Pool messages need authenticity, not secrecy: each carries an HMAC-SHA256
//! tag under a key derived from the pool's. [`Session`] adds that a message
//! counts once, and only in the life of the receiver it was meant for.

mod frame;
mod key;
mod session;
#[cfg(test)]
mod tests;

use core::fmt;

use vrrpd_core::pool::message::Envelope;
use vrrpd_core::pool::record::Incarnation;

pub use frame::{MAX_DATAGRAM, pool_of};
pub use key::{Key, PoolId};
pub use session::{Counters, Session};

/// One life of one voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boot {
    /// The voter.
    pub incarnation: Incarnation,
    /// Its start counter, from 1.
    pub boots: u64,
}

/// What a datagram turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Authentic, new, for this boot: give it to the member as
    /// `Event::Received`, and remember its address for the sender (the arbiter).
    Accepted(Envelope),
    /// Proof that this voter's state was rolled back: a peer has seen a higher
    /// boot of it. The envelope says nothing but that; give it to the member.
    RolledBack(Envelope),
    /// Send these bytes back to where the datagram came from; nothing else.
    Reply(Vec<u8>),
    /// Nothing to do; counted.
    Dropped(Reject),
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Not one of ours, cut short, or at odds with itself.
    Malformed,
    /// Of another version of the protocol.
    OtherVersion,
    /// Of another pool.
    OtherPool,
    /// The tag does not fit: another key, or tampered with.
    Forged,
    /// Seen before, or overtaken by what was seen.
    Replayed,
    /// For another party or another boot of this one.
    Misaddressed,
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a pool message",
            Self::OtherVersion => "of another version of the pool protocol",
            Self::OtherPool => "of another pool: the key files differ",
            Self::Forged => "not sealed with this pool's key",
            Self::Replayed => "seen before",
            Self::Misaddressed => "meant for another party, or for an earlier start of this one",
        })
    }
}
