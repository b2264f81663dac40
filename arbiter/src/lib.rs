//! The Redundancy Arbiter.
