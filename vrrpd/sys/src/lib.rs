//! Linux in one place: sockets, netlink, nftables, clocks, processes.
//!
//! The only crate with `unsafe`. It decides nothing: every call does one thing
//! that the kernel offers, and says what failed.

pub mod announce;
pub mod child;
pub mod clock;
pub mod gate;
pub mod netlink;
pub mod sched;
pub mod sever;
pub mod socket;
