//! The status object, from what the core says of itself.

use core::time::Duration;
use std::collections::BTreeMap;

use serde_json::Value;
use vrrpd_core::node::Node;
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::status::{self as party, Standing};
use vrrpd_core::priority::CheckState;
use vrrpd_core::router::{Router, Statistics};
use vrrpd_core::time::Instant;

use crate::config::{Config, Pool};
use crate::control::Entry;
use crate::control::status::{RouterStatistics, RouterStatus, ServerStatus, Status};

/// What the core does not know.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// Clients are admitted.
    pub(super) gate_open: bool,
    /// What the replicator reported last.
    pub(super) database: Value,
    /// The journal's last lines.
    pub(super) events: Vec<Entry>,
}

/// The silence after which a party counts as unreachable: two of the hellos
/// that an idle party says each fifth interval, and some more.
pub(super) fn patience(pool: &Pool) -> Duration {
    pool.member.advertise_interval * 12
}

/// The state at `now`. Without a node the state directory cannot be written.
pub(super) fn status(
    config: &Config,
    node: Option<&Node>,
    checks: &[CheckState],
    around: Surroundings,
    now: Instant,
) -> Status {
    let routers: Vec<RouterStatus> = node
        .into_iter()
        .flat_map(Node::routers)
        .map(|router| router_status(router, node, checks))
        .collect();
    let party = node.and_then(Node::member).map(|member| member.status(now));
    let mut status = Status {
        node: config.node.clone(),
        mode: mode(config).to_owned(),
        status: "fault".to_owned(),
        state: "failure".to_owned(),
        why: vec!["the state directory cannot be written".to_owned()],
        epoch: None,
        primary: None,
        handing_over: false,
        paused: false,
        pause_unknown_to: Vec::new(),
        in_sync: Vec::new(),
        on_hold: None,
        not_formed: None,
        lease_ms: None,
        virtual_routers: routers,
        gate: if around.gate_open { "open" } else { "closed" }.to_owned(),
        servers: BTreeMap::new(),
        database: around.database,
        events: around.events,
    };
    match (&config.pool, party) {
        (Some(pool), Some(party)) => pooled(&mut status, pool, &party, now),
        (None, _) if node.is_some() => standalone(&mut status),
        (Some(_) | None, _) => {}
    }
    status
}

/// A router without a pool is well unless it cannot take part.
fn standalone(status: &mut Status) {
    let faults = |router: &&RouterStatus| router.state == "Initialize";
    status.why = status
        .virtual_routers
        .iter()
        .filter(faults)
        .map(|router| format!("{}: {}", router.name, router.reason))
        .collect();
    (status.status, status.state) = if status.why.is_empty() {
        ("standalone".to_owned(), "ok".to_owned())
    } else {
        ("fault".to_owned(), "degraded".to_owned())
    };
}

fn pooled(status: &mut Status, pool: &Pool, party: &party::Status, now: Instant) {
    let patience = patience(pool);
    let heard = |peer: &party::PeerStatus| {
        peer.heard
            .filter(|heard| now.since(*heard) <= patience)
            .and(peer.report)
    };
    let reigns = reigns(party.standing);
    let others = || party.peers.iter();
    let primary = if reigns {
        Some(party.id)
    } else {
        others()
            .find(|peer| heard(peer).is_some_and(|report| report.primary))
            .map(|peer| peer.node)
    };
    let record = party.durable.effective.or(party.durable.record);
    status.status = own_status(party).to_owned();
    status.epoch = record.map(|record| record.epoch.to_string());
    status.primary = primary.map(|node| name(node).to_owned());
    status.in_sync = record
        .iter()
        .flat_map(|record| record.in_sync.nodes().collect::<Vec<_>>())
        .map(|node| name(node).to_owned())
        .collect();
    status.lease_ms = party
        .lease_until
        .map(|until| u64::try_from(now.until(until).as_millis()).unwrap_or(u64::MAX));
    status.servers = servers(status, pool, party, now);
    status.paused = party.durable.pause.paused;
    let knows = |peer: &party::PeerStatus| {
        heard(peer).is_some_and(|report| report.pause == party.durable.pause)
    };
    status.pause_unknown_to = others()
        .filter(|peer| !knows(peer))
        .map(|peer| name(peer.node).to_owned())
        .collect();
    let silent: Vec<NodeId> = others()
        .filter(|peer| heard(peer).is_none())
        .map(|peer| peer.node)
        .collect();
    status.why = why(status, &silent, party, primary);
    status.handing_over = party.standing == Standing::HandingOver;
    // Two of three can elect one, if a copy that may be promoted is among them.
    let electable = silent.len() < 2 && record.is_some();
    status.state = match (status.why.is_empty(), primary.is_some() || electable) {
        (true, _) => "ok",
        (false, true) => "degraded",
        (false, false) => "failure",
    }
    .to_owned();
}

/// What keeps the pool from being well, one sentence each.
fn why(
    status: &Status,
    silent: &[NodeId],
    party: &party::Status,
    primary: Option<NodeId>,
) -> Vec<String> {
    let mut why: Vec<String> = silent
        .iter()
        .map(|&node| format!("the {} does not answer", name(node)))
        .collect();
    if party.standing == Standing::Blank {
        why.push("the pool has not formed yet".to_owned());
        return why;
    }
    if status.paused {
        why.push("failover is paused: vrrpctl resume ends that".to_owned());
    }
    if primary.is_none() {
        why.push("there is no Primary".to_owned());
    }
    if status.in_sync.len() < 2 {
        why.push("only one copy holds every commit".to_owned());
    }
    if party.database.is_none_or(|database| !database.healthy) {
        why.push("this manager's database is not healthy".to_owned());
    }
    if let (None, Some(reason)) = (primary, party.held_back) {
        why.push(format!("this manager cannot take over: {reason}"));
    }
    why
}

fn servers(
    status: &Status,
    pool: &Pool,
    party: &party::Status,
    now: Instant,
) -> BTreeMap<String, ServerStatus> {
    let mut servers = BTreeMap::new();
    let own = ServerStatus {
        address: pool.address.to_string(),
        status: status.status.clone(),
        priority: Some(party.priority),
        heard_ms: None,
    };
    servers.insert(name(party.id).to_owned(), own);
    for peer in &party.peers {
        let ago = peer.heard.map(|heard| now.since(heard));
        let reachable = ago.is_some_and(|ago| ago <= patience(pool));
        let arbiter = peer.node == NodeId::R;
        let address = if arbiter { pool.arbiter } else { pool.peer };
        let what = match peer.report.filter(|_| reachable) {
            None => "unreachable",
            Some(report) if report.blank => "forming",
            Some(_) if arbiter => "arbiter",
            Some(report) if report.primary => "primary",
            Some(report) if report.priority == 0 => "fault",
            Some(_) => "online",
        };
        let server = ServerStatus {
            address: address.to_string(),
            status: what.to_owned(),
            priority: peer
                .report
                .filter(|_| !arbiter)
                .map(|report| report.priority),
            heard_ms: ago.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        };
        servers.insert(name(peer.node).to_owned(), server);
    }
    servers
}

fn router_status(router: &Router, node: Option<&Node>, checks: &[CheckState]) -> RouterStatus {
    let config = router.config();
    let (identity, base) = (&config.identity, config.priority);
    let setup = node.map(Node::setup);
    let states = setup
        .into_iter()
        .flat_map(|setup| setup.checks.iter().zip(checks.iter().copied()));
    let reason = match router.fault() {
        Some(fault) => fault.to_string(),
        None => match vrrpd_core::priority::standing(base, &identity.name, states) {
            vrrpd_core::router::Standing::Fit { why, .. } if !why.is_empty() => why.to_string(),
            vrrpd_core::router::Standing::Fit { .. } => format!("{base} as configured"),
            vrrpd_core::router::Standing::Failed { why } => why.to_string(),
        },
    };
    RouterStatus {
        name: identity.name.clone(),
        interface: identity.interface.clone(),
        vrid: identity.vrid.as_u8(),
        state: router.state().to_string(),
        priority: router.priority().map_or(0, |priority| priority.as_u8()),
        reason,
        addresses: config.addresses.iter().map(ToString::to_string).collect(),
        active: router.active().map(|active| active.to_string()),
        statistics: router_statistics(router.statistics()),
    }
}

fn router_statistics(statistics: &Statistics) -> RouterStatistics {
    RouterStatistics {
        became_active: statistics.became_active,
        adverts_sent: statistics.adverts_sent,
        adverts_received: statistics.adverts_received,
        priority_zero_sent: statistics.priority_zero_sent,
        priority_zero_received: statistics.priority_zero_received,
        refused: statistics
            .refused
            .iter()
            .filter(|&(_, times)| times > 0)
            .map(|(refusal, times)| (refusal.name().to_owned(), times))
            .collect(),
    }
}

fn reigns(standing: Standing) -> bool {
    match standing {
        Standing::Promoting | Standing::Serving | Standing::HandingOver => true,
        Standing::Blank | Standing::Online | Standing::Claiming | Standing::Releasing => false,
    }
}

fn own_status(party: &party::Status) -> &'static str {
    match party.standing {
        Standing::Promoting | Standing::Serving | Standing::HandingOver => "primary",
        Standing::Blank => "forming",
        Standing::Online | Standing::Claiming | Standing::Releasing if party.priority == 0 => {
            "fault"
        }
        Standing::Online | Standing::Claiming | Standing::Releasing => "online",
    }
}

fn mode(config: &Config) -> &'static str {
    config
        .pool
        .as_ref()
        .map_or("standalone", |pool| name(pool.member.id))
}

fn name(node: NodeId) -> &'static str {
    match node {
        NodeId::A => "master",
        NodeId::B => "backup",
        NodeId::R => "arbiter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vrrpd_core::packet::Refusal;

    #[test]
    fn counters_name_the_reasons_that_were() {
        let mut counted = Statistics {
            adverts_received: 7,
            ..Statistics::default()
        };
        counted.refused.count(Refusal::Checksum);
        counted.refused.count(Refusal::Checksum);
        let shown = router_statistics(&counted);
        assert_eq!(shown.adverts_received, 7);
        assert_eq!(
            shown.refused.into_iter().collect::<Vec<_>>(),
            [(Refusal::Checksum.name().to_owned(), 2)]
        );
    }
}
