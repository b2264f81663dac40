//! The control socket: JSON lines between vrrpd and those who ask it.
//!
//! A request is one line, `{"command":"status"}`; so is its answer,
//! `{"ok":…}` or `{"error":"one line"}`. After `{"command":"watch"}` come the
//! journal's new entries, `{"event":{…}}`, until the client leaves.

mod client;
mod journal;
mod request;
mod server;
pub mod status;

pub use client::{Client, Failure};
pub(crate) use journal::utc;
pub use journal::{Entry, Journal};
pub use request::{Reply, Request};
pub use server::{ClientId, Server};
