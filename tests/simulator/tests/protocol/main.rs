//! The named schedules of PROTOCOL.md, and the rules that each of them needs.
#![forbid(unsafe_code)]

mod alone;
mod bench;
mod claims;
mod coverage;
mod database;
mod in_sync;
mod release;
mod renewing;
mod rules;
mod voters;
