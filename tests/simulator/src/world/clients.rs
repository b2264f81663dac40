//! Clients: they write and read through any gate that is open to them.

use vrrpd_core::pool::database::Server;
use vrrpd_core::pool::record::NodeId;

use super::{MANAGERS, What, World};
use crate::clock::{MICROS, MILLIS};
use crate::ledger::Kind;

/// How many in a thousand writes come from the host itself, past the gate, to
/// a database that was admitted to before.
const LOCAL: u32 = 20;

impl World {
    pub(crate) fn on_write(&mut self) {
        for id in MANAGERS {
            let local = self.manager(id).admitted && self.random.chance(LOCAL);
            let invited = self.host(id).admits(self.now) || local;
            if invited && self.host(id).is_awake() {
                self.write(id);
            }
        }
        let pause = self
            .random
            .between(self.plan.write_every / 2, self.plan.write_every * 3 / 2);
        self.after(pause, What::Write);
    }

    /// A client's commit reaches the disk of `id`; whether it waits for the
    /// other copy is looked up a moment later.
    pub fn write(&mut self, id: NodeId) {
        if !self.manager(id).is_writable() {
            return;
        }
        let timeline = self.manager(id).directory.timeline(&self.ledger);
        let entry = self.ledger.write(Kind::Commit, timeline);
        let manager = self.manager_mut(id);
        manager.directory.log.push(entry);
        let (generation, place) = (manager.generation, manager.directory.log.len() - 1);
        let mut pause = self.random.between(20 * MICROS, 300 * MICROS);
        if self.random.chance(10) {
            pause += self.random.below(60 * MILLIS);
        }
        self.after(pause, What::Commit(id, generation, place));
        self.ship(id);
        self.report(id);
    }

    pub(crate) fn on_read(&mut self) {
        for id in MANAGERS {
            let serves = matches!(self.manager(id).server, Server::Primary | Server::Standby);
            if serves && self.host(id).admits(self.now) {
                self.read_all(id);
            }
        }
        let pause = self.random.between(2 * MILLIS, 15 * MILLIS);
        self.after(pause, What::Read);
    }
}
