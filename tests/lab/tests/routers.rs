//! Plain virtual routers on real networks, ours beside ours and keepalived's.
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::directory::Directory;
use lab::fault::Result;
use lab::host::Name::{self, ManagerA, ManagerB};
use lab::pinger::Pinger;
use lab::pool::{PATIENCE, VIRTUAL_IP};
use lab::probe::Probe;
use lab::router::Daemon::{self, Keepalived, Vrrpd};
use lab::router::{Pair, VirtualRouter};
use lab::timeline::Timeline;
use nix::sys::signal::Signal;

const VIRTUAL_IP_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100);

const INTERVAL: Duration = Duration::from_millis(100);

/// Runs `story` with two routers, of which the first has the address.
fn with(daemons: [Daemon; 2], router: &VirtualRouter, story: impl FnOnce(&mut Pair) -> Result<()>) {
    let timeline = Timeline::new();
    let start = Moment::now();
    let outcome = Directory::new().and_then(|directory| {
        let mut pair = Pair::new(daemons, router, directory, &timeline)?;
        pair.begin()?;
        story(&mut pair)
    });
    if let Err(fault) = outcome {
        let lines: Vec<String> = timeline
            .entries()
            .iter()
            .map(|entry| {
                let at = entry.at.since(start).as_secs_f64() * 1e3;
                format!("{at:>10.1} {:<22} {}", entry.who, entry.what)
            })
            .collect();
        panic!("\n{}\n{fault}\n", lines.join("\n"));
    }
}

fn v3() -> VirtualRouter {
    VirtualRouter::new(INTERVAL)
}

fn v2() -> VirtualRouter {
    VirtualRouter {
        version: 2,
        ..VirtualRouter::new(Duration::from_secs(1))
    }
}

/// The address moves to the second router when the first dies, and back when it
/// has returned; each time a client finds it.
fn moves_there_and_back(daemons: [Daemon; 2], router: &VirtualRouter) {
    with(daemons, router, |pair| {
        let pinger = Pinger::start(pair.client().namespace()?, VIRTUAL_IP)?;
        pinger.answers_after(Moment::now(), PATIENCE)?;
        let died = pair.power_off(ManagerA)?;
        pair.wait_holder(ManagerB)?;
        pinger.answers_after(died.plus(INTERVAL), PATIENCE)?;
        pair.power_on(ManagerA)?;
        pair.wait_holder(ManagerA)?;
        pinger.answers_after(Moment::now(), PATIENCE)
    });
}

#[test]
fn address_moves_between_two_of_ours() {
    moves_there_and_back([Vrrpd, Vrrpd], &v3());
}

#[test]
fn address_moves_from_ours_to_keepalived() {
    moves_there_and_back([Vrrpd, Keepalived], &v3());
}

#[test]
fn address_moves_from_keepalived_to_ours() {
    moves_there_and_back([Keepalived, Vrrpd], &v3());
}

#[test]
fn address_moves_between_ours_and_keepalived_in_version_2() {
    moves_there_and_back([Vrrpd, Keepalived], &v2());
    moves_there_and_back([Keepalived, Vrrpd], &v2());
}

/// VRRP.md, case 24.
#[test]
fn terminated_router_gives_the_address_up_before_the_other_takes_it() {
    with([Vrrpd, Vrrpd], &v3(), |pair| {
        let probe = Probe::start(pair.client().namespace()?, VIRTUAL_IP)?;
        let start = Moment::now();
        pair.router(ManagerA).signal("vrrpd", Signal::SIGTERM)?;
        pair.wait_holder(ManagerB)?;
        pair.router(ManagerA).process("vrrpd")?.ended(PATIENCE)?;
        sees_rounds(&probe)?;
        probe.seen().judge(start)
    });
}

/// VRRP.md, case 18: nobody is left to take it off.
#[test]
fn killed_router_loses_the_address_by_the_kernels_hand() {
    with([Vrrpd, Vrrpd], &v3(), |pair| {
        let probe = Probe::start(pair.client().namespace()?, VIRTUAL_IP)?;
        let start = Moment::now();
        pair.router(ManagerB).kill("vrrpd")?;
        pair.router(ManagerA).kill("vrrpd")?;
        wait_for("nobody holds the address", PATIENCE, || {
            let holds = |name| pair.holds(name).map_err(|fault| fault.to_string());
            let held = holds(ManagerA)? || holds(ManagerB)?;
            (!held).then_some(()).ok_or_else(|| "it is held".into())
        })?;
        sees_rounds(&probe)?;
        probe.seen().judge(start)
    });
}

/// VRRP.md, case 17.
#[test]
fn stopped_router_is_replaced_and_continues_as_backup() {
    let router = VirtualRouter {
        preempt: false,
        ..v3()
    };
    with([Vrrpd, Vrrpd], &router, |pair| {
        let probe = Probe::start(pair.client().namespace()?, VIRTUAL_IP)?;
        let start = Moment::now();
        pair.router(ManagerA).signal("vrrpd", Signal::SIGSTOP)?;
        wait_for("the second answers", PATIENCE, || {
            let answered = probe.seen().answered[1];
            answered.map(drop).ok_or_else(|| "it does not".into())
        })?;
        pair.router(ManagerA).signal("vrrpd", Signal::SIGCONT)?;
        pair.wait_holder(ManagerB)?;
        sees_rounds(&probe)?;
        probe.seen().judge(start)
    });
}

/// VRRP.md, case 20.
#[test]
fn deleted_address_is_put_back() {
    with([Vrrpd, Vrrpd], &v3(), |pair| {
        let delete = format!("address delete {VIRTUAL_IP}/24 dev eth0");
        pair.router(ManagerA).namespace()?.ip(&delete)?;
        pair.wait_holder(ManagerA)?;
        let said = |pair: &Pair| {
            let entries = pair.timeline().entries();
            entries.iter().any(|entry| entry.what.contains("put back"))
        };
        wait_for("it says so", PATIENCE, || {
            said(pair).then_some(()).ok_or_else(String::new)
        })
    });
}

/// VRRP.md, case 21: it competes again when its link is back.
#[test]
fn router_whose_link_goes_down_is_replaced_until_it_is_up() {
    with([Vrrpd, Vrrpd], &v3(), |pair| {
        pair.switch().port_down("manager-a")?;
        pair.wait_holder(ManagerB)?;
        pair.switch().port_up("manager-a")?;
        pair.wait_holder(ManagerA)
    });
}

/// VRRP.md, case 23.
#[test]
fn reload_changes_the_priority_and_refuses_a_broken_file() {
    with([Vrrpd, Vrrpd], &v3(), |pair| {
        let file = pair.router(ManagerB).etc().join("vrrpd.toml");
        let text = std::fs::read_to_string(&file).expect("it was written");
        let write = |text: &str| std::fs::write(&file, text).expect("the disk has room");
        write("[node]\nnaem = \"b\"\n");
        pair.router(ManagerB).signal("vrrpd", Signal::SIGHUP)?;
        wait_for("the broken file is refused", PATIENCE, || {
            let entries = pair.timeline().entries();
            let refused = |what: &str| what.contains("naem");
            entries
                .iter()
                .any(|entry| refused(&entry.what))
                .then_some(())
                .ok_or_else(String::new)
        })?;
        pair.wait_holder(ManagerA)?;
        write(&text.replace("priority = 100", "priority = 200"));
        pair.router(ManagerB).signal("vrrpd", Signal::SIGHUP)?;
        pair.wait_holder(ManagerB)
    });
}

/// Rounds enough to have seen what there was to see.
fn sees_rounds(probe: &Probe) -> Result<()> {
    let goal = probe.seen().rounds + 50;
    wait_for("rounds of the probe", PATIENCE, || {
        let rounds = probe.seen().rounds;
        (rounds >= goal)
            .then_some(())
            .ok_or_else(|| format!("{rounds} of {goal}"))
    })
}

/// A link-local address and one for clients, moved as one.
#[test]
fn addresses_of_version_6_move() {
    let router = VirtualRouter {
        addresses: vec!["fe80::100/64".into(), "fd00::100/64".into()],
        ..v3()
    };
    for daemons in [[Vrrpd, Vrrpd], [Vrrpd, Keepalived], [Keepalived, Vrrpd]] {
        let timeline = Timeline::new();
        let outcome = Directory::new().and_then(|directory| {
            let mut pair = Pair::new(daemons, &router, directory, &timeline)?;
            pair.start(ManagerA)?;
            pair.start(ManagerB)?;
            reachable(&pair)?;
            pair.power_off(ManagerA)?;
            reachable(&pair)?;
            pair.power_on(ManagerA)?;
            held_by(&pair, ManagerA)?;
            reachable(&pair)
        });
        if let Err(fault) = outcome {
            let entries = timeline.entries();
            panic!("{daemons:?}: {fault}\n{entries:#?}");
        }
    }
}

/// A host that refuses a connection is there.
fn reachable(pair: &Pair) -> Result<()> {
    wait_for("fd00::100 answers", PATIENCE, || {
        let ask = || {
            let address = SocketAddr::from((VIRTUAL_IP_6, 9));
            TcpStream::connect_timeout(&address, Duration::from_millis(200))
        };
        let client = pair
            .client()
            .namespace()
            .map_err(|fault| fault.to_string())?;
        match client.run(ask) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

fn held_by(pair: &Pair, name: Name) -> Result<()> {
    wait_for(&format!("{name} holds fd00::100"), PATIENCE, || {
        let words = ["-o", "address", "show", "dev", "eth0", "to", "fd00::100"];
        let listed = pair
            .router(name)
            .namespace()
            .and_then(|host| host.command("ip", &words))
            .map_err(|fault| fault.to_string())?;
        (!listed.is_empty())
            .then_some(())
            .ok_or_else(|| "it does not".into())
    })
}
