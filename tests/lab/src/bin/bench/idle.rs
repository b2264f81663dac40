//! What virtual routers cost that have nothing to do.

use std::thread;
use std::time::Duration;

use lab::clock::wait_for;
use lab::directory::Directory;
use lab::fault::Result;
use lab::host::{Host, Name};
use lab::net::Switch;
use lab::pool::PATIENCE;
use lab::programs::Programs;
use lab::router::{Daemon, VirtualRouter};
use lab::timeline::Timeline;
use lab::usage::{Meter, Usage};

use crate::report::{Bar, Figure, Row};

/// A virtual router's number is one of 255 in its network.
const NETWORKS: usize = 4;

/// After all are Active, until they have announced all they will.
const SETTLING: Duration = Duration::from_secs(8);

const MEASURED: Duration = Duration::from_secs(20);

/// So many virtual routers, Active, at 1 s.
pub(crate) fn measure(count: usize) -> Result<Vec<Row>> {
    let ours = cost(Daemon::Vrrpd, count)?;
    let keepalived = Some(cost(Daemon::Keepalived, count)?);
    Ok(vec![Row {
        name: format!("idle_{count}"),
        what: if count == 1 {
            "one virtual router, Active, idle: processor, memory"
        } else {
            "1000 virtual routers, Active, idle"
        },
        figure: Figure::Cost { ours, keepalived },
        bar: Some(Bar::LessThanKeepalived),
    }])
}

fn cost(daemon: Daemon, count: usize) -> Result<Usage> {
    let directory = Directory::alone()?;
    let switches = (0..NETWORKS)
        .map(|_| Switch::new())
        .collect::<Result<Vec<_>>>()?;
    let timeline = Timeline::new();
    let mut host = Host::new(Name::ManagerA, directory.path(), &timeline)?;
    host.power_on(&switches[0])?;
    for (network, switch) in switches.iter().enumerate().skip(1) {
        let (namespace, interface) = (host.namespace()?, format!("eth{network}"));
        let mac = format!("02:00:00:00:{network:02x}:0b");
        switch.plug("router", namespace, &interface, &mac)?;
        namespace.ip(&format!(
            "address add 10.{network}.255.1/16 dev {interface}"
        ))?;
        namespace.ip(&format!("link set {interface} up"))?;
    }
    let routers: Vec<VirtualRouter> = (0..count).map(router).collect();
    daemon.configure(&host, &routers)?;
    let programs = Programs::install(directory.path())?;
    host.start(&daemon.program(&host, &programs))?;
    wait_for("all virtual routers are Active", PATIENCE, || {
        let held = held(&host).map_err(|fault| fault.to_string())?;
        (held == count)
            .then_some(())
            .ok_or_else(|| format!("{held} of {count}"))
    })?;
    thread::sleep(SETTLING);
    let meter = Meter::start(&host.named(daemon.name())?)?;
    thread::sleep(MEASURED);
    let usage = meter.read()?;
    // The networks go with the host, and before the switches.
    host.power_off(&switches[0])?;
    Ok(usage)
}

fn router(number: usize) -> VirtualRouter {
    let network = number % NETWORKS;
    let vrid = number / NETWORKS + 1;
    VirtualRouter {
        name: format!("router-{number}"),
        interface: format!("eth{network}"),
        vrid: u8::try_from(vrid).expect("250 a network"),
        addresses: vec![format!("10.{network}.1.{vrid}/32")],
        ..VirtualRouter::new(Duration::from_secs(1))
    }
}

/// How many virtual addresses are there.
fn held(host: &Host) -> Result<usize> {
    let listed = host.namespace()?.command("ip", &["-4", "-o", "address"])?;
    let is_virtual = |line: &&str| line.contains("/32 ");
    Ok(listed.lines().filter(is_virtual).count())
}
