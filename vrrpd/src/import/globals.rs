//! `global_defs`: what holds for the node and for every virtual router.

use core::time::Duration;

use super::keyword::GLOBAL;
use super::note::{Notes, Verdict};
use super::render::Announce;
use super::tree::Statement;
use super::value::{name, quoted, seconds, truth};
use crate::config::written;

const HOUR: Duration = Duration::from_secs(3600);

/// What strict mode is here.
pub(super) const STRICT: &str =
    "accept = false, where nothing else is said and the priority is not 255";

/// What `global_defs` says.
#[derive(Debug, Default)]
pub(super) struct Globals {
    pub(super) node: Option<String>,
    pub(super) version: Option<u8>,
    pub(super) interface: Option<String>,
    pub(super) announce: Announce,
    pub(super) startup_delay: Duration,
    pub(super) strict: bool,
    pub(super) realtime: Option<u8>,
    pub(super) lock_memory: bool,
}

impl Globals {
    /// Reads the blocks, of which there may be several.
    pub(super) fn read(file: &[Statement], notes: &mut Notes) -> Self {
        let mut globals = Self::default();
        let blocks = file
            .iter()
            .filter(|statement| statement.keyword() == "global_defs");
        for statement in blocks.flat_map(Statement::inner) {
            globals.one(statement, notes);
        }
        globals
    }

    fn one(&mut self, statement: &Statement, notes: &mut Notes) {
        let value = statement.value();
        match statement.keyword() {
            "router_id" => {
                let node = name(value.unwrap_or_default());
                notes.key(statement, format!("name = {} in [node]", quoted(&node)));
                self.node = Some(node);
            }
            "default_interface" => {
                notes.key(
                    statement,
                    "interface of each virtual router that names none",
                );
                self.interface = value.map(str::to_owned);
            }
            "vrrp_version" => self.version = version(statement, notes).or(self.version),
            "vrrp_strict" => {
                self.strict = true;
                notes.key(statement, STRICT);
            }
            "vrrp_startup_delay" => {
                if let Some(delay) = delay(statement, "startup_delay", HOUR, notes) {
                    self.startup_delay = delay;
                }
            }
            "vrrp_no_swap" => {
                self.lock_memory = true;
                notes.key(statement, "lock_memory = true in [process]");
            }
            "vrrp_rt_priority" => match value.and_then(|text| text.parse().ok()) {
                Some(priority @ 1..=99) => {
                    self.realtime = Some(priority);
                    notes.key(statement, format!("realtime = {priority} in [process]"));
                }
                _ => notes.changed(statement, "it must be 1 to 99: left out"),
            },
            "vrrp_min_garp" if truth(value) == Some(true) => {
                self.announce.count = Some(1);
                self.announce.once = true;
                notes.key(
                    statement,
                    "count = 1 and repeats = 0 in [virtual_router.announce]",
                );
            }
            "vrrp_min_garp" => {
                notes.add(statement, Verdict::Needless("it is the default".to_owned()));
            }
            keyword => {
                let of_instance = keyword.strip_prefix("vrrp_").unwrap_or(keyword);
                if !self.announce.read(of_instance, statement, notes) {
                    notes.plain(statement, GLOBAL.find(keyword));
                }
            }
        }
    }
}

impl Announce {
    /// Takes `statement` if its keyword, without `vrrp_`, is about announcements.
    pub(super) fn read(&mut self, keyword: &str, statement: &Statement, notes: &mut Notes) -> bool {
        match keyword {
            "garp_master_delay" => {
                let delay = statement.value().and_then(seconds);
                self.once = delay == Some(Duration::ZERO);
                self.repeat_after = None;
                if self.once {
                    notes.key(statement, "repeats = 0 in [virtual_router.announce]");
                } else {
                    self.repeat_after = delay_from(
                        statement,
                        "repeat_after",
                        Duration::from_millis(100),
                        HOUR,
                        notes,
                    );
                }
            }
            "garp_master_repeat" => {
                let count = statement.value().and_then(|text| text.parse::<u32>().ok());
                match count.map(|count| (count, count.clamp(1, 20))) {
                    None => notes.changed(statement, "it is no number: left out"),
                    Some((count, used)) => {
                        self.count = u8::try_from(used).ok();
                        if count == used {
                            notes.key(
                                statement,
                                format!("count = {used} in [virtual_router.announce]"),
                            );
                        } else {
                            notes.changed(
                                statement,
                                format!("now count = {used}: it must be 1 to 20"),
                            );
                        }
                    }
                }
            }
            "garp_master_refresh" => {
                if statement.value().and_then(seconds) == Some(Duration::ZERO) {
                    self.refresh = None;
                    notes.add(statement, Verdict::Needless("it is the default".to_owned()));
                } else {
                    self.refresh =
                        delay_from(statement, "refresh", Duration::from_secs(1), HOUR, notes);
                }
            }
            _ => return false,
        }
        true
    }
}

/// Seconds up to `most`; notes `key`.
pub(super) fn delay(
    statement: &Statement,
    key: &str,
    most: Duration,
    notes: &mut Notes,
) -> Option<Duration> {
    delay_from(statement, key, Duration::ZERO, most, notes)
}

/// Seconds held between `least` and `most`; notes `key`.
fn delay_from(
    statement: &Statement,
    key: &str,
    least: Duration,
    most: Duration,
    notes: &mut Notes,
) -> Option<Duration> {
    let Some(delay) = statement.value().and_then(seconds) else {
        notes.changed(statement, "it is no time in seconds: left out");
        return None;
    };
    let used = delay.clamp(least, most);
    let now = format!("{key} = \"{}\"", written(used));
    if used == delay {
        notes.key(statement, now);
    } else {
        let (least, most) = (written(least), written(most));
        notes.changed(
            statement,
            format!("now {now}: it must be \"{least}\" to \"{most}\""),
        );
    }
    Some(used)
}

/// `version 2` or `version 3`.
pub(super) fn version(statement: &Statement, notes: &mut Notes) -> Option<u8> {
    let version = statement
        .value()
        .and_then(|text| text.parse().ok())
        .filter(|version| matches!(version, 2 | 3));
    match version {
        Some(version) => notes.key(statement, format!("version = {version}")),
        None => notes.changed(statement, "it must be 2 or 3: left out"),
    }
    version
}
