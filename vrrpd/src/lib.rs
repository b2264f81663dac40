//! The daemon on a manager, and its control program.
//!
//! Each room is small and does one thing; the driver's loop owns every file
//! descriptor and carries events between them and the core.
#![forbid(unsafe_code)]

pub mod check;
pub mod config;
pub mod configure;
pub mod control;
pub mod driver;
pub mod hook;
pub mod import;
pub mod job;
pub mod lines;
pub mod logging;
pub mod seal;
pub mod store;
