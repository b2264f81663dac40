//! What is counted (RFC 9568 §7.1; the names follow RFC 6527's statistics).

use crate::packet::Refusals;

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Transitions to Active.
    pub became_active: u64,
    /// Advertisements sent, those of priority 0 included.
    pub adverts_sent: u64,
    /// Legal advertisements received, those of priority 0 included.
    pub adverts_received: u64,
    /// Of priority 0, sent.
    pub priority_zero_sent: u64,
    /// Of priority 0, received.
    pub priority_zero_received: u64,
    /// Received while Active from a router that has no business to be.
    pub rivals: u64,
    /// Received with other addresses than ours.
    pub addresses_differ: u64,
    /// Received with another interval than ours (VRRPv3).
    pub intervals_differ: u64,
    /// Virtual addresses put back after somebody deleted them.
    pub put_back: u64,
    /// Times it was run so late that it gave up being Active.
    pub late: u64,
    /// Packets refused.
    pub refused: Refusals,
}
