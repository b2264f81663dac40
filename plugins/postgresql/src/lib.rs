//! The PostgreSQL plugin: keeps one server in the role that it is told.
//!
//! The server is always started as a standby, with a configuration file of
//! ours that includes the operator's; it is promoted when that is ordered.
#![forbid(unsafe_code)]

pub mod access;
pub mod config;
pub mod control;
pub mod copy;
pub mod database;
pub mod file;
pub mod fitness;
pub mod hba;
pub mod process;
pub mod rejoin;
pub mod say;
pub mod server;
pub mod session;
pub mod settings;
pub mod state;
pub mod tool;
pub mod upstream;
pub mod wal;
pub mod watch;
