//! The gate between two hosts. Needs root.

mod host;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use host::{Host, pair, wait_for, wait_until};
use vrrpd_sys::announce::{Announcer, Probe};
use vrrpd_sys::clock;
use vrrpd_sys::gate::{Element, Gate, Rules};
use vrrpd_sys::sever::Severer;

const MILLISECOND: u64 = 1_000_000;
const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

fn rules() -> Rules {
    Rules {
        name: "test".into(),
        tcp_ports: vec![5432],
        exempt: vec![],
        virtual_addresses: vec![
            "192.0.2.100".parse().expect("address"),
            "fd00::100".parse().expect("address"),
        ],
        unaccepted: vec![],
    }
}

fn load(host: &Host, rules: Rules) -> Gate {
    host.run(|| Gate::load(rules).expect("the rules load"))
}

fn connect(from: &Host) -> Result<TcpStream, ErrorKind> {
    from.run(|| {
        let server = SocketAddr::from(([192, 0, 2, 1], 5432));
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(2));
        stream.map_err(|error| error.kind())
    })
}

fn listen(on: &Host) -> TcpListener {
    on.run(|| TcpListener::bind("0.0.0.0:5432").expect("listens"))
}

fn port(until: u64) -> [(Element, u64); 1] {
    [(Element::Port(5432), until)]
}

#[test]
fn gate_starts_closed_and_closes_by_itself_on_time() {
    let (a, b) = pair();
    let _server = listen(&a);
    let mut gate = load(&a, rules());
    assert_eq!(connect(&b).err(), Some(ErrorKind::ConnectionRefused));

    let until = clock::now() + 400 * MILLISECOND;
    assert!(gate.keep(&port(until)).expect("opens"));
    // No process of ours does anything more.
    drop(gate);
    let mut last = None;
    wait_until("the gate closes", || {
        let before = clock::now();
        let admitted = connect(&b).is_ok();
        if admitted {
            last = Some(before);
        }
        !admitted
    });
    let closed = clock::now();
    let last = last.expect("it was open for a while");
    assert!(last <= until, "admitted {} ns late", last - until);
    assert!(
        closed + 60 * MILLISECOND >= until,
        "closed more than 60 ms early"
    );
}

#[test]
fn gate_renewed_keeps_a_connection_and_then_resets_it() {
    let (a, b) = pair();
    let server = listen(&a);
    let mut gate = load(&a, rules());
    let first = clock::now() + 200 * MILLISECOND;
    assert!(gate.keep(&port(first)).expect("opens"));
    let mut client = connect(&b).expect("open");
    client.set_nodelay(true).expect("each write is a packet");
    let (mut served, _) = server.accept().expect("accepts");

    let mut byte = [0];
    let mut until = first;
    while until < first + 600 * MILLISECOND {
        until = clock::now() + 200 * MILLISECOND;
        assert!(gate.keep(&port(until)).expect("renews"));
        client.write_all(&[7]).expect("flows");
        served.read_exact(&mut byte).expect("flows");
    }
    wait_until("the connection is reset", || {
        client.write_all(&[7]).is_err_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            )
        })
    });
    assert!(clock::now() <= until + 100 * MILLISECOND);
}

#[test]
fn acknowledgement_after_the_gate_closed_does_not_leave() {
    let (a, b) = pair();
    let server = listen(&a);
    let mut gate = load(&a, rules());
    assert!(
        gate.keep(&port(clock::now() + 5_000 * MILLISECOND))
            .expect("opens")
    );
    let mut client = connect(&b).expect("open");
    let (mut served, _) = server.accept().expect("accepts");

    gate.drop(&[Element::Port(5432)]).expect("closes");
    served.write_all(b"COMMIT").expect("the kernel takes it");
    client
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("time-out");
    let error = client.read(&mut [0; 16]).expect_err("nothing arrives");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);

    // What waits for an answer is reset, and the late acknowledgement never sent.
    let count = a.run(|| {
        Severer::open()
            .expect("socket")
            .sever(&[5432], &[])
            .expect("severs")
    });
    assert_eq!(count, 1);
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("time-out");
    let error = client.read(&mut [0; 16]).expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn exempt_host_and_loopback_pass_a_closed_gate() {
    let (a, b) = pair();
    let _server = listen(&a);
    let exempt: Vec<IpAddr> = vec!["192.0.2.2".parse().expect("address")];
    let _gate = load(
        &a,
        Rules {
            exempt: exempt.clone(),
            ..rules()
        },
    );
    let from_b = connect(&b).expect("exempt");
    let from_a = connect(&a).expect("loopback");

    let count = a.run(move || {
        let mut severer = Severer::open().expect("socket");
        severer.sever(&[5432], &exempt).expect("severs")
    });
    assert_eq!(count, 0);
    drop((from_a, from_b));
}

#[test]
fn host_answers_arp_only_while_the_address_is_held() {
    answers_only_while_held("192.0.2.100", Element::Address([192, 0, 2, 100].into()));
}

#[test]
fn host_answers_neighbour_solicitations_only_while_the_interface_holds() {
    answers_only_while_held("fd00::100", Element::Interface("eth0".into()));
}

fn answers_only_while_held(address: &str, element: Element) {
    let (a, b) = pair();
    let prefix = if address.contains(':') { 64 } else { 24 };
    a.ip(&format!("address add {address}/{prefix} dev eth0"));
    let address: IpAddr = address.parse().expect("address");
    wait_until("the address is usable", || {
        let mut route = a.run(|| vrrpd_sys::netlink::Route::open().expect("netlink"));
        let all = route.addresses().expect("addresses");
        all.iter().any(|a| a.address == address && !a.tentative)
    });
    let mut gate = load(&a, rules());
    let interface = b.eth0();
    let probe = b.run(move || Probe::open(&interface, MAC_B, address).expect("probe"));
    let answered_within = |milliseconds: u64| {
        let end = clock::now() + milliseconds * MILLISECOND;
        probe.ask().expect("asks");
        while clock::now() < end {
            if probe.answer().expect("reads").is_some() {
                return true;
            }
        }
        false
    };

    assert!(!answered_within(200), "answered while not held");
    let until = clock::now() + 500 * MILLISECOND;
    assert!(gate.keep(&[(element, until)]).expect("holds"));
    assert!(answered_within(200), "silent while held");
    wait_until("the time has come", || clock::now() >= until);
    assert!(!answered_within(200), "answered after its time");
}

#[test]
fn announcement_of_the_holder_turns_the_neighbours() {
    let (a, b) = pair();
    let _gate = load(&a, rules());
    for (address, other) in [
        ("192.0.2.100", "02:00:00:00:00:99"),
        ("fd00::100", "02:00:00:00:00:99"),
    ] {
        b.ip(&format!(
            "neighbour replace {address} lladdr {other} dev eth0 nud reachable"
        ));
        let interface = a.eth0().index;
        let parsed: IpAddr = address.parse().expect("address");
        a.run(move || {
            let announcer = Announcer::open().expect("socket");
            announcer
                .announce(interface, MAC_A, parsed)
                .expect("announces");
        });
        wait_until("the neighbour has learnt it", || {
            b.ip(&format!("neighbour show {address}"))
                .contains("02:00:00:00:00:0a")
        });
    }
}

#[test]
fn loading_replaces_what_an_earlier_run_left_and_nothing_else() {
    let (a, b) = pair();
    let _server = listen(&a);
    a.command("nft add table inet users_own");
    let mut gate = load(&a, rules());
    assert!(
        gate.keep(&port(clock::now() + 60_000 * MILLISECOND))
            .expect("opens")
    );
    assert!(connect(&b).is_ok());
    drop(gate);

    let mut gate = load(&a, rules());
    assert_eq!(
        connect(&b).err(),
        Some(ErrorKind::ConnectionRefused),
        "starts closed"
    );
    assert!(
        gate.keep(&port(clock::now() + 60_000 * MILLISECOND))
            .expect("opens")
    );
    a.run(move || gate.remove().expect("removes"));
    let left = a.command("nft list tables");
    assert_eq!(left.trim(), "table inet users_own");
}

#[test]
fn changing_the_rules_keeps_the_gate_open() {
    let (a, b) = pair();
    let _server = listen(&a);
    let mut gate = load(&a, rules());
    assert!(
        gate.keep(&port(clock::now() + 60_000 * MILLISECOND))
            .expect("opens")
    );
    let more = Rules {
        tcp_ports: vec![5432, 6432],
        ..rules()
    };
    let mut gate = a.run(move || {
        gate.change(more).expect("changes");
        gate
    });
    assert!(connect(&b).is_ok());
    gate.drop_all().expect("closes");
    assert_eq!(connect(&b).err(), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn rules_removed_by_someone_else_are_noticed_and_restored() {
    let (a, b) = pair();
    let _server = listen(&a);
    let mut gate = load(&a, rules());
    a.command("nft flush ruleset");
    let error = gate.drop_all().expect_err("the tables are gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mut gate = a.run(move || {
        gate.restore().expect("restores");
        gate
    });
    gate.drop_all().expect("they are back");
    assert_eq!(connect(&b).err(), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn thousand_elements_are_one_transaction() {
    let a = Host::new();
    let mut gate = load(&a, rules());
    let until = clock::now() + 60_000 * MILLISECOND;
    let elements: Vec<_> = (0..1_000_u32)
        .map(|n| (Element::Address((0x0a00_0000 + n).into()), until))
        .collect();
    assert!(gate.keep(&elements).expect("holds"));
    let listed = a.command("nft list set arp vrrpd_test held");
    assert_eq!(listed.matches("timeout").count(), 1_000 + 1, "{listed}");
}

#[test]
fn element_whose_time_has_come_is_removed() {
    let a = Host::new();
    let mut gate = load(&a, rules());
    assert!(
        gate.keep(&port(clock::now() + 60_000 * MILLISECOND))
            .expect("opens")
    );
    assert!(!gate.keep(&port(clock::now())).expect("closes"));
    let listed = a.command("nft list set inet vrrpd_test open");
    assert!(!listed.contains("5432"), "{listed}");
    let name = wait_for("a table", || Some(a.command("nft list tables")));
    assert!(name.contains("vrrpd_test"));
}

#[test]
fn address_that_is_not_accepted_takes_no_packets() {
    let (a, b) = pair();
    let _server = listen(&a);
    let rules = Rules {
        tcp_ports: vec![],
        virtual_addresses: vec![],
        unaccepted: vec![
            "192.0.2.1".parse().expect("address"),
            "fd00::1".parse().expect("address"),
        ],
        ..rules()
    };
    assert!(connect(&b).is_ok());
    let gate = load(&a, rules);
    assert_eq!(connect(&b).err(), Some(ErrorKind::TimedOut));
    a.run(move || gate.remove().expect("removes"));
    assert!(connect(&b).is_ok());
}
