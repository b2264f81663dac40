//! A host of the lab: a network namespace with a disk and power.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::directory;
use crate::fault::{Attempt, Fault, Result};
use crate::namespace::Namespace;
use crate::net::Switch;
use crate::postgres;
use crate::process::{Process, Program};
use crate::timeline::Timeline;

/// How long a process that was killed may take to end.
const DYING: Duration = Duration::from_secs(20);

/// Which host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The Master Manager.
    ManagerA,
    /// The Backup Manager.
    ManagerB,
    /// The Redundancy Arbiter.
    Arbiter,
    /// Where the field units and the probe are.
    Client,
}

impl Name {
    /// As logs and ports name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManagerA => "manager-a",
            Self::ManagerB => "manager-b",
            Self::Arbiter => "arbiter",
            Self::Client => "client",
        }
    }

    /// Its own address.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number())
    }

    /// The MAC address of its `eth0`.
    pub fn mac(self) -> [u8; 6] {
        [2, 0, 0, 0, 2, self.number()]
    }

    fn number(self) -> u8 {
        match self {
            Self::ManagerA => 11,
            Self::ManagerB => 12,
            Self::Arbiter => 13,
            Self::Client => 20,
        }
    }

    /// The other manager.
    ///
    /// # Panics
    ///
    /// If this is no manager.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::ManagerA => Self::ManagerB,
            Self::ManagerB => Self::ManagerA,
            Self::Arbiter | Self::Client => panic!("{self} is no manager"),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A host: what it is, and what runs on it while it has power.
#[derive(Debug)]
pub struct Host {
    name: Name,
    directory: PathBuf,
    timeline: Timeline,
    powered: Option<Powered>,
}

#[derive(Debug)]
struct Powered {
    processes: BTreeMap<String, Process>,
    namespace: Namespace,
}

impl Host {
    /// A host without power, its disk under `lab`.
    ///
    /// # Errors
    ///
    /// The disk cannot be made.
    pub fn new(name: Name, lab: &Path, timeline: &Timeline) -> Result<Self> {
        let directory = lab.join(name.as_str());
        for part in ["", "etc", "disk", "log"] {
            directory::make(&directory.join(part))?;
        }
        Ok(Self {
            name,
            directory,
            timeline: timeline.clone(),
            powered: None,
        })
    }

    /// Which host it is.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Its configuration: as `/etc/vrrpd` is.
    pub fn etc(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// What outlives its power: as `/var/lib` is.
    pub fn disk(&self) -> PathBuf {
        self.directory.join("disk")
    }

    /// What does not: as `/run` is.
    pub fn run_directory(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// What its processes said, a file a process.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Whether it has power.
    pub fn is_powered(&self) -> bool {
        self.powered.is_some()
    }

    /// Gives it power: an empty `/run`, a network, no process of ours yet.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    ///
    /// # Panics
    ///
    /// If it has power.
    pub fn power_on(&mut self, switch: &Switch) -> Result<()> {
        assert!(!self.is_powered(), "{} has power", self.name);
        self.clear_run()?;
        let namespace = Namespace::machine()?;
        let mac = self.name.mac().map(|byte| format!("{byte:02x}")).join(":");
        switch.plug(self.name.as_str(), &namespace, "eth0", &mac)?;
        namespace.ip("link set lo up")?;
        namespace.ip(&format!("address add {}/24 dev eth0", self.name.address()))?;
        let number = self.name.number();
        namespace.ip(&format!("address add fd00::{number}/64 dev eth0 nodad"))?;
        namespace.ip("link set eth0 up")?;
        if let Some(init) = namespace.init() {
            // For a person who wants to look: nsenter -t PID -n -p -m
            directory::write(&self.directory.join("init.pid"), &format!("{init}\n"))?;
        }
        self.powered = Some(Powered {
            processes: BTreeMap::new(),
            namespace,
        });
        Ok(())
    }

    /// Kills everything on it and unplugs it, at the same moment.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn power_off(&mut self, switch: &Switch) -> Result<()> {
        let Some(mut powered) = self.powered.take() else {
            return Ok(());
        };
        // The port first: nothing that a dying process says is heard.
        switch.port_down(self.name.as_str())?;
        powered.namespace.kill()?;
        for process in powered.processes.values() {
            process.ended(Duration::from_secs(10))?;
        }
        // The cable while the host's network still is, which would take it along.
        switch.unplug(self.name.as_str())
    }

    /// The network and processes of the host.
    ///
    /// # Errors
    ///
    /// It has no power.
    pub fn namespace(&self) -> Result<&Namespace> {
        self.powered().map(|powered| &powered.namespace)
    }

    /// Starts a program, whose name is its handle from now on.
    ///
    /// # Errors
    ///
    /// No power, or it cannot be executed.
    pub fn start(&mut self, program: &Program) -> Result<Process> {
        let log = self.log().join(format!("{}.log", program.name));
        let who = format!("{} {}", self.name, program.name);
        let name = self.name;
        let timeline = self.timeline.clone();
        let powered = self
            .powered
            .as_mut()
            .ok_or_else(|| Fault::new(format!("{name} has no power")))?;
        // As an init system does: not beside one that was killed and dies still.
        if let Some(before) = powered.processes.get(&program.name) {
            before.ended(DYING)?;
        }
        let process = Process::start(program, &powered.namespace, log, &who, &timeline)?;
        powered
            .processes
            .insert(program.name.clone(), process.clone());
        Ok(process)
    }

    /// The process last started under this name.
    ///
    /// # Errors
    ///
    /// None was, or no power.
    pub fn process(&self, name: &str) -> Result<&Process> {
        self.powered()?
            .processes
            .get(name)
            .ok_or_else(|| Fault::new(format!("{} never started {name}", self.name)))
    }

    /// Sends a signal to a running process.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        if self.process(name)?.signal(signal)? {
            return Ok(());
        }
        Err(Fault::new(format!(
            "{name} on {} has ended before {signal} was sent",
            self.name
        )))
    }

    /// Kills a running process and waits for its end.
    ///
    /// # Errors
    ///
    /// It did not run.
    pub fn kill(&self, name: &str) -> Result<ExitStatus> {
        self.signal(name, Signal::SIGKILL)?;
        self.process(name)?.ended(Duration::from_secs(10))
    }

    /// The numbers of the processes here with this name (`comm`), as this
    /// process sees them.
    ///
    /// # Errors
    ///
    /// No power.
    pub fn named(&self, comm: &str) -> Result<Vec<u32>> {
        let init = self.namespace()?.init();
        let space = |id: u32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
        let here = init.and_then(space);
        let is_named = |id: &u32| {
            fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim_end() == comm)
        };
        let entries = fs::read_dir("/proc").attempt(|| "read /proc".into())?;
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&id| here.is_some() && space(id) == here)
            .filter(is_named)
            .collect())
    }

    /// An empty `/run`, whose sockets the database's owner may use.
    fn clear_run(&self) -> Result<()> {
        let run = self.run_directory();
        let what = || format!("clear {}", run.display());
        if run.exists() {
            fs::remove_dir_all(&run).attempt(what)?;
        }
        directory::make(&run)?;
        let (_, group) = postgres::owner()?;
        chown(&run, None, Some(group.as_raw())).attempt(what)?;
        // Set-group-id: files made here belong to the directory's group.
        fs::set_permissions(&run, fs::Permissions::from_mode(0o2775)).attempt(what)
    }

    fn powered(&self) -> Result<&Powered> {
        self.powered
            .as_ref()
            .ok_or_else(|| Fault::new(format!("{} has no power", self.name)))
    }
}
