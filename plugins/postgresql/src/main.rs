//! The PostgreSQL plugin.
#![forbid(unsafe_code)]
fn main() {}
