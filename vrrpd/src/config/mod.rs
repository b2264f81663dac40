//! `vrrpd.toml` and `arbiter.toml`: read whole, checked whole.
//!
//! A [`Config`] holds only what is legal. All mistakes of a file are told in
//! one go, each with its place, what is wrong and how to mend it.

pub mod arbiter;
mod check;
mod hooks;
mod host;
mod mistake;
mod offer;
mod pool;
mod sections;
mod sync_group;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod virtual_router;
mod weight;

use std::fs;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use vrrpd_core::{node, priority, router};

pub use check::{Check, Probe};
pub use hooks::{HookEvent, HookStyle, Hooks};
pub use host::{Host, ThisHost};
pub use mistake::Mistakes;
pub use offer::offer;
pub use pool::Pool;
pub use sections::{Gate, Paths, Process, Replication};
pub(crate) use value::{address, subnet_holds, unicast, written};

use mistake::Report;
use table::Table;

const PAGE: &str = "vrrpd.toml(5)";

/// What `vrrpd.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[node] name`.
    pub node: String,
    /// Without it, plain VRRP (running mode standalone).
    pub pool: Option<Pool>,
    /// `[[virtual_router]]`; with a pool, all are governed by it. Those of a
    /// standalone manager with a database wait for its pool.
    pub virtual_routers: Vec<router::Config>,
    /// `[[check]]`.
    pub checks: Vec<Check>,
    /// `[gate]`.
    pub gate: Gate,
    /// `[hooks]`.
    pub hooks: Hooks,
    /// `[replication]`; always there with a pool.
    pub replication: Option<Replication>,
    /// `[paths]`.
    pub paths: Paths,
    /// `[process]`.
    pub process: Process,
}

impl Config {
    /// Reads and checks `file` for this host.
    ///
    /// # Errors
    ///
    /// All mistakes in it, or why it could not be read.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        let text =
            fs::read_to_string(file).map_err(|error| Mistakes::unreadable(file, &error, PAGE))?;
        Self::parse(&text, file, &ThisHost)
    }

    /// Checks `text`, which `file` holds, for `host`.
    ///
    /// # Errors
    ///
    /// All mistakes in it.
    pub fn parse(text: &str, file: &Path, host: &dyn Host) -> Result<Self, Mistakes> {
        read(text, file, PAGE, |top| {
            let config = Self::of(&top, host);
            top.finish();
            config
        })
    }

    /// What the core is told: the virtual routers and the checks, in the file's order.
    pub fn setup(&self) -> node::Setup {
        let check = |check: &Check| priority::Check {
            name: check.name.as_str().into(),
            effect: check.effect,
            routers: check.routers.clone(),
        };
        node::Setup {
            routers: self.virtual_routers.clone(),
            checks: self.checks.iter().map(check).collect(),
        }
    }

    fn of(top: &Table<'_>, host: &dyn Host) -> Option<Self> {
        top.require("node", "[node] with name = \"manager-a\"");
        let node = top.table("node").and_then(|table| {
            table.require("name", "name = \"manager-a\"");
            let name = table.string("name");
            table.finish();
            name
        });
        let routers = virtual_router::read(top);
        let form = pool::read(top, &routers, host);
        let checks = check::read(top, &routers, &form, host);
        let gate = sections::gate(top, &form);
        let hooks = hooks::read(top, &form, host);
        let replication = sections::replication(top, &form);
        let paths = sections::paths(top);
        let process = sections::process(top);
        let waits = matches!(form, pool::Form::Standalone) && replication.is_some();
        let governed = form.is_pooled();
        let govern = |config| router::Config { governed, ..config };
        Some(Self {
            node: node?.value,
            pool: match form {
                pool::Form::Pooled(pool) => Some(*pool?),
                pool::Form::Plain | pool::Form::Standalone => None,
            },
            virtual_routers: routers
                .into_iter()
                .filter(|_| !waits)
                .map(|router| router.value.map(govern))
                .collect::<Option<_>>()?,
            checks: if waits { Vec::new() } else { checks },
            gate,
            hooks,
            replication,
            paths,
            process,
        })
    }
}

/// Where the daemon of the configuration `file` is asked: for programs that
/// may not read its key. Nothing but `[paths]` is checked.
///
/// # Errors
///
/// All mistakes in it, or why it could not be read.
pub fn control_socket(file: &Path) -> Result<PathBuf, Mistakes> {
    let text =
        fs::read_to_string(file).map_err(|error| Mistakes::unreadable(file, &error, PAGE))?;
    read(&text, file, PAGE, |top| {
        let paths = sections::paths(&top);
        top.opaque();
        Some(paths.control_socket())
    })
}

/// Reads the TOML of `text` and what `of` makes of its top table.
fn read<T>(
    text: &str,
    file: &Path,
    page: &'static str,
    of: impl FnOnce(Table<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let report = Report::new(file, text, page);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        report.add(
            error.span().map_or(0, |span| span.start),
            format!("{}: mend the TOML", error.message()),
        );
    }
    if !errors.is_empty() {
        // What a broken file seems to say is not worth a word.
        return report.finish(None);
    }
    let top = Table::new(&report, "", &document);
    let value = of(top);
    report.finish(value)
}
