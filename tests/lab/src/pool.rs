//! A redundancy pool in the lab: two managers, an arbiter, a client, one LAN.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::clock::{Moment, wait_for};
use crate::directory::{self, Directory};
use crate::fault::{Attempt, Fault, Result};
use crate::host::{Host, Name};
use crate::net::Switch;
use crate::process::Program;
use crate::programs::Programs;
use crate::timeline::Timeline;
use crate::wire::Connection;
use crate::{control, postgres, settings};

/// The virtual IP.
pub const VIRTUAL_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);

/// The three that vote.
pub const SERVERS: [Name; 3] = [Name::ManagerA, Name::ManagerB, Name::Arbiter];

/// The two that hold data.
pub const MANAGERS: [Name; 2] = [Name::ManagerA, Name::ManagerB];

/// Far longer than anything takes on a busy machine: waiting ends with what is
/// waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How the pool is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between advertisements, and between renewals.
    pub advertise_interval: Duration,
    /// The Master takes the Primary status back when it is up again.
    pub active: bool,
    /// `available` or `strict`.
    pub durability: String,
    /// Further lines of `[pool]`, each with its end of line.
    pub pool_extra: String,
    /// What the managers have before the pool is formed.
    pub databases: Databases,
}

/// What the managers have before the pool is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Databases {
    /// The same cluster, made once for all labs: the Backup follows at once.
    Same,
    /// A new cluster on the Master, nothing on the Backup: it has to copy.
    OnMaster,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            advertise_interval: Duration::from_millis(200),
            active: false,
            durability: "available".into(),
            pool_extra: String::new(),
            databases: Databases::Same,
        }
    }
}

/// The hosts, with the processes of the pool on them.
#[derive(Debug)]
pub struct Pool {
    servers: Vec<Host>,
    client: Host,
    switch: Switch,
    programs: Programs,
    settings: Settings,
    timeline: Timeline,
    /// Last: the hosts' disks go when the hosts have.
    directory: Directory,
}

impl Pool {
    /// Hosts with power, configuration files and a database each, and no daemon
    /// yet.
    ///
    /// # Errors
    ///
    /// Not run as root, or something is not installed: what.
    pub fn new(settings: Settings, directory: Directory, timeline: &Timeline) -> Result<Self> {
        let lab = directory.path().to_path_buf();
        let programs = Programs::install(&lab)?;
        let host = |name| Host::new(name, &lab, timeline);
        let mut pool = Self {
            servers: SERVERS.into_iter().map(host).collect::<Result<_>>()?,
            client: host(Name::Client)?,
            switch: Switch::new()?,
            programs,
            settings,
            timeline: timeline.clone(),
            directory,
        };
        pool.client.power_on(&pool.switch)?;
        for host in &mut pool.servers {
            host.power_on(&pool.switch)?;
        }
        pool.configure()?;
        Ok(pool)
    }

    /// Writes what an operator writes: one key for all three, a file each.
    fn configure(&self) -> Result<()> {
        let key = self.client.namespace()?.command(
            &self.programs.path("vrrpctl").display().to_string(),
            &["keygen"],
        )?;
        for host in &self.servers {
            let file = host.etc().join("pool.key");
            directory::write(&file, &key)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
                .attempt(|| format!("protect {}", file.display()))?;
            match host.name() {
                Name::ManagerA | Name::ManagerB => {
                    let text = settings::manager(host, &self.settings, self.programs.directory());
                    directory::write(&self.config(host.name()), &text)?;
                    let data = host.disk().join("postgresql/main");
                    match (self.settings.databases, host.name()) {
                        (Databases::Same, _) => postgres::prepare(&data)?,
                        (Databases::OnMaster, Name::ManagerA) => {
                            self.timeline.mark("initdb makes manager-a a database");
                            postgres::initialize(&data)?;
                        }
                        (Databases::OnMaster, _) => {
                            postgres::give(&host.disk().join("postgresql"))?
                        }
                    }
                    // As the replicator's unit has systemd make it.
                    directory::make(&host.disk().join("vrrpd"))?;
                    postgres::give(&host.disk().join("vrrpd/replicator"))?;
                }
                Name::Arbiter | Name::Client => {
                    let text = settings::arbiter(host, &self.settings);
                    directory::write(&self.config(host.name()), &text)?;
                }
            }
        }
        Ok(())
    }

    /// Starts every daemon of every server, and waits until the Master is
    /// Primary and the Backup in sync.
    ///
    /// # Errors
    ///
    /// The pool does not form.
    pub fn form(&mut self) -> Result<()> {
        for name in SERVERS {
            self.start_daemons(name)?;
        }
        self.wait_primary(Name::ManagerA)?;
        self.wait_ok()
    }

    /// Starts the daemons of a server, as its init system does.
    ///
    /// # Errors
    ///
    /// They cannot be executed.
    pub fn start_daemons(&mut self, name: Name) -> Result<()> {
        match name {
            Name::Arbiter => self.start(name, "arbiterd"),
            Name::ManagerA | Name::ManagerB => {
                self.start(name, "vrrpd")?;
                self.start(name, "replicator")
            }
            Name::Client => Ok(()),
        }
    }

    /// Starts one daemon of a server.
    ///
    /// # Errors
    ///
    /// It cannot be executed.
    pub fn start(&mut self, name: Name, daemon: &str) -> Result<()> {
        let user = match daemon {
            "replicator" => {
                let (user, group) = postgres::owner()?;
                Some((user.as_raw(), group.as_raw()))
            }
            _ => None,
        };
        let program = Program {
            name: daemon.into(),
            path: self.programs.path(daemon),
            arguments: vec!["-c".into(), self.config(name).display().to_string()],
            environment: Vec::new(),
            user,
        };
        self.timeline.mark(format!("start {daemon} on {name}"));
        self.host_mut(name).start(&program).map(drop)
    }

    /// The configuration file of a server.
    pub fn config(&self, name: Name) -> PathBuf {
        let file = match name {
            Name::Arbiter => "arbiter.toml",
            Name::ManagerA | Name::ManagerB | Name::Client => "vrrpd.toml",
        };
        self.host(name).etc().join(file)
    }

    /// Cuts a host off and kills everything on it, at the same moment; when that
    /// was.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn power_off(&mut self, name: Name) -> Result<Moment> {
        let at = self.timeline.mark(format!("power off {name}"));
        let index = index(name);
        self.servers[index].power_off(&self.switch)?;
        Ok(at)
    }

    /// Gives a host power again, and starts its daemons.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn power_on(&mut self, name: Name) -> Result<Moment> {
        let at = self.timeline.mark(format!("power on {name}"));
        let index = index(name);
        self.servers[index].power_on(&self.switch)?;
        self.start_daemons(name)?;
        Ok(at)
    }

    /// Sends a signal to a daemon of a server; when that was.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn signal(&self, name: Name, daemon: &str, signal: Signal) -> Result<Moment> {
        let at = self
            .timeline
            .mark(format!("{signal} to {daemon} on {name}"));
        self.host(name).signal(daemon, signal)?;
        Ok(at)
    }

    /// Kills the database server of a manager, by its first process; when that
    /// was.
    ///
    /// # Errors
    ///
    /// None runs.
    pub fn kill_database(&self, name: Name) -> Result<Moment> {
        let servers = self.host(name).named("postgres")?;
        let is_first = |id: &&u32| {
            let parent = parent(**id);
            parent.is_none_or(|parent| !servers.contains(&parent))
        };
        let first = servers
            .iter()
            .find(is_first)
            .ok_or_else(|| Fault::new(format!("no postgres runs on {name}")))?;
        let at = self.timeline.mark(format!("kill -9 postgres on {name}"));
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(first.cast_signed()),
            Signal::SIGKILL,
        )
        .attempt(|| format!("kill postgres on {name}"))?;
        Ok(at)
    }

    /// Runs `vrrpctl` on a manager; what it prints.
    ///
    /// # Errors
    ///
    /// It refuses: its words.
    pub fn vrrpctl(&self, name: Name, words: &[&str]) -> Result<String> {
        let config = self.config(name).display().to_string();
        let mut arguments = vec!["-c", config.as_str()];
        arguments.extend_from_slice(words);
        self.timeline
            .mark(format!("vrrpctl {} on {name}", words.join(" ")));
        let program = self.programs.path("vrrpctl").display().to_string();
        self.host(name).namespace()?.command(&program, &arguments)
    }

    /// The status object of a manager.
    ///
    /// # Errors
    ///
    /// Its vrrpd does not answer.
    pub fn status(&self, name: Name) -> Result<Value> {
        control::status(&self.host(name).run_directory().join("control.sock"))
    }

    /// The manager that is Primary and admits clients, by its own word.
    pub fn primary(&self) -> Option<Name> {
        MANAGERS.into_iter().find(|&name| self.serves(name).is_ok())
    }

    /// Waits until this manager is Primary and admits clients.
    ///
    /// # Errors
    ///
    /// It does not within [`PATIENCE`]; what all say instead.
    pub fn wait_primary(&self, name: Name) -> Result<()> {
        let what = format!("{name} is Primary and admits clients");
        wait_for(&what, PATIENCE, || {
            self.serves(name).map_err(|why| self.explain(&why))
        })?;
        self.timeline.mark(what);
        Ok(())
    }

    /// Waits until any manager is Primary and admits clients; which.
    ///
    /// # Errors
    ///
    /// None does within [`PATIENCE`]; what all say instead.
    pub fn wait_any_primary(&self) -> Result<Name> {
        wait_for("a Primary that admits clients", PATIENCE, || {
            self.primary().ok_or_else(|| self.explain("there is none"))
        })
    }

    /// Waits until the pool is OK: all reachable, two copies in sync.
    ///
    /// # Errors
    ///
    /// It is not within [`PATIENCE`]; what all say instead.
    pub fn wait_ok(&self) -> Result<()> {
        wait_for("the pool is OK", PATIENCE, || {
            let primary = self
                .primary()
                .ok_or_else(|| self.explain("there is no Primary"))?;
            let status = self.status(primary).map_err(|fault| fault.to_string())?;
            let in_sync = status["in_sync"].as_array().map_or(0, Vec::len);
            if status["state"] == "ok" && in_sync == 2 {
                return Ok(());
            }
            Err(self.explain("it is not"))
        })?;
        self.timeline.mark("the pool is OK: two copies in sync");
        Ok(())
    }

    fn serves(&self, name: Name) -> std::result::Result<(), String> {
        let status = self.status(name).map_err(|fault| fault.to_string())?;
        if status["status"] == "primary" && status["gate"] == "open" {
            return Ok(());
        }
        Err(format!("{name} is not"))
    }

    /// `why`, and what the managers say of themselves.
    fn explain(&self, why: &str) -> String {
        let mut lines = vec![why.to_owned()];
        for name in MANAGERS {
            let words = match self.status(name) {
                Ok(status) => summary(&status),
                Err(fault) => fault.to_string(),
            };
            lines.push(format!("  {name}: {words}"));
        }
        lines.join("\n")
    }

    /// A connection to a manager's database from the manager itself.
    ///
    /// # Errors
    ///
    /// No server answers there.
    pub fn database(&self, name: Name) -> Result<Connection> {
        // By TCP: the socket is for the database's owner alone.
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, postgres::PORT));
        self.host(name)
            .namespace()?
            .run(move || Connection::tcp(here, Duration::from_secs(5)))
            .attempt(|| format!("connect to the database of {name}"))
    }

    /// Where field units connect.
    pub fn service(&self) -> SocketAddr {
        (VIRTUAL_IP, postgres::PORT).into()
    }

    /// A server.
    ///
    /// # Panics
    ///
    /// Of the client: see [`Pool::client`].
    pub fn host(&self, name: Name) -> &Host {
        &self.servers[index(name)]
    }

    /// A server, to change it.
    ///
    /// # Panics
    ///
    /// As [`Pool::host`].
    pub fn host_mut(&mut self, name: Name) -> &mut Host {
        &mut self.servers[index(name)]
    }

    /// Where the field units are.
    pub fn client(&self) -> &Host {
        &self.client
    }

    /// The LAN, to break it.
    pub fn switch(&mut self) -> &mut Switch {
        &mut self.switch
    }

    /// The programs that run here.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// How it is set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What happened so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Its files.
    pub fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for host in &mut self.servers {
            // What cannot be unplugged goes with the switch.
            let _ = host.power_off(&self.switch);
        }
        let _ = self.client.power_off(&self.switch);
    }
}

fn index(name: Name) -> usize {
    SERVERS
        .iter()
        .position(|&server| server == name)
        .unwrap_or_else(|| panic!("{name} is no server of the pool"))
}

/// The parent of a process.
fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

/// One line of a status object.
fn summary(status: &Value) -> String {
    let text = |key: &str| match &status[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    format!(
        "{}, pool {}, epoch {}, gate {}, in sync {}, why {}, database {}",
        text("status"),
        text("state"),
        text("epoch"),
        text("gate"),
        text("in_sync"),
        text("why"),
        text("database"),
    )
}
