//! A manager: its virtual routers, its checks, and its membership in a pool.
//!
//! The driver gives [`Event`]s and performs [`Action`]s in their order. In a
//! pool, the routers' orders stand where the pool member ordered them to hold
//! or to drop the addresses: gaining is right, promotion, address, gate; losing
//! is gate, database, address, priority 0 (VRRP.md, trap 12).
//!
//! ```no_run
//! # fn perform(action: vrrpd_core::node::Action) {}
//! # let (setup, now) = (vrrpd_core::node::Setup::default(), vrrpd_core::time::Instant::ZERO);
//! use vrrpd_core::node::{Event, Node};
//!
//! let mut node = Node::new(setup, None);
//! let mut out = Vec::new();
//! node.handle(Event::Link { interface: "eth0", up: true }, now, &mut out);
//! node.handle(Event::Startup, now, &mut out);
//! out.drain(..).for_each(perform);
//! let _sleep_until = node.deadline();
//! ```

mod action;
mod groups;
mod interfaces;
mod reload;
mod wakes;

use std::net::IpAddr;

use crate::packet::{self, Family, Header, Priority, Refusals};
use crate::pool::member::Member;
use crate::pool::status::Standing;
use crate::pool::{self, Ending};
use crate::priority::{self, CheckState};
use crate::router::{self, Fault, Router, StateName};
use crate::time::Instant;
use action::address;
use groups::Groups;
use interfaces::Interfaces;
use wakes::Wakes;

pub use action::{Action, Event, Setup};

/// A manager.
#[derive(Debug)]
pub struct Node {
    setup: Setup,
    /// What each check said last.
    checks: Vec<CheckState>,
    routers: Vec<Router>,
    interfaces: Interfaces,
    groups: Groups,
    wakes: Wakes,
    member: Option<Member>,
    /// What the member was told last.
    priority: Option<u8>,
    /// The pool gave the addresses until then.
    held_until: Option<Instant>,
    running: bool,
    stopping: bool,
    refused: Refusals,
}

impl Node {
    /// A manager that has not begun. `member` is not started yet: the node does.
    ///
    /// # Panics
    ///
    /// If a virtual router's configuration is not legal, two are the same, or
    /// one is governed without a pool or competes within one.
    pub fn new(mut setup: Setup, member: Option<Member>) -> Self {
        groups::appoint(&mut setup.routers);
        let mut node = Self {
            checks: vec![CheckState::Unknown; setup.checks.len()],
            routers: Vec::new(),
            interfaces: Interfaces::default(),
            groups: Groups::default(),
            wakes: Wakes::default(),
            priority: None,
            held_until: None,
            running: false,
            stopping: false,
            refused: Refusals::default(),
            setup,
            member,
        };
        node.assert_governed();
        node.routers = node
            .setup
            .routers
            .iter()
            .cloned()
            .map(Router::new)
            .collect();
        node.register();
        node
    }

    /// Handles one event; `now` never goes back.
    ///
    /// A Primary whose right to the addresses has ended gives up gate, database
    /// and addresses *first*, whatever the event (VRRP.md, traps 12 and 19).
    pub fn handle(&mut self, event: Event<'_>, now: Instant, out: &mut Vec<Action>) {
        self.expire(now, out);
        match event {
            Event::Startup => self.on_startup(now, out),
            Event::Shutdown => self.stopping = true,
            Event::Wake => self.on_wake(now, out),
            Event::PacketReceived {
                interface,
                header,
                payload,
            } => self.on_packet(interface, &header, payload, now, out),
            Event::PacketMalformed { .. } => {
                self.refused.count(packet::Refusal::IpHeader);
            }
            Event::Link { interface, up } => self.on_link(interface, up, now, out),
            Event::Source {
                interface,
                family,
                address,
            } => self.on_source(interface, family, address, now, out),
            Event::AddressDeleted { interface, address } => {
                for router in self.interfaces.routers(interface) {
                    self.tell(router, router::Event::AddressDeleted(address), now, out);
                }
            }
            Event::Checked { check, state } => self.on_checked(check, state, now, out),
            Event::Reload(setup) => self.on_reload(setup, now, out),
            Event::PoolReceived(envelope) => {
                self.tell_member(pool::Event::Received(envelope), now, out);
            }
            Event::Database(observed) => {
                self.tell_member(pool::Event::Database(observed), now, out);
            }
            Event::ReplicatorLost => self.tell_member(pool::Event::ReplicatorLost, now, out),
            Event::Order(order) => self.tell_member(pool::Event::Order(order), now, out),
        }
        self.follow(now, out);
    }

    /// When [`Event::Wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let member = self.member.as_ref().filter(|_| self.running);
        let member = member.and_then(Member::deadline);
        self.wakes.first().into_iter().chain(member).min()
    }

    /// After [`Event::Shutdown`]: whether everything has been given up.
    pub fn has_stopped(&self, now: Instant) -> bool {
        let reigns = self
            .member
            .as_ref()
            .is_some_and(|member| reigns(member.status(now).standing));
        let stopped = |router: &Router| router.fault() == Some(Fault::Stopped);
        self.stopping && !reigns && self.routers.iter().all(stopped)
    }

    /// The virtual routers, in the configuration's order.
    pub fn routers(&self) -> impl Iterator<Item = &Router> {
        self.routers.iter()
    }

    /// The groups whose members are all in one state, and in which.
    pub fn groups(&self) -> impl Iterator<Item = (&str, StateName)> {
        self.groups.states(&self.routers)
    }

    /// The party of the pool.
    pub fn member(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Packets that were refused and belong to no virtual router.
    pub fn refused(&self) -> &Refusals {
        &self.refused
    }

    /// The configuration in force.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The member looks at its lease before a router finds its addresses gone:
    /// the gate goes before them.
    fn expire(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.held_until.is_some_and(|until| until <= now) {
            self.held_until = None;
            self.tell_member(pool::Event::Wake, now, out);
        }
    }

    fn on_startup(&mut self, now: Instant, out: &mut Vec<Action>) {
        if core::mem::replace(&mut self.running, true) {
            return;
        }
        for router in 0..self.routers.len() {
            self.start(router, now, out);
        }
        if let Some(member) = &mut self.member {
            let mut orders = Vec::new();
            member.start(now, &mut orders);
            self.obey(orders, now, out);
        }
    }

    /// Tells a router all that is known, and to begin.
    fn start(&mut self, router: usize, now: Instant, out: &mut Vec<Action>) {
        let config = self.routers[router].config();
        let identity = &config.identity;
        let (up, source) = self.interfaces.facts(&identity.interface, identity.family);
        if up {
            self.tell(router, router::Event::InterfaceUp, now, out);
        }
        self.tell(router, router::Event::SourceChanged(source), now, out);
        let standing = self.standing(self.routers[router].config());
        self.tell(router, router::Event::StandingChanged(standing), now, out);
        self.tell(router, router::Event::Startup, now, out);
    }

    fn on_wake(&mut self, now: Instant, out: &mut Vec<Action>) {
        for router in self.wakes.due(now) {
            self.tell(router, router::Event::Wake, now, out);
        }
        let due = self.member.as_ref().and_then(Member::deadline);
        if due.is_some_and(|due| due <= now) {
            self.tell_member(pool::Event::Wake, now, out);
        }
    }

    fn on_packet(
        &mut self,
        interface: &str,
        header: &Header,
        payload: &[u8],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let family = Family::of(header.source);
        let router = packet::peek_vrid(payload)
            .and_then(|vrid| self.interfaces.router(interface, family, vrid));
        let least = router.map_or(packet::HOP_LIMIT, |router| {
            self.routers[router].config().min_hop_limit
        });
        let decoded = packet::decode_routed(header, payload, least);
        let source = header.source;
        match (router, decoded) {
            (Some(router), Ok(received)) => {
                self.tell(router, router::Event::AdvertReceived(received), now, out);
            }
            (Some(router), Err(refusal)) => {
                let event = router::Event::PacketRefused { refusal, source };
                self.tell(router, event, now, out);
            }
            (None, Ok(_)) => {
                self.refused.count(packet::Refusal::UnknownVrid);
            }
            (None, Err(refusal)) => {
                self.refused.count(refusal);
            }
        }
    }

    fn on_link(&mut self, name: &str, up: bool, now: Instant, out: &mut Vec<Action>) {
        self.interfaces.set_up(name, up);
        for router in self.interfaces.routers(name) {
            let event = if up {
                router::Event::InterfaceUp
            } else {
                router::Event::InterfaceDown
            };
            self.tell_running(router, event, now, out);
        }
    }

    fn on_source(
        &mut self,
        name: &str,
        family: Family,
        address: Option<IpAddr>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        self.interfaces.set_source(name, family, address);
        for router in self.interfaces.routers(name) {
            if self.routers[router].config().identity.family == family {
                self.tell_running(router, router::Event::SourceChanged(address), now, out);
            }
        }
    }

    fn on_checked(&mut self, check: usize, state: CheckState, now: Instant, out: &mut Vec<Action>) {
        let Some(known) = self.checks.get_mut(check) else {
            return;
        };
        *known = state;
        for router in 0..self.routers.len() {
            let standing = self.standing(self.routers[router].config());
            let event = router::Event::StandingChanged(standing);
            self.tell_running(router, event, now, out);
        }
    }

    /// What follows from the event: the member's priority, and stopping.
    fn follow(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.running {
            return;
        }
        if self.member.is_some() {
            let priority = self.member_priority();
            if self.priority.replace(priority) != Some(priority) {
                self.tell_member(pool::Event::Priority(priority), now, out);
            }
        }
        if self.stopping {
            self.stop(now, out);
        } else {
            self.synchronise(now, out);
        }
    }

    /// The members of a group go where one of them has to go; they become Active
    /// when each of them would.
    fn synchronise(&mut self, now: Instant, out: &mut Vec<Action>) {
        for group in self.groups.touched() {
            for (router, event) in self.groups.news(&group, &self.routers) {
                self.tell(router, event, now, out);
            }
            for router in self.groups.ready(&group, &self.routers) {
                self.tell(router, router::Event::MatesReady, now, out);
            }
        }
        self.groups.settle();
    }

    /// The lowest of its virtual routers, 0 while one of them has a fault.
    fn member_priority(&self) -> u8 {
        if self.stopping {
            return 0;
        }
        let ranks = self.routers.iter().map(|router| match router.fault() {
            Some(_) => 0,
            None => router.priority().map_or(0, Priority::as_u8),
        });
        ranks
            .min()
            .unwrap_or(DEFAULT_PRIORITY)
            .min(Priority::BACKUP_MAX.as_u8())
    }

    /// Priority 0 makes a Primary hand over to a peer that can follow it. If
    /// none can, the reign ends here; the routers go when the addresses have.
    fn stop(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(member) = &mut self.member {
            let standing = member.status(now).standing;
            if matches!(standing, Standing::Promoting | Standing::Serving) {
                let mut orders = Vec::new();
                member.end_reign(Ending::Fault, now, &mut orders);
                self.obey(orders, now, out);
            } else if reigns(standing) {
                return;
            }
        }
        for router in 0..self.routers.len() {
            self.tell(router, router::Event::Shutdown, now, out);
        }
    }

    fn tell_member(&mut self, event: pool::Event, now: Instant, out: &mut Vec<Action>) {
        let Some(member) = self.member.as_mut().filter(|_| self.running) else {
            return;
        };
        let mut orders = Vec::new();
        member.handle(event, now, &mut orders);
        self.obey(orders, now, out);
    }

    /// The member's orders, the routers' among them in their place.
    fn obey(&mut self, orders: Vec<pool::Action>, now: Instant, out: &mut Vec<Action>) {
        for order in orders {
            match order {
                pool::Action::Persist(durable) => out.push(Action::Persist(durable)),
                pool::Action::Send(envelope) => out.push(Action::PoolSend(envelope)),
                pool::Action::Hold { until } => {
                    self.held_until = self.held_until.max(Some(until));
                    self.tell_all(&router::Event::Hold { until }, now, out);
                }
                pool::Action::Drop => {
                    self.held_until = None;
                    self.tell_all(&router::Event::Drop, now, out);
                }
                pool::Action::OpenGate { until } => out.push(Action::OpenGate { until }),
                pool::Action::CloseGate => out.push(Action::CloseGate),
                pool::Action::Database(desired) => out.push(Action::Database(desired)),
                pool::Action::Decided(decision) => out.push(Action::Decided(decision)),
                pool::Action::Refused(refusal) => out.push(Action::Refused(refusal)),
            }
        }
    }

    fn tell_all(&mut self, event: &router::Event, now: Instant, out: &mut Vec<Action>) {
        for router in 0..self.routers.len() {
            self.tell(router, event.clone(), now, out);
        }
    }

    /// Before the start, facts are kept and told then.
    fn tell_running(
        &mut self,
        router: usize,
        event: router::Event,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if self.running {
            self.tell(router, event, now, out);
        }
    }

    fn tell(&mut self, router: usize, event: router::Event, now: Instant, out: &mut Vec<Action>) {
        let mut orders = Vec::new();
        let before = self.routers[router].state();
        self.routers[router].handle(event, now, &mut orders);
        self.groups.note(router, before, &self.routers[router]);
        self.wakes.set(router, self.routers[router].deadline());
        for order in orders {
            address(&self.routers[router], order, out);
        }
    }

    fn standing(&self, config: &router::Config) -> router::Standing {
        let checks = self.setup.checks.iter().zip(self.checks.iter().copied());
        priority::standing(config.priority, &config.identity.name, checks)
    }

    /// Who lives where, and when each is due.
    fn register(&mut self) {
        self.interfaces.register(&self.routers);
        self.groups = Groups::of(&self.setup.routers);
        self.wakes = Wakes::of(&self.routers);
    }

    fn assert_governed(&self) {
        let governed = self.member.is_some();
        assert!(
            self.setup
                .routers
                .iter()
                .all(|config| config.governed == governed),
            "virtual routers are governed exactly when there is a pool"
        );
    }
}

/// The member's priority when it has no virtual router.
const DEFAULT_PRIORITY: u8 = 100;

/// Whether the manager has, or is giving up, what only a Primary has.
const fn reigns(standing: Standing) -> bool {
    match standing {
        Standing::Blank | Standing::Online | Standing::Claiming => false,
        Standing::Promoting | Standing::Serving | Standing::HandingOver | Standing::Releasing => {
            true
        }
    }
}
