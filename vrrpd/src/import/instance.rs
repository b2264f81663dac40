//! `vrrp_instance`: a virtual router, what it tracks and whom it notifies.

use core::time::Duration;
use std::collections::BTreeSet;
use std::net::IpAddr;

use vrrpd_core::router::Address;

use super::address::Addresses;
use super::around::Around;
use super::check::{Tracked, tracked};
use super::globals::{Globals, STRICT, delay, version};
use super::hooks::Notify;
use super::keyword::INSTANCE;
use super::note::{Notes, Verdict};
use super::render::{Announce, Router};
use super::tree::Statement;
use super::value::{name, quoted, truth};
use crate::config::{HookEvent, subnet_holds, unicast, written};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What an instance says, before it is known to be legal.
struct Reading<'a> {
    around: &'a dyn Around,
    state_master: bool,
    interface: Option<String>,
    vrid: Option<u8>,
    version: Option<u8>,
    priority: u8,
    /// `advert_int`, with its statement.
    interval: Option<(&'a Statement, Duration)>,
    addresses: Addresses,
    peers: Vec<(&'a Statement, IpAddr)>,
    min_ttl: u8,
    nopreempt: Option<&'a Statement>,
    preempt_delay: Option<(&'a Statement, Duration)>,
    accept: Option<bool>,
    strict: bool,
    announce: Announce,
    tracked: Vec<Tracked>,
    notify: Vec<Notify>,
}

/// A virtual router, or two if it has addresses of both families.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) routers: Vec<Router>,
    pub(super) tracked: Vec<Tracked>,
    pub(super) notify: Vec<Notify>,
}

/// Reads an instance; `None` if no virtual router can be made of it, which is noted.
pub(super) fn read(
    statement: &Statement,
    globals: &Globals,
    around: &dyn Around,
    notes: &mut Notes,
) -> Option<Instance> {
    let mut reading = Reading {
        around,
        state_master: false,
        interface: None,
        vrid: None,
        version: globals.version,
        priority: 100,
        interval: None,
        addresses: Addresses::default(),
        peers: Vec::new(),
        min_ttl: 255,
        nopreempt: None,
        preempt_delay: None,
        accept: None,
        strict: globals.strict,
        announce: globals.announce,
        tracked: Vec::new(),
        notify: Vec::new(),
    };
    // Addresses are judged by the interface, wherever that is named.
    let named = |keyword: &str| {
        let mut found = statement.inner().iter();
        found.find_map(|inner| inner.value().filter(|_| inner.keyword() == keyword))
    };
    reading.interface = named("interface")
        .map(str::to_owned)
        .or_else(|| globals.interface.clone());
    for inner in statement.inner() {
        reading.one(inner, notes);
    }
    reading.finish(statement, globals, notes)
}

impl<'a> Reading<'a> {
    fn one(&mut self, statement: &'a Statement, notes: &mut Notes) {
        let value = statement.value();
        let number = || value.and_then(|text| text.parse::<u8>().ok());
        match statement.keyword() {
            "state" => {
                self.state_master = value == Some("MASTER");
                notes.plain(statement, INSTANCE.find("state"));
            }
            "interface" => match value {
                Some(interface) => {
                    notes.key(statement, format!("interface = {}", quoted(interface)));
                }
                None => notes.changed(statement, "it names none: left out"),
            },
            "virtual_router_id" => match number().filter(|&vrid| vrid > 0) {
                Some(vrid) => {
                    self.vrid = Some(vrid);
                    notes.key(statement, format!("vrid = {vrid}"));
                }
                None => notes.changed(statement, "it must be 1 to 255: left out"),
            },
            "priority" => match number().filter(|&priority| priority > 0) {
                Some(priority) => {
                    self.priority = priority;
                    notes.key(statement, format!("priority = {priority}"));
                }
                None => notes.changed(statement, "now priority = 100: it must be 1 to 255"),
            },
            "version" => self.version = version(statement, notes).or(self.version),
            "advert_int" => match value.and_then(super::value::seconds) {
                Some(interval) => self.interval = Some((statement, interval)),
                None => notes.changed(statement, "it is no time in seconds: left out"),
            },
            "virtual_ipaddress" => {
                self.addresses
                    .read(statement, false, self.interface.as_deref(), notes);
            }
            "virtual_ipaddress_excluded" => {
                self.addresses
                    .read(statement, true, self.interface.as_deref(), notes);
            }
            "unicast_peer" => {
                for peer in statement.inner() {
                    self.peer(peer, notes);
                }
            }
            "nopreempt" => self.nopreempt = Some(statement),
            "preempt" => {
                self.nopreempt = None;
                notes.add(statement, Verdict::Needless("it is the default".to_owned()));
            }
            "preempt_delay" => match value.and_then(super::value::seconds) {
                Some(delay) => self.preempt_delay = Some((statement, delay)),
                None => notes.changed(statement, "it is no time in seconds: left out"),
            },
            "accept" => {
                self.accept = Some(true);
                notes.add(statement, Verdict::Needless("it is the default".to_owned()));
            }
            "no_accept" => {
                self.accept = Some(false);
                notes.key(statement, "accept = false");
            }
            "strict_mode" => {
                self.strict = truth(value).unwrap_or(self.strict);
                if self.strict {
                    notes.key(statement, STRICT);
                } else {
                    notes.add(statement, Verdict::Needless("it is the default".to_owned()));
                }
            }
            "down_timer_adverts" if value == Some("3") => {
                notes.add(
                    statement,
                    Verdict::Needless("it is what RFC 9568 has".to_owned()),
                );
            }
            "notify_master" => self.hook(statement, Some(HookEvent::Active), notes),
            "notify_backup" => self.hook(statement, Some(HookEvent::Backup), notes),
            "notify_fault" => self.hook(statement, Some(HookEvent::Fault), notes),
            "notify_stop" => self.hook(statement, Some(HookEvent::Stop), notes),
            "notify" => self.hook(statement, None, notes),
            "track_interface" | "track_script" | "track_file" | "track_process" => {
                self.tracked.extend(tracked(statement));
            }
            keyword => {
                if !self.announce.read(keyword, statement, notes) {
                    notes.plain(statement, INSTANCE.find(keyword));
                }
            }
        }
    }

    fn peer(&mut self, statement: &'a Statement, notes: &mut Notes) {
        let peer = statement
            .keyword()
            .parse()
            .map_err(|_| "is not an IP address")
            .and_then(unicast);
        match peer {
            Ok(peer) => {
                self.peers.push((statement, peer));
                let least = least_ttl(statement);
                self.min_ttl = least.unwrap_or(255).clamp(1, self.min_ttl);
            }
            Err(why) => notes.changed(statement, format!("it {why}: left out")),
        }
    }

    fn hook(&mut self, statement: &Statement, event: Option<HookEvent>, notes: &mut Notes) {
        match Notify::read(statement, event, self.around) {
            Some(notify) => self.notify.push(notify),
            None => notes.changed(statement, "it names no program: left out"),
        }
    }

    fn finish(
        mut self,
        statement: &Statement,
        globals: &Globals,
        notes: &mut Notes,
    ) -> Option<Instance> {
        let instance = statement.value().unwrap_or_default();
        let families = core::mem::take(&mut self.addresses).families();
        let missing = if self.vrid.is_none() {
            "virtual_router_id"
        } else if families[0].is_empty() {
            "virtual_ipaddress"
        } else {
            ""
        };
        if !missing.is_empty() {
            notes.changed(
                statement,
                format!("it has no {missing} that can be taken, and a virtual router needs one: left out"),
            );
            return None;
        }
        let Some(interface) = self.interface.clone().filter(|name| is_interface(name)) else {
            notes.changed(
                statement,
                "it has no interface that can be taken, and a virtual router needs one: left out",
            );
            return None;
        };
        let accept = self.accept.unwrap_or(!self.strict || self.priority == 255);
        let (preempt, preempt_delay) = self.preemption(notes);
        let mut routers = Vec::new();
        for addresses in families.into_iter().filter(|family| !family.is_empty()) {
            let six = addresses[0].ip.is_ipv6();
            let version = if six { 3 } else { self.version.unwrap_or(2) };
            let suffix = match (routers.is_empty(), six) {
                (true, _) => "",
                (false, true) => "-ipv6",
                (false, false) => "-ipv4",
            };
            let vrid = self.vrid?;
            routers.push(Router {
                place: statement.place,
                instance: instance.to_owned(),
                name: name(&format!("{instance}{suffix}")),
                interface: interface.clone(),
                vrid,
                version,
                priority: self.priority,
                interval: self.interval(version, routers.is_empty(), notes),
                unicast_peers: self.peers_of(&addresses),
                min_ttl: self.min_ttl,
                group: None,
                addresses,
                preempt,
                preempt_delay,
                startup_delay: globals.startup_delay,
                accept,
                announce: self.announce,
            });
        }
        self.note_peers(&routers, notes);
        Some(Instance {
            routers,
            tracked: self.tracked,
            notify: self.notify,
        })
    }

    /// keepalived gives way to `state MASTER` and to an owner's priority.
    fn preemption(&self, notes: &mut Notes) -> (bool, Duration) {
        let ignored = if self.state_master {
            Some(
                "keepalived ignores it with state MASTER, and vrrpd would not: left out; set it here if it is meant",
            )
        } else if self.priority == 255 {
            Some("keepalived ignores it with priority 255: left out")
        } else {
            None
        };
        let preempt = match (self.nopreempt, ignored) {
            (None, _) => true,
            (Some(statement), Some(why)) => {
                notes.changed(statement, why);
                true
            }
            (Some(statement), None) => {
                notes.key(statement, "preempt = false");
                false
            }
        };
        let Some((statement, found)) = self.preempt_delay else {
            return (preempt, Duration::ZERO);
        };
        if self.state_master {
            notes.changed(
                statement,
                "keepalived ignores it with state MASTER, and vrrpd would not: left out; set it here if it is meant",
            );
        } else if !preempt {
            notes.changed(statement, "it says nothing with nopreempt: left out");
        } else if !found.is_zero() {
            let most = Duration::from_secs(3600);
            let delay = delay(statement, "preempt_delay", most, notes);
            return (preempt, delay.unwrap_or_default());
        } else {
            notes.add(statement, Verdict::Needless("it is the default".to_owned()));
        }
        (preempt, Duration::ZERO)
    }

    fn interval(&self, version: u8, note: bool, notes: &mut Notes) -> Duration {
        let Some((statement, wanted)) = self.interval else {
            return MS(1_000);
        };
        let (least, most, step) = match version {
            2 => (MS(1_000), MS(255_000), 1_000),
            _ => (MS(10), MS(40_950), 10),
        };
        let ms = u64::try_from(wanted.clamp(least, most).as_millis()).unwrap_or(1_000);
        let used = MS(ms.next_multiple_of(step)).min(most);
        let now = format!("advertise_interval = \"{}\"", written(used));
        if note && used == wanted {
            notes.key(statement, now);
        } else if note {
            notes.changed(
                statement,
                format!(
                    "now {now}: version {version} has {} to {} in steps of {}",
                    written(least),
                    written(most),
                    written(MS(step))
                ),
            );
        }
        used
    }

    /// The peers of a virtual router with these addresses, each once.
    fn peers_of(&self, addresses: &[Address]) -> Vec<IpAddr> {
        let mut peers = Vec::new();
        for &(_, peer) in &self.peers {
            let family = addresses.iter().all(|a| a.ip.is_ipv6() == peer.is_ipv6());
            let own = addresses.iter().any(|address| address.ip == peer);
            if family && !own && !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        peers
    }

    /// What became of the peers.
    fn note_peers(&self, routers: &[Router], notes: &mut Notes) {
        let mut told = BTreeSet::new();
        for &(statement, peer) in &self.peers {
            let virtual_too = |router: &Router| router.addresses.iter().any(|a| a.ip == peer);
            let listed = |router: &Router| router.unicast_peers.contains(&peer);
            if routers.iter().any(virtual_too) {
                notes.changed(
                    statement,
                    "it is a virtual address: left out; name the peer's own address",
                );
            } else if !told.insert(peer) {
                notes.changed(statement, "it is there already: left out");
            } else if !routers.iter().any(listed) {
                notes.changed(
                    statement,
                    "it is of another family than the addresses: left out; name the peer's address of that family",
                );
            } else {
                self.note_peer(statement, peer, routers, notes);
            }
        }
        let to_the_group = |router: &&Router| router.unicast_peers.is_empty();
        if let (Some((statement, _)), Some(router)) =
            (self.peers.first(), routers.iter().find(to_the_group))
        {
            let why = format!(
                "virtual router {} has no peer of its family left: it advertises to the group",
                router.name
            );
            notes.changed(statement, why);
        }
    }

    /// keepalived accepts any TTL of a unicast peer, unless it is told.
    fn note_peer(
        &self,
        statement: &Statement,
        peer: IpAddr,
        routers: &[Router],
        notes: &mut Notes,
    ) {
        let near = |address: &Address| subnet_holds(address, peer);
        let is_near = routers.iter().flat_map(|r| &r.addresses).any(near);
        let now = format!("unicast_peers, {}", quoted(&peer.to_string()));
        if statement.values().iter().any(|word| word == "max_ttl") {
            let why = "only a low TTL is suspect, so max_ttl is left out";
            notes.changed(statement, format!("now in {now}: {why}"));
        } else if least_ttl(statement).is_some() {
            notes.key(statement, format!("{now}, with min_ttl = {}", self.min_ttl));
        } else if is_near || self.min_ttl < 255 {
            notes.key(statement, now);
        } else {
            let why = "if there are routers between it and this one, set min_ttl: keepalived accepts any TTL, vrrpd only 255";
            notes.changed(statement, format!("now in {now}: {why}"));
        }
    }
}

/// `min_ttl` of a peer.
fn least_ttl(peer: &Statement) -> Option<u8> {
    let words = peer.values();
    let at = words.iter().position(|word| word == "min_ttl")?;
    words.get(at + 1)?.parse().ok()
}

/// As vrrpd.toml(5) has it.
pub(super) fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !name.contains(['/', ':'])
        && !name.contains(char::is_whitespace)
}
