//! Forming and leaving a pool: what the operator wishes, what it would do, and
//! the configuration file that says so afterwards.
//!
//! [`plan`] only judges and looks; [`Plan::apply`] writes. The daemon then
//! executes itself again, in its new mode.

mod edit;
mod formation;
mod replace;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vrrpd_core::router::Address;

use crate::config::{Config, ThisHost};

pub use formation::{Formation, forget};

/// What a manager shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Wish {
    /// In no pool, its database read-write.
    Standalone,
    /// The Master Manager.
    Master {
        /// The Backup's address.
        backup: IpAddr,
        /// What both managers are told.
        #[serde(flatten)]
        common: Common,
        /// Act as Primary when up.
        #[serde(default)]
        active: bool,
    },
    /// The Backup Manager.
    Backup {
        /// The Master's address.
        master: IpAddr,
        /// What both managers are told.
        #[serde(flatten)]
        common: Common,
    },
}

/// What both managers are told of their pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// This server's address; found by the virtual IP's subnet if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<IpAddr>,
    /// The virtual IP with its prefix length, e.g. `192.0.2.100/24`.
    pub virtual_ip: String,
    /// Where the virtual IP goes; the interface of the local address if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The arbiter's address; the one in the file if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<IpAddr>,
}

/// What this host has: each address that is its own, with its interface.
pub type Addresses = Vec<(String, IpAddr)>;

/// What is going to happen, for the operator to agree to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    file: PathBuf,
    text: String,
    formation: Formation,
    /// One sentence each.
    pub steps: Vec<String>,
}

/// How this manager is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// In no pool.
    Standalone,
    /// Configured for a pool that has not formed.
    OnHold,
    /// In a pool that has formed.
    Pooled,
}

/// What `wish` would do to the configuration `file`.
///
/// # Errors
///
/// Why it cannot be, and how to mend it: nothing has been touched.
pub fn plan(
    file: &Path,
    wish: &Wish,
    present: Present,
    addresses: &Addresses,
) -> Result<Plan, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut document = edit::Document::parse(&text)
        .map_err(|why| format!("{}: {why}: mend the TOML first", file.display()))?;
    let mut steps = vec![format!(
        "{} is rewritten; what else it says, and its comments, stay.",
        file.display()
    )];
    let formation = match (wish, present) {
        (Wish::Standalone, Present::Standalone) => {
            return Err("this manager is standalone already".to_owned());
        }
        (Wish::Standalone, _) => {
            document.become_standalone();
            steps.extend(leaving(present));
            Formation::Leaving
        }
        (_, Present::Pooled) => {
            return Err(
                "this manager belongs to a pool: leave it first, with vrrpctl configure standalone"
                    .to_owned(),
            );
        }
        (
            Wish::Master {
                backup,
                common,
                active,
            },
            _,
        ) => {
            let (local, interface) = place(common, addresses, &document)?;
            document.become_master(*backup, common, local, &interface, *active);
            steps.extend(forming_master(local, &interface, *backup, common));
            Formation::OnHold
        }
        (Wish::Backup { master, common }, _) => {
            let (local, interface) = place(common, addresses, &document)?;
            document.become_backup(*master, common, local, &interface);
            steps.extend(forming_backup(local, &interface, *master, common));
            Formation::OnHold
        }
    };
    let key_file = file.with_file_name("pool.key");
    if *wish != Wish::Standalone {
        document.default_key_file(&key_file);
    }
    let text = document.into_text();
    Config::parse(&text, file, &ThisHost).map_err(|mistakes| {
        format!(
            "with this, the configuration would be wrong (nothing was changed): {}",
            mistakes.lines().join("; ")
        )
    })?;
    Ok(Plan {
        file: file.to_owned(),
        text,
        formation,
        steps,
    })
}

impl Plan {
    /// Writes the file, on disk when it returns; `state` is the state directory.
    ///
    /// What is to be done after it is noted first: a host that loses power at
    /// any moment comes up as before, or as planned.
    ///
    /// # Errors
    ///
    /// The disk refused: the configuration is as before.
    pub fn apply(&self, state: &Path) -> Result<(), String> {
        self.formation.save(state)?;
        replace::replace(&self.file, self.text.as_bytes()).map_err(|error| {
            format!(
                "{}: cannot be replaced: {error}: let vrrpd's user write to its directory",
                self.file.display()
            )
        })
    }
}

/// What a manager does whose pool has not formed: standalone again.
///
/// # Errors
///
/// The disk refused: it is tried again.
pub fn fall_back(file: &Path, state: &Path, why: &str) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut document =
        edit::Document::parse(&text).map_err(|why| format!("{}: {why}", file.display()))?;
    document.become_standalone();
    let plan = Plan {
        file: file.to_owned(),
        text: document.into_text(),
        formation: Formation::Failed(why.to_owned()),
        steps: Vec::new(),
    };
    plan.apply(state)
}

/// The local address and its interface, checked against what this host has.
fn place(
    common: &Common,
    addresses: &Addresses,
    document: &edit::Document,
) -> Result<(IpAddr, String), String> {
    let virtual_ip: Address = crate::config::address(&common.virtual_ip)
        .map_err(|why| format!("--virtual-ip {}: {why}", common.virtual_ip))?;
    let fits = |ip: IpAddr| {
        ip != virtual_ip.ip
            && ip.is_ipv4() == virtual_ip.ip.is_ipv4()
            && crate::config::subnet_holds(&virtual_ip, ip)
    };
    let wanted = common.interface.clone();
    let on = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let found = match common.local.or_else(|| document.address()) {
        Some(local) => addresses.iter().find(|(_, ip)| *ip == local).ok_or_else(|| {
            format!("{local} is no address of this server: correct --local; it has {}", list(addresses))
        })?,
        None => addresses
            .iter()
            .find(|(name, ip)| on(name) && fits(*ip))
            .ok_or_else(|| {
                format!(
                    "no address of this server is in the subnet of {}: correct --virtual-ip, or say \
                     --local; it has {}",
                    common.virtual_ip,
                    list(addresses)
                )
            })?,
    };
    let (interface, local) = found;
    if !on(interface) {
        return Err(format!(
            "{local} is on {interface}, not on {}: correct --interface or --local",
            wanted.unwrap_or_default()
        ));
    }
    if !fits(*local) {
        return Err(format!(
            "{} is not in the subnet of {local} on {interface}: correct --virtual-ip, its prefix \
             length, or --local",
            common.virtual_ip
        ));
    }
    Ok((*local, interface.clone()))
}

fn list(addresses: &Addresses) -> String {
    let words: Vec<String> = addresses
        .iter()
        .map(|(interface, ip)| format!("{ip} ({interface})"))
        .collect();
    words.join(", ")
}

fn forming_master(local: IpAddr, interface: &str, backup: IpAddr, common: &Common) -> Vec<String> {
    vec![
        format!("This server, {local} on {interface}, becomes the Master Manager."),
        format!("Its data are kept. They REPLACE the data of the Backup Manager, {backup}."),
        format!(
            "Field units reach the pool at {}; until it has formed, the database is read-only.",
            common.virtual_ip
        ),
    ]
}

fn forming_backup(local: IpAddr, interface: &str, master: IpAddr, common: &Common) -> Vec<String> {
    vec![
        format!("This server, {local} on {interface}, becomes the Backup Manager."),
        format!(
            "THE DATA OF THIS SERVER ARE REPLACED by a copy of the data of the Master Manager, \
             {master}; the old data directory is kept aside."
        ),
        format!("Field units reach the pool at {}.", common.virtual_ip),
    ]
}

fn leaving(present: Present) -> Vec<String> {
    let mut steps = Vec::new();
    if present == Present::Pooled {
        steps.push(
            "This manager leaves its pool and hosts the virtual IP no more; the other manager goes \
             on with the pool's data, and what is written here afterwards is not in them."
                .to_owned(),
        );
    }
    steps.push("Its data are kept, and its database becomes read-write.".to_owned());
    steps
}

#[cfg(test)]
mod tests;
