//! The control socket: JSON lines between vrrpd and vrrpctl.

mod journal;
mod server;
pub mod status;

pub use journal::{Entry, Journal};
pub use server::{ClientId, Server};

use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// The status object.
    Status,
    /// The journal's new entries as they come, until the client leaves.
    /// The server answers it by itself.
    Watch,
    /// Hand the Primary status over.
    Switchover {
        /// The epoch in which the order is given; the present one if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
    },
    /// The journal.
    Log,
    /// Read the configuration again.
    Reload,
}
