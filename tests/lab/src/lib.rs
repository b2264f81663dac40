//! Hosts in network namespaces, and the means to see what a pool does to them:
//! field units that write, a checker of what they were told, a probe of who
//! serves, a timeline.
//!
//! Everything runs as root, in networks of its own; nothing of the machine's is
//! touched. See [`pool::Pool`] to begin; [`router::Pair`] for virtual routers
//! without a pool.
#![forbid(unsafe_code)]

pub mod checker;
pub mod clock;
mod control;
pub mod directory;
pub mod fault;
mod frame;
pub mod host;
pub mod ledger;
pub mod link;
pub mod namespace;
pub mod net;
pub mod pinger;
pub mod pool;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod programs;
pub mod router;
mod settings;
pub mod timeline;
pub mod trial;
pub mod usage;
pub mod wire;
pub mod writer;
