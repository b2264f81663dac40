//! Keeps the database in the role the pool gave it; the plugin kit.
//!
//! vrrpd gives orders ([`role`]); the [`keeper`] compares them with what the
//! plugin observes and decides the next command ([`plugin`]); the [`daemon`]
//! carries events between them.
#![forbid(unsafe_code)]

pub mod config;
pub mod daemon;
pub mod keeper;
pub mod link;
pub mod plugin;
pub mod role;
