//! What can be tracked: `vrrp_script`, `vrrp_track_process` and `track_file`.

use core::time::Duration;

use super::around::Around;
use super::keyword::{Block, PROCESS, SCRIPT, TRACK_FILE};
use super::note::{Notes, Verdict};
use super::program::program;
use super::render::Probe;
use super::tree::Statement;
use super::value::{command, seconds};
use crate::config::written;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// What is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Interface,
    Script,
    File,
    Process,
}

impl Kind {
    pub(super) fn of(keyword: &str) -> Option<Self> {
        match keyword {
            "track_interface" => Some(Self::Interface),
            "track_script" | "vrrp_script" => Some(Self::Script),
            "track_file" | "vrrp_track_file" => Some(Self::File),
            "track_process" | "vrrp_track_process" => Some(Self::Process),
            _ => None,
        }
    }

    /// keepalived's default.
    pub(super) fn weight(self) -> i32 {
        match self {
            Self::Interface | Self::Script => 0,
            Self::File | Self::Process => 1,
        }
    }
}

/// A weight and whether it is reversed.
pub(super) fn weight(words: Option<&[String]>) -> (Option<i32>, Option<bool>) {
    let words = words.unwrap_or_default();
    let weight = words.first().and_then(|word| word.parse().ok());
    let reverse = words.iter().skip(1).find_map(|word| match word.as_str() {
        "reverse" => Some(true),
        "noreverse" | "no_reverse" => Some(false),
        _ => None,
    });
    (weight, reverse)
}

/// A `vrrp_script`, `vrrp_track_process` or `track_file`.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// None if it cannot be taken.
    pub(super) probe: Option<Probe>,
    pub(super) weight: i32,
    pub(super) reverse: bool,
}

/// Reads one, which something tracks.
pub(super) fn source(
    kind: Kind,
    name: &str,
    block: &Statement,
    around: &dyn Around,
    notes: &mut Notes,
) -> Source {
    let mut reading = Reading {
        kind,
        argv: None,
        interval: MS(1_000),
        timeout: None,
        rise: 1,
        fall: 1,
        weight: kind.weight(),
        reverse: false,
        illegal: false,
    };
    let table = match kind {
        Kind::Process => &PROCESS,
        Kind::File => &TRACK_FILE,
        Kind::Script | Kind::Interface => &SCRIPT,
    };
    // A timeout is judged by the interval, which may stand after it.
    let (last, first): (Vec<_>, Vec<_>) = block
        .inner()
        .iter()
        .partition(|statement| statement.keyword() == "timeout");
    for statement in first.into_iter().chain(last) {
        reading.one(statement, table, around, notes);
    }
    if reading.argv.is_none() && !reading.illegal {
        notes.changed(block, "it names nothing to look at: left out");
    }
    Source {
        kind,
        name: name.to_owned(),
        probe: reading
            .argv
            .filter(|_| !reading.illegal)
            .map(|argv| Probe::Command {
                argv,
                interval: reading.interval,
                timeout: reading.timeout,
                rise: reading.rise,
                fall: reading.fall,
            }),
        weight: reading.weight,
        reverse: reading.reverse,
    }
}

struct Reading {
    kind: Kind,
    argv: Option<Vec<String>>,
    interval: Duration,
    timeout: Option<Duration>,
    rise: u8,
    fall: u8,
    weight: i32,
    reverse: bool,
    /// It has what no check has.
    illegal: bool,
}

impl Reading {
    fn one(
        &mut self,
        statement: &Statement,
        table: &Block,
        around: &dyn Around,
        notes: &mut Notes,
    ) {
        match (self.kind, statement.keyword()) {
            (Kind::Script, "script") => self.script(statement, around, notes),
            (Kind::Script, "interval") => {
                let wanted = statement.value().and_then(seconds);
                let used = wanted.map(|wanted| wanted.clamp(MS(100), MS(3_600_000)));
                self.interval = used.unwrap_or(self.interval);
                let now = format!("interval = \"{}\"", written(self.interval));
                if used.is_some() && used == wanted {
                    notes.key(statement, now);
                } else {
                    notes.changed(
                        statement,
                        format!("now {now}: it must be \"100ms\" to \"1h\""),
                    );
                }
            }
            (Kind::Script, "timeout") => self.timeout(statement, notes),
            (Kind::Script, "rise") => self.rise = count(statement, "rise", notes),
            (Kind::Script, "fall") => self.fall = count(statement, "fall", notes),
            (Kind::Process, "process") => match statement.values() {
                [name] if name.is_ascii() && !name.is_empty() => {
                    self.argv = Some(pgrep(name, around));
                    let why = "pgrep sees the processes of others only with ProtectProc=default in a drop-in of vrrpd.service";
                    notes.changed(statement, format!("now command, with pgrep -x: {why}"));
                }
                _ => {
                    self.illegal = true;
                    let why = "pgrep -x compares no arguments: left out; use a command with pgrep -f and a pattern";
                    notes.add(statement, Verdict::NoCounterpart(why.to_owned()));
                }
            },
            (Kind::Process, "quorum") if statement.value() == Some("1") => {
                notes.add(
                    statement,
                    Verdict::Needless("it is what pgrep tells".to_owned()),
                );
            }
            (Kind::Process, "quorum" | "quorum_max" | "param_match" | "full_command") => {
                self.without_counterpart(statement, table, notes);
            }
            (Kind::File, "file") => match statement.value() {
                Some(file) if file.starts_with('/') => {
                    self.argv = Some(reader(file));
                    notes.key(statement, "command, with a shell that reads it");
                }
                _ => notes.changed(statement, "it names no file by its absolute path: left out"),
            },
            (_, "weight") => {
                let (weight, reverse) = weight(Some(statement.values()));
                self.weight = weight.unwrap_or(self.weight);
                self.reverse = reverse == Some(true);
                match weight {
                    None => notes.changed(statement, "it is no number: left out"),
                    Some(0) => notes.key(statement, "no weight: a failure is a fault"),
                    Some(weight) => {
                        notes.key(
                            statement,
                            format!("weight = {weight}, where it is tracked without another"),
                        );
                    }
                }
            }
            (_, keyword) => notes.plain(statement, table.find(keyword)),
        }
    }

    fn script(&mut self, statement: &Statement, around: &dyn Around, notes: &mut Notes) {
        let whole = statement.values().join(" ");
        let Some(found) = program(&whole, around) else {
            return notes.changed(statement, "it names no program: left out");
        };
        let now = format!("command = {}", command(&found.argv));
        match found.mind {
            None => notes.key(statement, now),
            Some(mind) => notes.changed(statement, format!("now {now}: {mind}")),
        }
        self.argv = Some(found.argv);
    }

    fn timeout(&mut self, statement: &Statement, notes: &mut Notes) {
        let Some(wanted) = statement.value().and_then(seconds) else {
            return notes.changed(statement, "it is no time in seconds: left out");
        };
        let used = wanted.clamp(MS(10), self.interval);
        self.timeout = Some(used);
        let now = format!("timeout = \"{}\"", written(used));
        if used == wanted {
            notes.key(statement, now);
        } else {
            notes.changed(
                statement,
                format!("now {now}: it is at most the interval; lengthen both if an answer may take longer"),
            );
        }
    }

    /// Without this keyword the check would be another one.
    fn without_counterpart(&mut self, statement: &Statement, table: &Block, notes: &mut Notes) {
        self.illegal = true;
        let remark = table
            .find(statement.keyword())
            .map(|keyword| keyword.remark);
        let why = format!("{}: left out", remark.unwrap_or("it has no counterpart"));
        notes.add(statement, Verdict::NoCounterpart(why));
    }
}

fn count(statement: &Statement, key: &str, notes: &mut Notes) -> u8 {
    let wanted = statement.value().and_then(|text| text.parse::<u32>().ok());
    let used = u8::try_from(wanted.unwrap_or(1).clamp(1, 100)).unwrap_or(1);
    let now = format!("{key} = {used}");
    if wanted == Some(used.into()) {
        notes.key(statement, now);
    } else {
        notes.changed(statement, format!("now {now}: it must be 1 to 100"));
    }
    used
}

/// The kernel keeps 15 characters of a process's name; the name is a pattern to pgrep.
fn pgrep(name: &str, around: &dyn Around) -> Vec<String> {
    let path = around.program("pgrep");
    let path = path.map_or("/usr/bin/pgrep".to_owned(), |path| {
        path.display().to_string()
    });
    let mut pattern = String::new();
    for c in name.rsplit('/').next().unwrap_or(name).chars().take(15) {
        if ".[]{}()*+?^$|\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    [&path, "-x", &pattern].map(str::to_owned).to_vec()
}

/// A file that is not there, or empty, is 0.
fn reader(file: &str) -> Vec<String> {
    const READ: &str = "v=$(cat \"$1\" 2>/dev/null); test \"${v:-0}\" -eq 0";
    ["/bin/sh", "-c", READ, "track-file", file]
        .map(str::to_owned)
        .to_vec()
}
