//! `[[virtual_router]]`.

use core::time::Duration;
use std::net::IpAddr;
use std::sync::Arc;

use vrrpd_core::packet::{Centiseconds, Family, Form, HOP_LIMIT, Priority, Version, Vrid};
use vrrpd_core::router::{Address, Announce, Checksum, Config, Group, Identity};

use super::sync_group;
use super::table::{At, Table, unique};
use super::value::{address, unicast, written};

const MS: fn(u64) -> Duration = Duration::from_millis;
const HOUR: Duration = Duration::from_secs(3600);

/// VRRP's Max_Advertise_Interval in v3: 12 bits of centiseconds (RFC 9568 §5.2.7).
const V3_LONGEST: Duration = Duration::from_millis(40_950);
/// 8 bits of seconds in v2 (RFC 3768 §5.3.7).
const V2_LONGEST: Duration = Duration::from_secs(255);

/// A virtual router as it was found: what later checks need, and itself if legal.
#[derive(Debug)]
pub(super) struct Found {
    /// Where its table begins.
    pub(super) at: usize,
    pub(super) name: Option<At<String>>,
    pub(super) priority: At<u8>,
    pub(super) advertise_interval: Option<At<Duration>>,
    pub(super) preempt: Option<At<bool>>,
    pub(super) sync_group: Option<At<String>>,
    /// Keys that a pool decides, as they were found.
    pub(super) competing: Vec<At<&'static str>>,
    pub(super) addresses: Vec<At<Address>>,
    pub(super) value: Option<Config>,
}

/// All virtual routers.
pub(super) fn read(top: &Table<'_>) -> Vec<Found> {
    let routers: Vec<Found> = top.tables("virtual_router").into_iter().map(one).collect();
    if !top.has("virtual_router") {
        top.missing(
            "[[virtual_router]]",
            "one with name, interface, vrid and addresses",
        );
    }
    let names: Vec<_> = routers
        .iter()
        .filter_map(|router| router.name.clone())
        .collect();
    unique(top.report, "virtual router", &names);
    let addresses: Vec<_> = routers
        .iter()
        .flat_map(|router| &router.addresses)
        .map(|address| At {
            at: address.at,
            value: address.value.ip,
        })
        .collect();
    unique(top.report, "virtual address", &addresses);
    distinct(top, &routers);
    sync_group::judge(top, &routers);
    routers
}

/// Two virtual routers of one family with one VRID on one interface are one to the network.
fn distinct(top: &Table<'_>, routers: &[Found]) {
    let identity = |found: &Found| {
        let identity = &found.value.as_ref()?.identity;
        Some((identity.interface.clone(), identity.vrid, identity.family))
    };
    for (index, router) in routers.iter().enumerate() {
        let Some((interface, vrid, family)) = identity(router) else {
            continue;
        };
        let twin = routers[..index]
            .iter()
            .find(|other| identity(other) == Some((interface.clone(), vrid, family)));
        if let Some(twin) = twin.and_then(|twin| twin.name.as_ref()) {
            top.report.add(
                router.at,
                format!(
                    "vrid {vrid} on {interface} is virtual router {}'s already: give this one another vrid",
                    twin.value
                ),
            );
        }
    }
}

fn one(table: Table<'_>) -> Found {
    table.require("name", "name = \"service\"");
    table.require("interface", "interface = \"eth0\"");
    table.require("vrid", "vrid = 51");
    table.require("addresses", "addresses = [\"192.0.2.100/24\"]");
    let name = table.string("name").filter(|name| good_name(&table, name));
    let interface = table
        .string("interface")
        .filter(|name| good_interface(&table, name));
    let vrid = table.number::<u8>("vrid", 1..=255, "1 to 255");
    let version = table
        .number::<u8>("version", 2..=3, "2 or 3")
        .map_or(Version::V3, |version| {
            if version.value == 2 {
                Version::V2
            } else {
                Version::V3
            }
        });
    let priority = table
        .number(
            "priority",
            1..=255,
            "1 to 254, or 255 if this node owns the address",
        )
        .unwrap_or(At {
            at: table.at,
            value: 100,
        });
    let advertise_interval = interval(&table, version);
    let addresses = addresses(&table, version);
    let family = addresses
        .first()
        .map(|address| Family::of(address.value.ip));
    let checksum = checksum(&table, version, family);
    let preempt = table.boolean("preempt");
    let preempt_delay = table.duration("preempt_delay", MS(0)..=HOUR);
    let accept = table.boolean("accept");
    let unicast_peers = unicast_peers(&table, &addresses);
    let min_ttl = min_ttl(&table, &unicast_peers);
    let startup_delay = table.duration("startup_delay", MS(0)..=HOUR);
    let sync_group = table
        .string("sync_group")
        .filter(|name| good_name(&table, name));
    let announce = announce(&table);
    mac(&table);
    if preempt.is_some_and(|preempt| !preempt.value) && preempt_delay.is_some() {
        table.wrong(
            "preempt_delay",
            "preempt_delay says nothing with preempt = false: remove one of them",
        );
    }
    let competing = [
        "preempt",
        "preempt_delay",
        "startup_delay",
        "unicast_peers",
        "min_ttl",
        "sync_group",
    ]
    .into_iter()
    .filter_map(|key| table.place_of(key).map(|at| At { at, value: key }))
    .collect();
    let at = table.at;
    table.finish();
    let value = (|| {
        Some(Config {
            identity: Arc::new(Identity {
                name: name.clone()?.value,
                interface: interface?.value,
                vrid: Vrid::new(vrid?.value)?,
                family: family?,
            }),
            version,
            priority: Priority::new(priority.value)?,
            advertise_interval: Centiseconds::from_duration(advertise_interval?.value)?,
            addresses: addresses.iter().map(|address| address.value).collect(),
            checksum,
            preempt: preempt.is_none_or(|preempt| preempt.value),
            preempt_delay: preempt_delay.map_or(MS(0), At::into),
            accept: accept.is_none_or(|accept| accept.value),
            unicast_peers,
            min_hop_limit: min_ttl,
            startup_delay: startup_delay.map_or(MS(0), At::into),
            announce,
            group: sync_group.as_ref().map(|group| Group::named(&group.value)),
            governed: false,
        })
    })();
    Found {
        at,
        name,
        priority,
        advertise_interval,
        preempt,
        sync_group,
        competing,
        addresses,
        value,
    }
}

/// Names are words in logs, hook arguments and file names.
fn good_name(table: &Table<'_>, name: &At<String>) -> bool {
    let good = name.value.len() <= 64
        && !name.value.starts_with(['.', '-'])
        && name
            .value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !good {
        table.report.add(
            name.at,
            format!(
                "name \"{}\" is no name: use up to 64 letters, digits, full stops, - and _",
                name.value
            ),
        );
    }
    good
}

/// As the kernel has it: IFNAMSIZ is 16 with the final zero.
pub(super) fn good_interface(table: &Table<'_>, name: &At<String>) -> bool {
    let good = name.value.len() <= 15
        && !name.value.contains(['/', ':'])
        && !name.value.contains(char::is_whitespace);
    if !good {
        table.report.add(
            name.at,
            format!(
                "interface \"{}\" is no interface name: `ip link` shows them",
                name.value
            ),
        );
    }
    good
}

fn interval(table: &Table<'_>, version: Version) -> Option<At<Duration>> {
    const KEY: &str = "advertise_interval";
    let (range, step) = match version {
        Version::V2 => (MS(1_000)..=V2_LONGEST, MS(1_000)),
        Version::V3 => (MS(10)..=V3_LONGEST, MS(10)),
    };
    if !table.has(KEY) {
        return Some(At {
            at: table.at,
            value: MS(1_000),
        });
    }
    let interval = table.duration(KEY, range)?;
    if !interval.value.as_millis().is_multiple_of(step.as_millis()) {
        table.report.add(
            interval.at,
            format!(
                "{KEY} \"{}\" cannot be told to peers: use a multiple of {}",
                written(interval.value),
                written(step)
            ),
        );
        return None;
    }
    Some(interval)
}

fn addresses(table: &Table<'_>, version: Version) -> Vec<At<Address>> {
    let Some(list) = table.list("addresses", "192.0.2.100/24", address) else {
        return Vec::new();
    };
    let wrong = |at, what: String| table.report.add(at, what);
    if list.value.len() > 255 {
        wrong(
            list.at,
            "addresses holds more than 255: share them among virtual routers".to_owned(),
        );
    }
    let Some(first) = list.value.first() else {
        if table
            .strings("addresses")
            .is_some_and(|list| list.value.is_empty())
        {
            wrong(
                list.at,
                "addresses is empty: add the virtual address, e.g. \"192.0.2.100/24\"".to_owned(),
            );
        }
        return list.value;
    };
    let six = first.value.ip.is_ipv6();
    if let Some(other) = list
        .value
        .iter()
        .find(|other| other.value.ip.is_ipv6() != six)
    {
        wrong(
            other.at,
            format!(
                "address {} is of another family than {}: give each family a virtual router of its own, with the same vrid if you like",
                other.value, first.value
            ),
        );
    } else if six && version == Version::V2 {
        wrong(
            first.at,
            format!(
                "address {} is IPv6: VRRP version 2 has IPv4 only, use version = 3",
                first.value
            ),
        );
    } else if let IpAddr::V6(ip) = first.value.ip
        && !ip.is_unicast_link_local()
    {
        wrong(
            first.at,
            format!(
                "address {} is first but not link-local: put a link-local virtual address first, e.g. \"fe80::100/64\" (RFC 9568 section 5.2.9)",
                first.value
            ),
        );
    }
    list.value
}

fn checksum(table: &Table<'_>, version: Version, family: Option<Family>) -> Checksum {
    let Some(checksum) = table.choice(
        "checksum",
        &[
            ("auto", Checksum::Auto),
            ("rfc9568", Checksum::Fixed(Form::Plain)),
            ("pseudo-header", Checksum::Fixed(Form::PseudoHeader)),
        ],
    ) else {
        return Checksum::Auto;
    };
    if version == Version::V2 || family == Some(Family::V6) {
        table.report.add(
            checksum.at,
            "checksum has one form only but for version 3 over IPv4: remove it",
        );
    }
    checksum.value
}

fn unicast_peers(table: &Table<'_>, addresses: &[At<Address>]) -> Vec<IpAddr> {
    let parse = |text: &str| {
        let ip = text.parse().map_err(|_| "is not an IP address")?;
        unicast(ip)
    };
    let Some(peers) = table.list("unicast_peers", "192.0.2.12", parse) else {
        return Vec::new();
    };
    unique(table.report, "unicast peer", &peers.value);
    for peer in &peers.value {
        for address in addresses {
            if address.value.ip == peer.value {
                table.report.add(
                    peer.at,
                    format!(
                        "unicast peer {} is a virtual address: name the peer's own address",
                        peer.value
                    ),
                );
            } else if address.value.ip.is_ipv4() != peer.value.is_ipv4() {
                table.report.add(
                    peer.at,
                    format!("unicast peer {} is of another family than the addresses: name its address of that family", peer.value),
                );
                break;
            }
        }
    }
    peers.value.into_iter().map(At::into).collect()
}

/// `min_ttl`: a packet to the group comes through no router.
fn min_ttl(table: &Table<'_>, unicast_peers: &[IpAddr]) -> u8 {
    let Some(least) = table.number("min_ttl", 1..=255, "1 to 255") else {
        return HOP_LIMIT;
    };
    if unicast_peers.is_empty() && least.value < HOP_LIMIT {
        table.report.add(
            least.at,
            format!(
                "min_ttl {} is for unicast peers that are routers away: name them in unicast_peers, or remove it",
                least.value
            ),
        );
    }
    least.value
}

fn announce(table: &Table<'_>) -> Announce {
    let default = Announce {
        count: 5,
        repeat_after: MS(5_000),
        repeats: 1,
        refresh: None,
    };
    let Some(table) = table.table("announce") else {
        return default;
    };
    let announce = Announce {
        count: table
            .number("count", 1..=20, "1 to 20")
            .map_or(default.count, At::into),
        repeat_after: table
            .duration("repeat_after", MS(100)..=HOUR)
            .map_or(default.repeat_after, At::into),
        repeats: table
            .number("repeats", 0..=20, "0 to 20")
            .map_or(default.repeats, At::into),
        refresh: table.duration("refresh", MS(1_000)..=HOUR).map(At::into),
    };
    table.finish();
    announce
}

fn mac(table: &Table<'_>) {
    let virtual_mac = table.choice("mac", &[("physical", false), ("virtual", true)]);
    if let Some(chosen) = virtual_mac
        && chosen.value
    {
        table.report.add(
            chosen.at,
            "mac \"virtual\" is not in this version: use mac = \"physical\", the interface's own, announced by gratuitous ARP",
        );
    }
}
