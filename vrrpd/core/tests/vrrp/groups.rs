//! Groups: routers of a node that become Active together, and leave Active
//! together (keepalived: vrrp_sync_group).

use std::collections::BTreeMap;

use proptest::prelude::*;
use vrrpd_core::node::{Action, Event, Node, Setup};
use vrrpd_core::packet::{Family, Header};
use vrrpd_core::priority::{Check, CheckState, Effect};
use vrrpd_core::router::{Config, Fault, Group, Mistake, Router, StateName};
use vrrpd_core::time::Instant;

use crate::node::{HIGHER, Host, line, named, setup};
use crate::support::*;

/// On eth0 and eth1, in one group.
fn pair(value: u8) -> Vec<Config> {
    let router = |name, interface, vrid, ip| Config {
        priority: priority(value),
        group: Some(Group::named("both")),
        ..named(name, interface, vrid, ip)
    };
    vec![
        router("wan", "eth0", 51, "192.0.2.100/24"),
        router("lan", "eth1", 52, "198.51.100.1/24"),
    ]
}

/// Both interfaces up, the daemon begun.
fn started(routers: Vec<Config>, checks: Vec<Check>) -> Host {
    let mut host = Host::new(setup(routers, checks));
    for (interface, own) in [("eth0", OWN), ("eth1", "198.51.100.11")] {
        host.link(interface, true);
        host.source(interface, Some(ip(own)));
    }
    host.hear(Event::Startup);
    host
}

fn active() -> Host {
    let mut host = started(pair(150), Vec::new());
    while host.states() != [StateName::Active; 2] {
        host.wake();
    }
    host
}

/// From 198.51.100.110 on eth1: vrid 52, priority 200, 200 ms, 198.51.100.1.
const HIGHER_LAN: [u8; 12] = [
    0x31, 0x34, 0xc8, 0x01, 0x00, 0x14, 0xdc, 0x80, 0xc6, 0x33, 0x64, 0x01,
];

#[test]
fn all_wait_until_the_last_is_ready() {
    let mut host = started(pair(150), Vec::new());
    host.now = host.now + ms(300);
    // The lan has an Active router, heard for the last time now.
    host.packet("eth1", &HIGHER_LAN);
    host.now = host.now + ms(382) + std::time::Duration::from_nanos(812_500);
    assert_eq!(host.hear(Event::Wake), [""; 0], "wan is ready, lan is not");
    assert_eq!(host.states(), [StateName::Backup; 2]);
    assert_eq!(
        host.wake(),
        [
            "wan: advert 150 192.0.2.11 > 224.0.0.18",
            "wan: add",
            "wan: announce",
            "wan (vrid 51, eth0): Backup -> Active: Active_Down_Timer expired after 0.983 s",
            "lan: advert 150 198.51.100.11 > 224.0.0.18",
            "lan: add",
            "lan: announce",
            "lan (vrid 52, eth1): Backup -> Active: Active_Down_Timer expired after 0.683 s",
        ]
    );
}

#[test]
fn one_that_hears_its_active_again_is_not_ready_any_more() {
    let mut host = started(pair(150), Vec::new());
    let begin = host.now;
    host.now = begin + ms(400);
    host.packet("eth1", &HIGHER_LAN);
    host.now = begin + ms(800);
    host.hear(Event::Wake);
    host.packet("eth1", &HIGHER_LAN);
    host.now = begin + ms(1_000);
    // Ready since 683 ms.
    host.packet("eth0", &HIGHER);
    host.now = begin + ms(1_483);
    assert_eq!(host.hear(Event::Wake), [""; 0], "lan is ready, wan is not");
    host.wake();
    assert_eq!(host.states(), [StateName::Active; 2]);
    assert_eq!(begin.until(host.now).as_millis(), 1_682);
}

#[test]
fn one_that_yields_takes_the_other_with_it() {
    let mut host = active();
    assert_eq!(
        host.packet("eth1", &HIGHER_LAN),
        [
            "lan: remove",
            "lan (vrid 52, eth1): Active -> Backup: 192.0.2.110 has the higher priority 200 (ours is 150)",
            "wan: remove",
            "wan: advert 0 192.0.2.11 > 224.0.0.18",
            "wan (vrid 51, eth0): Active -> Backup: goes with lan of its group",
        ]
    );
    let groups: Vec<_> = host.node.groups().collect();
    assert_eq!(groups, [("both", StateName::Backup)]);
}

#[test]
fn one_with_a_fault_takes_the_other_with_it_and_back() {
    let mut host = active();
    assert_eq!(
        host.link("eth1", false),
        [
            "lan: remove",
            "lan: advert 0 198.51.100.11 > 224.0.0.18",
            "lan (vrid 52, eth1): Active -> Initialize: the interface is down",
            "wan: remove",
            "wan: advert 0 192.0.2.11 > 224.0.0.18",
            "wan (vrid 51, eth0): Active -> Initialize: its group cannot take part: lan: the interface is down",
        ]
    );
    assert_eq!(host.node.deadline(), None);
    let fault = host.node.routers().next().and_then(Router::fault);
    assert_eq!(
        fault,
        Some(Fault::Mate("lan: the interface is down".into()))
    );
    assert_eq!(
        host.link("eth1", true),
        [
            "lan (vrid 52, eth1): Initialize -> Backup: over: the interface is down",
            "wan (vrid 51, eth0): Initialize -> Backup: over: its group cannot take part: lan: the interface is down",
        ]
    );
}

#[test]
fn both_have_a_fault_and_each_is_told_of_the_other() {
    let mut host = active();
    host.link("eth1", false);
    host.link("eth0", false);
    host.link("eth1", true);
    assert_eq!(host.states(), [StateName::Initialize; 2]);
    let faults: Vec<_> = host.node.routers().map(Router::fault).collect();
    assert_eq!(
        faults,
        [
            Some(Fault::InterfaceDown),
            Some(Fault::Mate("wan: the interface is down".into())),
        ]
    );
    host.link("eth0", true);
    assert_eq!(host.states(), [StateName::Backup; 2]);
}

#[test]
fn a_check_of_one_that_fails_is_the_group_s() {
    let check = Check {
        name: "uplink".into(),
        effect: Effect::Fault,
        routers: vec!["wan".to_owned()],
    };
    let mut host = started(pair(150), vec![check]);
    assert_eq!(host.states(), [StateName::Initialize; 2]);
    let tell = |host: &mut Host, state| host.hear(Event::Checked { check: 0, state });
    tell(&mut host, CheckState::Good);
    assert_eq!(host.states(), [StateName::Backup; 2]);
    tell(&mut host, CheckState::Failing);
    assert_eq!(host.states(), [StateName::Initialize; 2]);
}

#[test]
fn frozen_all_give_up_before_they_look_at_anything() {
    let mut host = active();
    host.now = host.now + ms(5_000);
    host.packet("eth0", &[]);
    host.hear(Event::Wake);
    assert_eq!(host.states(), [StateName::Backup; 2]);
}

#[test]
fn a_reload_that_dissolves_the_group_leaves_nobody_waiting() {
    let mut host = started(pair(150), Vec::new());
    host.now = host.now + ms(300);
    host.packet("eth1", &HIGHER_LAN);
    host.now = host.now + ms(400);
    host.hear(Event::Wake);
    let alone = pair(150).into_iter().map(|config| Config {
        group: None,
        ..config
    });
    host.hear(Event::Reload(setup(alone.collect(), Vec::new())));
    let due = host.node.deadline().unwrap();
    assert!(due <= host.now, "wan was ready");
    host.hear(Event::Wake);
    assert_eq!(host.states(), [StateName::Active, StateName::Backup]);
}

#[test]
fn a_reload_that_dissolves_the_group_ends_its_fault() {
    let mut host = active();
    host.link("eth1", false);
    let alone = pair(150).into_iter().map(|config| Config {
        group: None,
        ..config
    });
    host.hear(Event::Reload(setup(alone.collect(), Vec::new())));
    assert_eq!(host.states(), [StateName::Backup, StateName::Initialize]);
}

#[test]
fn a_reload_does_not_make_a_divided_group() {
    let alone = pair(150).into_iter().map(|config| Config {
        group: None,
        ..config
    });
    let mut host = started(alone.collect(), Vec::new());
    for _ in 0..5 {
        host.now = host.now + ms(200);
        host.packet("eth1", &HIGHER_LAN);
        host.hear(Event::Wake);
    }
    assert_eq!(host.states(), [StateName::Active, StateName::Backup]);
    assert_eq!(
        host.hear(Event::Reload(setup(pair(150), Vec::new()))),
        [
            "wan: remove",
            "wan: advert 0 192.0.2.11 > 224.0.0.18",
            "wan (vrid 51, eth0): Active -> Backup: goes with lan of its group",
        ]
    );
    // It is a group: they become Active together again.
    host.now = host.now + ms(400);
    host.packet("eth1", &HIGHER_LAN);
    assert_eq!(host.wake(), [""; 0], "wan is ready");
    host.wake();
    assert_eq!(host.states(), [StateName::Active; 2]);
    // Both Active, or both Backup: nobody moves.
    for mut host in [active(), started(pair(150), Vec::new())] {
        let states = host.states();
        let lines = host.hear(Event::Reload(setup(pair(150), Vec::new())));
        assert_eq!(lines, [""; 0]);
        assert_eq!(host.states(), states);
    }
}

#[test]
fn a_reload_that_adds_a_member_takes_nobody_s_address_away() {
    let mut host = active();
    let mut three = pair(150);
    three.push(Config {
        group: Some(Group::named("both")),
        ..named("dmz", "eth0", 53, "192.0.2.102/24")
    });
    let lines = host.hear(Event::Reload(setup(three, Vec::new())));
    assert_eq!(
        lines,
        [
            "dmz: remove",
            "dmz (vrid 53, eth0): Initialize -> Backup: started, listens first",
        ]
    );
    assert_eq!(host.node.groups().count(), 0, "they do not agree yet");
    while host.states().contains(&StateName::Backup) {
        host.wake();
    }
    assert_eq!(host.states(), [StateName::Active; 3]);
    let groups: Vec<_> = host.node.groups().collect();
    assert_eq!(groups, [("both", StateName::Active)]);
}

#[test]
fn a_group_is_for_those_that_compete() {
    let owner = Config {
        priority: priority(255),
        ..grouped()
    };
    assert_eq!(owner.check(), Err(Mistake::Group));
    let pooled = Config {
        governed: true,
        ..grouped()
    };
    assert_eq!(pooled.check(), Err(Mistake::Group));
    assert_eq!(grouped().check(), Ok(()));
}

/// Two hosts on two LANs.
struct Lans {
    nodes: [Node; 2],
    now: Instant,
    /// Packets that arrive in the next millisecond: receiver, interface, header, payload.
    wire: Vec<(usize, &'static str, Header, Vec<u8>)>,
    /// The host whose cable is out, by the interface.
    unplugged: BTreeMap<&'static str, usize>,
    lines: Vec<String>,
}

impl Lans {
    fn new(values: [u8; 2]) -> Self {
        let mut lans = Self {
            nodes: values.map(|value| {
                let routers = pair(value);
                Node::new(
                    Setup {
                        routers,
                        checks: Vec::new(),
                    },
                    None,
                )
            }),
            now: Instant::ZERO + ms(1_000),
            wire: Vec::new(),
            unplugged: BTreeMap::new(),
            lines: Vec::new(),
        };
        for host in 0..2 {
            for (interface, own) in [
                ("eth0", ["192.0.2.11", "192.0.2.12"]),
                ("eth1", ["198.51.100.12", "198.51.100.11"]),
            ] {
                lans.plug(host, interface, true);
                let address = Some(ip(own[host]));
                let family = Family::V4;
                lans.tell(
                    host,
                    Event::Source {
                        interface,
                        family,
                        address,
                    },
                );
            }
            lans.tell(host, Event::Startup);
        }
        lans
    }

    fn plug(&mut self, host: usize, interface: &'static str, up: bool) {
        if up {
            self.unplugged.remove(interface);
        } else {
            self.unplugged.insert(interface, host);
        }
        self.tell(host, Event::Link { interface, up });
    }

    fn tell(&mut self, host: usize, event: Event<'_>) {
        let mut out = Vec::new();
        self.nodes[host].handle(event, self.now, &mut out);
        for action in out {
            self.lines.push(format!("{host} {}", line(&action)));
            if let Action::SendAdvert {
                router,
                source,
                destination,
                payload,
            } = action
            {
                let interface = if router.interface == "eth0" {
                    "eth0"
                } else {
                    "eth1"
                };
                if self.unplugged.contains_key(interface) {
                    continue;
                }
                let header = Header {
                    source,
                    destination,
                    hop_limit: 255,
                };
                self.wire.push((1 - host, interface, header, payload));
            }
        }
        let states = self.states(host);
        assert_eq!(
            states[0] == StateName::Active,
            states[1] == StateName::Active,
            "{states:?} of host {host}"
        );
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.now = self.now + ms(1);
            for (host, interface, header, payload) in core::mem::take(&mut self.wire) {
                self.tell(
                    host,
                    Event::PacketReceived {
                        interface,
                        header,
                        payload: &payload,
                    },
                );
            }
            for host in 0..2 {
                let due = self.nodes[host].deadline();
                if due.is_some_and(|due| due <= self.now) {
                    self.tell(host, Event::Wake);
                }
            }
        }
    }

    fn states(&self, host: usize) -> Vec<StateName> {
        self.nodes[host].routers().map(Router::state).collect()
    }

    fn active(&self) -> [bool; 2] {
        [0, 1].map(|host| self.states(host) == [StateName::Active; 2])
    }
}

#[test]
fn a_cable_that_is_pulled_moves_both_addresses() {
    let mut lans = Lans::new([200, 100]);
    lans.run(3_000);
    assert_eq!(lans.active(), [true, false]);
    lans.plug(0, "eth1", false);
    // Told by priority 0 on eth0; on eth1 by silence.
    lans.run(722);
    assert_eq!(lans.active(), [false, true]);
    lans.plug(0, "eth1", true);
    lans.run(3_000);
    assert_eq!(lans.active(), [true, false]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Never one alone, and in the end one host has both: the better one, or with
    /// equal priorities, whose addresses are larger on one LAN each, any.
    #[test]
    fn a_group_is_never_divided(
        pulls in proptest::collection::vec((0..3_000u64, 0..2usize, any::<bool>(), any::<bool>()), 0..12),
        equal in any::<bool>(),
    ) {
        let mut lans = Lans::new(if equal { [150, 150] } else { [200, 100] });
        for (after, host, first, up) in pulls {
            lans.run(after);
            lans.plug(host, if first { "eth0" } else { "eth1" }, up);
        }
        for host in 0..2 {
            lans.plug(host, "eth0", true);
            lans.plug(host, "eth1", true);
        }
        lans.run(6_000);
        let active = lans.active();
        prop_assert!(active[0] != active[1], "{:?}", lans.lines.iter().rev().take(40).collect::<Vec<_>>());
        if !equal {
            prop_assert!(active[0]);
        }
    }
}
