//! The daemons beside ours, and how each is told the same.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lab::directory;
use lab::fault::Result;
use lab::host::{Host, Name};
use lab::process::Program;
use lab::programs::Programs;

use crate::lan::own_address;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    Vrrpd,
    Keepalived,
    Frr,
}

/// One virtual router as one host serves it.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) version: u8,
    pub(crate) six: bool,
    pub(crate) unicast: bool,
    /// Ours only: the least TTL or hop limit.
    pub(crate) min_ttl: u8,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
    /// Ours only: `auto`, `rfc9568` or `pseudo-header`.
    pub(crate) checksum: Option<&'static str>,
}

impl Service {
    pub(crate) fn new(version: u8, interval: Duration) -> Self {
        Self {
            version,
            six: false,
            unicast: false,
            min_ttl: 255,
            priority: 100,
            interval,
            checksum: None,
        }
    }

    pub(crate) fn addresses(&self) -> &'static [&'static str] {
        if self.six {
            &["fe80::100/64", "fd00::100/64"]
        } else {
            &["192.0.2.100/24"]
        }
    }

    /// The address that tells who holds them.
    pub(crate) fn address(&self) -> &'static str {
        if self.six { "fd00::100" } else { "192.0.2.100" }
    }
}

impl Daemon {
    /// Configures and starts it on `host`.
    pub(crate) fn start(
        self,
        host: &mut Host,
        service: &Service,
        programs: &Programs,
    ) -> Result<()> {
        match self {
            Self::Vrrpd => start_vrrpd(host, service, programs),
            Self::Keepalived => start_keepalived(host, service),
            Self::Frr => start_frr(host, service),
        }
    }

    /// The process that is told to stop.
    pub(crate) fn process(self) -> &'static str {
        match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
            Self::Frr => "frr-vrrpd",
        }
    }
}

fn run(host: &mut Host, name: &str, path: impl Into<PathBuf>, words: &str) -> Result<()> {
    let program = Program {
        name: name.into(),
        path: path.into(),
        arguments: words.split_whitespace().map(str::to_owned).collect(),
        environment: Vec::new(),
        user: None,
    };
    host.start(&program).map(drop)
}

fn other(host: &Host, service: &Service) -> IpAddr {
    own_address(host.name().other(), service.six)
}

/// Our configuration; tests add to it.
pub(crate) fn vrrpd_toml(host: &Host, service: &Service) -> String {
    let etc = host.etc().display().to_string();
    let disk = host.disk().display().to_string();
    let peers = if service.unicast {
        format!(
            "unicast_peers = [\"{}\"]\nmin_ttl = {}\n",
            other(host, service),
            service.min_ttl
        )
    } else {
        String::new()
    };
    let checksum = service
        .checksum
        .map_or_else(String::new, |form| format!("checksum = \"{form}\"\n"));
    format!(
        "[node]\nname = \"{}\"\n\n[paths]\nstate = \"{disk}/vrrpd\"\nrun = \"{}\"\nhooks = \
         \"{etc}/hooks\"\n\n[[virtual_router]]\nname = \"service\"\ninterface = \"eth0\"\nvrid = 51\n\
         version = {}\npriority = {}\nadvertise_interval = \"{}ms\"\naddresses = {:?}\n{peers}{checksum}",
        host.name(),
        host.run_directory().display(),
        service.version,
        service.priority,
        service.interval.as_millis(),
        service.addresses(),
    )
}

fn start_vrrpd(host: &mut Host, service: &Service, programs: &Programs) -> Result<()> {
    let file = host.etc().join("vrrpd.toml");
    directory::write(&file, &vrrpd_toml(host, service))?;
    run(
        host,
        "vrrpd",
        programs.path("vrrpd"),
        &format!("-c {}", file.display()),
    )
}

fn start_keepalived(host: &mut Host, service: &Service) -> Result<()> {
    let file = host.etc().join("keepalived.conf");
    let unicast = if service.unicast {
        format!(
            "  unicast_src_ip {}\n  unicast_peer {{\n    {}\n  }}\n",
            own_address(host.name(), service.six),
            other(host, service)
        )
    } else {
        String::new()
    };
    let addresses: Vec<String> = service
        .addresses()
        .iter()
        .map(|address| format!("    {address} dev eth0\n"))
        .collect();
    let text = format!(
        "global_defs {{\n  router_id lab\n}}\nvrrp_instance service {{\n  version {}\n  state BACKUP\n  \
         interface eth0\n  virtual_router_id 51\n  priority {}\n  advert_int {}\n{unicast}  \
         virtual_ipaddress {{\n{}  }}\n}}\n",
        service.version,
        service.priority,
        service.interval.as_secs_f64(),
        addresses.concat(),
    );
    directory::write(&file, &text)?;
    let at = host.run_directory().display().to_string();
    let words = format!(
        "-n -l -P -f {} -p {at}/keepalived.pid -r {at}/vrrp.pid",
        file.display()
    );
    run(host, "keepalived", "/usr/sbin/keepalived", &words)
}

/// FRR's takes the virtual addresses from a macvlan that it finds.
fn start_frr(host: &mut Host, service: &Service) -> Result<()> {
    let namespace = host.namespace()?;
    let (family, mac, key) = if service.six {
        (6, "00:00:5e:00:02:33", "ipv6")
    } else {
        (4, "00:00:5e:00:01:33", "ip")
    };
    let mut text = format!(
        "interface eth0\n vrrp 51 version {}\n vrrp 51 priority {}\n vrrp 51 advertisement-interval {}\n",
        service.version,
        service.priority,
        service.interval.as_millis(),
    );
    let device = format!("vrrp{family}-51");
    if namespace.ip(&format!("link show {device}")).is_err() {
        namespace.ip(&format!(
            "link add {device} link eth0 address {mac} type macvlan mode bridge"
        ))?;
        for address in service.addresses() {
            let nodad = if service.six { "nodad" } else { "" };
            namespace.ip(&format!("address add {address} dev {device} {nodad}"))?;
        }
        namespace.ip(&format!("link set {device} up"))?;
    }
    for address in service.addresses() {
        let ip = address.split('/').next().unwrap_or(address);
        text.push_str(&format!(" vrrp 51 {key} {ip}\n"));
    }
    let at = host.run_directory().display().to_string();
    let (zebra, vrrpd) = (host.etc().join("zebra.conf"), host.etc().join("vrrpd.conf"));
    directory::write(&zebra, "log stdout\n")?;
    directory::write(&vrrpd, &format!("log stdout\n{text}exit\n"))?;
    let options = |name: &str, file: &std::path::Path| {
        format!(
            "-u frr -g frr -P 0 --vty_socket {at} -i {at}/{name}.pid -z {at}/zserv.api -f {}",
            file.display()
        )
    };
    // FRR's daemons run as a user of their own, who makes the sockets.
    lab::directory::open_to_all(&host.run_directory())?;
    if host.process("zebra").is_err() {
        run(
            host,
            "zebra",
            "/usr/lib/frr/zebra",
            &options("zebra", &zebra),
        )?;
        let socket = host.run_directory().join("zserv.api");
        lab::clock::wait_for("zebra listens", lab::pool::PATIENCE, || {
            socket.exists().then_some(()).ok_or_else(String::new)
        })?;
    }
    run(
        host,
        "frr-vrrpd",
        "/usr/lib/frr/vrrpd",
        &options("frr-vrrpd", &vrrpd),
    )
}

/// Where our daemon runs, and where the other does.
pub(crate) const OURS: Name = Name::ManagerA;
pub(crate) const PEER: Name = Name::ManagerB;
