//! A plugin to begin with.
#![forbid(unsafe_code)]

fn main() {}
