//! The one place that decides: from the order and what is, to the next command.
//!
//! No I/O and no clock. [`Keeper::wanted`] says which command brings what is
//! nearer to what shall be; a command that is under way and still serves the
//! order is left alone, any other is cancelled first. A command is under way
//! until its outcome is *seen*: its answer, then an observation that was asked
//! for after it. Until then nothing that contradicts it is reported as the
//! answer to a newer order.

use crate::plugin::{
    Access, Command, Failure, Follow, Followed, Observation, Promote, Remedy, Source, Stop,
    Stopped, Synchronous,
};
use crate::role::{Order, Progress, Report, Role, Server, Upstream};

/// What is known, and what follows from it.
#[derive(Clone, Debug)]
pub struct Keeper {
    order: Option<Order>,
    /// The ticket of the order that was taken up last; 0 before the first.
    taken: u64,
    observed: Observation,
    /// Whether anything was observed at all.
    seen: bool,
    /// Nobody's order holds: the database must not be writable.
    fenced: bool,
    /// The replicator is being stopped, and the server with it.
    ending: bool,
    /// It is not to be made read-write: it ceased to be, unasked, under an
    /// order to be, or what was before is not known. Commits that were never
    /// acknowledged become visible then, so the gate is to be closed first;
    /// every order to stand by or to stop comes after that, and lifts this.
    barred: bool,
    /// The command whose outcome has not been seen yet.
    under_way: Option<Command>,
    /// A promotion was asked for and nothing shows how it ended: the server may
    /// become read-write yet.
    promoting: bool,
    /// What makes the present copy able to follow the ordered upstream.
    remedy: Option<Remedy>,
    /// A rewind was done since it last followed: if it still cannot, clone.
    rewound: bool,
    /// Who may replicate, as set last, and the role it was set for.
    applied: Option<(Access, Server)>,
    /// A checkpoint was done for this order to retire, in this run.
    checkpointed: Option<u64>,
    /// It was told to cease being read-write, and nothing else was seen of it
    /// since: it does not count as read-write any more.
    leaving: bool,
    /// A stop was answered for this order: what does not run now died.
    stop_answered: bool,
    /// The upstream's log has not come for a while: its history is asked again.
    recheck: bool,
    /// What the last command failed with.
    failure: String,
    progress: Option<Progress>,
    plugin_lost: bool,
}

impl Keeper {
    /// Knows nothing of the server yet; `detail` says so to people.
    pub fn new(detail: String) -> Self {
        Self {
            order: None,
            taken: 0,
            observed: Observation::unknown(detail),
            seen: false,
            fenced: false,
            ending: false,
            barred: true,
            under_way: None,
            promoting: false,
            remedy: None,
            rewound: false,
            applied: None,
            checkpointed: None,
            leaving: false,
            stop_answered: false,
            recheck: false,
            failure: String::new(),
            progress: None,
            plugin_lost: false,
        }
    }

    /// An order came.
    pub fn on_order(&mut self, order: Order) {
        let before = self.order.as_ref();
        let role_changes = before.is_none_or(|before| before.role != order.role);
        if role_changes || before.is_none_or(|before| before.epoch != order.epoch) {
            self.stop_answered = false;
            self.failure.clear();
        }
        if role_changes && order.role != Role::Stopped {
            self.checkpointed = None;
        }
        if before.is_none_or(|before| before.follow != order.follow) {
            self.remedy = None;
            self.rewound = false;
        }
        self.barred &= order.role.is_read_write();
        self.fenced = false;
        self.order = Some(order);
        self.take_up();
    }

    /// The plugin has seen something.
    pub fn on_observed(&mut self, observed: Observation) {
        let was = self.observed.server;
        let ceases = was == Server::Primary && observed.server != Server::Primary;
        self.barred |= ceases && self.is_read_write_ordered();
        if observed.server != was || observed.streaming {
            self.recheck = false;
        }
        if observed.run != self.observed.run {
            self.checkpointed = None;
            self.applied = None;
        }
        self.leaving &= observed.server == Server::Primary;
        self.observed = observed;
        self.seen = true;
        self.plugin_lost = false;
        self.take_up();
    }

    /// The plugin is given a command.
    pub fn on_commanded(&mut self, command: &Command) {
        self.leaving = match command {
            Command::Follow(_)
            | Command::Rewind(_)
            | Command::Clone(_)
            | Command::Stop(Stop { prepare: false }) => self.observed.server == Server::Primary,
            Command::Promote(_)
            | Command::Synchronous(_)
            | Command::Stop(Stop { prepare: true })
            | Command::Describe(_)
            | Command::Observe {} => false,
        };
        self.promoting |= matches!(command, Command::Promote(_));
        if !matches!(command, Command::Stop(Stop { prepare: true })) {
            // Half-done it may have changed anything.
            self.applied = None;
        }
        self.under_way = Some(command.clone());
    }

    /// An observation was asked for after the last answer, and was taken in.
    pub fn on_settled(&mut self) {
        self.under_way = None;
        self.leaving = false;
        self.take_up();
    }

    /// The plugin was started again: what was set is to be set again. What it
    /// observes comes next.
    pub fn on_plugin_started(&mut self) {
        self.applied = None;
        self.progress = None;
        self.leaving = false;
        self.under_way = None;
    }

    /// The order counts as taken up once nothing is under way that leads
    /// elsewhere: what is observed from then on is its outcome.
    fn take_up(&mut self) {
        let ended = matches!(
            self.observed.server,
            Server::Primary | Server::Down | Server::Stopped
        );
        self.promoting &= !ended || self.under_way.is_some();
        let Some(order) = &self.order else {
            return;
        };
        let serves = self
            .under_way
            .as_ref()
            .is_none_or(|command| self.serves(command));
        if serves && (!self.promoting || order.role.is_read_write()) {
            self.taken = order.ticket;
        }
    }

    /// The plugin does not come back.
    pub fn on_plugin_lost(&mut self, why: String) {
        self.plugin_lost = true;
        self.failure = why;
    }

    /// Nobody's order holds any more.
    pub fn fence(&mut self) {
        self.fenced = true;
    }

    /// The replicator is to end.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// Whether nothing of the server is left, or nothing can be done about it.
    pub fn has_ended(&self) -> bool {
        let gone = matches!(self.observed.server, Server::Down | Server::Stopped);
        let unknown = !self.seen && self.plugin_lost;
        self.ending && self.under_way.is_none() && (gone || unknown)
    }

    /// The upstream's log has not come for a while.
    pub fn on_stalled(&mut self) {
        self.recheck = true;
    }

    /// Whether it should receive the upstream's log, and does not.
    pub fn is_stalled(&self) -> bool {
        self.role() == Some(Role::Standby)
            && !self.fenced
            && self.observed.server == Server::Standby
            && self.observed.upstream.is_some()
            && !self.observed.streaming
    }

    /// How far a clone has come.
    pub fn on_progress(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    /// A command was answered; its outcome has yet to be seen.
    pub fn on_answer(&mut self, command: &Command, answer: &Result<serde_json::Value, Failure>) {
        self.progress = None;
        let outcome = answer
            .clone()
            .and_then(|value| self.on_done(command, value));
        match outcome {
            Ok(()) => self.failure.clear(),
            Err(failure) if failure.is_cancelled() => {}
            Err(failure) => {
                if matches!(command, Command::Rewind(_)) && self.serves(command) {
                    self.remedy = Some(Remedy::Clone);
                }
                self.failure = failure.message;
            }
        }
    }

    fn on_done(&mut self, command: &Command, value: serde_json::Value) -> Result<(), Failure> {
        match command {
            Command::Follow(follow) => match decode(value)? {
                Followed::Following => {
                    self.applied = Some((follow.access.clone(), Server::Standby));
                    self.promoting = false;
                    self.recheck = false;
                    if self.serves(command) {
                        self.remedy = None;
                        self.rewound = false;
                    }
                }
                Followed::Diverged { remedy, why } => {
                    // Only from the upstream that is meant now.
                    if self.serves(command) {
                        self.remedy = Some(if self.rewound { Remedy::Clone } else { remedy });
                    }
                    return Err(Failure::new(why));
                }
            },
            Command::Rewind(_) => {
                self.promoting = false;
                self.remedy = None;
                self.rewound = self.serves(command);
            }
            Command::Clone(_) => {
                self.promoting = false;
                self.remedy = None;
                self.rewound = false;
            }
            // That it is read-write is yet to be seen.
            Command::Promote(_) => {}
            Command::Synchronous(synchronous) => {
                self.applied = Some((synchronous.access.clone(), Server::Primary));
            }
            Command::Stop(Stop { prepare: true }) => self.checkpointed = Some(self.observed.run),
            Command::Stop(Stop { prepare: false }) => {
                let Stopped { .. } = decode(value)?;
                self.promoting = false;
                self.stop_answered = true;
            }
            Command::Describe(_) | Command::Observe {} => {}
        }
        Ok(())
    }

    /// The command that brings what is nearer to what shall be.
    pub fn wanted(&self) -> Option<Command> {
        if self.under_way.is_some() {
            return None;
        }
        let runs = !matches!(self.observed.server, Server::Down | Server::Stopped);
        if self.ending {
            return runs.then_some(Command::Stop(Stop { prepare: false }));
        }
        let order = match &self.order {
            Some(order) if !self.fenced => order,
            _ if !self.fenced => return None,
            order => return self.wanted_fenced(order.as_ref()),
        };
        match order.role {
            Role::Standby => self.wanted_standby(order),
            Role::Primary => self.wanted_primary(order),
            Role::Retiring => self.wanted_retiring(order),
            Role::Stopped => {
                let asked = self.observed.server == Server::Stopped
                    || self.observed.server == Server::Down && self.stop_answered;
                (!asked).then_some(Command::Stop(Stop { prepare: false }))
            }
        }
    }

    /// Whether a command under way may go on.
    pub fn serves(&self, command: &Command) -> bool {
        if self.ending {
            return matches!(command, Command::Stop(Stop { prepare: false }));
        }
        let Some(order) = &self.order else {
            return !self.fenced || is_harmless(command);
        };
        if self.fenced {
            return is_harmless(command);
        }
        match command {
            Command::Follow(follow) => match order.role {
                Role::Standby => {
                    follow.upstream.as_ref() == upstream(order)
                        || self.promoting && follow.upstream.is_none()
                }
                Role::Primary => follow.upstream.is_none(),
                Role::Retiring | Role::Stopped => false,
            },
            Command::Rewind(source) | Command::Clone(source) => {
                order.role == Role::Standby && Some(&source.upstream) == upstream(order)
            }
            Command::Promote(promote) => {
                matches!(order.role, Role::Primary | Role::Retiring)
                    && Some(promote.copy) == order.copy
            }
            Command::Synchronous(synchronous) => {
                matches!(order.role, Role::Primary | Role::Retiring)
                    && synchronous.copy == order.synchronous
            }
            Command::Stop(Stop { prepare: true }) => order.role == Role::Retiring,
            Command::Stop(Stop { prepare: false }) => order.role == Role::Stopped,
            Command::Describe(_) | Command::Observe {} => true,
        }
    }

    fn wanted_fenced(&self, order: Option<&Order>) -> Option<Command> {
        if self.observed.server != Server::Primary && !self.promoting {
            return None;
        }
        let access = order.map_or_else(
            || Access {
                peers: Vec::new(),
                password: String::new(),
                node: String::new(),
            },
            access,
        );
        Some(Command::Follow(Follow {
            upstream: None,
            access,
        }))
    }

    fn wanted_standby(&self, order: &Order) -> Option<Command> {
        let follow = Command::Follow(Follow {
            // First that it stands by, for which no upstream is needed.
            upstream: upstream(order).filter(|_| !self.promoting).cloned(),
            access: access(order),
        });
        if self.promoting {
            return Some(follow);
        }
        if let (Some(remedy), Some(upstream)) = (self.remedy, upstream(order)) {
            let source = Source {
                upstream: upstream.clone(),
                access: access(order),
            };
            return Some(match remedy {
                Remedy::Rewind => Command::Rewind(source),
                Remedy::Clone => Command::Clone(source),
            });
        }
        match self.observed.server {
            Server::Standby => {
                let settled = self.observed.upstream.as_ref() == upstream(order)
                    && self.is_applied(order, Server::Standby)
                    && !self.recheck;
                (!settled).then_some(follow)
            }
            Server::Down | Server::Busy | Server::Stopped | Server::Primary => Some(follow),
        }
    }

    fn wanted_primary(&self, order: &Order) -> Option<Command> {
        let start = Command::Follow(Follow {
            upstream: None,
            access: access(order),
        });
        match self.observed.server {
            Server::Down | Server::Busy | Server::Stopped | Server::Standby if self.barred => None,
            Server::Down | Server::Busy | Server::Stopped => Some(start),
            Server::Standby => order.copy.map(|copy| {
                Command::Promote(Promote {
                    copy,
                    synchronous: order.synchronous,
                })
            }),
            Server::Primary => {
                let settled = self.observed.synchronous == order.synchronous
                    && self.is_applied(order, Server::Primary);
                (!settled).then(|| {
                    Command::Synchronous(Synchronous {
                        copy: order.synchronous,
                        access: access(order),
                    })
                })
            }
        }
    }

    fn wanted_retiring(&self, order: &Order) -> Option<Command> {
        if self.observed.server != Server::Primary {
            return None;
        }
        self.wanted_primary(order)
            .or_else(|| (!self.is_checkpointed()).then_some(Command::Stop(Stop { prepare: true })))
    }

    fn is_applied(&self, order: &Order, role: Server) -> bool {
        self.applied == Some((access(order), role))
    }

    fn is_checkpointed(&self) -> bool {
        self.checkpointed == Some(self.observed.run)
    }

    fn role(&self) -> Option<Role> {
        self.order.as_ref().map(|order| order.role)
    }

    fn is_read_write_ordered(&self) -> bool {
        self.role().is_some_and(Role::is_read_write)
    }

    /// What vrrpd is told.
    pub fn report(&self) -> Report {
        let observed = &self.observed;
        let waits = self.barred && self.is_read_write_ordered();
        let detail = if !self.failure.is_empty() {
            self.failure.clone()
        } else if waits && observed.server != Server::Primary && observed.detail.is_empty() {
            "waits for vrrpd to have closed the gate".to_owned()
        } else {
            observed.detail.clone()
        };
        let server = match observed.server {
            Server::Primary if self.leaving => Server::Busy,
            // Stopped by no order of vrrpd's, and not to be started again.
            Server::Stopped if self.is_read_write_ordered() => Server::Down,
            server => server,
        };
        // While a change of it is under way, no commit is known to wait.
        let is_set = matches!(self.applied, Some((_, Server::Primary)));
        Report {
            ticket: self.taken,
            server,
            healthy: observed.healthy && !self.plugin_lost,
            copy: observed.copy,
            run: observed.run,
            synchronous: observed.synchronous.filter(|_| is_set),
            position: observed.position,
            follower: observed.follower,
            checkpointed: self.is_checkpointed(),
            detail,
            progress: self.progress,
            cancelled_waits: observed.cancelled_waits,
        }
    }
}

/// Whom to replicate from. Without its copy id nothing of the upstream is meant.
fn upstream(order: &Order) -> Option<&Upstream> {
    order
        .follow
        .as_ref()
        .filter(|upstream| upstream.copy.is_some())
}

/// Never makes a server writable, and is better done than left half-done.
const fn is_harmless(command: &Command) -> bool {
    match command {
        Command::Follow(_)
        | Command::Rewind(_)
        | Command::Clone(_)
        | Command::Stop(Stop { prepare: false })
        | Command::Describe(_)
        | Command::Observe {} => true,
        Command::Promote(_) | Command::Synchronous(_) | Command::Stop(Stop { prepare: true }) => {
            false
        }
    }
}

fn access(order: &Order) -> Access {
    Access {
        peers: order.peers.clone(),
        password: order.password.clone(),
        node: order.node.clone(),
    }
}

fn decode<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::new(format!("the plugin's answer cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
