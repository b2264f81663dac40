//! The database servers: starting, promotion, stopping, synchronous
//! replication (POSTGRES.md).

use vrrpd_core::pool::database::{Role, Server};
use vrrpd_core::pool::record::{CopyId, Epoch, NodeId};

use super::{MANAGERS, Reign, What, World};
use crate::check::Invariant;
use crate::clock::{MILLIS, Nanos};
use crate::ledger::{Entry, Kind, Owed};
use crate::manager::{Directory, Manager, Task};
use crate::plan::Flaw;

/// A fault that waits for a manager's next promotion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Promotion {
    /// It succeeds.
    #[default]
    Succeeds,
    /// The server dies half-way.
    Dies,
    /// It never ends.
    Hangs,
}

impl World {
    /// Begins work on a server.
    pub(crate) fn begin(&mut self, id: NodeId, task: Task) {
        let span = match task {
            Task::Start => self.random.between(20, 120) * MILLIS,
            Task::Promote => self.random.between(15, 90) * MILLIS,
            Task::Kill => self.random.between(0, 40) * MILLIS,
            Task::Stop => self.random.between(10, 60) * MILLIS,
            Task::Copy(_) => self.random.between(50, 400) * MILLIS,
        };
        let manager = self.manager_mut(id);
        manager.work += 1;
        manager.task = Some(task);
        let work = manager.work;
        match task {
            Task::Start => {
                manager.server = Server::Busy;
                manager.run += 1;
            }
            Task::Promote => self.end_stream(id),
            Task::Copy(leader) => self.begin_copy(id, leader),
            Task::Kill | Task::Stop => {}
        }
        let hangs = task == Task::Promote && self.promotions[id.index()] == Promotion::Hangs;
        if hangs {
            self.promotions[id.index()] = Promotion::Succeeds;
            self.manager_mut(id).failed = true;
            self.say(format_args!("{id} hangs in its promotion"));
        } else {
            self.after(span, What::Done(id, work));
        }
        self.report(id);
    }

    pub(crate) fn on_done(&mut self, id: NodeId, work: u32) {
        if self.manager(id).work != work || !self.host(id).power {
            return;
        }
        if !self.host(id).is_awake() {
            self.after(10 * MILLIS, What::Done(id, work));
            return;
        }
        let Some(task) = self.manager_mut(id).task.take() else {
            return;
        };
        match task {
            Task::Start => self.on_started(id),
            Task::Promote => self.on_promoted(id),
            Task::Kill => self.end_server(id, Server::Down),
            Task::Stop => self.on_stopped(id),
            Task::Copy(leader) => self.end_copy(id, leader),
        }
        self.report(id);
        self.reconcile(id);
    }

    fn on_started(&mut self, id: NodeId) {
        let manager = self.manager_mut(id);
        manager.server = Server::Standby;
        manager.failed = false;
        manager.visible = manager.directory.log.len();
        self.say(format_args!("{id}'s database is a standby"));
    }

    /// Read-write: all that is in its log is visible.
    fn on_promoted(&mut self, id: NodeId) {
        let timeline = self.manager(id).directory.timeline(&self.ledger) + 1;
        let fate = std::mem::take(&mut self.promotions[id.index()]);
        if fate == Promotion::Dies && self.random.chance(500) {
            self.end_server(id, Server::Down);
            return;
        }
        let entry = self.ledger.write(Kind::Promotion, timeline);
        let manager = self.manager_mut(id);
        manager.directory.log.push(entry);
        if fate == Promotion::Dies {
            self.end_server(id, Server::Down);
            return;
        }
        let manager = self.manager_mut(id);
        manager.server = Server::Primary;
        manager.reign = manager.epoch;
        manager.visible = manager.directory.log.len();
        let wanted = manager.order.and_then(|order| order.synchronous);
        manager.synchronous.wanted = wanted;
        manager.synchronous.effective = wanted;
        manager.synchronous.change += 1;
        self.say(format_args!("{id}'s database is read-write"));
    }

    /// The shutdown checkpoint is written and, if a follower is there, shipped.
    fn on_stopped(&mut self, id: NodeId) {
        if self.manager(id).server == Server::Primary {
            let timeline = self.manager(id).directory.timeline(&self.ledger);
            let entry = self.ledger.write(Kind::Checkpoint, timeline);
            self.manager_mut(id).directory.log.push(entry);
            self.ship_at_once(id);
        }
        self.end_server(id, Server::Stopped);
        self.say(format_args!("{id}'s database has stopped cleanly"));
    }

    /// The server ends: what was in flight is void, and its streams break.
    pub(crate) fn end_server(&mut self, id: NodeId, as_what: Server) {
        self.end_stream(id);
        self.lose_follower(id);
        let manager = self.manager_mut(id);
        manager.server = as_what;
        manager.generation += 1;
        manager.waiting.clear();
        manager.task = None;
        manager.work += 1;
        manager.admitted = false;
        manager.read = 0;
        manager.visible = manager.directory.log.len();
    }

    /// The server dies by itself.
    pub fn kill_database(&mut self, id: NodeId) {
        if self.manager(id).server == Server::Down {
            return;
        }
        let copying = matches!(self.manager(id).task, Some(Task::Copy(_)));
        self.end_server(id, Server::Down);
        self.manager_mut(id).hung = false;
        self.say(format_args!(
            "{id}'s database dies{}",
            if copying { " while it is copied" } else { "" }
        ));
        self.report(id);
        self.reconcile_later(id);
    }

    /// A manager that admits clients to a read-write database is a later
    /// Primary than any of a lower epoch before it.
    pub(crate) fn crown(&mut self, id: NodeId) {
        let Some(record) = self.host(id).disk.state.and_then(|state| state.record) else {
            return;
        };
        if self.manager(id).server != Server::Primary {
            return;
        }
        let epoch = record.epoch;
        let admitted = std::mem::replace(&mut self.manager_mut(id).admitted, true);
        if admitted && self.reign.is_some_and(|reign| epoch <= reign.epoch) {
            return;
        }
        let before = self.reign.map_or(Epoch::ZERO, |reign| reign.epoch);
        if epoch < before {
            return;
        }
        self.reign = Some(Reign { epoch, node: id });
        let forced = self.checker.forced();
        if forced.is_some_and(|forced| before < forced && forced <= epoch) {
            let log = std::mem::take(&mut self.manager_mut(id).directory.log);
            self.ledger.forgive(&log);
            self.manager_mut(id).directory.log = log;
        }
        self.check_history(id);
    }

    /// I1 and I7, of a Primary's history.
    pub(crate) fn check_history(&mut self, id: NodeId) {
        let log = &self.managers[id.index()].directory.log;
        let current = self.reign.is_none_or(|reign| reign.node == id);
        if !current || self.ledger.is_whole(log) {
            return;
        }
        if let Some((entry, owed)) = self.ledger.missing(log) {
            self.lost(id, entry, owed);
        }
    }

    fn lost(&mut self, id: NodeId, entry: Entry, owed: Owed) {
        let invariant = match owed {
            Owed::Acknowledged => Invariant::I1,
            Owed::Read => Invariant::I7,
        };
        let reign = self.reign.map(|reign| reign.epoch.to_string());
        let what = format!(
            "{id}'s history, of epoch {}, lacks entry {entry}",
            reign.unwrap_or_default()
        );
        self.broken(invariant, what);
    }

    /// Whether the newest Primary's history has `entry`, or the word of an
    /// operator has given up what `id` still does.
    fn is_in_reign(&self, id: NodeId, entry: Entry) -> bool {
        let Some(reign) = self.reign.filter(|reign| reign.node != id) else {
            return true;
        };
        self.is_overruled(id)
            || self
                .manager(reign.node)
                .directory
                .log
                .iter()
                .rev()
                .any(|&one| one == entry)
    }

    /// A client of `id` is told that the entry at `place` is committed.
    pub(crate) fn acknowledge(&mut self, id: NodeId, place: usize) {
        let entry = self.manager(id).directory.log[place];
        self.say(format_args!("{id} acknowledges entry {entry}"));
        if !self.is_in_reign(id, entry) {
            self.lost(id, entry, Owed::Acknowledged);
            return;
        }
        if !self.is_overruled(id) {
            self.ledger.acknowledge(entry);
        }
    }

    /// Whether an operator's word has given up what `id` does in its reign.
    fn is_overruled(&self, id: NodeId) -> bool {
        let epoch = self.manager(id).reign;
        self.reign.is_some_and(|reign| reign.node != id)
            && self.checker.forced().is_some_and(|forced| epoch < forced)
    }

    /// A client reads all that is visible at `id`.
    pub(crate) fn read_all(&mut self, id: NodeId) {
        let manager = &self.managers[id.index()];
        let from = manager.read.min(manager.visible);
        let visible = manager.directory.log[from..manager.visible].to_vec();
        self.manager_mut(id).read = self.manager(id).visible;
        let overruled = self.is_overruled(id);
        for entry in visible {
            if !self.is_in_reign(id, entry) {
                self.lost(id, entry, Owed::Read);
                return;
            }
            if !overruled {
                self.ledger.read(entry);
            }
        }
    }

    /// Writes `synchronous_standby_names`; it takes effect when the
    /// checkpointer gets to it.
    pub(crate) fn set_synchronous(&mut self, id: NodeId, wanted: Option<CopyId>) {
        if self.manager(id).server != Server::Primary {
            return;
        }
        let now = self.manager(id).synchronous;
        if now.wanted == wanted {
            return;
        }
        if now.wanted != now.effective && self.random.chance(500) {
            // The checkpointer gets to the change before this one just now.
            self.apply_synchronous(id);
        }
        let slow = self.checkpointers[id.index()];
        let delay = self.random.between(MILLIS, 20 * MILLIS) + self.random.below(slow);
        let synchronous = &mut self.manager_mut(id).synchronous;
        synchronous.wanted = wanted;
        synchronous.change += 1;
        let change = synchronous.change;
        self.after(delay, What::Synchronous(id, change));
    }

    pub(crate) fn on_synchronous(&mut self, id: NodeId, change: u32) {
        let manager = self.manager(id);
        if manager.synchronous.change != change || manager.server != Server::Primary {
            return;
        }
        if !self.host(id).is_awake() {
            self.after(10 * MILLIS, What::Synchronous(id, change));
            return;
        }
        self.apply_synchronous(id);
        self.report(id);
    }

    fn apply_synchronous(&mut self, id: NodeId) {
        let manager = self.manager_mut(id);
        manager.synchronous.effective = manager.synchronous.wanted;
        self.release_waiting(id);
    }

    /// Acknowledges every waiting commit that need not wait any longer.
    pub(crate) fn release_waiting(&mut self, id: NodeId) {
        let mut place = 0;
        while let Some(&waiting) = self.manager(id).waiting.get(place) {
            if self.must_wait(id, waiting) {
                place += 1;
            } else {
                self.manager_mut(id).waiting.remove(place);
                self.acknowledge(id, waiting);
            }
        }
    }

    fn must_wait(&self, id: NodeId, place: usize) -> bool {
        let manager = self.manager(id);
        let Some(copy) = manager.synchronous.effective else {
            return false;
        };
        !manager
            .follower
            .is_some_and(|follower| follower.copy == copy && follower.flushed > place as u64)
    }

    /// A commit that is on its own disk looks whether it has to wait.
    pub(crate) fn on_commit(&mut self, id: NodeId, generation: u32, place: usize) {
        if self.manager(id).generation != generation {
            return;
        }
        if !self.host(id).is_awake() || self.manager(id).hung {
            self.after(10 * MILLIS, What::Commit(id, generation, place));
            return;
        }
        if self.must_wait(id, place) {
            self.manager_mut(id).waiting.push_back(place);
        } else {
            self.acknowledge(id, place);
        }
    }

    /// The new copy id comes first; then the old log is given up.
    fn begin_copy(&mut self, id: NodeId, leader: NodeId) {
        let copy = self.new_copy();
        let keeps = self.plan.flaw == Some(Flaw::KeepsCopyId);
        let manager = self.manager_mut(id);
        if !(keeps && manager.directory.copy.is_some()) {
            manager.directory.copy = Some(copy);
        }
        manager.directory.ruined = true;
        manager.server = Server::Busy;
        self.say(format_args!("{id} takes a copy of {leader}'s data"));
    }

    fn end_copy(&mut self, id: NodeId, leader: NodeId) {
        self.manager_mut(id).server = Server::Down;
        if self.can_follow(id, leader) {
            let log = self.manager(leader).directory.log.clone();
            let directory = &mut self.manager_mut(id).directory;
            directory.log = log;
            directory.ruined = false;
        }
    }

    /// The data directory is lost.
    pub fn lose_data(&mut self, id: NodeId) {
        self.kill_database(id);
        self.lost.extend(self.manager(id).directory.copy);
        self.manager_mut(id).directory = Directory {
            ruined: true,
            ..Directory::default()
        };
        self.say(format_args!("{id} loses its data directory"));
        self.report(id);
    }

    /// Notes the present state of the directory, for a hand to put back.
    pub fn take_snapshot(&mut self, id: NodeId) {
        let manager = self.manager_mut(id);
        if !manager.directory.ruined {
            manager.snapshot = Some(manager.directory.clone());
        }
    }

    /// Puts an older copy of the directory back by hand. The start counters
    /// differ, so it gets a new copy id before anything is started on it.
    pub fn restore_data(&mut self, id: NodeId) {
        let Some(mut directory) = self.manager(id).snapshot.clone() else {
            return;
        };
        self.kill_database(id);
        self.lost.extend(self.manager(id).directory.copy);
        if self.plan.flaw != Some(Flaw::KeepsCopyId) {
            directory.copy = Some(self.new_copy());
        }
        self.manager_mut(id).directory = directory;
        self.say(format_args!("{id}'s data are replaced by an older copy"));
        self.report(id);
    }

    /// Writes hang, or go on.
    pub fn hang_database(&mut self, id: NodeId, hung: bool) {
        self.manager_mut(id).hung = hung;
        let state = if hung { "hangs" } else { "goes on" };
        self.say(format_args!("{id}'s database {state}"));
        self.report(id);
    }

    /// How long a change of synchronous replication may take beyond usual.
    pub(crate) fn slow_checkpointer(&mut self, id: NodeId, by: Nanos) {
        self.checkpointers[id.index()] = by;
    }

    /// What becomes of the next promotion.
    pub fn fail_next_promotion(&mut self, id: NodeId, hang: bool) {
        self.promotions[id.index()] = if hang {
            Promotion::Hangs
        } else {
            Promotion::Dies
        };
    }

    /// All promotions succeed, and changes take effect soon.
    pub(crate) fn mend_databases(&mut self) {
        self.promotions = [Promotion::Succeeds; 2];
        self.checkpointers = [0; 2];
        for id in MANAGERS {
            if self.manager(id).hung {
                self.hang_database(id, false);
            }
        }
    }

    /// Whether the server of `manager` may be started again under its order.
    pub(crate) fn may_start(&self, manager: &Manager, role: Role) -> bool {
        !(Manager::is_read_write(role) && manager.served && manager.server == Server::Down)
            || self.plan.flaw == Some(Flaw::RestartsUnasked)
    }
}
