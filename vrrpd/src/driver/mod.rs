//! The daemon's one loop: it owns every file descriptor, carries what happens
//! to the core, and performs what the core orders, in its order.
//!
//! It holds no decision that a test would want to see.

pub mod signals;

use vrrpd_core::time::Instant;
use vrrpd_sys::clock;

/// The time now.
pub fn now() -> Instant {
    Instant::from_nanos(clock::now())
}

/// A random number for a core's seed.
///
/// # Panics
///
/// When the kernel gives no random numbers.
pub fn seed() -> u64 {
    getrandom::u64().expect("the kernel gives random numbers")
}
