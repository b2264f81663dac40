//! What happens to a pool of real servers, and what must hold nevertheless.
//!
//! Each test forms a pool of three hosts with PostgreSQL, sets field units to
//! write through the virtual IP, hurts it, and then checks: no acknowledged
//! commit lost on any copy, nothing that a client read gone, never two gates
//! open, never two hosts at the virtual IP, and a Primary in the end. One alone:
//! `cargo test --release -p lab --test scenarios host_of_the_primary_dies`.
#![forbid(unsafe_code)]

mod arbiter;
mod fence;
mod forming;
mod hostile;
mod network;
mod operator;
mod power;
mod primary;
mod standby;
mod switchover;
