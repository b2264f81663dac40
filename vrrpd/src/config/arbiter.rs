//! `arbiter.toml`.

use core::time::Duration;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::{Config as Member, Durability};

use super::host::{Host, ThisHost};
use super::mistake::Mistakes;
use super::offer::offer;
use super::pool::{LONGEST_LEASE, lease};
use super::sections::{Process, process};
use super::table::{At, Table, unique};
use super::value::written;
use crate::seal::Key;

const PAGE: &str = "arbiter.toml(5)";
const MS: fn(u64) -> Duration = Duration::from_millis;

/// What `arbiter.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub address: IpAddr,
    /// UDP port, default 8112.
    pub port: u16,
    /// `[paths] state`; each pool has a directory of its name in it.
    pub state: PathBuf,
    /// No pool's lease is longer.
    pub lease_max: Duration,
    /// `[[pool]]`, at least one.
    pub pools: Vec<Pool>,
    /// `[process]`.
    pub process: Process,
}

/// `[[pool]]`: one it votes in.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Unique in the file; a directory name.
    pub name: String,
    /// The key in `key_file`.
    pub key: Key,
    /// For the member.
    pub member: Member,
}

impl Config {
    /// Reads and checks `file` for this host.
    ///
    /// # Errors
    ///
    /// All mistakes in it, or why it could not be read.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        let text =
            fs::read_to_string(file).map_err(|error| Mistakes::unreadable(file, &error, PAGE))?;
        Self::parse(&text, file, &ThisHost)
    }

    /// Checks `text`, which `file` holds, for `host`.
    ///
    /// # Errors
    ///
    /// All mistakes in it.
    pub fn parse(text: &str, file: &Path, host: &dyn Host) -> Result<Self, Mistakes> {
        super::read(text, file, PAGE, |top| {
            let config = Self::of(&top, host);
            top.finish();
            config
        })
    }

    fn of(top: &Table<'_>, host: &dyn Host) -> Option<Self> {
        top.require("address", "address = \"192.0.2.13\"");
        top.require("pool", "[[pool]] with name and key_file");
        let address = top.ip("address");
        let port = top.number("port", 1..=65_535, "1 to 65535");
        let lease_max = top
            .duration("lease_max", MS(30)..=LONGEST_LEASE)
            .map_or(MS(10_000), At::into);
        let state = top.table("paths").and_then(|table| {
            let state = table.path("state");
            table.finish();
            state
        });
        let process = process(top);
        let found: Vec<_> = top
            .tables("pool")
            .into_iter()
            .map(|table| one(table, lease_max, host))
            .collect();
        let names: Vec<_> = found.iter().filter_map(|(name, _)| name.clone()).collect();
        unique(top.report, "pool", &names);
        distinct_keys(top, &found);
        Some(Self {
            address: address?.value,
            port: port.map_or(8112, At::into),
            state: state.map_or_else(|| "/var/lib/arbiterd".into(), At::into),
            lease_max,
            pools: found
                .into_iter()
                .map(|(_, pool)| pool)
                .collect::<Option<_>>()?,
            process,
        })
    }
}

fn one(
    table: Table<'_>,
    lease_max: Duration,
    host: &dyn Host,
) -> (Option<At<String>>, Option<Pool>) {
    table.require("name", "name = \"site-1\"");
    table.require("key_file", "key_file = \"/etc/vrrpd/pool.key\"");
    let name = table
        .string("name")
        .filter(|name| good_directory(&table, name));
    let key = table.path("key_file").and_then(|path| {
        host.key(&path.value)
            .map_err(|why| {
                table
                    .report
                    .add(path.at, format!("key_file {} {why}", path.value.display()));
            })
            .ok()
    });
    let interval = table
        .duration("advertise_interval", MS(10)..=MS(20_000))
        .map_or(MS(200), At::into);
    let lease = lease(&table, interval);
    if lease > lease_max {
        table.wrong(
            "lease",
            format!(
                "lease \"{}\" is longer than lease_max \"{}\": shorten it here and on the managers, or raise lease_max",
                written(lease),
                written(lease_max)
            ),
        );
    }
    table.finish();
    let pool = name.clone().zip(key).map(|(name, key)| Pool {
        name: name.value,
        key,
        member: member(interval, lease),
    });
    (name, pool)
}

/// A voter's settings; what concerns databases only is never looked at.
fn member(advertise_interval: Duration, lease: Duration) -> Member {
    Member {
        id: NodeId::R,
        advertise_interval,
        lease,
        remove_after: lease,
        switchover_timeout: MS(10_000),
        promote_timeout: MS(30_000),
        replicator_timeout: MS(2_000),
        stable: MS(30_000),
        active: false,
        durability: Durability::Available,
        offer: Some(offer(advertise_interval, lease)),
    }
}

fn good_directory(table: &Table<'_>, name: &At<String>) -> bool {
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
                "name \"{}\" is no directory name: use up to 64 letters, digits, full stops, - and _",
                name.value
            ),
        );
    }
    good
}

/// The key tells pools apart on the network.
fn distinct_keys(top: &Table<'_>, found: &[(Option<At<String>>, Option<Pool>)]) {
    let pools: Vec<_> = found
        .iter()
        .filter_map(|(name, pool)| name.as_ref().zip(pool.as_ref()))
        .collect();
    for (index, (name, pool)) in pools.iter().enumerate() {
        if let Some((_, twin)) = pools[..index]
            .iter()
            .find(|(_, other)| other.key == pool.key)
        {
            top.report.add(
                name.at,
                format!(
                    "pool {} has the key of pool {}: give each pool a key of its own, made with `vrrpctl keygen`",
                    pool.name, twin.name
                ),
            );
        }
    }
}
