//! Faults: what the swarm injects, and how each ends.

use vrrpd_core::pool::database::Server;
use vrrpd_core::pool::record::{Epoch, Incarnation, NodeId};
use vrrpd_core::pool::{Decision, Event, Order};

use super::database::Promotion;
use super::{MANAGERS, What, World};
use crate::check::Right;
use crate::clock::{MILLIS, Nanos};
use crate::kernel::Kernel;
use crate::plan::{Fault, Plan};

/// How a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    /// One way is whole again.
    JoinOneWay(NodeId, NodeId),
    /// Both ways are.
    Join(NodeId, NodeId),
    /// A host reaches the others again.
    Rejoin(NodeId),
    /// Replication passes again.
    JoinReplication,
    /// Messages of a kind pass again.
    Unmute(super::network::Mute),
    /// The link flaps once more, so many times.
    Flap(NodeId, NodeId, u32),
    /// A stopped daemon is continued.
    Continue(NodeId),
    /// A suspended machine wakes.
    Resume(NodeId),
    /// A paused machine goes on.
    Unpause(NodeId),
    /// The disk is fast again.
    FastDisk(NodeId),
    /// The checkpointer is.
    FastCheckpointer(NodeId),
    /// The replicator is.
    FastSocket(NodeId),
    /// Writes go on.
    Unhang(NodeId),
    /// The weather is as usual.
    Calm,
    /// Checks are as usual.
    Priority(NodeId),
}

/// A state directory that went back, and whose peers must remember it until
/// it has heard so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
}

impl World {
    /// Faults happen from now on.
    pub fn unleash(&mut self) {
        self.faulty = true;
        self.after(self.plan.pace, What::Fault);
    }

    /// A decision is a moment worth a fault, just after it or a little later.
    pub(crate) fn provoke(&mut self, id: NodeId, decision: &Decision) {
        let idle = matches!(
            decision,
            Decision::Denied { .. } | Decision::Notices { .. } | Decision::Abandons { .. }
        );
        if !self.faulty || idle || !self.random.chance(self.plan.provoked) {
            return;
        }
        let lease = self.plan.lease_nanos();
        let span = self.random.pick(&[MILLIS / 10, 2 * MILLIS, lease / 3]);
        let span = self.random.below(span);
        self.after(span, What::Provoked(id));
    }

    pub(crate) fn on_provoked(&mut self, id: NodeId) {
        if self.faulty {
            self.focus = Some(id);
            self.strike();
            self.focus = None;
        }
    }

    fn strike(&mut self) {
        if let Some(fault) = self.plan.draw(&mut self.random)
            && !self.is_settling_rollback()
        {
            self.tally.faults += 1;
            self.inject(fault);
        }
    }

    pub(crate) fn on_fault(&mut self) {
        if !self.faulty {
            return;
        }
        self.strike();
        let pause = self.random.below(self.plan.pace * 2);
        self.after(pause, What::Fault);
    }

    /// A while: often within a lease, sometimes many.
    fn span(&mut self) -> Nanos {
        let lease = self.plan.lease_nanos();
        match self.random.below(10) {
            0..3 => self.random.between(lease / 16, lease),
            3..6 => self.random.between(lease, lease * 2),
            6..9 => self.random.between(lease * 2, lease * 8),
            _ => self.random.between(lease * 8, lease * 20),
        }
    }

    fn any(&mut self) -> NodeId {
        match self.focus {
            Some(id) if self.random.chance(600) => id,
            _ => self.random.pick(&NodeId::ALL),
        }
    }

    /// A manager, more often the one that is Primary.
    fn any_manager(&mut self) -> NodeId {
        let focus = self.focus.filter(|&id| id != NodeId::R);
        match (focus, self.reign) {
            (Some(id), _) if self.random.chance(600) => id,
            (_, Some(reign)) if self.random.chance(400) => reign.node,
            _ => self.random.pick(&MANAGERS),
        }
    }

    fn pair(&mut self) -> (NodeId, NodeId) {
        let one = self.any();
        let others = one.others();
        (one, self.random.pick(&others))
    }

    fn mend_after(&mut self, span: Nanos, mend: Mend) {
        let place = self.mend_place(mend);
        self.after(span, What::Mend(place));
    }

    pub(crate) fn mend_place(&mut self, mend: Mend) -> usize {
        self.mends.push(mend);
        self.mends.len() - 1
    }

    fn inject(&mut self, fault: Fault) {
        self.say(format_args!("-- {fault:?}"));
        match fault {
            Fault::Cut
            | Fault::CutOneWay
            | Fault::Isolate
            | Fault::CutReplication
            | Fault::Flap
            | Fault::Mute
            | Fault::Storm => self.inject_network(fault),
            Fault::KillDaemon
            | Fault::KillBetweenActions
            | Fault::StopDaemon
            | Fault::StopBetweenActions
            | Fault::KillHost
            | Fault::KillAll
            | Fault::Suspend
            | Fault::Pause
            | Fault::BreakClock
            | Fault::SlowDisk => self.inject_host(fault),
            Fault::KillDatabase
            | Fault::HangDatabase
            | Fault::SlowCheckpointer
            | Fault::HalfPromotion
            | Fault::HangPromotion
            | Fault::KillReplicator
            | Fault::SlowReplicator => self.inject_database(fault),
            Fault::LoseData
            | Fault::RestoreData
            | Fault::LoseState
            | Fault::LoseDisk
            | Fault::RollBack => self.inject_loss(fault),
            Fault::Switchover
            | Fault::StaleSwitchover
            | Fault::Priority
            | Fault::Force
            | Fault::ForceAlone => self.inject_word(fault),
        }
    }

    fn inject_network(&mut self, fault: Fault) {
        let (one, two) = self.pair();
        let span = self.span();
        match fault {
            Fault::CutOneWay => {
                self.cut_one_way(one, two);
                self.mend_after(span, Mend::JoinOneWay(one, two));
            }
            Fault::Isolate => {
                self.isolate(one);
                self.mend_after(span, Mend::Rejoin(one));
            }
            Fault::CutReplication => {
                self.cut_replication();
                self.mend_after(span, Mend::JoinReplication);
            }
            Fault::Flap => {
                self.cut(one, two);
                let times = 2 * u32::try_from(self.random.between(2, 12)).unwrap_or(2) + 1;
                self.mend_after(span / 8, Mend::Flap(one, two, times));
            }
            Fault::Mute => {
                let mute = super::network::Mute::draw(one, two, &mut self.random);
                self.mutes.push(mute);
                self.mend_after(span, Mend::Unmute(mute));
            }
            Fault::Storm => {
                let lease = self.plan.lease_nanos();
                self.weather = Plan::bad_weather(&mut self.random, lease);
                self.mend_after(span, Mend::Calm);
            }
            _ => {
                self.cut(one, two);
                self.mend_after(span, Mend::Join(one, two));
            }
        }
    }

    fn inject_host(&mut self, fault: Fault) {
        let id = if self.random.chance(250) {
            NodeId::R
        } else {
            self.any_manager()
        };
        let span = self.span();
        match fault {
            Fault::KillDaemon => {
                self.kill_daemon(id);
                self.after(span / 2, What::StartDaemon(id));
            }
            Fault::KillBetweenActions => self.set_trap(id, super::Trap::Kill),
            Fault::StopBetweenActions => self.set_trap(id, super::Trap::Stop),
            Fault::StopDaemon => {
                self.stop_daemon(id);
                self.mend_after(span, Mend::Continue(id));
            }
            Fault::KillHost => {
                self.kill_host(id);
                self.after(span, What::PowerOn(id));
            }
            Fault::KillAll => {
                for id in NodeId::ALL {
                    self.kill_host(id);
                    let span = self.span();
                    self.after(span, What::PowerOn(id));
                }
            }
            Fault::Suspend => {
                self.suspend(id);
                self.mend_after(span, Mend::Resume(id));
            }
            Fault::Pause => {
                let now = self.now;
                self.suspend(id);
                self.host_mut(id).clock.set_drift(now, -1_000_000);
                self.mend_after(span, Mend::Unpause(id));
            }
            Fault::BreakClock => self.break_clock(id),
            _ => {
                let lease = self.plan.lease_nanos();
                let delay = self.random.pick(&[lease / 20, lease / 3, lease * 2]);
                self.host_mut(id).disk_delay = delay;
                self.mend_after(span, Mend::FastDisk(id));
            }
        }
    }

    fn set_trap(&mut self, id: NodeId, trap: super::Trap) {
        let count = u32::try_from(self.random.below(24)).unwrap_or(0);
        self.host_mut(id).trap = Some((trap, count));
    }

    fn break_clock(&mut self, id: NodeId) {
        let (now, lease) = (self.now, self.plan.lease_nanos());
        if self.random.chance(500) {
            let by = self.random.below(lease * 3);
            self.host_mut(id).clock.jump(now, by);
        } else {
            let drift = self
                .random
                .pick(&[-900_000, -500_000, 500_000, 4_000_000, 0]);
            self.host_mut(id).clock.set_drift(now, drift);
        }
        let boot = self.host(id).boot;
        self.after(0, What::Continue(id, boot));
        if let Some(daemon) = &mut self.host_mut(id).daemon {
            daemon.forget_wake();
        }
        self.arm(id);
    }

    fn inject_database(&mut self, fault: Fault) {
        let id = self.any_manager();
        let span = self.span();
        match fault {
            Fault::KillDatabase => self.kill_database(id),
            Fault::HangDatabase => {
                if self.manager(id).server == Server::Primary {
                    self.hang_database(id, true);
                    self.mend_after(span, Mend::Unhang(id));
                }
            }
            Fault::SlowCheckpointer => {
                self.slow_checkpointer(id, span);
                let until = self.span();
                self.mend_after(until, Mend::FastCheckpointer(id));
            }
            Fault::HalfPromotion => self.promotions[id.index()] = Promotion::Dies,
            Fault::HangPromotion => self.promotions[id.index()] = Promotion::Hangs,
            Fault::KillReplicator => {
                self.kill_replicator(id);
                self.after(span / 2, What::StartReplicator(id));
            }
            _ => {
                self.slow_socket(id, span);
                let until = self.span();
                self.mend_after(until, Mend::FastSocket(id));
            }
        }
    }

    /// What cannot be undone happens to a whole pool only, or it may be left
    /// without any copy that is known to be whole.
    fn inject_loss(&mut self, fault: Fault) {
        let manager = self.any_manager();
        if fault == Fault::RestoreData && self.manager(manager).snapshot.is_none() {
            self.take_snapshot(manager);
            return;
        }
        if !self.plan.ruthless && !self.is_whole() {
            return;
        }
        let id = if self.random.chance(400) {
            NodeId::R
        } else {
            manager
        };
        let remembered = id.others().iter().any(|&other| {
            let state = self.host(other).disk.state;
            state.is_some_and(|state| state.record.is_some())
        });
        if !remembered {
            // A pool that nobody remembers is formed anew, by its operator.
            return;
        }
        match fault {
            Fault::LoseData => self.lose_data(manager),
            Fault::RestoreData => self.restore_data(manager),
            Fault::LoseState => self.lose_state(id),
            Fault::RollBack => self.roll_back(id),
            _ => {
                if id != NodeId::R {
                    self.lose_data(id);
                }
                self.lose_state(id);
            }
        }
    }

    /// The state directory is lost: the daemon starts as a new voter.
    pub fn lose_state(&mut self, id: NodeId) {
        self.kill_daemon(id);
        self.host_mut(id).disk = super::daemon::Disk::default();
        self.say(format_args!("{id} loses its state directory"));
        let span = self.random.between(MILLIS, self.plan.lease_nanos() * 2);
        self.after(span, What::StartDaemon(id));
    }

    /// The state directory goes back to an earlier boot, when its peers would
    /// notice: nothing can be done about a rollback that nobody remembers.
    fn roll_back(&mut self, id: NodeId) {
        let Some(state) = self.host(id).disk.state else {
            return;
        };
        let known = self.host(id).is_awake()
            && id.others().iter().all(|&other| {
                self.host(other).daemon.is_some()
                    && self.heard[other.index()][id.index()]
                        == Some((self.host(other).boot, state.incarnation, state.boots))
            });
        let earlier = self.host(id).disk.earlier.clone();
        let fit: Vec<_> = earlier
            .into_iter()
            .filter(|one| one.incarnation == state.incarnation && one.boots + 1 < state.boots)
            .filter(|one| one.record.is_some_and(|record| !record.in_sync.is_only(id)))
            .collect();
        if !known || fit.is_empty() {
            return;
        }
        let back = self.random.pick(&fit);
        self.kill_daemon(id);
        self.host_mut(id).disk.state = Some(back);
        self.say(format_args!(
            "{id}'s state goes back to boot {}",
            back.boots
        ));
        self.rolled_back = Some(RolledBack {
            node: id,
            incarnation: state.incarnation,
        });
        self.host_mut(id).trap = None;
        for other in id.others() {
            self.host_mut(other).trap = None;
        }
        self.start_daemon(id);
    }

    /// Puts back what the state of `id` was in boot `boots`, and starts it.
    pub fn roll_back_to(&mut self, id: NodeId, boots: u64) {
        let back = self
            .host(id)
            .disk
            .earlier
            .iter()
            .rev()
            .find(|one| one.boots == boots)
            .copied();
        self.kill_daemon(id);
        if back.is_some() {
            self.host_mut(id).disk.state = back;
        }
        self.start_daemon(id);
    }

    fn is_settling_rollback(&mut self) -> bool {
        let Some(rolled) = self.rolled_back else {
            return false;
        };
        let settling = self
            .host(rolled.node)
            .disk
            .state
            .is_some_and(|state| state.incarnation == rolled.incarnation);
        if !settling {
            self.rolled_back = None;
        }
        settling
    }

    fn inject_word(&mut self, fault: Fault) {
        let id = self.any_manager();
        let epoch = self
            .host(id)
            .disk
            .state
            .and_then(|state| state.record)
            .map_or(Epoch::ZERO, |record| record.epoch);
        match fault {
            Fault::Switchover => self.feed(id, Event::Order(Order::Switchover { epoch })),
            Fault::StaleSwitchover => {
                let epoch = Epoch {
                    counter: epoch.counter.saturating_sub(1),
                    ..epoch
                };
                self.feed(id, Event::Order(Order::Switchover { epoch }));
            }
            Fault::Force => {
                let order = Order::Force {
                    epoch,
                    alone: false,
                };
                self.feed(id, Event::Order(order));
            }
            Fault::ForceAlone => {
                // Attested off, and they are.
                if id.others().iter().all(|&other| !self.host(other).power) {
                    let order = Order::Force { epoch, alone: true };
                    self.feed(id, Event::Order(order));
                }
            }
            _ => {
                let drawn = self.random.pick(&[0u8, 0, 1, 50, 200, 254]);
                self.set_priority(id, drawn);
                let span = self.span();
                self.mend_after(span, Mend::Priority(id));
            }
        }
    }

    /// Checks change the priority of `id`.
    pub fn set_priority(&mut self, id: NodeId, priority: u8) {
        self.host_mut(id).priority = priority;
        self.feed(id, Event::Priority(priority));
    }

    pub(crate) fn usual_priority(id: NodeId) -> u8 {
        if id == NodeId::A { 150 } else { 100 }
    }

    pub(crate) fn mend(&mut self, place: usize) {
        let Some(&mend) = self.mends.get(place) else {
            return;
        };
        match mend {
            Mend::JoinOneWay(from, to) => self.join_one_way(from, to),
            Mend::Join(one, two) => self.join(one, two),
            Mend::Rejoin(id) => self.rejoin(id),
            Mend::JoinReplication => self.join_replication(),
            Mend::Unmute(mute) => {
                if let Some(place) = self.mutes.iter().position(|&one| one == mute) {
                    self.mutes.remove(place);
                }
            }
            Mend::Flap(one, two, left) => self.flap(one, two, left),
            Mend::Continue(id) => self.continue_daemon(id),
            Mend::Resume(id) => self.resume(id),
            Mend::Unpause(id) => {
                let now = self.now;
                if self.host(id).suspended.is_some() {
                    self.host_mut(id).clock.set_drift(now, 0);
                    self.resume(id);
                }
            }
            Mend::FastDisk(id) => self.host_mut(id).disk_delay = 0,
            Mend::FastCheckpointer(id) => self.slow_checkpointer(id, 0),
            Mend::FastSocket(id) => self.slow_socket(id, 0),
            Mend::Unhang(id) => {
                if self.manager(id).hung {
                    self.hang_database(id, false);
                }
            }
            Mend::Calm => {
                if self.faulty {
                    self.weather = self.plan.weather;
                }
            }
            Mend::Priority(id) => self.set_priority(id, Self::usual_priority(id)),
        }
    }

    fn flap(&mut self, one: NodeId, two: NodeId, left: u32) {
        if left % 2 == 1 {
            self.join(one, two);
        } else if self.faulty {
            self.cut(one, two);
        } else {
            return;
        }
        if left > 1 {
            let span = self.random.below(self.plan.lease_nanos());
            self.mend_after(span, Mend::Flap(one, two, left - 1));
        }
    }

    /// The host has power: everything on it starts.
    pub fn power_on(&mut self, id: NodeId) {
        if self.host(id).power {
            return;
        }
        self.host_mut(id).power = true;
        self.say(format_args!("{id} has power"));
        let span = self.random.between(MILLIS, 30 * MILLIS);
        self.after(span, What::StartDaemon(id));
        if id != NodeId::R {
            let span = self.random.between(MILLIS, 30 * MILLIS);
            self.after(span, What::StartReplicator(id));
        }
    }

    /// The host loses its power: everything on it ends, and nobody is told.
    pub fn kill_host(&mut self, id: NodeId) {
        if !self.host(id).power {
            return;
        }
        self.say(format_args!("{id} loses its power"));
        if self.host(id).suspended.is_some() {
            self.resume(id);
        }
        if id != NodeId::R {
            // The leader waits for what will not come.
            let standby = self.manager_mut(id);
            if standby.leader.take().is_some() {
                standby.stream += 1;
            }
        }
        self.kill_daemon(id);
        if id != NodeId::R {
            self.kill_replicator(id);
            self.end_server(id, Server::Down);
            self.manager_mut(id).hung = false;
        }
        let host = self.host_mut(id);
        host.power = false;
        host.kernel = Kernel::default();
        host.trap = None;
        self.rights[id.index()] = Right::default();
    }

    /// The machine sleeps: its clock goes on, its kernel timers do not.
    pub fn suspend(&mut self, id: NodeId) {
        let now = self.now;
        let host = self.host_mut(id);
        if host.is_awake() {
            host.suspended = Some(host.clock.nanos(now));
            self.say(format_args!("{id} is suspended"));
        }
    }

    /// The machine wakes.
    pub fn resume(&mut self, id: NodeId) {
        let now = self.now;
        let host = self.host_mut(id);
        let Some(since) = host.suspended.take() else {
            return;
        };
        let span = host.clock.nanos(now).saturating_sub(since);
        host.kernel.gate.delay(span, since);
        host.kernel.address.delay(span, since);
        let boot = host.boot;
        self.say(format_args!("{id} wakes"));
        self.after(0, What::Continue(id, boot));
    }
}
