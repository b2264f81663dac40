//! The one place that decides: from the order and what is, to the next command.
//!
//! No I/O and no clock. [`Keeper::wanted`] says which command brings what is
//! nearer to what shall be; a command that is under way and still serves the
//! order is left alone, any other is cancelled first.

use crate::plugin::{
    Access, Command, Failure, Follow, Followed, Observation, Promote, Remedy, Source, Stop,
    Stopped, Synchronous,
};
use crate::role::{Order, Progress, Report, Role, Server, Upstream};

/// What is known, and what follows from it.
#[derive(Clone, Debug)]
pub struct Keeper {
    order: Option<Order>,
    observed: Observation,
    /// Nobody's order holds: the database must not be writable.
    fenced: bool,
    /// The replicator is being stopped, and the server with it.
    ending: bool,
    /// The server died while it was read-write by this order. It is not started
    /// again before its death is known and an order follows from that.
    died: bool,
    /// That death was told in the first report of this connection, so that any
    /// order on it is given in knowledge of it.
    told: bool,
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
    /// Begins fenced.
    pub fn new(observed: Observation) -> Self {
        Self {
            order: None,
            observed,
            fenced: false,
            ending: false,
            died: false,
            told: false,
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

    /// A connection to vrrpd was made, and the report sent.
    pub fn on_connected(&mut self) {
        self.told = self.died;
    }

    /// An order came.
    pub fn on_order(&mut self, order: Order) {
        let before = self.order.as_ref();
        if before.is_none_or(|before| before.role != order.role || before.epoch != order.epoch) {
            self.stop_answered = false;
            self.failure.clear();
            if !matches!(order.role, Role::Retiring | Role::Stopped) {
                self.checkpointed = None;
            }
        }
        if before.is_none_or(|before| before.follow != order.follow) {
            self.remedy = None;
            self.rewound = false;
        }
        // An order to go on as Primary may have crossed the report of the death.
        if self.told || matches!(order.role, Role::Standby | Role::Stopped) {
            self.died = false;
            self.told = false;
        }
        self.fenced = false;
        self.order = Some(order);
    }

    /// The plugin has seen something.
    pub fn on_observed(&mut self, observed: Observation) {
        let was = self.observed.server;
        let serves = self.role().is_some_and(|role| role != Role::Standby);
        if was == Server::Primary && observed.server == Server::Down && serves {
            self.died = true;
        }
        if observed.server != was || observed.streaming {
            self.recheck = false;
        }
        if observed.run != self.observed.run {
            self.checkpointed = None;
        }
        self.leaving &= observed.server == Server::Primary;
        self.observed = observed;
        self.plugin_lost = false;
    }

    /// The plugin was given a command.
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
    }

    /// The plugin was started again: what was set is to be set again.
    pub fn on_plugin_started(&mut self) {
        self.applied = None;
        self.progress = None;
        self.leaving = false;
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

    /// Whether nothing of the server is left.
    pub fn has_ended(&self) -> bool {
        self.ending && matches!(self.observed.server, Server::Down | Server::Stopped)
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

    /// A command was answered.
    pub fn on_answer(&mut self, command: &Command, answer: &Result<serde_json::Value, Failure>) {
        self.progress = None;
        self.leaving = false;
        let outcome = answer
            .clone()
            .and_then(|value| self.on_done(command, value));
        match outcome {
            Ok(()) => self.failure.clear(),
            Err(failure) if failure.is_cancelled() => {}
            Err(failure) => {
                if matches!(command, Command::Rewind(_)) {
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
                    self.remedy = None;
                    self.rewound = false;
                    self.recheck = false;
                }
                Followed::Diverged { remedy, why } => {
                    self.remedy = Some(if self.rewound { Remedy::Clone } else { remedy });
                    return Err(Failure::new(why));
                }
            },
            Command::Rewind(_) => {
                self.remedy = None;
                self.rewound = true;
            }
            Command::Clone(_) => {
                self.remedy = None;
                self.rewound = false;
            }
            Command::Promote(_) => self.applied = None,
            Command::Synchronous(synchronous) => {
                self.applied = Some((synchronous.access.clone(), Server::Primary));
            }
            Command::Stop(Stop { prepare: true }) => self.checkpointed = Some(self.observed.run),
            Command::Stop(Stop { prepare: false }) => {
                let Stopped { .. } = decode(value)?;
                self.stop_answered = true;
            }
            Command::Describe(_) | Command::Observe {} => {}
        }
        Ok(())
    }

    /// The command that brings what is nearer to what shall be.
    pub fn wanted(&self) -> Option<Command> {
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
                Role::Standby => follow.upstream == order.follow,
                Role::Primary => follow.upstream.is_none(),
                Role::Retiring | Role::Stopped => false,
            },
            Command::Rewind(source) | Command::Clone(source) => {
                order.role == Role::Standby && Some(&source.upstream) == order.follow.as_ref()
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
        if self.observed.server != Server::Primary {
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
            upstream: order.follow.clone(),
            access: access(order),
        });
        if let (Some(remedy), Some(upstream)) = (self.remedy, &order.follow) {
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
                let settled = self.observed.upstream == order.follow
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
            Server::Down | Server::Busy if self.died => None,
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

    /// What vrrpd is told.
    pub fn report(&self) -> Report {
        let observed = &self.observed;
        let detail = if self.failure.is_empty() {
            observed.detail.clone()
        } else {
            self.failure.clone()
        };
        Report {
            ticket: self.order.as_ref().map_or(0, |order| order.ticket),
            server: if self.leaving {
                Server::Busy
            } else {
                observed.server
            },
            healthy: observed.healthy && !self.plugin_lost,
            copy: observed.copy,
            run: observed.run,
            synchronous: observed.synchronous,
            position: observed.position,
            follower: observed.follower,
            checkpointed: self.is_checkpointed(),
            detail,
            progress: self.progress,
            cancelled_waits: observed.cancelled_waits,
        }
    }

    /// The upstream that is ordered, for the log.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.order.as_ref().and_then(|order| order.follow.as_ref())
    }
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
