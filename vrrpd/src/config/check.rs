//! `[[check]]`.

use core::time::Duration;
use std::path::Path;

use vrrpd_core::priority::Effect;

use super::host::Host;
use super::pool::Form;
use super::sync_group;
use super::table::{At, Table, unique};
use super::value::written;
use super::virtual_router::{Found, good_interface};
use super::weight;

const MS: fn(u64) -> Duration = Duration::from_millis;
const HOUR: Duration = Duration::from_secs(3600);

/// `[[check]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Unique in the file.
    pub name: String,
    /// What is looked at.
    pub probe: Probe,
    /// Good results in a row that end a failure.
    pub rise: u32,
    /// Bad results in a row that make a failure.
    pub fall: u32,
    /// What a failure costs.
    pub effect: Effect,
    /// The virtual routers it concerns; empty: all.
    pub routers: Vec<String>,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `command`: a program; exit status 0 is good.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// From start to start.
        interval: Duration,
        /// An overrun is killed; its result is unknown, and counts towards `fall`.
        timeout: Duration,
    },
    /// `interface`: the carrier of an interface.
    Interface(String),
    /// `reach = "arbiter"`: the arbiter answers.
    Arbiter,
    /// `reach = "peer"`: the other manager answers.
    Peer,
}

/// All checks, judged with the virtual routers whose priority they adjust.
pub(super) fn read(top: &Table<'_>, routers: &[Found], form: &Form, host: &dyn Host) -> Vec<Check> {
    let mut names = Vec::new();
    let mut checks = Vec::new();
    for table in top.tables("check") {
        let name = table.string("name");
        names.extend(name.clone());
        if let Some(check) = one(table, name, routers, form, host) {
            checks.push(check);
        }
    }
    unique(top.report, "check", &names);
    checks
}

fn one(
    table: Table<'_>,
    name: Option<At<String>>,
    routers: &[Found],
    form: &Form,
    host: &dyn Host,
) -> Option<Check> {
    table.require("name", "name = \"gateway\"");
    let probe = probe(&table, form, host);
    let event_driven = !matches!(probe, Some(Probe::Command { .. }) | None);
    let rise = count(&table, "rise", event_driven, 2);
    let fall = count(&table, "fall", event_driven, 3);
    let weight = table
        .number(
            "weight",
            -253..=253,
            "-253 to 253, or leave it out: a failure is then a fault",
        )
        .filter(|weight: &At<i16>| {
            if weight.value == 0 {
                table.report.add(
                    weight.at,
                    "weight 0 changes nothing: leave it out to make a failure a fault",
                );
            }
            weight.value != 0
        });
    let concerned = concerned(&table, routers);
    if form.is_pooled() && table.has("routers") {
        table.wrong(
            "routers",
            "routers has no use in a pool, whose virtual routers move together: remove it",
        );
    }
    if let (Some(weight), Some(name)) = (weight, &name) {
        let routers = routers.iter().filter(|router| {
            let named = router.name.as_ref().map(|name| &name.value);
            concerned.is_empty() || named.is_some_and(|name| concerned.contains(name))
        });
        weight::judge(table.report, &name.value, weight, routers, form);
    }
    table.finish();
    Some(Check {
        name: name?.value,
        probe: probe?,
        rise,
        fall,
        effect: weight.map_or(Effect::Fault, |weight| Effect::Weight(weight.value)),
        routers: concerned,
    })
}

fn probe(table: &Table<'_>, form: &Form, host: &dyn Host) -> Option<Probe> {
    let interval = table.duration("interval", MS(100)..=HOUR);
    let timeout = table.duration("timeout", MS(10)..=HOUR);
    let command = table.command("command");
    let interface = table
        .string("interface")
        .filter(|name| good_interface(table, name));
    let reach = table.choice(
        "reach",
        &[("arbiter", Probe::Arbiter), ("peer", Probe::Peer)],
    );
    let kinds: Vec<_> = ["command", "interface", "reach"]
        .into_iter()
        .filter(|key| table.has(key))
        .collect();
    match kinds[..] {
        [_] => {}
        [] => {
            table.missing(
                "command",
                "command = [\"/path/of/program\"], or interface = \"eth1\", or reach = \"arbiter\"",
            );
            return None;
        }
        [first, second, ..] => {
            table.wrong(
                second,
                format!("{second} and {first} are two checks: give each a [[check]] of its own"),
            );
            return None;
        }
    }
    if let Some(command) = command {
        if let Err(why) = host.program(Path::new(&command.value[0])) {
            table
                .report
                .add(command.at, format!("command {} {why}", command.value[0]));
        }
        let interval = interval.map_or(MS(1_000), At::into);
        let timeout = timeout.map_or(interval, |timeout| {
            if timeout.value > interval {
                table.report.add(
                    timeout.at,
                    format!(
                        "timeout \"{}\" is longer than the interval \"{}\": shorten it, or lengthen the interval",
                        written(timeout.value),
                        written(interval)
                    ),
                );
            }
            timeout.value
        });
        return Some(Probe::Command {
            argv: command.value,
            interval,
            timeout,
        });
    }
    for key in ["interval", "timeout"] {
        if table.has(key) {
            table.wrong(
                key,
                format!(
                    "{key} is for a command: {} is told when it changes, remove {key}",
                    kinds[0]
                ),
            );
        }
    }
    if let Some(reach) = &reach
        && !form.is_pooled()
    {
        table.report.add(
            reach.at,
            "reach needs a pool: add [pool], or remove this check",
        );
    }
    interface
        .map(|name| Probe::Interface(name.value))
        .or(reach.map(At::into))
}

/// `rise` or `fall`; what is told by events is believed at once.
fn count(table: &Table<'_>, key: &'static str, event_driven: bool, default: u32) -> u32 {
    let count = table.number(key, 1..=100, "1 to 100");
    match count {
        Some(_) if event_driven => {
            table.wrong(key, format!("{key} is for a command: what is told when it changes is believed at once, remove it"));
            1
        }
        Some(count) => count.value,
        None if event_driven => 1,
        None => default,
    }
}

fn concerned(table: &Table<'_>, routers: &[Found]) -> Vec<String> {
    let Some(list) = table.strings("routers") else {
        return Vec::new();
    };
    if list.value.is_empty() {
        table.report.add(
            list.at,
            "routers is empty: leave it out to concern all virtual routers",
        );
    }
    for name in &list.value {
        let known = routers
            .iter()
            .filter_map(|router| router.name.as_ref())
            .any(|known| known.value == name.value);
        if !known {
            table.report.add(
                name.at,
                format!(
                    "virtual router \"{}\" is unknown: name one of this file",
                    name.value
                ),
            );
        }
    }
    unique(table.report, "virtual router", &list.value);
    // What concerns one of a group concerns all of it.
    let mut names: Vec<String> = list.value.into_iter().map(At::into).collect();
    for mate in names
        .clone()
        .iter()
        .flat_map(|name| sync_group::mates(routers, name))
    {
        if !names.contains(&mate) {
            names.push(mate);
        }
    }
    names
}
