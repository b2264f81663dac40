//! The Redundancy Arbiter: votes in many pools, holds no data.
//!
//! A pool's voter speaks only when it is spoken to. Each pool's part is the
//! same [`Member`](vrrpd_core::pool::member::Member) that the managers run.
#![forbid(unsafe_code)]

pub mod arbiter;
pub mod pool;
mod wakes;
