//! The node: packets, links, checks and reloads find their virtual routers, and
//! each order says of which it is.

use std::net::IpAddr;
use std::sync::Arc;

use vrrpd_core::node::{Action, Event, Node, Setup};
use vrrpd_core::packet::{Family, Header, Refusal, Vrid};
use vrrpd_core::priority::{Check, CheckState, Effect};
use vrrpd_core::router::{self, Config, Fault, Identity, StateName};
use vrrpd_core::time::Instant;

use crate::support::*;

/// From 192.0.2.110: vrid 51, priority 200, 200 ms, 192.0.2.100.
pub(crate) const HIGHER: [u8; 12] = [
    0x31, 0x33, 0xc8, 0x01, 0x00, 0x14, 0x44, 0x52, 0xc0, 0x00, 0x02, 0x64,
];
/// The same for vrid 52, which names 192.0.2.101.
const HIGHER_52: [u8; 12] = [
    0x31, 0x34, 0xc8, 0x01, 0x00, 0x14, 0x44, 0x50, 0xc0, 0x00, 0x02, 0x65,
];

/// Another router on an interface.
pub(crate) fn named(name: &str, interface: &str, vrid: u8, ip: &str) -> Config {
    Config {
        identity: Arc::new(Identity {
            name: name.into(),
            interface: interface.into(),
            vrid: Vrid::new(vrid).unwrap(),
            family: Family::V4,
        }),
        addresses: vec![address(ip)],
        ..config()
    }
}

fn other() -> Config {
    named("other", "eth0", 52, "192.0.2.101/24")
}

fn gateway(effect: Effect, routers: &[&str]) -> Check {
    Check {
        name: "gateway".into(),
        effect,
        routers: routers.iter().map(ToString::to_string).collect(),
    }
}

/// A node and its time.
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) now: Instant,
}

impl Host {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            node: Node::new(setup, None),
            now: Instant::ZERO + ms(3_600_000),
        }
    }

    /// eth0 is up and has its address, the daemon has begun.
    pub(crate) fn started(setup: Setup) -> Self {
        let mut host = Self::new(setup);
        host.link("eth0", true);
        host.source("eth0", Some(ip(OWN)));
        host.hear(Event::Startup);
        host
    }

    pub(crate) fn hear(&mut self, event: Event<'_>) -> Vec<String> {
        let mut out = Vec::new();
        self.node.handle(event, self.now, &mut out);
        out.iter().map(line).collect()
    }

    pub(crate) fn link(&mut self, interface: &str, up: bool) -> Vec<String> {
        self.hear(Event::Link { interface, up })
    }

    pub(crate) fn source(&mut self, interface: &str, address: Option<IpAddr>) -> Vec<String> {
        self.hear(Event::Source {
            interface,
            family: Family::V4,
            address,
        })
    }

    pub(crate) fn packet(&mut self, interface: &str, payload: &[u8]) -> Vec<String> {
        self.packet_of(interface, 255, payload)
    }

    fn packet_of(&mut self, interface: &str, hop_limit: u8, payload: &[u8]) -> Vec<String> {
        let header = Header {
            source: ip(LARGER),
            destination: ip("224.0.0.18"),
            hop_limit,
        };
        self.hear(Event::PacketReceived {
            interface,
            header,
            payload,
        })
    }

    pub(crate) fn wake(&mut self) -> Vec<String> {
        self.now = self.node.deadline().unwrap();
        self.hear(Event::Wake)
    }

    pub(crate) fn states(&self) -> Vec<StateName> {
        self.node.routers().map(router::Router::state).collect()
    }

    /// Everybody's Active_Down_Timer has expired.
    pub(crate) fn active(setup: Setup) -> Self {
        let mut host = Self::started(setup);
        while host.states().contains(&StateName::Backup) {
            host.wake();
        }
        host
    }
}

pub(crate) fn setup(routers: Vec<Config>, checks: Vec<Check>) -> Setup {
    Setup { routers, checks }
}

/// An order without what the router's own tests look at.
pub(crate) fn line(action: &Action) -> String {
    match action {
        Action::SendAdvert {
            router,
            source,
            destination,
            payload,
        } => format!(
            "{}: advert {} {source} > {destination}",
            router.name, payload[2]
        ),
        Action::AddAddresses { router, .. } => format!("{}: add", router.name),
        Action::RenewAddresses { router, .. } => format!("{}: renew", router.name),
        Action::RemoveAddresses { router, .. } => format!("{}: remove", router.name),
        Action::Announce { router, .. } => format!("{}: announce", router.name),
        Action::Transition(transition) => transition.to_string(),
        Action::Notice(notice) => format!("notice: {notice}"),
        pool => panic!("no pool, no {pool:?}"),
    }
}

/// RFC9568-7.1-4 positive
#[test]
fn a_packet_finds_the_virtual_router_it_is_for() {
    let mut host = Host::active(setup(vec![config(), other()], Vec::new()));
    assert_eq!(
        host.packet("eth0", &HIGHER_52),
        [
            "other: remove",
            "other (vrid 52, eth0): Active -> Backup: 192.0.2.110 has the higher priority 200 (ours is 150)",
        ]
    );
    assert_eq!(host.states(), [StateName::Active, StateName::Backup]);
}

/// RFC9568-7.1-4 negative
#[test]
fn a_packet_for_a_vrid_that_is_not_on_the_interface_changes_nothing() {
    let there = named("there", "eth1", 52, "192.0.2.101/24");
    let mut host = Host::active(setup(vec![config()], Vec::new()));
    assert_eq!(host.packet("eth0", &HIGHER_52), [""; 0]);
    assert_eq!(host.packet("eth7", &HIGHER), [""; 0]);
    assert_eq!(host.node.refused().of(Refusal::UnknownVrid), 2);
    assert_eq!(host.states(), [StateName::Active]);
    // Nor is it the interface's that it did not come from.
    let mut host = Host::started(setup(vec![config(), there], Vec::new()));
    host.packet("eth0", &HIGHER_52);
    assert_eq!(host.node.refused().of(Refusal::UnknownVrid), 1);
}

#[test]
fn a_refused_packet_counts_where_it_belongs() {
    let mut host = Host::active(setup(vec![config()], Vec::new()));
    let mut damaged = HIGHER;
    damaged[11] ^= 1;
    let lines = host.packet("eth0", &damaged);
    assert_eq!(
        lines,
        [
            "notice: service (vrid 51, eth0): refused a packet from 192.0.2.110 (1 so far): its checksum is wrong"
        ]
    );
    assert_eq!(host.node.refused().total(), 0);
    damaged[1] = 99;
    assert_eq!(host.packet("eth0", &damaged), [""; 0]);
    assert_eq!(host.node.refused().of(Refusal::Checksum), 1);
    assert_eq!(host.packet("eth0", &[]), [""; 0]);
    assert_eq!(host.node.refused().of(Refusal::Length), 1);
    assert_eq!(
        host.hear(Event::PacketMalformed { interface: "eth0" }),
        [""; 0]
    );
    assert_eq!(host.node.refused().of(Refusal::IpHeader), 1);
    assert_eq!(host.states(), [StateName::Active]);
}

#[test]
fn the_same_vrid_lives_on_two_interfaces_and_in_two_families() {
    let v6 = Config {
        identity: Arc::new(Identity {
            family: Family::V6,
            ..(*named("six", "eth0", 51, "192.0.2.100/24").identity).clone()
        }),
        addresses: vec![address("fe80::100/64")],
        ..config()
    };
    let there = named("there", "eth1", 51, "198.51.100.1/24");
    let mut host = Host::active(setup(vec![config()], Vec::new()));
    host.hear(Event::Reload(setup(vec![config(), v6, there], Vec::new())));
    let initialize = StateName::Initialize;
    assert_eq!(host.states(), [StateName::Active, initialize, initialize]);
    host.packet("eth0", &HIGHER);
    assert_eq!(host.states(), [StateName::Backup, initialize, initialize]);
}

#[test]
#[should_panic(expected = "service (vrid 51, eth0) is configured twice")]
fn the_same_virtual_router_twice_is_a_mistake() {
    Node::new(setup(vec![config(), config()], Vec::new()), None);
}

#[test]
#[should_panic(expected = "governed exactly when there is a pool")]
fn a_governed_router_needs_a_pool() {
    Node::new(setup(vec![governed()], Vec::new()), None);
}

#[test]
fn facts_that_come_before_the_start_are_kept() {
    let mut host = Host::new(setup(vec![config()], Vec::new()));
    assert_eq!(host.link("eth0", true), [""; 0]);
    assert_eq!(host.source("eth0", Some(ip(OWN))), [""; 0]);
    assert_eq!(host.node.deadline(), None);
    assert_eq!(
        host.hear(Event::Startup),
        [
            "service: remove",
            "service (vrid 51, eth0): Initialize -> Backup: started, listens first",
        ]
    );
    assert_eq!(host.hear(Event::Startup), [""; 0], "once");
}

#[test]
fn a_link_concerns_the_routers_on_it() {
    let there = named("there", "eth1", 52, "192.0.2.101/24");
    let mut host = Host::new(setup(vec![config(), there], Vec::new()));
    host.source("eth0", Some(ip(OWN)));
    host.source("eth1", Some(ip("192.0.2.12")));
    host.link("eth1", true);
    host.hear(Event::Startup);
    assert_eq!(host.states(), [StateName::Initialize, StateName::Backup]);
    host.link("eth0", true);
    assert_eq!(host.states(), [StateName::Backup, StateName::Backup]);
    host.link("eth1", false);
    assert_eq!(host.states(), [StateName::Backup, StateName::Initialize]);
    host.source("eth0", None);
    assert_eq!(
        host.states(),
        [StateName::Initialize, StateName::Initialize]
    );
}

#[test]
fn unicast_peers_each_get_one() {
    let mut host = Host::started(setup(
        vec![Config {
            unicast_peers: vec![ip(SMALLER), ip(LARGER)],
            ..config()
        }],
        Vec::new(),
    ));
    let lines = host.wake();
    assert_eq!(
        lines[..2],
        [
            "service: advert 150 192.0.2.11 > 192.0.2.10",
            "service: advert 150 192.0.2.11 > 192.0.2.110",
        ]
    );
}

#[test]
fn unicast_peers_may_be_routers_away_as_far_as_configured() {
    let peers = |peer: &str| Config {
        unicast_peers: vec![ip(peer)],
        min_hop_limit: 250,
        ..config()
    };
    for (hop_limit, peer, heard, refusal) in [
        (255, LARGER, true, Refusal::HopLimit),
        (250, LARGER, true, Refusal::HopLimit),
        (249, LARGER, false, Refusal::HopLimit),
        (250, SMALLER, false, Refusal::UnknownPeer),
    ] {
        let mut host = Host::active(setup(vec![peers(peer)], Vec::new()));
        host.packet_of("eth0", hop_limit, &HIGHER);
        let state = if heard {
            StateName::Backup
        } else {
            StateName::Active
        };
        assert_eq!(
            host.states(),
            [state],
            "{hop_limit} from {LARGER} to {peer}"
        );
        let refused = &host.node.routers().next().unwrap().statistics().refused;
        assert_eq!(refused.of(refusal), u64::from(!heard));
    }
}

#[test]
fn one_router_s_distant_peers_are_nothing_to_another() {
    let distant = Config {
        unicast_peers: vec![ip(LARGER)],
        min_hop_limit: 1,
        ..other()
    };
    let mut host = Host::active(setup(vec![config(), distant], Vec::new()));
    host.packet_of("eth0", 254, &HIGHER);
    assert_eq!(host.states(), [StateName::Active; 2]);
    host.packet_of("eth0", 254, &HIGHER_52);
    assert_eq!(host.states(), [StateName::Active, StateName::Backup]);
}

/// RFC9568-7.2-4 positive
#[test]
fn advertisements_go_to_the_group() {
    let mut host = Host::started(setup(vec![config()], Vec::new()));
    assert_eq!(
        host.wake()[0],
        "service: advert 150 192.0.2.11 > 224.0.0.18"
    );
}

#[test]
fn a_check_moves_the_routers_it_concerns() {
    let check = gateway(Effect::Weight(-60), &["other"]);
    let mut host = Host::active(setup(vec![config(), other()], vec![check]));
    let state = CheckState::Failing;
    assert_eq!(
        host.hear(Event::Checked { check: 0, state }),
        [
            "notice: other (vrid 52, eth0): priority 150 -> 90: 150 - 60 (gateway)",
            "other: advert 90 192.0.2.11 > 224.0.0.18",
        ]
    );
    assert_eq!(host.hear(Event::Checked { check: 7, state }), [""; 0]);
}

#[test]
fn a_check_without_weight_must_answer_before_the_router_takes_part() {
    let checks = vec![gateway(Effect::Fault, &[])];
    let mut host = Host::started(setup(vec![config()], checks));
    assert_eq!(host.states(), [StateName::Initialize]);
    let good = CheckState::Good;
    host.hear(Event::Checked {
        check: 0,
        state: good,
    });
    assert_eq!(host.states(), [StateName::Backup]);
}

#[test]
fn reload_keeps_a_check_s_state_and_trusts_a_new_one() {
    let fault = |name: &str| Check {
        name: name.into(),
        ..gateway(Effect::Fault, &[])
    };
    let mut host = Host::started(setup(vec![config()], vec![fault("disk")]));
    let state = CheckState::Good;
    host.hear(Event::Checked { check: 0, state });
    host.wake();
    assert_eq!(host.states(), [StateName::Active]);
    // Another stands first now; the one that was known is not asked again.
    let checks = vec![fault("gateway"), fault("disk")];
    let lines = host.hear(Event::Reload(setup(vec![config()], checks)));
    assert_eq!(lines, [""; 0]);
    let failing = CheckState::Failing;
    host.hear(Event::Checked {
        check: 0,
        state: failing,
    });
    assert_eq!(
        host.node.routers().next().unwrap().fault(),
        Some(Fault::Check("check gateway fails".into()))
    );
}

#[test]
fn reload_stops_what_is_gone_changes_what_stays_and_starts_what_is_new() {
    let mut host = Host::active(setup(vec![config(), other()], Vec::new()));
    let changed = Config {
        priority: priority(120),
        ..config()
    };
    let new = named("new", "eth0", 53, "192.0.2.102/24");
    assert_eq!(
        host.hear(Event::Reload(setup(vec![new, changed], Vec::new()))),
        [
            "other: remove",
            "other: advert 0 192.0.2.11 > 224.0.0.18",
            "other (vrid 52, eth0): Active -> Initialize: shutdown",
            "new: remove",
            "new (vrid 53, eth0): Initialize -> Backup: started, listens first",
            "notice: service (vrid 51, eth0): priority 150 -> 120",
            "service: advert 120 192.0.2.11 > 224.0.0.18",
        ]
    );
    assert_eq!(host.states(), [StateName::Backup, StateName::Active]);
    // The packets and wakes of each go where they belong afterwards.
    host.packet("eth0", &HIGHER);
    assert_eq!(host.states(), [StateName::Backup, StateName::Backup]);
    host.wake();
    assert_eq!(host.states(), [StateName::Active, StateName::Backup]);
}

#[test]
fn reload_to_another_version_is_another_router() {
    let mut host = Host::active(setup(vec![config()], Vec::new()));
    let lines = host.hear(Event::Reload(setup(vec![config_v2()], Vec::new())));
    assert_eq!(
        lines[2],
        "service (vrid 51, eth0): Active -> Initialize: shutdown"
    );
    assert_eq!(host.states(), [StateName::Backup]);
}

#[test]
fn the_deadline_is_the_soonest_and_only_who_is_due_is_woken() {
    let slow = Config {
        advertise_interval: cs(100),
        ..other()
    };
    let mut host = Host::started(setup(vec![slow, config()], Vec::new()));
    assert_eq!(
        host.now.until(host.node.deadline().unwrap()).as_nanos(),
        682_812_500
    );
    host.wake();
    assert_eq!(host.states(), [StateName::Backup, StateName::Active]);
}

#[test]
fn shutdown_stops_every_router_and_says_when_it_is_done() {
    let mut host = Host::active(setup(vec![config(), other()], Vec::new()));
    assert!(!host.node.has_stopped(host.now));
    let lines = host.hear(Event::Shutdown);
    assert_eq!(
        lines,
        [
            "service: remove",
            "service: advert 0 192.0.2.11 > 224.0.0.18",
            "service (vrid 51, eth0): Active -> Initialize: shutdown",
            "other: remove",
            "other: advert 0 192.0.2.11 > 224.0.0.18",
            "other (vrid 52, eth0): Active -> Initialize: shutdown",
        ]
    );
    assert!(host.node.has_stopped(host.now));
    assert_eq!(host.node.deadline(), None);
}

#[test]
fn shutdown_before_the_start_leaves_nothing_running() {
    let mut host = Host::new(setup(vec![config()], Vec::new()));
    host.link("eth0", true);
    host.source("eth0", Some(ip(OWN)));
    assert_eq!(host.hear(Event::Shutdown), [""; 0]);
    host.hear(Event::Startup);
    assert!(host.node.has_stopped(host.now));
    assert_eq!(host.node.deadline(), None);
}

/// Junk at 0.7 intervals for a minute.
#[test]
fn case_13_junk_on_the_wire_does_not_change_the_cadence() {
    let mut damaged = HIGHER;
    damaged[11] ^= 1;
    let mut version_4 = HIGHER;
    version_4[0] = 0x41;
    let junk: [(u8, &[u8]); 4] = [
        (254, &HIGHER),
        (255, &damaged),
        (255, &version_4),
        (255, &HIGHER[..11]),
    ];
    let mut host = Host::active(setup(vec![config()], Vec::new()));
    let begin = host.now;
    let mut sent = Vec::new();
    for round in 1..=428u32 {
        let at = begin + ms(140) * round;
        while host.node.deadline().is_some_and(|due| due <= at) {
            let lines = host.wake();
            if lines.iter().any(|line| line.contains("advert 150")) {
                sent.push(begin.until(host.now).as_millis());
            }
        }
        host.now = at;
        let (hop_limit, payload) = junk[round as usize % junk.len()];
        let lines = host.packet_of("eth0", hop_limit, payload);
        assert!(lines.iter().all(|line| line.starts_with("notice")));
    }
    let cadence: Vec<u128> = (1..=299).map(|times| times * 200).collect();
    assert_eq!(sent, cadence);
    assert_eq!(host.states(), [StateName::Active]);
    let refused = &host.node.routers().next().unwrap().statistics().refused;
    for refusal in [
        Refusal::HopLimit,
        Refusal::Checksum,
        Refusal::Version,
        Refusal::Length,
    ] {
        assert_eq!(refused.of(refusal), 107);
    }
}
