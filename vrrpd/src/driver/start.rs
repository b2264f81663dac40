//! Starting fenced, beginning a boot, and reading the configuration again.

use std::error::Error;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use mio::unix::SourceFd;
use mio::{Interest, Poll};
use vrrpd_core::node::{self, Node};
use vrrpd_core::pool::member::Member;
use vrrpd_core::priority::CheckState;
use vrrpd_core::router;
use vrrpd_core::time::Instant;
use vrrpd_sys::clock::Timer;
use vrrpd_sys::gate::Rules;

use super::alone::Alone;
use super::groups::GroupStates;
use super::kernel::Kernel;
use super::links::Links;
use super::replicator::ReplicatorLink;
use super::signals::Signals;
use super::vrrp::VrrpSockets;
use super::{CONTROL, Driver, LINKS, REPLICATOR, RUNNER, SIGNALS, TIMER, VRRP, now, seed};
use crate::check::Checks;
use crate::config::Config;
use crate::configure::{self, Formation};
use crate::control::{Journal, Server};
use crate::hook::{self, Hooks};
use crate::job::Runner;
use crate::store::{self, Store};

impl Driver {
    /// Starts a manager as `config`, read from `file`, says: fenced.
    ///
    /// # Errors
    ///
    /// What is missing or taken, and how to mend it.
    pub fn start(file: PathBuf, config: Config, signals: Signals) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        fs::create_dir_all(&config.paths.run)
            .map_err(|error| format!("{}: {error}", config.paths.run.display()))?;
        // First what tells that another daemon runs with this configuration.
        let path = config.paths.control_socket();
        let control = Server::bind(&path, registry, CONTROL)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let store = match &config.pool {
            Some(_) => Some(Store::open(&config.paths.state)?),
            None => None,
        };
        let formation = formation(&config)?;
        let mut links = Links::open()?;
        let mut kernel = Kernel::open(rules(&config))?;
        fence(&config, &mut kernel, &mut links)?;
        let replicator = match &config.replication {
            Some(replication) => {
                let path = config.paths.replicator_socket();
                let pool = config.pool.as_ref();
                let link = ReplicatorLink::open(&path, pool, replication, registry, REPLICATOR)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                Some(link)
            }
            None => None,
        };
        let timer = Timer::new()?;
        for (fd, token) in [
            (timer.as_raw_fd(), TIMER),
            (signals.as_raw_fd(), SIGNALS),
            (links.fd(), LINKS),
        ] {
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        }
        let now = now();
        let installed = hook::installed(&config.paths.hooks);
        let forms_by = forms_by(&config, formation.as_ref(), now);
        let is_alone = config.pool.is_none() && config.replication.is_some();
        let mut driver = Self {
            checks: Checks::new(config.checks.clone(), now),
            groups: GroupStates::default(),
            hooks: Hooks::new(&config.node, config.hooks.clone(), installed),
            runner: Runner::new(RUNNER),
            file,
            config,
            poll,
            timer,
            ready: Default::default(),
            node: None,
            store,
            kernel,
            links,
            vrrp: VrrpSockets::new(),
            pool: None,
            new_boot: false,
            replicator,
            alone: is_alone.then(|| Alone::new(seed())),
            forms_by,
            formation,
            again: false,
            forsaken: false,
            control,
            journal: Journal::default(),
            signals,
            actions: Vec::new(),
            orders: Vec::new(),
            news: Vec::new(),
            refusal: None,
            next_tend: now,
            stops_by: None,
        };
        driver.fit_sockets();
        driver.say_formation();
        driver.order_alone();
        driver.begin()?;
        if driver.node.is_none() {
            return Err("the state cannot be written, see above".into());
        }
        Ok(driver)
    }

    /// Begins a boot with what is on disk.
    pub(super) fn begin(&mut self) -> Result<(), Box<dyn Error>> {
        let now = now();
        let member = match (&self.config.pool, &self.store) {
            (Some(pool), Some(store)) => Some(Member::new(pool.member, store.load()?, seed(), now)),
            _ => None,
        };
        self.new_boot = true;
        self.node = Some(Node::new(self.config.setup(), member));
        self.links.tell_anew();
        self.tell_links()?;
        let states: Vec<CheckState> = self.checks.states().map(|(_, state)| state).collect();
        for (check, state) in states.into_iter().enumerate() {
            self.deliver(node::Event::Checked { check, state })?;
        }
        self.deliver(node::Event::Startup)?;
        Ok(())
    }

    /// The state could not be written: what depends on it is not said, all
    /// rights are given up as if the daemon had ended, and it begins anew when
    /// the disk takes the state.
    pub(super) fn forsake(&mut self, error: &store::Error) -> io::Result<()> {
        if !core::mem::replace(&mut self.forsaken, true) {
            log::error!("{error}: fenced until it can be written");
        }
        self.node = None;
        self.kernel.fence()?;
        if let Some(replicator) = &mut self.replicator {
            replicator.forsake();
        }
        Ok(())
    }

    /// Reads the configuration again: all of it is taken, or nothing.
    ///
    /// # Errors
    ///
    /// Why it is not taken, one line each.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let new = Config::load(&self.file).map_err(|mistakes| mistakes.to_string())?;
        for (changed, what) in [
            (new.node != self.config.node, "[node]"),
            (new.pool != self.config.pool, "[pool]"),
            (new.replication != self.config.replication, "[replication]"),
            (new.paths != self.config.paths, "[paths]"),
            (new.process != self.config.process, "[process]"),
        ] {
            if changed {
                return Err(format!(
                    "{}: {what} has changed: restart vrrpd to take it up",
                    self.file.display()
                ));
            }
        }
        self.kernel
            .change(rules(&new))
            .map_err(|error| error.to_string())?;
        self.config = new;
        self.fit_sockets();
        let installed = hook::installed(&self.config.paths.hooks);
        self.hooks.reconfigure(self.config.hooks.clone(), installed);
        self.take_up().map_err(|error| error.to_string())
    }

    fn take_up(&mut self) -> io::Result<()> {
        self.tell_links()?;
        self.deliver(node::Event::Reload(self.config.setup()))?;
        self.groups.know(self.node.iter().flat_map(Node::groups));
        let mut actions = Vec::new();
        self.checks
            .reconfigure(self.config.checks.clone(), now(), &mut actions);
        self.check_actions(actions)
    }

    /// Opens the sockets that the interfaces and the configuration ask for.
    pub(super) fn fit_sockets(&mut self) {
        let fitted = self.vrrp.fit(
            &self.config.virtual_routers,
            |interface| self.links.index(interface),
            self.poll.registry(),
            VRRP,
        );
        if let Err(error) = fitted {
            log::warn!("advertisements cannot be received: {error}");
        }
        // What came before the poll knew the socket has rung no bell.
        self.ready
            .extend((0..self.vrrp.len()).map(|place| mio::Token(VRRP.0 + place)));
    }
}

/// When a pool that is to form is given up.
fn forms_by(config: &Config, formation: Option<&Formation>, now: Instant) -> Option<Instant> {
    let pool = config.pool.as_ref()?;
    (formation == Some(&Formation::OnHold)).then(|| now + pool.formation_timeout)
}

/// How far the operator's procedure has come; what it left undone is done.
fn formation(config: &Config) -> Result<Option<Formation>, String> {
    let state = &config.paths.state;
    let formation = Formation::load(state)?;
    match (&config.pool, &formation) {
        (None, Some(Formation::Failed(_))) => configure::forget(state)?,
        (None, Some(Formation::Leaving)) => {
            configure::forget(state)?;
            Formation::clear(state)?;
            return Ok(None);
        }
        // The host lost its power before the file was replaced, or somebody
        // has changed it by hand.
        (None, Some(Formation::OnHold))
        | (Some(_), Some(Formation::Leaving | Formation::Failed(_))) => {
            Formation::clear(state)?;
            return Ok(None);
        }
        (Some(_), Some(Formation::OnHold)) | (_, None) => {}
    }
    Ok(formation)
}

/// The rules of the gate; it concerns clients in a pool only.
fn rules(config: &Config) -> Rules {
    let pooled = config.pool.as_ref();
    let of = |router: &router::Config| {
        router
            .addresses
            .iter()
            .map(|address| address.ip)
            .collect::<Vec<IpAddr>>()
    };
    let backups = || {
        config
            .virtual_routers
            .iter()
            .filter(|router| !router.priority.is_owner())
    };
    Rules {
        name: config.node.clone(),
        tcp_ports: match pooled {
            Some(_) => config.gate.tcp_ports.clone(),
            None => Vec::new(),
        },
        exempt: pooled.map_or_else(Vec::new, |pool| vec![pool.peer, pool.arbiter]),
        virtual_addresses: backups().flat_map(of).collect(),
        unaccepted: backups()
            .filter(|router| !router.accept)
            .flat_map(of)
            .collect(),
    }
}

/// Takes off what an earlier run may have left; an owner's addresses are its own.
fn fence(config: &Config, kernel: &mut Kernel, links: &mut Links) -> io::Result<()> {
    for router in config
        .virtual_routers
        .iter()
        .filter(|router| !router.priority.is_owner())
    {
        let Some(index) = links.index(&router.identity.interface) else {
            continue;
        };
        let there = |address: &&router::Address| {
            let same =
                |a: &vrrpd_sys::netlink::Address| (a.interface, a.address) == (index, address.ip);
            links.addresses().iter().any(same)
        };
        let left: Vec<router::Address> = router.addresses.iter().filter(there).copied().collect();
        if !left.is_empty() {
            log::warn!(
                "{}: takes off addresses that were left on it",
                router.identity
            );
            kernel.remove(&router.identity, Some(index), &left)?;
        }
    }
    Ok(())
}

/// Something is to be done by then.
pub(super) fn patience(config: &Config, now: Instant) -> Instant {
    now + config
        .pool
        .as_ref()
        .map_or(core::time::Duration::from_secs(2), |pool| {
            pool.member.switchover_timeout
        })
}
