//! Initialize: RFC 9568 §6.4.1, and what leads back to it.

use super::state::{FIGHT_MAX, FIGHT_WINDOW, Initialize, State};
use super::{Action, Fault, Reason, Router, Running, What};
use crate::time::Instant;

impl Router {
    pub(super) fn on_startup(&mut self, out: &mut Vec<Action>) {
        if self.running != Running::NotYet {
            return;
        }
        self.running = Running::Yes;
        // What a killed predecessor left behind; an owner keeps its own.
        if !self.config.priority.is_owner() {
            self.remove_addresses(out);
        }
    }

    /// Leaves or enters Initialize as the facts have it (VRRP.md, trap 16).
    pub(super) fn follow_fault(
        &mut self,
        before: Option<Fault>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let fault = self.fault();
        match (&self.state, fault) {
            (State::Initialize(_), None) => {
                if let Some(after) = before {
                    self.leave_initialize(after, now, out);
                }
            }
            (State::Initialize(_), Some(fault)) => {
                if self.running == Running::Yes && before.as_ref() != Some(&fault) {
                    self.say(What::Waits { fault }, out);
                }
            }
            (State::Backup(_), Some(fault)) => {
                self.become_initialize(Reason::Fault(fault), out);
            }
            (State::Active(_), Some(Fault::AddressesDeleted { .. })) if !self.config.governed => {
                self.resign(out);
                self.become_fought(now, out);
            }
            (State::Active(_), Some(fault)) => {
                // The pool is told of the fault, and decides.
                if !self.config.governed || fault == Fault::Stopped {
                    self.resign(out);
                    self.become_initialize(Reason::Fault(fault), out);
                }
            }
            (State::Backup(_) | State::Active(_), None) => {}
        }
    }

    /// RFC 9568 §6.4.1, after Startup.
    fn leave_initialize(&mut self, after: Fault, now: Instant, out: &mut Vec<Action>) {
        if self.config.priority.is_owner() && !self.config.governed {
            let until = now + self.lease();
            self.become_active(Reason::Owner, until, now, out);
        } else {
            self.become_backup(Reason::Listens { after }, now, out);
        }
    }

    fn become_initialize(&mut self, reason: Reason, out: &mut Vec<Action>) {
        self.enter(State::Initialize(Initialize::default()), reason, out);
    }

    /// It cannot keep its addresses: stays down for a while.
    pub(super) fn become_fought(&mut self, now: Instant, out: &mut Vec<Action>) {
        let state = State::Initialize(Initialize {
            fought_until: Some(now + FIGHT_WINDOW),
        });
        let times = FIGHT_MAX;
        let reason = Reason::Fault(Fault::AddressesDeleted { times });
        self.enter(state, reason, out);
    }
}
