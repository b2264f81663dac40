//! Keeps the database in the role the pool gave it; the plugin kit.
#![forbid(unsafe_code)]

pub mod role;
