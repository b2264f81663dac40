//! Two and three routers on one LAN, frozen, cut and started at random: they
//! come together again, and never hold an address for longer than told.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;
use vrrpd_core::packet::{self, Header};
use vrrpd_core::router::{Action, Config, Event, Router, StateName};
use vrrpd_core::time::Instant;

use crate::support::*;

/// From one router to the others.
const DELIVERY: Duration = Duration::from_millis(1);

/// 3 * 200 ms + (256 - 254) * 200 ms / 256, in whole milliseconds.
const LEASE: Duration = Duration::from_millis(602);

struct Host {
    router: Router,
    source: std::net::IpAddr,
    /// Stopped until then: meets no deadline and reads no packet.
    frozen_until: Instant,
    /// Packets that wait in its socket.
    queue: Vec<Vec<u8>>,
    /// The kernel has the address until then.
    holds_until: Instant,
}

struct Lan {
    hosts: Vec<Host>,
    now: Instant,
    /// Packets under way: arrival, sender, bytes.
    wire: Vec<(Instant, usize, Vec<u8>)>,
    /// Each packet is lost that the schedule says.
    losses: Vec<bool>,
    sent: usize,
    /// For how long two hosts have held the address together, without a break.
    together: BTreeMap<(usize, usize), Together>,
    /// The longest of two hosts that both ran.
    worst: Duration,
    /// The longest of two hosts, one of them frozen.
    worst_frozen: Duration,
}

#[derive(Clone, Copy, Default)]
struct Together {
    /// Whether both ran meanwhile.
    running: Duration,
    any: Duration,
}

impl Lan {
    fn new(priorities: &[u8], losses: Vec<bool>) -> Self {
        let now = Instant::ZERO + ms(1000);
        let host = |(place, &value): (usize, &u8)| Host {
            router: Router::new(Config {
                priority: priority(value),
                ..config()
            }),
            source: ip(&format!("192.0.2.{}", 11 + place)),
            frozen_until: Instant::ZERO,
            queue: Vec::new(),
            holds_until: Instant::ZERO,
        };
        let mut lan = Self {
            hosts: priorities.iter().enumerate().map(host).collect(),
            now,
            wire: Vec::new(),
            losses,
            sent: 0,
            together: BTreeMap::new(),
            worst: Duration::ZERO,
            worst_frozen: Duration::ZERO,
        };
        for place in 0..lan.hosts.len() {
            let source = lan.hosts[place].source;
            lan.tell(place, Event::InterfaceUp);
            lan.tell(place, Event::SourceChanged(Some(source)));
            lan.tell(place, Event::Startup);
        }
        lan
    }

    fn tell(&mut self, place: usize, event: Event) {
        let mut out = Vec::new();
        self.hosts[place].router.handle(event, self.now, &mut out);
        for action in out {
            self.perform(place, action);
        }
    }

    fn perform(&mut self, place: usize, action: Action) {
        let host = &mut self.hosts[place];
        match action {
            Action::SendAdvert { priority, source } => {
                let bytes = host.router.advert(priority, source, ip("224.0.0.18"));
                let lost = self.losses.get(self.sent).copied().unwrap_or(false);
                self.sent += 1;
                if !lost {
                    self.wire.push((self.now + DELIVERY, place, bytes));
                }
            }
            Action::AddAddresses { until, .. } | Action::RenewAddresses { until } => {
                host.holds_until = until;
            }
            Action::RemoveAddresses { .. } => host.holds_until = Instant::ZERO,
            Action::Announce { .. } | Action::Transition(_) | Action::Notice(_) => {}
        }
    }

    /// One millisecond: what arrives, then what is due.
    fn step(&mut self) {
        self.now = self.now + ms(1);
        let now = self.now;
        let wire = core::mem::take(&mut self.wire);
        for (arrival, sender, bytes) in wire {
            if arrival > now {
                self.wire.push((arrival, sender, bytes));
                continue;
            }
            for (place, host) in self.hosts.iter_mut().enumerate() {
                if place != sender {
                    host.queue.push([&[sender as u8], &bytes[..]].concat());
                }
            }
        }
        for place in 0..self.hosts.len() {
            if self.hosts[place].frozen_until > now {
                continue;
            }
            for packet in core::mem::take(&mut self.hosts[place].queue) {
                let header = Header {
                    source: self.hosts[usize::from(packet[0])].source,
                    destination: ip("224.0.0.18"),
                    hop_limit: 255,
                };
                let received = packet::decode(&header, &packet[1..]).unwrap();
                self.tell(place, Event::AdvertReceived(received));
            }
            let due = self.hosts[place].router.deadline();
            if due.is_some_and(|due| due <= now) {
                self.tell(place, Event::Wake);
            }
        }
        self.count_holders();
    }

    fn count_holders(&mut self) {
        let now = self.now;
        for first in 0..self.hosts.len() {
            for second in first + 1..self.hosts.len() {
                let pair = [&self.hosts[first], &self.hosts[second]];
                let both_hold = pair.iter().all(|host| host.holds_until > now);
                let both_run = pair.iter().all(|host| host.frozen_until <= now);
                let together = self.together.entry((first, second)).or_default();
                let longer =
                    |span: Duration, longer| if longer { span + ms(1) } else { Duration::ZERO };
                together.any = longer(together.any, both_hold);
                together.running = longer(together.running, both_hold && both_run);
                self.worst_frozen = self.worst_frozen.max(together.any);
                self.worst = self.worst.max(together.running);
            }
        }
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }

    fn active(&self) -> Vec<usize> {
        let hosts = self.hosts.iter().enumerate();
        let active = hosts.filter(|(_, host)| host.router.state() == StateName::Active);
        active.map(|(place, _)| place).collect()
    }
}

#[test]
fn the_highest_of_three_becomes_active_and_stays() {
    let mut lan = Lan::new(&[100, 150, 200], Vec::new());
    lan.run(5000);
    assert_eq!(lan.active(), [2]);
    assert_eq!(lan.hosts[2].router.statistics().became_active, 1);
    assert!(lan.worst <= DELIVERY, "{:?}", lan.worst);
}

#[test]
fn the_dead_one_is_followed_within_its_active_down_interval() {
    let mut lan = Lan::new(&[100, 150, 200], Vec::new());
    lan.run(5000);
    lan.hosts[2].frozen_until = lan.now + ms(1_000_000);
    // 3 * 200 ms + (256 - 150) * 200 ms / 256, and a delivery.
    lan.run(690);
    assert_eq!(lan.active(), [1, 2], "the frozen one does not know");
    assert!(lan.hosts[2].holds_until <= lan.now, "but its kernel does");
    assert!(lan.hosts[1].holds_until > lan.now);
}

/// A Backup that waits already does not wait for a frozen one's lease.
#[test]
fn a_frozen_one_that_is_preempted_loses_the_address_with_its_lease() {
    let mut lan = Lan::new(&[100, 150, 200], Vec::new());
    lan.run(3151);
    lan.hosts[2].frozen_until = lan.now + ms(533);
    lan.run(577);
    lan.hosts[1].frozen_until = lan.now + ms(602);
    lan.run(6000);
    assert_eq!(lan.active(), [2]);
    assert!(lan.worst <= DELIVERY, "{:?}", lan.worst);
    assert!(lan.worst_frozen <= LEASE, "{:?}", lan.worst_frozen);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Stopped processes: one holder, but for the delivery of a preemption. One
    /// that is frozen while it is preempted loses the address with its lease.
    #[test]
    fn frozen_hosts_hold_the_address_no_longer_than_told(
        freezes in proptest::collection::vec((0..3usize, 0..3000u64, 0..3000u64), 0..12),
    ) {
        let mut lan = Lan::new(&[100, 150, 200], Vec::new());
        lan.run(3000);
        for (place, after, span) in freezes {
            lan.run(after);
            lan.hosts[place].frozen_until = lan.now + ms(span);
        }
        lan.run(6000);
        prop_assert!(lan.worst <= DELIVERY, "{:?} together", lan.worst);
        prop_assert!(lan.worst_frozen <= LEASE, "{:?} together", lan.worst_frozen);
        prop_assert_eq!(lan.active(), [2], "healed");
    }

    /// Lost packets: whatever happened, one Active is left, the highest.
    #[test]
    fn losses_heal(losses in proptest::collection::vec(any::<bool>(), 0..60), equal in any::<bool>()) {
        let priorities: &[u8] = if equal { &[150, 150] } else { &[200, 100] };
        let mut lan = Lan::new(priorities, losses);
        lan.run(20_000);
        prop_assert_eq!(lan.active().len(), 1);
        if !equal {
            prop_assert_eq!(lan.active(), [0]);
        }
        let holders = lan.hosts.iter().filter(|host| host.holds_until > lan.now);
        prop_assert_eq!(holders.count(), 1);
    }
}
