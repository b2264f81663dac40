//! vrrpctl: controls vrrpd.
#![forbid(unsafe_code)]

fn main() {}
