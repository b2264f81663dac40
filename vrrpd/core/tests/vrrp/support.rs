//! A virtual router on a bench: time moves when a test says so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use vrrpd_core::packet::{
    Addresses, Advert, Centiseconds, Family, Form, Priority, Received, Version, Vrid,
};
use vrrpd_core::router::{
    Action, Address, Announce, Checksum, Config, Event, Group, Identity, Router, Standing,
    StateName,
};
use vrrpd_core::time::Instant;

/// Our own address.
pub(crate) const OWN: &str = "192.0.2.11";
/// A peer whose address is smaller than ours.
pub(crate) const SMALLER: &str = "192.0.2.10";
/// A peer whose address is larger than ours. As text it would be smaller.
pub(crate) const LARGER: &str = "192.0.2.110";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

pub(crate) fn cs(value: u16) -> Centiseconds {
    Centiseconds::new(value).unwrap()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn address(text: &str) -> Address {
    let (ip_text, prefix) = text.split_once('/').unwrap();
    Address {
        ip: ip(ip_text),
        prefix: prefix.parse().unwrap(),
    }
}

pub(crate) fn fit(value: u8) -> Standing {
    Standing::Fit {
        priority: priority(value),
        why: "".into(),
    }
}

pub(crate) fn failed() -> Standing {
    Standing::Failed {
        why: "check gateway fails".into(),
    }
}

/// VRRPv3 over IPv4, vrid 51 on eth0, priority 150, 200 ms.
pub(crate) fn config() -> Config {
    Config {
        identity: Arc::new(Identity {
            name: "service".into(),
            interface: "eth0".into(),
            vrid: Vrid::new(51).unwrap(),
            family: Family::V4,
        }),
        version: Version::V3,
        priority: priority(150),
        advertise_interval: cs(20),
        addresses: vec![address("192.0.2.100/24")],
        checksum: Checksum::Auto,
        preempt: true,
        preempt_delay: Duration::ZERO,
        accept: true,
        unicast_peers: Vec::new(),
        min_hop_limit: 255,
        startup_delay: Duration::ZERO,
        announce: Announce {
            count: 1,
            repeat_after: ms(5000),
            repeats: 1,
            refresh: None,
        },
        group: None,
        governed: false,
    }
}

/// The same with VRRPv2, at its shortest interval.
pub(crate) fn config_v2() -> Config {
    Config {
        version: Version::V2,
        advertise_interval: cs(100),
        ..config()
    }
}

pub(crate) fn grouped() -> Config {
    Config {
        group: Some(Group::named("both")),
        ..config()
    }
}

pub(crate) fn governed() -> Config {
    Config {
        governed: true,
        ..config()
    }
}

/// An advertisement of a peer, otherwise as ours; priority 0 stops.
pub(crate) fn advert(source: &str, value: u8) -> Received {
    Received {
        source: ip(source),
        form: Form::Plain,
        advert: Advert {
            version: Version::V3,
            vrid: Vrid::new(51).unwrap(),
            priority: Priority::new(value),
            interval: cs(20),
            addresses: Addresses::V4(vec!["192.0.2.100".parse().unwrap()]),
        },
    }
}

pub(crate) fn advert_every(source: &str, value: u8, interval: u16) -> Received {
    let mut received = advert(source, value);
    received.advert.interval = cs(interval);
    received
}

/// The same of a VRRPv2 peer.
pub(crate) fn advert_v2(source: &str, value: u8, interval: u16) -> Received {
    let mut received = advert_every(source, value, interval);
    received.advert.version = Version::V2;
    received
}

/// A router and its time.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) now: Instant,
}

impl Bench {
    /// In Initialize: knows nothing, has not been started. One hour after boot.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            router: Router::new(config),
            now: Instant::ZERO + ms(3_600_000),
        }
    }

    /// The interface is up, the daemon has begun.
    pub(crate) fn started(config: Config) -> Self {
        let own = match config.identity.family {
            Family::V4 => ip(OWN),
            Family::V6 => ip("fe80::11"),
        };
        let mut bench = Self::new(config);
        bench.hear(Event::InterfaceUp);
        bench.hear(Event::SourceChanged(Some(own)));
        bench.hear(Event::Startup);
        bench
    }

    /// The Active_Down_Timer has just expired, or the pool gave it the addresses
    /// for a second.
    pub(crate) fn active(config: Config) -> Self {
        let governed = config.governed;
        let mut bench = Self::started(config);
        if governed {
            let until = bench.now + ms(1000);
            bench.hear(Event::Hold { until });
        } else if bench.router.state() == StateName::Backup {
            bench.wake();
        }
        assert_eq!(bench.router.state(), StateName::Active);
        bench
    }

    /// One event now; what is ordered, as lines.
    pub(crate) fn hear(&mut self, event: Event) -> Vec<String> {
        let mut out = Vec::new();
        self.router.handle(event, self.now, &mut out);
        out.iter().map(|action| self.line(action)).collect()
    }

    pub(crate) fn receive(&mut self, received: Received) -> Vec<String> {
        self.hear(Event::AdvertReceived(received))
    }

    /// Time passes until the deadline.
    pub(crate) fn wake(&mut self) -> Vec<String> {
        self.now = self.router.deadline().unwrap();
        self.hear(Event::Wake)
    }

    /// Time passes, with every deadline met; what is ordered, with the
    /// milliseconds after which it was.
    pub(crate) fn pass(&mut self, span: Duration) -> Vec<(u128, String)> {
        let (begin, end) = (self.now, self.now + span);
        let mut lines = Vec::new();
        while let Some(deadline) = self.router.deadline().filter(|&deadline| deadline <= end) {
            assert!(deadline >= self.now, "a deadline in the past");
            let wake = self.wake();
            let at = begin.until(self.now).as_millis();
            lines.extend(wake.into_iter().map(|line| (at, line)));
        }
        self.now = end;
        lines
    }

    /// Time passes while the process is stopped: no deadline is met.
    pub(crate) fn freeze(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    pub(crate) fn state(&self) -> StateName {
        self.router.state()
    }

    /// How long until the deadline.
    pub(crate) fn patience(&self) -> Duration {
        self.now.until(self.router.deadline().unwrap())
    }

    fn line(&self, action: &Action) -> String {
        let list = |addresses: &[Address]| {
            let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            texts.join(" ")
        };
        let plain = |text: String| text.replace("service (vrid 51, eth0): ", "");
        match action {
            Action::SendAdvert { priority, source } => {
                let value = priority.map_or(0, Priority::as_u8);
                format!("advert {value} from {source}")
            }
            Action::AddAddresses {
                addresses,
                until,
                accept,
            } => {
                let accept = if *accept { "" } else { ", not accepted" };
                let lasts = self.now.until(*until);
                format!("add {} for {lasts:?}{accept}", list(addresses))
            }
            Action::RenewAddresses { until } => format!("renew for {:?}", self.now.until(*until)),
            Action::RemoveAddresses { addresses, owned } => {
                let owned = if *owned { ", its own" } else { "" };
                format!("remove {}{owned}", list(addresses))
            }
            Action::Announce { addresses, count } => {
                format!("announce {} x{count}", list(addresses))
            }
            Action::Transition(transition) => plain(transition.to_string()),
            Action::Notice(notice) => plain(format!("notice: {notice}")),
        }
    }
}

/// How often a line begins so.
pub(crate) fn count(lines: &[(u128, String)], what: &str) -> usize {
    lines
        .iter()
        .filter(|(_, line)| line.starts_with(what))
        .count()
}

/// When lines begin so.
pub(crate) fn times(lines: &[(u128, String)], what: &str) -> Vec<u128> {
    let matching = lines.iter().filter(|(_, line)| line.starts_with(what));
    matching.map(|(at, _)| *at).collect()
}
