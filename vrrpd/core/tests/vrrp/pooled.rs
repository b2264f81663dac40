//! Two managers and their arbiter: with a pool a virtual router is Active while
//! its node is Primary and no longer, gains and loses its address in the order
//! of VRRP.md's trap 12, and no advertisement moves it.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use vrrpd_core::node::{Action, Event, Node, Setup};
use vrrpd_core::packet::{self, Addresses, Advert, Form, Header, Priority, Version, Vrid};
use vrrpd_core::pool::database::{Desired, Follower, Observed, Position, Role, Server, Ticket};
use vrrpd_core::pool::member::Member;
use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::{
    CopyId, Durable, Epoch, InSync, Incarnation, NodeId, Record, Voters,
};
use vrrpd_core::pool::status::Standing;
use vrrpd_core::pool::{self, Durability, Order};
use vrrpd_core::priority::{Check, CheckState, Effect};
use vrrpd_core::router::{Router, StateName};
use vrrpd_core::time::Instant;

use crate::support::*;

const LEASE: Duration = Duration::from_millis(600);
/// A quarter of the interval: see `extend_fences`.
const GRAIN: Duration = Duration::from_millis(50);
const VOTERS: Voters = Voters([Incarnation(1), Incarnation(2), Incarnation(3)]);
const COPIES: InSync = InSync {
    a: Some(CopyId(0xa)),
    b: Some(CopyId(0xb)),
};

/// Whose reign is remembered by all.
fn durable(id: NodeId) -> Durable {
    let record = Record {
        epoch: Epoch {
            counter: 5,
            node: NodeId::B,
        },
        version: 0,
        primary: NodeId::B,
        in_sync: COPIES,
        voters: VOTERS,
        forced: false,
    };
    Durable {
        promised: record.epoch,
        reserved: record.epoch.counter,
        record: Some(record),
        effective: Some(record),
        ..Durable::blank(VOTERS.of(id))
    }
}

fn member(id: NodeId, now: Instant) -> Member {
    let config = pool::Config {
        id,
        advertise_interval: ms(200),
        lease: LEASE,
        remove_after: ms(800),
        switchover_timeout: ms(10_000),
        promote_timeout: ms(30_000),
        replicator_timeout: ms(2_000),
        stable: ms(30_000),
        active: false,
        durability: Durability::Available,
        offer: None,
    };
    Member::new(config, Some(durable(id)), 42 + id.index() as u64, now)
}

/// Does at once what it is told.
#[derive(Clone, Copy)]
struct Database {
    desired: Option<Desired>,
    copy: Option<CopyId>,
    lsn: u64,
}

impl Database {
    fn observed(&self, follower: Option<Follower>) -> Observed {
        let role = self.desired.map(|desired| desired.role);
        Observed {
            ticket: self
                .desired
                .map_or(Ticket::default(), |desired| desired.ticket),
            server: match role {
                None | Some(Role::Standby) => Server::Standby,
                Some(Role::Primary | Role::Retiring) => Server::Primary,
                Some(Role::Stopped) => Server::Stopped,
            },
            healthy: true,
            copy: self.copy,
            run: 1,
            synchronous: self.desired.and_then(|desired| desired.synchronous),
            position: Some(Position {
                timeline: 1,
                lsn: self.lsn,
            }),
            follower,
            checkpointed: role == Some(Role::Retiring),
        }
    }
}

struct Manager {
    node: Node,
    database: Database,
    /// Stopped until then: meets no deadline, reads nothing.
    frozen_until: Instant,
    queue: VecDeque<Envelope>,
    /// The kernel has the address, and admits clients, until then.
    address_until: Instant,
    gate_until: Instant,
}

/// A pool, its network without delay, and what its managers did.
struct Pool {
    managers: [Manager; 2],
    arbiter: Member,
    /// Reached by nobody.
    cut: Option<NodeId>,
    now: Instant,
    begin: Instant,
    trace: Vec<(u128, usize, String)>,
}

impl Pool {
    /// Just started, nobody Primary. a has the higher priority, and wakes first.
    fn new() -> Self {
        let now = Instant::ZERO + ms(3_600_000);
        let manager = |id: NodeId, value: u8| Manager {
            node: Node::new(
                Setup {
                    routers: vec![vrrpd_core::router::Config {
                        priority: priority(value),
                        ..governed()
                    }],
                    checks: vec![Check {
                        name: "disk".into(),
                        effect: Effect::Fault,
                        routers: Vec::new(),
                    }],
                },
                Some(member(id, now)),
            ),
            database: Database {
                desired: None,
                copy: COPIES.copy(id),
                lsn: 1_000,
            },
            frozen_until: Instant::ZERO,
            queue: VecDeque::new(),
            address_until: Instant::ZERO,
            gate_until: Instant::ZERO,
        };
        let mut pool = Self {
            managers: [manager(NodeId::A, 150), manager(NodeId::B, 100)],
            arbiter: member(NodeId::R, now),
            cut: None,
            now,
            begin: now,
            trace: Vec::new(),
        };
        let mut out = Vec::new();
        pool.arbiter.start(now, &mut out);
        for place in 0..2 {
            let own = ip(["192.0.2.11", "192.0.2.12"][place]);
            pool.tell(
                place,
                Event::Link {
                    interface: "eth0",
                    up: true,
                },
            );
            pool.tell(
                place,
                Event::Source {
                    interface: "eth0",
                    family: packet::Family::V4,
                    address: Some(own),
                },
            );
            pool.tell(place, Event::Startup);
            let state = CheckState::Good;
            pool.tell(place, Event::Checked { check: 0, state });
            pool.report(place);
        }
        pool
    }

    /// a serves, with b in sync.
    fn serving() -> Self {
        let mut pool = Self::new();
        pool.run(5_000);
        assert_eq!(pool.standing(0), Standing::Serving);
        assert_eq!(pool.states(), [StateName::Active, StateName::Backup]);
        let status = pool.managers[0].node.member().unwrap().status(pool.now);
        let record = status.durable.effective.unwrap();
        assert_eq!(record.in_sync, COPIES);
        pool.trace.clear();
        pool
    }

    fn tell(&mut self, place: usize, event: Event<'_>) {
        let mut out = Vec::new();
        self.managers[place].node.handle(event, self.now, &mut out);
        for action in out {
            self.perform(place, action);
        }
    }

    fn perform(&mut self, place: usize, action: Action) {
        if let Some(line) = line(&action) {
            let at = self.begin.until(self.now).as_millis();
            self.trace.push((at, place, line));
        }
        let manager = &mut self.managers[place];
        match action {
            Action::PoolSend(envelope) => self.send(envelope),
            Action::Database(desired) => manager.database.desired = Some(desired),
            Action::AddAddresses { until, .. } | Action::RenewAddresses { until, .. } => {
                manager.address_until = until;
            }
            Action::RemoveAddresses { .. } => manager.address_until = Instant::ZERO,
            Action::OpenGate { until } => manager.gate_until = until,
            Action::CloseGate => manager.gate_until = Instant::ZERO,
            Action::SendAdvert { .. }
            | Action::Announce { .. }
            | Action::Transition(_)
            | Action::Notice(_)
            | Action::Persist(_)
            | Action::Decided(_)
            | Action::Refused(_) => {}
        }
    }

    fn send(&mut self, envelope: Envelope) {
        if [envelope.from, envelope.to].map(Some).contains(&self.cut) {
            return;
        }
        match envelope.to {
            NodeId::A => self.managers[0].queue.push_back(envelope),
            NodeId::B => self.managers[1].queue.push_back(envelope),
            NodeId::R => {
                let mut out = Vec::new();
                let event = pool::Event::Received(envelope);
                self.arbiter.handle(event, self.now, &mut out);
                for action in out {
                    if let pool::Action::Send(answer) = action {
                        self.send(answer);
                    }
                }
            }
        }
    }

    /// The database has reconciled, and says so.
    fn report(&mut self, place: usize) {
        let other = &self.managers[1 - place].database;
        let follows = other
            .desired
            .is_some_and(|desired| desired.role == Role::Standby && desired.follow.is_some());
        let follower = other.copy.filter(|_| follows).map(|copy| Follower {
            copy,
            flushed: other.lsn,
        });
        let observed = self.managers[place].database.observed(follower);
        self.tell(place, Event::Database(observed));
    }

    /// One millisecond: what arrives, what is due, what the databases report.
    fn step(&mut self) {
        self.now = self.now + ms(1);
        for place in 0..2 {
            if self.managers[place].frozen_until > self.now {
                continue;
            }
            let due = self.managers[place].node.deadline();
            if due.is_some_and(|due| due <= self.now) {
                self.tell(place, Event::Wake);
            }
            while let Some(envelope) = self.managers[place].queue.pop_front() {
                self.tell(place, Event::PoolReceived(envelope));
            }
            if self.begin.until(self.now).as_millis().is_multiple_of(50) {
                self.report(place);
            }
        }
        self.check();
    }

    fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.step();
        }
    }

    /// What must always hold, and what must never. Kernel timers are moved when
    /// that is worth it, [`GRAIN`] at most.
    fn check(&self) {
        let mut holders = 0;
        let mut open = 0;
        for manager in &self.managers {
            holders += usize::from(manager.address_until > self.now);
            open += usize::from(manager.gate_until > self.now);
            assert!(
                manager.gate_until <= self.now.max(manager.address_until) + GRAIN,
                "the gate is open without the address"
            );
            if manager.frozen_until > self.now {
                continue;
            }
            let status = manager.node.member().unwrap().status(self.now);
            let active = manager.node.routers().next().unwrap().state() == StateName::Active;
            assert!(!active || status.reigns(), "Active, and not Primary");
            let ends = status.lease_until.map(|until| self.now.until(until));
            if status.alone || ends.is_some_and(|ends| ends > GRAIN) {
                let retiring = status.standing == Standing::HandingOver;
                // One that resumes waits for its first renewal.
                let resuming =
                    status.standing == Standing::Promoting && status.lease_until.is_none();
                assert!(active || retiring || resuming, "Primary, and not Active");
            }
            assert_eq!(active, manager.address_until > self.now);
        }
        assert!(holders <= 1, "two hold the address");
        assert!(open <= 1, "two admit clients");
    }

    fn standing(&self, place: usize) -> Standing {
        let member = self.managers[place].node.member().unwrap();
        member.status(self.now).standing
    }

    fn states(&self) -> [StateName; 2] {
        [0, 1].map(|place| {
            let mut routers = self.managers[place].node.routers();
            routers.next().map(Router::state).unwrap()
        })
    }

    /// What `place` did, in order: repeated lines of one kind once.
    fn lines(&self, place: usize) -> Vec<&str> {
        let lines = self.trace.iter().filter(|(_, who, _)| *who == place);
        let mut lines: Vec<_> = lines.map(|(_, _, line)| line.as_str()).collect();
        lines.dedup();
        lines
    }

    fn order(&mut self, order: Order) {
        self.tell(0, Event::Order(order));
    }

    fn advert(&mut self, place: usize, source: &str, value: u8) {
        let header = Header {
            source: ip(source),
            destination: ip("224.0.0.18"),
            hop_limit: 255,
        };
        let advert = Advert {
            version: Version::V3,
            vrid: Vrid::new(51).unwrap(),
            priority: Priority::new(value),
            interval: cs(20),
            addresses: Addresses::V4(vec!["192.0.2.100".parse().unwrap()]),
        };
        let payload = packet::encode(&advert, Form::Plain, header.source, header.destination);
        self.tell(
            place,
            Event::PacketReceived {
                interface: "eth0",
                header,
                payload: &payload,
            },
        );
    }
}

/// What tells of gain and loss; advertisements and renewals that only go on are
/// left out.
fn line(action: &Action) -> Option<String> {
    match action {
        Action::SendAdvert { payload, .. } if payload[2] == 0 => Some("priority 0".to_owned()),
        Action::SendAdvert { .. } => None,
        Action::AddAddresses { .. } => Some("address".to_owned()),
        Action::RenewAddresses { .. } => None,
        Action::RemoveAddresses { .. } => Some("no address".to_owned()),
        Action::Announce { .. } => Some("announce".to_owned()),
        Action::Transition(transition) => Some(format!("{} now", transition.to)),
        Action::Notice(_) => None,
        Action::Persist(_) => None,
        Action::PoolSend(envelope) => match envelope.body {
            Body::Release { .. } => Some("release".to_owned()),
            Body::Claim { .. } => Some("claim".to_owned()),
            Body::Hello { .. }
            | Body::Deny { .. }
            | Body::Promise { .. }
            | Body::Accept { .. }
            | Body::Accepted { .. }
            | Body::Renew { .. }
            | Body::Renewed { .. } => None,
        },
        Action::OpenGate { .. } => Some("gate".to_owned()),
        Action::CloseGate => Some("no gate".to_owned()),
        Action::Database(desired) => Some(
            match desired.role {
                Role::Standby => "standby",
                Role::Primary => "primary",
                Role::Retiring => "checkpoint",
                Role::Stopped => "stop",
            }
            .to_owned(),
        ),
        Action::Decided(_) => None,
        Action::Refused(refusal) => Some(format!("refused: {refusal}")),
    }
}

/// The highest epoch that manager a knows.
fn epoch(pool: &Pool) -> Epoch {
    let status = pool.managers[0].node.member().unwrap().status(pool.now);
    status.durable.record.unwrap().epoch
}

#[test]
fn starts_fenced() {
    let pool = Pool::new();
    assert_eq!(
        pool.lines(0),
        [
            "no address",
            "no gate",
            "standby",
            "no address",
            "Backup now"
        ]
    );
}

#[test]
fn gains_right_promotion_address_announcement_gate() {
    let mut pool = Pool::new();
    pool.trace.clear();
    pool.run(3_000);
    assert_eq!(
        pool.lines(0),
        [
            "claim",
            "standby",
            "primary",
            "address",
            "announce",
            "Active now",
            // The other is in sync: commits wait for it.
            "primary",
            "gate",
        ]
    );
}

#[test]
fn a_switchover_loses_gate_database_address_and_then_says_so() {
    let mut pool = Pool::serving();
    let epoch = epoch(&pool);
    pool.order(Order::Switchover { epoch });
    pool.run(3_000);
    assert_eq!(pool.states(), [StateName::Backup, StateName::Active]);
    assert_eq!(
        pool.lines(0),
        [
            "checkpoint",
            "no gate",
            "stop",
            "no address",
            "priority 0",
            "Backup now",
            "release",
            "standby",
        ]
    );
    assert_eq!(pool.standing(1), Standing::Serving);
}

#[test]
fn a_fault_loses_gate_database_address_and_then_says_so() {
    let mut pool = Pool::serving();
    let state = CheckState::Failing;
    pool.tell(0, Event::Checked { check: 0, state });
    pool.run(3_000);
    assert_eq!(pool.states(), [StateName::Initialize, StateName::Active]);
    assert_eq!(
        pool.lines(0),
        [
            "no gate",
            "stop",
            "no address",
            "priority 0",
            "Backup now",
            "Initialize now",
            "release",
            "standby",
        ]
    );
}

#[test]
fn a_fault_that_nobody_can_take_over_from_is_held() {
    let mut pool = Pool::serving();
    pool.managers[1].frozen_until = pool.now + ms(1_000_000);
    pool.run(2_000);
    let state = CheckState::Failing;
    pool.tell(0, Event::Checked { check: 0, state });
    pool.run(3_000);
    assert_eq!(pool.states()[0], StateName::Active);
    assert!(
        pool.managers[0]
            .node
            .routers()
            .next()
            .unwrap()
            .fault()
            .is_some()
    );
}

#[test]
fn cut_off_it_gives_up_gate_database_and_address_in_time() {
    let mut pool = Pool::serving();
    pool.cut = Some(NodeId::A);
    pool.run(2_000);
    assert_eq!(
        pool.lines(0),
        [
            "no gate",
            "standby",
            "no address",
            "Backup now",
            "no address",
            "claim",
        ]
    );
    assert_eq!(pool.states(), [StateName::Backup, StateName::Active]);
}

#[test]
fn frozen_it_gives_everything_up_before_it_reads_anything() {
    let mut pool = Pool::serving();
    pool.managers[0].frozen_until = pool.now + ms(5_000);
    pool.run(4_999);
    assert_eq!(pool.states()[1], StateName::Active);
    pool.trace.clear();
    pool.now = pool.now + ms(1);
    pool.advert(0, "192.0.2.12", 100);
    assert_eq!(
        pool.lines(0),
        [
            "no gate",
            "standby",
            "no address",
            "Backup now",
            "no address"
        ]
    );
}

#[test]
fn shutdown_hands_over_and_then_stops() {
    let mut pool = Pool::serving();
    pool.tell(0, Event::Shutdown);
    assert!(!pool.managers[0].node.has_stopped(pool.now));
    pool.run(3_000);
    assert!(pool.managers[0].node.has_stopped(pool.now));
    assert_eq!(
        pool.lines(0),
        [
            "no gate",
            "stop",
            "no address",
            "priority 0",
            "Backup now",
            "release",
            "standby",
            "Initialize now",
            "standby",
        ]
    );
    assert_eq!(pool.states()[1], StateName::Active);
}

/// Adverts that anybody on the LAN could send.
fn forged() -> impl Strategy<Value = Vec<(u64, usize, bool, u8)>> {
    let advert = (0..400u64, 0..2usize, any::<bool>(), any::<u8>());
    proptest::collection::vec(advert, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Neither while all is well nor while the arbiter is not reached does an
    /// advertisement change who is Primary, when, or in which order.
    #[test]
    fn no_advertisement_moves_anything(forged in forged(), cut in any::<bool>()) {
        let mut quiet = Pool::serving();
        let mut noisy = Pool::serving();
        for pool in [&mut quiet, &mut noisy] {
            pool.cut = cut.then_some(NodeId::R);
        }
        for (after, place, larger, value) in forged {
            quiet.run(after);
            noisy.run(after);
            let source = if larger { LARGER } else { SMALLER };
            noisy.advert(place, source, value);
        }
        quiet.run(1_000);
        noisy.run(1_000);
        let moves = |pool: &Pool| -> Vec<_> {
            let moves = pool.trace.iter().filter(|(_, _, line)| line != "announce");
            moves.cloned().collect()
        };
        prop_assert_eq!(moves(&quiet), moves(&noisy));
        prop_assert_eq!(noisy.states(), [StateName::Active, StateName::Backup]);
    }

    /// Whatever is frozen and cut, [`Pool::check`] holds at every millisecond,
    /// and in the end one is Active and serves.
    #[test]
    fn active_is_who_is_primary(
        troubles in proptest::collection::vec((0..2_000u64, 0..5usize, 0..3_000u64), 0..8),
    ) {
        let mut pool = Pool::serving();
        for (after, kind, span) in troubles {
            pool.run(after);
            match kind {
                0 | 1 => pool.managers[kind].frozen_until = pool.now + ms(span),
                2 => pool.cut = Some(NodeId::A),
                3 => pool.cut = Some(NodeId::B),
                _ => pool.cut = None,
            }
        }
        pool.cut = None;
        pool.run(12_000);
        let active = pool.states().map(|state| state == StateName::Active);
        prop_assert_eq!(active.iter().filter(|active| **active).count(), 1);
        let active = usize::from(active[1]);
        prop_assert_eq!(pool.standing(active), Standing::Serving);
    }
}
