//! The virtual router, the pool member and the voter: events in, actions out.
//!
//! No I/O, no clock, no thread and no randomness of its own: the daemons, the
//! simulator and the tests run the very same lines.
#![forbid(unsafe_code)]

pub mod node;
pub mod packet;
pub mod pool;
pub mod priority;
pub mod router;
pub mod time;
