//! What the virtual router and the node do, as events and exact actions.
#![forbid(unsafe_code)]

mod codec;
mod conformance;
mod coverage;
mod groups;
mod lan;
mod limits;
mod matrix;
mod node;
mod pooled;
mod rfc3768;
mod rfc9568;
mod support;
