//! `[pool]`.

use core::time::Duration;
use std::net::IpAddr;

use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::{Config as Member, Durability};
use vrrpd_core::router::Address;

use super::host::Host;
use super::offer::offer;
use super::table::{At, Table};
use super::value::{is_alone, subnet_holds, written};
use super::virtual_router::Found;
use crate::seal::Key;

const MS: fn(u64) -> Duration = Duration::from_millis;
const HOUR: Duration = Duration::from_secs(3600);
const DEFAULT_PORT: u16 = 8112;

/// The longest lease: for so long nobody takes over from a dead Primary.
pub(super) const LONGEST_LEASE: Duration = Duration::from_secs(60);

/// `[pool]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// `mode`: [`NodeId::A`] for `master`, [`NodeId::B`] for `backup`.
    pub id: NodeId,
    /// This server.
    pub address: IpAddr,
    /// The other manager.
    pub peer: IpAddr,
    /// The arbiter.
    pub arbiter: IpAddr,
    /// UDP port of this server.
    pub port: u16,
    /// UDP port of the other manager.
    pub peer_port: u16,
    /// UDP port of the arbiter.
    pub arbiter_port: u16,
    /// The key in `key_file`.
    pub key: Key,
    /// The priority of the manager: that of its virtual routers, 1 to 254.
    pub priority: u8,
    /// `formation_timeout`: one that waits longer for its pool to form, when it
    /// was configured by vrrpctl, is standalone again.
    pub formation_timeout: Duration,
    /// For the member.
    pub member: Member,
}

/// Whether there is a pool.
#[derive(Debug)]
pub(super) enum Form {
    /// No `[pool]`.
    Plain,
    /// `mode = "standalone"`: what else `[pool]` says waits for another mode.
    Standalone,
    /// One, if its mistakes are mended.
    Pooled(Option<Box<Pool>>),
}

impl Form {
    /// Whether the virtual routers are governed by a pool.
    pub(super) fn is_pooled(&self) -> bool {
        matches!(self, Self::Pooled(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Standalone,
    Manager(NodeId),
}

/// The pool, judged with the virtual routers that it governs.
pub(super) fn read(top: &Table<'_>, routers: &[Found], host: &dyn Host) -> Form {
    let Some(table) = top.table("pool") else {
        return Form::Plain;
    };
    table.require("mode", "mode = \"master\" or \"backup\"");
    let mode = table.choice(
        "mode",
        &[
            ("master", Mode::Manager(NodeId::A)),
            ("backup", Mode::Manager(NodeId::B)),
            ("standalone", Mode::Standalone),
        ],
    );
    if mode.is_some_and(|mode| mode.value == Mode::Standalone) {
        table.opaque();
        return Form::Standalone;
    }
    let parties = parties(&table);
    let key = key(&table, host);
    let id = mode.and_then(|mode| match mode.value {
        Mode::Manager(id) => Some(id),
        Mode::Standalone => None,
    });
    let active = table.boolean("active");
    if let (Some(NodeId::B), Some(active)) = (id, &active) {
        table.report.add(
            active.at,
            "active is the Master's option: remove it here, and set it in the Master's configuration",
        );
    }
    let interval = common(
        routers,
        |router| router.advertise_interval,
        &table,
        "advertise_interval",
        written,
    );
    let priority = common(
        routers,
        |router| Some(router.priority),
        &table,
        "priority",
        |p| p.to_string(),
    );
    governed(&table, routers);
    if let Some(parties) = &parties {
        apart(&table, parties, routers);
    }
    let formation_timeout = table
        .duration("formation_timeout", MS(1_000)..=HOUR)
        .map_or(MS(600_000), At::into);
    let member = member(&table, id, active.is_some_and(At::into), interval);
    table.finish();
    Form::Pooled((|| {
        let parties = parties?;
        Some(Box::new(Pool {
            id: id?,
            address: parties.address.value.0,
            peer: parties.peer.value.0,
            arbiter: parties.arbiter.value.0,
            port: parties.address.value.1,
            peer_port: parties.peer.value.1,
            arbiter_port: parties.arbiter.value.1,
            key: key?,
            priority: priority?,
            formation_timeout,
            member: member?,
        }))
    })())
}

/// Where the three are.
#[derive(Debug)]
struct Parties {
    address: At<(IpAddr, u16)>,
    peer: At<(IpAddr, u16)>,
    arbiter: At<(IpAddr, u16)>,
}

fn parties(table: &Table<'_>) -> Option<Parties> {
    table.require("address", "address = \"192.0.2.11\", this server's own");
    table.require("peer", "peer = \"192.0.2.12\", the other manager's");
    table.require("arbiter", "arbiter = \"192.0.2.13\"");
    let ports = 1..=65_535;
    let hint = "1 to 65535";
    let port = table
        .number("port", ports.clone(), hint)
        .map_or(DEFAULT_PORT, At::into);
    let peer_port = table
        .number("peer_port", ports.clone(), hint)
        .map_or(port, At::into);
    let arbiter_port = table
        .number("arbiter_port", ports, hint)
        .map_or(port, At::into);
    let with = |ip: Option<At<IpAddr>>, port| {
        ip.map(|ip| At {
            at: ip.at,
            value: (ip.value, port),
        })
    };
    let address = with(table.ip("address"), port);
    let peer = with(table.ip("peer"), peer_port);
    let arbiter = with(table.ip("arbiter"), arbiter_port);
    let parties = Parties {
        address: address?,
        peer: peer?,
        arbiter: arbiter?,
    };
    let named = [
        ("address", &parties.address),
        ("peer", &parties.peer),
        ("arbiter", &parties.arbiter),
    ];
    for (index, (name, party)) in named.iter().enumerate() {
        for (other_name, other) in &named[..index] {
            if party.value == other.value {
                table.report.add(
                    party.at,
                    format!(
                        "{name} is the same as {other_name}: the three parties are three machines"
                    ),
                );
            }
        }
        if party.value.0.is_ipv4() != parties.address.value.0.is_ipv4() {
            table.report.add(
                party.at,
                format!("{name} is of another family than address: use one family for all three"),
            );
        }
    }
    Some(parties)
}

fn key(table: &Table<'_>, host: &dyn Host) -> Option<Key> {
    table.require("key_file", "key_file = \"/etc/vrrpd/pool.key\"");
    let path = table.path("key_file")?;
    host.key(&path.value)
        .map_err(|why| {
            table
                .report
                .add(path.at, format!("key_file {} {why}", path.value.display()));
        })
        .ok()
}

/// What all virtual routers of a pool must share.
fn common<T: Copy + PartialEq>(
    routers: &[Found],
    of: impl Fn(&Found) -> Option<At<T>>,
    table: &Table<'_>,
    key: &str,
    show: impl Fn(T) -> String,
) -> Option<T> {
    let mut values = routers.iter().filter_map(&of);
    let first = values.next()?;
    for other in values {
        if other.value != first.value {
            table.report.add(
                other.at,
                format!(
                    "{key} {} differs from {} of the first virtual router: all virtual routers of a pool move together, give them the same {key}",
                    show(other.value),
                    show(first.value)
                ),
            );
        }
    }
    Some(first.value)
}

/// What the pool decides is not for its virtual routers to say.
fn governed(table: &Table<'_>, routers: &[Found]) {
    for router in routers {
        if router.priority.value == 255 {
            table.report.add(
                router.priority.at,
                "priority 255 says that this node owns the address, but a pool's addresses move: use 1 to 254",
            );
        }
        for key in &router.competing {
            let instead = match key.value {
                "preempt" => "use active in the Master's [pool]",
                "preempt_delay" => "use preempt_delay in [pool]",
                "unicast_peers" => "remove it, the pool's members are known",
                _ => "remove it",
            };
            table.report.add(
                key.at,
                format!("{} is decided by the pool: {instead}", key.value),
            );
        }
    }
}

/// Virtual addresses are nobody's own, and in the pool's subnet.
fn apart(table: &Table<'_>, parties: &Parties, routers: &[Found]) {
    let own = [
        ("address", parties.address.value.0),
        ("peer", parties.peer.value.0),
        ("arbiter", parties.arbiter.value.0),
    ];
    let addresses = || routers.iter().flat_map(|router| &router.addresses);
    for address in addresses() {
        for (name, ip) in own {
            if address.value.ip == ip {
                table.report.add(
                    address.at,
                    format!(
                        "virtual address {} is {name} in [pool]: choose one that no machine has",
                        address.value.ip
                    ),
                );
            }
        }
    }
    let here = parties.address.value.0;
    let comparable = |address: &&At<Address>| {
        !is_alone(&address.value) && address.value.ip.is_ipv4() == here.is_ipv4()
    };
    let mut comparables = addresses().filter(comparable).peekable();
    if let Some(first) = comparables.peek().copied()
        && !comparables.any(|address| subnet_holds(&address.value, here))
    {
        table.report.add(
            parties.address.at,
            format!(
                "address {here} is outside the subnet of virtual address {}: correct one of them, or the prefix length",
                first.value
            ),
        );
    }
}

fn member(
    table: &Table<'_>,
    id: Option<NodeId>,
    active: bool,
    interval: Option<Duration>,
) -> Option<Member> {
    // Ranges follow from the interval; while that is wrong, any will do.
    let interval = interval.unwrap_or(MS(1_000));
    let lease = lease(table, interval);
    let remove_after = table
        .duration("remove_after", lease..=HOUR)
        .map_or(lease.max(MS(400)), At::into);
    let timeout = |key, default| {
        table
            .duration(key, MS(100)..=HOUR)
            .map_or(default, At::into)
    };
    let durability = table
        .choice(
            "durability",
            &[
                ("available", Durability::Available),
                ("strict", Durability::Strict),
            ],
        )
        .map_or(Durability::Available, At::into);
    let switchover_timeout = timeout("switchover_timeout", MS(10_000));
    let promote_timeout = timeout("promote_timeout", MS(30_000));
    let replicator_timeout = timeout("replicator_timeout", MS(2_000));
    let stable = table
        .duration("preempt_delay", MS(0)..=HOUR)
        .map_or(MS(30_000), At::into);
    Some(Member {
        id: id?,
        advertise_interval: interval,
        lease,
        remove_after,
        switchover_timeout,
        promote_timeout,
        replicator_timeout,
        stable,
        active,
        durability,
        offer: Some(offer(interval, lease)),
    })
}

/// `lease`: at least three renewals fit into it.
pub(super) fn lease(table: &Table<'_>, interval: Duration) -> Duration {
    let least = interval * 3;
    if let Some(lease) = table.duration("lease", MS(0)..=LONGEST_LEASE) {
        if lease.value < least {
            table.report.add(
                lease.at,
                format!(
                    "lease \"{}\" is shorter than three times advertise_interval: 3 x {} = {}, use that or more",
                    written(lease.value),
                    written(interval),
                    written(least)
                ),
            );
            return least;
        }
        return lease.value;
    }
    least
}
