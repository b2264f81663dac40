//! `[hooks]`.

use core::fmt;
use core::time::Duration;
use std::path::Path;

use super::host::Host;
use super::pool::Form;
use super::table::{At, Table};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// `[hooks]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// `on_<event>`: program and arguments.
    pub commands: Vec<(HookEvent, Vec<String>)>,
    /// `on_any`: told of every event, after its own hook.
    pub any: Option<Vec<String>>,
    /// One that runs longer is killed.
    pub timeout: Duration,
    /// What arguments a hook is given.
    pub style: HookStyle,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            any: None,
            timeout: DEFAULT_TIMEOUT,
            style: HookStyle::Vrrpd,
        }
    }
}

/// A transition that a hook can hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookEvent {
    /// This manager has become Primary.
    Primary,
    /// This manager has become Online.
    Online,
    /// A virtual router has become Active (keepalived: MASTER).
    Active,
    /// A virtual router has become Backup.
    Backup,
    /// A fault began.
    Fault,
    /// The daemon stops.
    Stop,
}

impl HookEvent {
    /// All, in order.
    pub const ALL: [Self; 6] = [
        Self::Primary,
        Self::Online,
        Self::Active,
        Self::Backup,
        Self::Fault,
        Self::Stop,
    ];

    /// Its key in `[hooks]`.
    const fn key(self) -> &'static str {
        match self {
            Self::Primary => "on_primary",
            Self::Online => "on_online",
            Self::Active => "on_active",
            Self::Backup => "on_backup",
            Self::Fault => "on_fault",
            Self::Stop => "on_stop",
        }
    }
}

/// `primary`, as `VRRPD_EVENT` and file names in `[paths] hooks` have it.
impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        f.write_str(key.strip_prefix("on_").unwrap_or(key))
    }
}

/// The arguments of a hook, after its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookStyle {
    /// `EVENT NAME OLD NEW PRIORITY`.
    Vrrpd,
    /// `GROUP|INSTANCE NAME MASTER|BACKUP|FAULT|STOP PRIORITY`.
    Keepalived,
}

/// The hooks; a pool's events need a pool.
pub(super) fn read(top: &Table<'_>, form: &Form, host: &dyn Host) -> Hooks {
    let mut hooks = Hooks::default();
    let Some(table) = top.table("hooks") else {
        return hooks;
    };
    for event in HookEvent::ALL {
        let Some(command) = command(&table, event.key(), host) else {
            continue;
        };
        let of_a_pool = matches!(event, HookEvent::Primary | HookEvent::Online);
        if of_a_pool && matches!(form, Form::Plain) {
            table.wrong(
                event.key(),
                format!(
                    "{} never happens without [pool]: use {}",
                    event.key(),
                    if event == HookEvent::Primary {
                        "on_active"
                    } else {
                        "on_backup"
                    }
                ),
            );
        }
        hooks.commands.push((event, command));
    }
    hooks.any = command(&table, "on_any", host);
    if let Some(timeout) = table.duration(
        "timeout",
        Duration::from_millis(100)..=Duration::from_secs(3600),
    ) {
        hooks.timeout = timeout.value;
    }
    if let Some(style) = table.choice(
        "style",
        &[
            ("vrrpd", HookStyle::Vrrpd),
            ("keepalived", HookStyle::Keepalived),
        ],
    ) {
        hooks.style = style.value;
    }
    table.finish();
    hooks
}

fn command(table: &Table<'_>, key: &'static str, host: &dyn Host) -> Option<Vec<String>> {
    let command: At<Vec<String>> = table.command(key)?;
    if let Err(why) = host.program(Path::new(&command.value[0])) {
        table
            .report
            .add(command.at, format!("{key} {} {why}", command.value[0]));
    }
    Some(command.value)
}
