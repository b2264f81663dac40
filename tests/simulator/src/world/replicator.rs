//! The replicators: they receive orders, bring the server to the role that
//! is ordered, and report what is.

use vrrpd_core::pool::Event;
use vrrpd_core::pool::database::{Desired, Observed, Role, Server};
use vrrpd_core::pool::record::NodeId;

use super::{What, World};
use crate::clock::{MICROS, MILLIS, Nanos};
use crate::manager::{Manager, Task};
use crate::plan::Flaw;

/// A position that moves is reported so often.
const REPORT_EVERY: Nanos = 10 * MILLIS;

/// A replicator is silent no longer than this.
const HEARTBEAT: Nanos = 200 * MILLIS;

/// The replicator looks again so often at what it waits for.
const RETRY: Nanos = 25 * MILLIS;

impl World {
    /// Starts the replicator of a powered host.
    pub fn start_replicator(&mut self, id: NodeId) {
        if !self.host(id).power || self.manager(id).replicator {
            return;
        }
        let manager = self.manager_mut(id);
        manager.replicator = true;
        manager.order = None;
        manager.orders.clear();
        manager.reports.clear();
        self.connect_socket(id);
    }

    /// Ends the replicator; the server goes on as it is.
    pub fn kill_replicator(&mut self, id: NodeId) {
        if !self.manager(id).replicator {
            return;
        }
        self.say(format_args!("{id}'s replicator dies"));
        let manager = self.manager_mut(id);
        manager.replicator = false;
        manager.connected = false;
        manager.socket += 1;
        manager.orders.clear();
        manager.reports.clear();
        manager.reported = None;
        let interrupted = manager.task.is_some_and(|task| task != Task::Kill);
        if interrupted && !matches!(manager.task, Some(Task::Promote)) {
            // Its children die with it; a promotion is the server's own.
            self.end_server(id, Server::Down);
        }
        self.feed(id, Event::ReplicatorLost);
    }

    /// Both ends are there, or will be: they connect soon.
    pub(crate) fn connect_socket(&mut self, id: NodeId) {
        let delay = self.random.between(MILLIS, 20 * MILLIS);
        let socket = self.manager(id).socket;
        self.after(delay, What::Connect(id, socket));
    }

    /// The daemon's end is gone: reports on their way are lost, orders are
    /// still read.
    pub(crate) fn drop_socket(&mut self, id: NodeId) {
        let manager = self.manager_mut(id);
        manager.connected = false;
        manager.socket += 1;
        manager.reports.clear();
        manager.reported = None;
        let left = manager.orders.len();
        let socket = manager.socket;
        for _ in 0..left {
            self.after(MILLIS, What::Order(id, socket));
        }
    }

    pub(crate) fn on_connect(&mut self, id: NodeId, socket: u32) {
        let ready = self.host(id).daemon.is_some() && self.manager(id).replicator;
        let manager = self.manager_mut(id);
        if !ready || manager.connected || manager.socket != socket {
            return;
        }
        manager.connected = true;
        manager.reported = None;
        if let Some(desired) = self.present_order(id) {
            self.send_order(id, desired);
        }
        self.report(id);
    }

    /// How long a line on the socket takes.
    fn socket_delay(&mut self, id: NodeId) -> Nanos {
        let slow = self.sockets[id.index()];
        self.random.between(50 * MICROS, MILLIS) + self.random.below(slow)
    }

    pub(crate) fn slow_socket(&mut self, id: NodeId, by: Nanos) {
        self.sockets[id.index()] = by;
    }

    pub(crate) fn send_order(&mut self, id: NodeId, desired: Desired) {
        if !self.manager(id).connected {
            return;
        }
        let delay = self.socket_delay(id);
        let manager = self.manager_mut(id);
        manager.orders.push_back(desired);
        let socket = manager.socket;
        self.after(delay, What::Order(id, socket));
    }

    pub(crate) fn on_order(&mut self, id: NodeId, socket: u32) {
        let awake = self.host(id).is_awake();
        let manager = self.manager_mut(id);
        if manager.socket != socket || !manager.replicator {
            return;
        }
        if !awake {
            self.after(5 * MILLIS, What::Order(id, socket));
            return;
        }
        let Some(order) = manager.orders.pop_front() else {
            return;
        };
        let before = manager.order.replace(order);
        if before.map(|before| before.role) != Some(order.role) {
            manager.checkpointed = false;
            manager.served &= Manager::is_read_write(order.role);
        }
        self.reconcile(id);
    }

    pub(crate) fn reconcile_later(&mut self, id: NodeId) {
        let manager = self.manager_mut(id);
        if !manager.retrying {
            manager.retrying = true;
            self.after(RETRY, What::Reconcile(id));
        }
    }

    pub(crate) fn on_reconcile(&mut self, id: NodeId) {
        self.manager_mut(id).retrying = false;
        self.reconcile(id);
    }

    /// Takes the order up: the next piece of work towards it, if any is left.
    pub(crate) fn reconcile(&mut self, id: NodeId) {
        let manager = &self.managers[id.index()];
        let Some(order) = manager.order else {
            return;
        };
        if !manager.replicator || !self.hosts[id.index()].power {
            return;
        }
        if !self.hosts[id.index()].is_awake() {
            self.reconcile_later(id);
            return;
        }
        if manager.task.is_some() {
            let stuck = manager.task == Some(Task::Promote)
                && manager.failed
                && !Manager::is_read_write(order.role);
            if stuck {
                self.kill_database(id);
            }
            return;
        }
        let manager = self.manager_mut(id);
        manager.reconciled = order.ticket;
        manager.epoch = order.epoch;
        let relaxes = self.plan.flaw == Some(Flaw::RelaxesBeforeStopping);
        if Manager::is_read_write(order.role) || relaxes {
            self.set_synchronous(id, order.synchronous);
        }
        match order.role {
            Role::Standby => self.towards_standby(id, &order),
            Role::Primary | Role::Retiring => self.towards_primary(id, &order),
            Role::Stopped => self.towards_stopped(id),
        }
        self.report(id);
    }

    fn towards_standby(&mut self, id: NodeId, order: &Desired) {
        match self.manager(id).server {
            Server::Primary => self.begin(id, Task::Kill),
            Server::Down | Server::Stopped => self.start_or_copy(id, order),
            Server::Standby => self.tend_stream(id, order),
            Server::Busy => {}
        }
    }

    /// Whether a rewind is needed is judged from the two histories.
    fn start_or_copy(&mut self, id: NodeId, order: &Desired) {
        let leader = order
            .follow
            .filter(|&leader| self.can_follow(id, leader) && self.is_meant(leader, order));
        let ruined = self.manager(id).directory.ruined;
        let diverged = leader.is_some_and(|leader| !self.is_prefix(id, leader));
        match leader {
            Some(leader) if ruined || diverged => self.begin(id, Task::Copy(leader)),
            _ if ruined => self.reconcile_later(id),
            _ => self.begin(id, Task::Start),
        }
    }

    /// Whether the directory of `id` is the copy that `order` is meant for.
    pub(crate) fn is_meant(&self, id: NodeId, order: &Desired) -> bool {
        let copy = self.manager(id).directory.copy;
        copy.is_some() && copy == order.copy || self.plan.flaw == Some(Flaw::IgnoresCopy)
    }

    fn towards_primary(&mut self, id: NodeId, order: &Desired) {
        let manager = self.manager(id);
        match manager.server {
            Server::Down | Server::Stopped => {
                if !manager.directory.ruined && self.may_start(manager, order.role) {
                    self.begin(id, Task::Start);
                }
            }
            Server::Standby => {
                if !manager.failed && self.is_meant(id, order) {
                    self.begin(id, Task::Promote);
                }
            }
            Server::Primary => {
                let manager = self.manager_mut(id);
                manager.served = true;
                manager.reign = manager.epoch;
                manager.checkpointed |= order.role == Role::Retiring && !manager.hung;
            }
            Server::Busy => {}
        }
    }

    fn towards_stopped(&mut self, id: NodeId) {
        match self.manager(id).server {
            Server::Primary => {
                if self.manager(id).hung {
                    self.kill_database(id);
                } else {
                    self.begin(id, Task::Stop);
                }
            }
            Server::Standby => self.begin(id, Task::Stop),
            Server::Down | Server::Stopped | Server::Busy => {}
        }
    }

    /// Sends a report if anything has changed; of a mere move, later.
    pub(crate) fn report(&mut self, id: NodeId) {
        let manager = &self.managers[id.index()];
        if !manager.connected || !manager.replicator {
            return;
        }
        let observed = self.observe(id);
        let Some(before) = self.manager(id).reported else {
            self.send_report(id, observed);
            return;
        };
        if before == observed {
            return;
        }
        let still = Observed {
            position: observed.position,
            follower: observed.follower.map(|follower| {
                let flushed = before.follower.map_or(0, |before| before.flushed);
                vrrpd_core::pool::database::Follower {
                    flushed,
                    ..follower
                }
            }),
            ..observed
        };
        let moved = Observed {
            position: observed.position,
            ..before
        } == still;
        if !moved {
            self.send_report(id, observed);
        } else if !self.manager(id).reporting {
            self.manager_mut(id).reporting = true;
            self.after(REPORT_EVERY, What::ReportMoved(id));
        }
    }

    fn observe(&self, id: NodeId) -> Observed {
        let mut observed = self.manager(id).observe(&self.ledger);
        let manager = self.manager(id);
        match self.plan.flaw {
            Some(Flaw::ReportsSynchronousEarly) => {
                observed.synchronous = manager.synchronous.wanted;
            }
            Some(Flaw::ReadsPositionEarly) => {
                observed.position = manager
                    .reported
                    .and_then(|reported| reported.position)
                    .or(observed.position);
            }
            Some(
                Flaw::KeepsCopyId
                | Flaw::RestartsUnasked
                | Flaw::RelaxesBeforeStopping
                | Flaw::IgnoresCopy
                | Flaw::SendsBeforePersisting
                | Flaw::FencesDoNotExpire,
            )
            | None => {}
        }
        observed
    }

    fn send_report(&mut self, id: NodeId, observed: Observed) {
        let delay = self.socket_delay(id);
        let manager = self.manager_mut(id);
        manager.reported = Some(observed);
        manager.reports.push_back(observed);
        manager.said += 1;
        let (socket, said) = (manager.socket, manager.said);
        self.after(delay, What::Report(id, socket));
        self.after(HEARTBEAT, What::Heartbeat(id, said));
    }

    /// Nothing was reported for a while.
    pub(crate) fn on_heartbeat(&mut self, id: NodeId, said: u64) {
        let manager = self.manager(id);
        if manager.said != said || !manager.connected || !manager.replicator {
            return;
        }
        if self.host(id).is_awake() {
            let observed = self.observe(id);
            self.send_report(id, observed);
        } else {
            self.after(HEARTBEAT, What::Heartbeat(id, said));
        }
    }

    pub(crate) fn on_report_moved(&mut self, id: NodeId) {
        self.manager_mut(id).reporting = false;
        let manager = &self.managers[id.index()];
        if !manager.connected || !manager.replicator || !self.host(id).is_awake() {
            return;
        }
        let observed = self.observe(id);
        if self.manager(id).reported != Some(observed) {
            self.send_report(id, observed);
        }
    }

    pub(crate) fn on_report(&mut self, id: NodeId, socket: u32) {
        if self.manager(id).socket != socket {
            return;
        }
        if let Some(observed) = self.manager_mut(id).reports.pop_front() {
            self.feed(id, Event::Database(observed));
        }
    }
}
