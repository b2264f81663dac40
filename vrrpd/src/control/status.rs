//! The status object, as `vrrpctl status --json` prints it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Entry;

/// How this server is, and what it knows of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `[node] name`.
    pub node: String,
    /// `standalone`, `master` or `backup`.
    pub mode: String,
    /// `primary`, `online`, `standalone`, `forming` or `fault`.
    pub status: String,
    /// `ok`, `degraded` or `failure`.
    pub state: String,
    /// Why it is not `ok`, one sentence each.
    pub why: Vec<String>,
    /// The present epoch, e.g. `7.a`.
    pub epoch: Option<String>,
    /// Who is Primary: `master` or `backup`.
    pub primary: Option<String>,
    /// This manager is Primary and hands that over.
    #[serde(default)]
    pub handing_over: bool,
    /// Failover is paused.
    #[serde(default)]
    pub paused: bool,
    /// Who has not said yet that it knows so, or that failover is resumed.
    #[serde(default)]
    pub pause_unknown_to: Vec<String>,
    /// Whose copies hold every acknowledged commit.
    pub in_sync: Vec<String>,
    /// What is left of the lease; absent without one.
    pub lease_ms: Option<u64>,
    /// The pool is being formed: this manager is on hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hold: Option<OnHold>,
    /// Why the pool has not formed, so that this manager is standalone again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_formed: Option<String>,
    /// The virtual routers.
    pub virtual_routers: Vec<RouterStatus>,
    /// `open` or `closed`.
    pub gate: String,
    /// `master`, `backup` and `arbiter`.
    pub servers: BTreeMap<String, ServerStatus>,
    /// What the replicator reported last.
    pub database: Value,
    /// The journal's last lines.
    pub events: Vec<Entry>,
}

/// A manager that waits for its pool to form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnHold {
    /// What it waits for.
    pub waits_for: String,
    /// Then it is standalone again.
    pub left_ms: u64,
}

/// One virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Its name.
    pub name: String,
    /// Its interface.
    pub interface: String,
    /// Its VRID.
    pub vrid: u8,
    /// `Initialize`, `Backup` or `Active`.
    pub state: String,
    /// After checks; 0 is a fault.
    pub priority: u8,
    /// How the priority comes about.
    pub reason: String,
    /// The virtual addresses.
    pub addresses: Vec<String>,
    /// Who is Active as far as it knows, itself included.
    #[serde(default)]
    pub active: Option<String>,
    /// What it has counted since the daemon's start.
    #[serde(default)]
    pub statistics: RouterStatistics,
}

/// The counters of a virtual router (RFC 6527's names).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatistics {
    /// Transitions to Active.
    pub became_active: u64,
    /// Advertisements sent, those of priority 0 included.
    pub adverts_sent: u64,
    /// Legal advertisements received, those of priority 0 included.
    pub adverts_received: u64,
    /// Of priority 0, sent.
    pub priority_zero_sent: u64,
    /// Of priority 0, received.
    pub priority_zero_received: u64,
    /// Packets refused, by reason; reasons that never were are left out.
    pub refused: BTreeMap<String, u64>,
}

/// One server of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its address.
    pub address: String,
    /// `primary`, `online`, `arbiter`, `fault`, `forming` or `unreachable`.
    pub status: String,
    /// Its priority; the arbiter has none.
    pub priority: Option<u8>,
    /// Milliseconds since it was heard; absent for this server itself.
    pub heard_ms: Option<u64>,
}
