//! `[gate]`, `[replication]`, `[paths]` and `[process]`.

use core::str::FromStr;
use std::path::PathBuf;

use super::pool::Form;
use super::table::{At, Table, unique};

/// `[gate]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Admitted only on the Primary.
    pub tcp_ports: Vec<u16>,
}

/// `[gate]`; it opens on a Primary, so it needs a pool.
pub(super) fn gate(top: &Table<'_>, form: &Form) -> Gate {
    let Some(table) = top.table("gate") else {
        return Gate::default();
    };
    if matches!(form, Form::Plain) {
        top.wrong(
            "gate",
            "[gate] never opens without [pool]: add [pool], or remove [gate]",
        );
    }
    table.require("tcp_ports", "tcp_ports = [5432]");
    let ports = table.numbers("tcp_ports", 1..=65_535);
    if let Some(ports) = &ports {
        unique(table.report, "port", &ports.value);
        if ports.value.is_empty() {
            table.report.add(
                ports.at,
                "tcp_ports is empty: name the ports that clients connect to, e.g. [5432]",
            );
        }
    }
    table.finish();
    Gate {
        tcp_ports: ports
            .map(At::into)
            .unwrap_or_default()
            .into_iter()
            .map(At::into)
            .collect(),
    }
}

/// `[replication]`: read by the replicator; vrrpd looks at what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The plugin's name.
    pub plugin: String,
    /// The database's port, the same on both managers.
    pub port: u16,
}

/// `[replication]`; a pool has a database.
pub(super) fn replication(top: &Table<'_>, form: &Form) -> Option<Replication> {
    let Some(table) = top.table("replication") else {
        if form.is_pooled() {
            top.missing(
                "replication",
                "[replication] with plugin = \"postgresql\", for the database that the pool keeps",
            );
        }
        return None;
    };
    if matches!(form, Form::Plain) {
        top.wrong(
            "replication",
            "[replication] has no use without [pool]: add [pool], or remove [replication]",
        );
    }
    table.require("plugin", "plugin = \"postgresql\"");
    let Some(plugin) = table.string("plugin") else {
        table.opaque();
        return None;
    };
    table.require(
        &plugin.value,
        &format!("[replication.{}] with the plugin's settings", plugin.value),
    );
    let port = table.table(&plugin.value).and_then(|settings| {
        if plugin.value == "postgresql" {
            return Some(postgresql(settings));
        }
        settings.require("port", "port, where clients connect");
        let port = settings.number("port", 1..=65_535, "1 to 65535");
        // Its other keys are the plugin's own.
        settings.opaque();
        port.map(At::into)
    });
    table.finish();
    Some(Replication {
        plugin: plugin.value,
        port: port?,
    })
}

/// `[replication.postgresql]`: the port. Its plugin judges the other values.
fn postgresql(table: Table<'_>) -> u16 {
    table.require(
        "data_directory",
        "data_directory = \"/var/lib/postgresql/15/main\"",
    );
    for key in ["data_directory", "bin_directory", "socket_directory"] {
        table.path(key);
    }
    for key in ["listen_addresses", "database", "superuser"] {
        table.string(key);
    }
    let port = table.number("port", 1..=65_535, "1 to 65535");
    table.finish();
    port.map_or(5432, At::into)
}

/// `[paths]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Durable state; default `/var/lib/vrrpd`.
    pub state: PathBuf,
    /// Sockets; default `/run/vrrpd`.
    pub run: PathBuf,
    /// Executables named after events; default `/etc/vrrpd/hooks`.
    pub hooks: PathBuf,
    /// Default `/usr/lib/vrrpd/plugins`.
    pub plugins: PathBuf,
}

impl Paths {
    /// `<run>/control.sock`.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// `<run>/replicator.sock`.
    pub fn replicator_socket(&self) -> PathBuf {
        self.run.join("replicator.sock")
    }
}

pub(super) fn paths(top: &Table<'_>) -> Paths {
    let table = top.table("paths");
    let path = |key, default: &str| {
        table
            .as_ref()
            .and_then(|table| table.path(key))
            .map_or_else(|| PathBuf::from(default), At::into)
    };
    let paths = Paths {
        state: path("state", "/var/lib/vrrpd"),
        run: path("run", "/run/vrrpd"),
        hooks: path("hooks", "/etc/vrrpd/hooks"),
        plugins: path("plugins", "/usr/lib/vrrpd/plugins"),
    };
    if let Some(table) = table {
        table.finish();
    }
    paths
}

/// `[process]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `realtime`: SCHED_RR priority 1 to 99.
    pub realtime: Option<u8>,
    /// `lock_memory`: mlockall.
    pub lock_memory: bool,
    /// `user`: who to become after start.
    pub user: Option<String>,
    /// `log`: how much is said.
    pub log: log::LevelFilter,
}

pub(super) fn process(top: &Table<'_>) -> Process {
    let mut process = Process {
        realtime: None,
        lock_memory: false,
        user: None,
        log: log::LevelFilter::Info,
    };
    let Some(table) = top.table("process") else {
        return process;
    };
    process.realtime = table
        .number("realtime", 1..=99, "1 to 99, or leave it out")
        .map(At::into);
    process.lock_memory = table.boolean("lock_memory").is_some_and(At::into);
    process.user = table.string("user").map(At::into);
    let levels = ["error", "warn", "info", "debug", "trace"].map(|name| {
        (
            name,
            log::LevelFilter::from_str(name).unwrap_or(process.log),
        )
    });
    if let Some(level) = table.choice("log", &levels) {
        process.log = level.value;
    }
    table.finish();
    process
}
