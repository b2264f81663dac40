//! Forming and leaving a pool, as the operator says it at the control socket.

use std::io;

use vrrpd_core::node::{self, Node};
use vrrpd_core::pool::status::Standing;

use super::{Driver, now, start};
use crate::configure::{self, Addresses, Formation, Present, Wish};
use crate::control::ClientId;
use crate::control::status::{OnHold, Status};

impl Driver {
    /// Tells what a wish would do, or does it: the file is written, and when
    /// all has been given up, the daemon is executed again.
    pub(super) fn on_configure(
        &mut self,
        client: ClientId,
        wish: &Wish,
        dry_run: bool,
    ) -> io::Result<()> {
        if self.stops_by.is_some() {
            self.control
                .refuse(client, "vrrpd is stopping: ask again in a moment");
            return Ok(());
        }
        let planned = configure::plan(&self.file, wish, self.present(), &self.own_addresses());
        let plan = match planned {
            Ok(plan) => plan,
            Err(why) => {
                self.control.refuse(client, &why);
                return Ok(());
            }
        };
        if dry_run {
            self.control.answer(client, &plan.steps);
            return Ok(());
        }
        if let Err(why) = plan.apply(&self.config.paths.state) {
            self.control.refuse(client, &why);
            return Ok(());
        }
        self.control.answer(client, &plan.steps);
        log::info!("{}: configured anew: {wish:?}", self.file.display());
        self.execute_again()
    }

    /// Gives all up in good order first.
    fn execute_again(&mut self) -> io::Result<()> {
        self.again = true;
        self.forms_by = None;
        self.stops_by = Some(start::patience(&self.config, now()));
        self.deliver(node::Event::Shutdown)
    }

    fn present(&self) -> Present {
        match (&self.config.pool, self.is_blank()) {
            (None, _) => Present::Standalone,
            (Some(_), true) => Present::OnHold,
            (Some(_), false) => Present::Pooled,
        }
    }

    /// Whether it remembers no pool.
    fn is_blank(&self) -> bool {
        let member = self.node.as_ref().and_then(Node::member);
        member.is_some_and(|member| member.status(now()).standing == Standing::Blank)
    }

    /// What this host has of its own: nothing that we, or a pool, put there.
    fn own_addresses(&self) -> Addresses {
        let addresses = self.links.addresses().iter();
        addresses
            .filter(|address| !address.ours && !address.address.is_loopback())
            .filter_map(|address| {
                let name = self.links.name(address.interface)?;
                Some((name.to_owned(), address.address))
            })
            .collect()
    }

    /// The pool has formed: nothing is waited for any more.
    pub(super) fn tend_formation(&mut self) {
        if self.forms_by.is_none() || self.node.is_none() || self.is_blank() {
            return;
        }
        match Formation::clear(&self.config.paths.state) {
            Ok(()) => {
                self.forms_by = None;
                self.formation = None;
                log::info!("{}: the pool has formed", self.config.node);
                self.note("the pool has formed".to_owned());
            }
            // Tried again: a pool that has formed is not given up.
            Err(why) => log::error!("{why}"),
        }
    }

    /// The pool has not formed in time: standalone again.
    pub(super) fn give_up_forming(&mut self) -> io::Result<()> {
        self.tend_formation();
        let (Some(pool), true) = (&self.config.pool, self.forms_by.is_some()) else {
            return Ok(());
        };
        if self.node.is_some() && !self.is_blank() {
            self.forms_by = Some(now() + super::TEND);
            return Ok(());
        }
        let why = format!(
            "the pool has not formed within {}: {}",
            crate::config::written(pool.formation_timeout),
            self.waits_for()
        );
        let state = &self.config.paths.state;
        if let Err(failed) = configure::fall_back(&self.file, state, &why) {
            log::error!("{failed}: cannot become standalone again yet");
            self.forms_by = Some(now() + super::TEND);
            return Ok(());
        }
        log::error!("{why}: this manager is standalone again");
        // From here on it says nothing: it is in no pool.
        self.node = None;
        self.execute_again()
    }

    /// What keeps the pool from forming.
    fn waits_for(&self) -> String {
        let status = self.plain_status();
        let mut waits: Vec<String> = Vec::new();
        for (name, server) in &status.servers {
            if *name == status.mode {
                continue;
            }
            match server.status.as_str() {
                "unreachable" => waits.push(format!(
                    "the {name} at {} does not answer: is it configured, with the same key?",
                    server.address
                )),
                "forming" => {}
                _ => waits.push(format!(
                    "the {name} at {} belongs to a pool already: let it leave that first",
                    server.address
                )),
            }
        }
        if status.database["healthy"] != serde_json::Value::Bool(true) {
            let detail = status.database["detail"].as_str().unwrap_or_default();
            let detail = if detail.is_empty() {
                ""
            } else {
                &format!(": {detail}")
            };
            waits.push(format!("this manager's database is not healthy{detail}"));
        }
        if waits.is_empty() {
            waits.push("the Master forms the pool".to_owned());
        }
        waits.join("; ")
    }

    /// What is being formed, or has not, for the status.
    pub(super) fn tell_formation(&self, status: &mut Status) {
        if let Some(Formation::Failed(why)) = &self.formation {
            status.not_formed = Some(why.clone());
        }
        if let (Some(by), true) = (self.forms_by, self.is_blank()) {
            let left = now().until(by).as_millis();
            status.on_hold = Some(OnHold {
                waits_for: self.waits_for(),
                left_ms: u64::try_from(left).unwrap_or(u64::MAX),
            });
        }
    }

    /// Says in the log what was not formed.
    pub(super) fn say_formation(&mut self) {
        if let Some(Formation::Failed(why)) = &self.formation {
            let line = format!("standalone again: {why}");
            log::warn!("{line}");
            self.note(line);
        }
        if self.forms_by.is_some() {
            self.note("on hold until the pool has formed".to_owned());
        }
    }

    /// Orders what holds for the database of a manager in no pool.
    pub(super) fn order_alone(&mut self) {
        if let (Some(alone), Some(replicator)) = (&self.alone, &mut self.replicator) {
            replicator.order(alone.desired(), &mut self.news);
        }
    }
}
