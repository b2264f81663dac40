//! Addresses, advertisements and events between two hosts. Needs root.

mod host;

use std::net::IpAddr;

use host::{Host, pair, wait_for, wait_until};
use vrrpd_sys::clock;
use vrrpd_sys::netlink::{Address, Event, Monitor, Put, Route};
use vrrpd_sys::socket::{Listen, PACKET_MAX, VRRP_GROUP_V4, VRRP_GROUP_V6, VrrpSocket};

const SECOND: u64 = 1_000_000_000;

fn address(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn route(host: &Host) -> Route {
    host.run(|| Route::open().expect("netlink"))
}

fn find(route: &mut Route, wanted: IpAddr) -> Option<Address> {
    let all = route.addresses().expect("addresses");
    all.into_iter().find(|a| a.address == wanted)
}

fn drain(monitor: &mut Monitor) -> Vec<Event> {
    let mut events = Vec::new();
    while monitor.receive(&mut events).expect("reads") {}
    events
}

#[test]
fn address_renewed_in_place_stays_and_then_ends_by_itself() {
    for (text, prefix) in [("192.0.2.100", 24), ("fd00::100", 64)] {
        let (a, _b) = pair();
        let mut route = route(&a);
        let mut monitor = a.run(|| Monitor::open().expect("netlink"));
        let (eth0, vip) = (a.eth0().index, address(text));

        let first = clock::now();
        let mut put_at = first;
        while put_at < first + 2 * SECOND {
            wait_until("half a second", || clock::now() >= put_at + SECOND / 2);
            put_at = clock::now();
            route.put_address(eth0, vip, prefix, 1).expect("puts");
        }
        let found = find(&mut route, vip).expect("there");
        assert!(found.ours && !found.tentative);
        assert_eq!((found.prefix, found.valid), (prefix, Some(1)));
        let gone = |event: &Event| matches!(event, Event::AddressGone(a) if a.address == vip);
        assert!(!drain(&mut monitor).iter().any(gone), "it flickered");

        wait_until("the kernel ends it", || {
            drain(&mut monitor).iter().any(gone)
        });
        let lived = clock::now() - put_at;
        // The kernel sweeps at most once a second, rounded to a quarter.
        assert!(lived < SECOND * 5 / 2, "{lived} ns after the last renewal");
        assert_eq!(find(&mut route, vip), None);
    }
}

#[test]
fn address_taken_is_gone_and_taking_it_again_says_so() {
    let (a, _b) = pair();
    let mut route = route(&a);
    let (eth0, vip) = (a.eth0().index, address("192.0.2.100"));
    route.put_address(eth0, vip, 24, 60).expect("puts");
    assert!(find(&mut route, vip).expect("there").secondary);
    assert!(route.take_address(eth0, vip, 24).expect("takes"));
    assert!(!route.take_address(eth0, vip, 24).expect("takes"));
    assert_eq!(find(&mut route, vip), None);
    assert!(find(&mut route, address("192.0.2.1")).is_some());
}

#[test]
fn address_on_a_missing_interface_is_an_error() {
    let a = Host::new();
    let error = route(&a).put_address(4_000, address("192.0.2.100"), 24, 1);
    assert_eq!(
        error.expect_err("no such interface").raw_os_error(),
        Some(19)
    );
}

#[test]
fn addresses_are_put_together_and_the_refused_one_is_named() {
    let (a, _b) = pair();
    let mut route = route(&a);
    let put = |interface, last: u8| Put {
        interface,
        address: IpAddr::from([198, 51, 100, last]),
        prefix: 32,
        valid: 60,
    };
    let mut all: Vec<Put> = (1..=200).map(|last| put(a.eth0().index, last)).collect();
    all[70].interface = 4_000;
    let refused = route.put_addresses(&all);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, all[70]);
    assert_eq!(refused[0].1.raw_os_error(), Some(19));
    let ours = route.addresses().expect("addresses");
    let ours = ours.iter().filter(|a| a.ours && a.valid.is_some());
    assert_eq!(ours.count(), 199);
}

/// They are renewed by the thousand.
#[test]
fn of_our_own_addresses_only_the_end_is_told() {
    let (a, _b) = pair();
    let (ours, theirs) = (address("192.0.2.100"), address("192.0.2.77"));
    let mut route = route(&a);
    let mut monitor = a.run(|| Monitor::open().expect("netlink"));
    route
        .put_address(a.eth0().index, ours, 24, 60)
        .expect("puts");
    a.ip("address add 192.0.2.77/24 dev eth0");
    route.take_address(a.eth0().index, ours, 24).expect("takes");
    let told: Vec<_> = drain(&mut monitor)
        .into_iter()
        .filter_map(|event| match event {
            Event::Address(a) => Some((true, a.address)),
            Event::AddressGone(a) => Some((false, a.address)),
            _ => None,
        })
        .filter(|(_, address)| address.is_ipv4())
        .collect();
    assert_eq!(told, [(true, theirs), (false, ours)]);
}

#[test]
fn link_that_loses_its_carrier_is_told() {
    let (a, b) = pair();
    let mut monitor = a.run(|| Monitor::open().expect("netlink"));
    let running = |events: Vec<Event>| {
        events.into_iter().rev().find_map(|event| match event {
            Event::Link(link) if link.name == "eth0" => Some((link.up, link.running)),
            _ => None,
        })
    };
    b.ip("link set eth0 down");
    let seen = wait_for("a link event", || running(drain(&mut monitor)));
    assert_eq!(seen, (true, false));
    b.ip("link set eth0 up");
    wait_until("the carrier is back", || {
        running(drain(&mut monitor)) == Some((true, true))
    });
    a.ip("link set eth0 down");
    wait_until("it is switched off", || {
        running(drain(&mut monitor)) == Some((false, false))
    });
}

#[test]
fn advertisement_reaches_the_group_with_hop_limit_255() {
    let (a, b) = pair();
    let (eth_a, eth_b) = (a.eth0(), b.eth0());
    let link_local = a
        .run(|| {
            Route::open()
                .expect("netlink")
                .addresses()
                .expect("addresses")
        })
        .into_iter()
        .map(|a| a.address)
        .find(|a| matches!(a, IpAddr::V6(a) if a.is_unicast_link_local()))
        .expect("a link-local address");
    for (source, group) in [
        (address("192.0.2.1"), IpAddr::from(VRRP_GROUP_V4)),
        (link_local, IpAddr::from(VRRP_GROUP_V6)),
    ] {
        let open = move |interface| match group {
            IpAddr::V4(_) => VrrpSocket::v4(&interface, Listen::Group).expect("socket"),
            IpAddr::V6(_) => VrrpSocket::v6(&interface, Listen::Group).expect("socket"),
        };
        let (to_a, to_b) = (eth_a.clone(), eth_b.clone());
        let sender = a.run(move || open(to_a));
        let receiver = b.run(move || open(to_b));
        let mut buffer = vec![0; PACKET_MAX];
        wait_until("the packet arrives", || {
            sender
                .send(&[0x31, 51, 150, 0], source, group)
                .expect("sends");
            let packet = receiver.receive(&mut buffer).expect("receives");
            packet.is_some_and(|packet| {
                assert_eq!((packet.source, packet.destination), (source, group));
                assert_eq!(
                    (packet.hop_limit, packet.payload),
                    (255, &[0x31, 51, 150, 0][..])
                );
                true
            })
        });
        assert_eq!(sender.receive(&mut buffer).expect("reads"), None, "no echo");
    }
}

#[test]
fn advertisement_reaches_a_unicast_peer_with_hop_limit_255() {
    let (a, b) = pair();
    for (from, to) in [("192.0.2.1", "192.0.2.2"), ("fd00::1", "fd00::2")] {
        let (from, to) = (address(from), address(to));
        let (eth_a, eth_b) = (a.eth0(), b.eth0());
        let open = move |interface| match from {
            IpAddr::V4(_) => VrrpSocket::v4(&interface, Listen::Everything).expect("socket"),
            IpAddr::V6(_) => VrrpSocket::v6(&interface, Listen::Everything).expect("socket"),
        };
        let sender = a.run(move || open(eth_a));
        let receiver = b.run(move || open(eth_b));
        let mut buffer = vec![0; PACKET_MAX];
        wait_until("the packet arrives", || {
            sender.send(&[1, 2, 3, 4], from, to).expect("sends");
            let packet = receiver.receive(&mut buffer).expect("receives");
            packet.is_some_and(|packet| {
                assert_eq!((packet.source, packet.hop_limit), (from, 255));
                true
            })
        });
    }
}
