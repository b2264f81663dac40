//! Our daemon on one LAN with keepalived's and FRR's: real processes, real packets,
//! dissected by tshark.
#![forbid(unsafe_code)]

mod capture;
mod daemon;
mod lan;
mod matrix;
