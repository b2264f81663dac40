//! After the faults: everything is healed, and progress is demanded (I6).

use vrrpd_core::pool::database::Server;
use vrrpd_core::pool::record::{NodeId, Record};
use vrrpd_core::pool::status::{Standing, Status};

use super::{MANAGERS, World};
use crate::check::Invariant;
use crate::clock::{MILLIS, Nanos, SECONDS};

/// How often the pool is looked at.
const LOOK: Nanos = 10 * MILLIS;

impl World {
    /// Ends all faults: links are whole, hosts and processes run.
    pub fn heal(&mut self) {
        self.say(format_args!("== all faults end"));
        self.faulty = false;
        self.join_all();
        self.pass_all();
        self.weather = crate::plan::Weather::FAIR;
        self.mend_databases();
        for id in NodeId::ALL {
            let now = self.now;
            if self.plan.breaks_clocks() {
                self.host_mut(id).clock.set_drift(now, 0);
            }
            self.resume(id);
            let host = self.host_mut(id);
            host.trap = None;
            host.disk_delay = 0;
            self.power_on(id);
            self.continue_daemon(id);
            self.start_daemon(id);
        }
        for id in MANAGERS {
            self.slow_socket(id, 0);
            self.start_replicator(id);
            self.set_priority(id, Self::usual_priority(id));
        }
    }

    /// Runs the whole schedule of the plan: faults, healing, progress.
    pub fn live(&mut self) {
        self.boot();
        if self.plan.faults_for > 0 {
            self.unleash();
            self.run(self.plan.faults_for);
        }
        if self.violation.is_some() {
            return;
        }
        self.heal();
        self.demand_progress();
        if let Some(reign) = self.reign
            && self.manager(reign.node).server == Server::Primary
        {
            self.check_history(reign.node);
        }
    }

    /// How long a healed pool may take until it is whole.
    fn patience(&self) -> Nanos {
        self.plan.lease_nanos() * 60 + 5 * SECONDS
    }

    /// I6: a Primary within a bounded time, both copies in sync, and it stays.
    pub fn demand_progress(&mut self) {
        if !self.can_recover() {
            self.say(format_args!("== only an operator can help"));
            self.run(self.plan.lease_nanos() * 10);
            return;
        }
        let patience = self.patience();
        // A lease that nobody could renew may end just after the faults; and
        // the Master may take the Primary status back.
        let pause = self.plan.lease_nanos() * if self.plan.active { 30 } else { 3 };
        for pause in [pause, 0] {
            if !self.settle_within(patience) {
                self.stuck("no Primary with both copies in sync");
                return;
            }
            self.run(pause);
        }
        let (reign, seen) = (self.reign.map(|reign| reign.epoch), self.endings.len());
        self.run(self.plan.lease_nanos() * 6);
        if self.endings[seen..]
            .iter()
            .any(|&(_, epoch, _)| Some(epoch) == reign)
        {
            self.stuck("the Primary did not stay");
        } else if !self.is_settled() {
            self.stuck("the pool did not stay whole");
        }
    }

    fn settle_within(&mut self, patience: Nanos) -> bool {
        let until = self.now + patience;
        while self.violation.is_none() && self.now < until {
            if self.is_settled() {
                return true;
            }
            self.run(LOOK);
        }
        false
    }

    fn stuck(&mut self, what: &str) {
        if self.violation.is_some() || self.has_elected_lost() {
            return;
        }
        let mut said = String::from(what);
        for id in NodeId::ALL {
            said.push_str("; ");
            said.push_str(&self.describe(id));
        }
        self.broken(Invariant::I6, said);
    }

    /// Whether a claim was accepted whose copy was lost meanwhile, before its
    /// node could know: nothing whole is left.
    fn has_elected_lost(&self) -> bool {
        let remembered = [self.checker.chosen(), self.checker.highest()];
        remembered.into_iter().flatten().any(|record| {
            MANAGERS
                .into_iter()
                .filter_map(|id| record.in_sync.copy(id))
                .all(|copy| self.lost.contains(&copy))
        })
    }

    fn describe(&self, id: NodeId) -> String {
        let Some(status) = self.status(id) else {
            return format!("{id} is down");
        };
        let record = status
            .durable
            .record
            .map_or_else(|| "blank".to_owned(), |record| record.to_string());
        let held = status.held_back.unwrap_or("nothing holds it back");
        let database = if id == NodeId::R {
            String::new()
        } else {
            let manager = self.manager(id);
            format!(
                ", database {:?} under {:?}",
                manager.server,
                manager.order.map(|order| order.role)
            )
        };
        format!("{id} {:?}: {record} ({held}){database}", status.standing)
    }

    /// What the member of `id` says of itself.
    pub fn status(&self, id: NodeId) -> Option<Status> {
        let host = self.host(id);
        let now = host.clock.instant(self.now);
        host.daemon.as_ref().map(|daemon| daemon.member.status(now))
    }

    /// The manager that serves clients now, by its own word and the kernel's.
    pub fn serving(&self) -> Option<NodeId> {
        MANAGERS.into_iter().find(|&id| {
            self.host(id).admits(self.now)
                && self.manager(id).server == Server::Primary
                && self
                    .status(id)
                    .is_some_and(|status| status.standing == Standing::Serving)
        })
    }

    /// Whether one manager serves and both copies are in sync, by a record
    /// that a quorum remembers and that names every voter.
    pub fn is_settled(&self) -> bool {
        let Some(primary) = self.serving() else {
            return false;
        };
        let Some(status) = self.status(primary) else {
            return false;
        };
        let Some(record) = status.durable.record else {
            return false;
        };
        status.durable.effective == Some(record)
            && status.lease_until.is_some()
            && self.is_whole_by(&record)
    }

    /// Whether a quorum remembers both present copies to be in sync.
    pub(crate) fn is_whole(&self) -> bool {
        self.checker
            .chosen()
            .is_some_and(|record| self.is_whole_by(&record))
    }

    fn is_whole_by(&self, record: &Record) -> bool {
        let voters = NodeId::ALL.into_iter().all(|id| self.votes(id, record));
        let copies = MANAGERS.into_iter().all(|id| self.holds(id, record));
        voters && copies
    }

    /// Whether the voter of `id` is the one that `record` names.
    fn votes(&self, id: NodeId, record: &Record) -> bool {
        let rolled = self.rolled_back;
        self.host(id).disk.state.is_some_and(|state| {
            state.record.is_some()
                && record.voters.of(id) == state.incarnation
                && rolled
                    .is_none_or(|back| (back.node, back.incarnation) != (id, state.incarnation))
        })
    }

    /// Whether the copy of `id` is the one in the in-sync set of `record`.
    fn holds(&self, id: NodeId, record: &Record) -> bool {
        let directory = &self.manager(id).directory;
        directory.copy.is_some() && !directory.ruined && record.in_sync.copy(id) == directory.copy
    }

    /// Whether `record`, if an operator's word made it, gives rights: a word that
    /// failed is to be given again, and a voter that a word alone has left out,
    /// by an old map, comes back when its state is removed.
    fn is_word_known(&self, record: &Record) -> bool {
        let states = || NodeId::ALL.map(|id| self.host(id).disk.state);
        let held = |of: Option<Record>| of.map(|of| of.key()) == Some(record.key());
        let known = states().iter().flatten().any(|state| held(state.effective))
            || states()
                .iter()
                .flatten()
                .filter(|state| held(state.record))
                .count()
                > 1;
        let named = NodeId::ALL.into_iter().all(|id| {
            self.host(id).disk.state.is_none_or(|state| {
                state.record.is_none() || record.voters.of(id) == state.incarnation
            })
        });
        (known || !record.forced) && (named || self.checker.forced().is_none())
    }

    /// Whether a quorum and a whole copy are left, without an operator.
    pub fn can_recover(&self) -> bool {
        let (Some(chosen), Some(highest)) = (self.checker.chosen(), self.checker.highest()) else {
            // Nothing is founded yet, and the Master has something to found on.
            return !self.manager(NodeId::A).directory.ruined;
        };
        if !self.is_word_known(&chosen) || !self.is_word_known(&highest) {
            return false;
        }
        [chosen, highest].iter().all(|record| {
            let votes = NodeId::ALL
                .into_iter()
                .filter(|&id| self.votes(id, record))
                .count();
            let whole = MANAGERS
                .into_iter()
                .any(|id| self.votes(id, record) && self.holds(id, record));
            votes >= 2 && whole
        })
    }
}
