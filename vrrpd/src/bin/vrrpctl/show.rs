//! The status as a person reads it.

use core::fmt::Write;

use serde_json::Value;
use vrrpd::control::Entry;
use vrrpd::control::status::{OnHold, Status};

/// One line of the journal.
pub(crate) fn entry(entry: &Entry) -> String {
    format!("{} {}\n", entry.time, entry.line)
}

/// The whole status.
pub(crate) fn status(status: &Status) -> String {
    let mut text = head(status);
    if !status.servers.is_empty() {
        text.push('\n');
        text.push_str(&servers(status));
    }
    if !status.virtual_routers.is_empty() {
        text.push('\n');
        text.push_str(&routers(status));
    }
    text
}

fn head(status: &Status) -> String {
    let whole = if status.servers.is_empty() {
        "state"
    } else {
        "pool"
    };
    let mut facts = vec![
        (
            "this server",
            format!("{} ({}): {}", status.node, status.mode, status.status),
        ),
        (whole, status.state.clone()),
    ];
    if let Some(hold) = &status.on_hold {
        facts.push(("forming", format!("{}: {}", left(hold), hold.waits_for)));
    }
    if let Some(why) = &status.not_formed {
        facts.push(("not formed", why.clone()));
    }
    facts.extend(status.why.iter().map(|why| ("", why.clone())));
    if !status.servers.is_empty() {
        let none = || "none known".to_owned();
        facts.push(("Primary", status.primary.clone().unwrap_or_else(none)));
        facts.push((
            "epoch",
            match (&status.epoch, status.lease_ms) {
                (Some(epoch), Some(lease)) => format!("{epoch}, lease {lease} ms"),
                (Some(epoch), None) => epoch.clone(),
                (None, _) => "none yet".to_owned(),
            },
        ));
        facts.push((
            "in sync",
            if status.in_sync.is_empty() {
                "none".to_owned()
            } else {
                status.in_sync.join(", ")
            },
        ));
        facts.push(("gate", status.gate.clone()));
    }
    if !status.servers.is_empty() || !status.database.is_null() {
        facts.push(("database", database(&status.database)));
    }
    let mut text = String::new();
    for (name, fact) in facts {
        line(&mut text, &format!("{name:<12} {fact}"));
    }
    text
}

/// How long a manager waits yet.
pub(crate) fn left(hold: &OnHold) -> String {
    format!("on hold, {} s left", hold.left_ms / 1000)
}

/// The replicator's report in one line.
pub(crate) fn database(report: &Value) -> String {
    let Some(server) = report["server"].as_str() else {
        return "the replicator is not connected".to_owned();
    };
    let mut text = server.to_owned();
    if report["healthy"] == Value::Bool(false) {
        text.push_str(", not healthy");
    }
    if let (Some(lsn), Some(timeline)) = (
        report["position"]["lsn"].as_str(),
        report["position"]["timeline"].as_u64(),
    ) {
        append(&mut text, format_args!(", {lsn} on timeline {timeline}"));
    }
    if let (Some(done), Some(total)) = (
        report["progress"]["done"].as_u64(),
        report["progress"]["total"].as_u64(),
    ) {
        append(
            &mut text,
            format_args!(", {} of {} MiB copied", done >> 20, total >> 20),
        );
    }
    if let Some(detail) = report["detail"]
        .as_str()
        .filter(|detail| !detail.is_empty())
    {
        append(&mut text, format_args!(": {detail}"));
    }
    text
}

fn servers(status: &Status) -> String {
    let mut rows = vec![["SERVER", "ADDRESS", "STATUS", "PRIORITY", "HEARD"].map(str::to_owned)];
    for name in ["master", "backup", "arbiter"] {
        let Some(server) = status.servers.get(name) else {
            continue;
        };
        let heard = match server.heard_ms {
            _ if name == status.mode => "this server".to_owned(),
            Some(ms) => format!("{ms} ms ago"),
            None => "never".to_owned(),
        };
        rows.push([
            name.to_owned(),
            server.address.clone(),
            server.status.clone(),
            server
                .priority
                .map_or("-".to_owned(), |priority| priority.to_string()),
            heard,
        ]);
    }
    table(&rows)
}

fn routers(status: &Status) -> String {
    let mut rows = vec![
        [
            "ROUTER",
            "INTERFACE",
            "VRID",
            "STATE",
            "PRIORITY",
            "ADDRESSES",
        ]
        .map(str::to_owned),
    ];
    for router in &status.virtual_routers {
        rows.push([
            router.name.clone(),
            router.interface.clone(),
            router.vrid.to_string(),
            router.state.clone(),
            format!("{} ({})", router.priority, router.reason),
            router.addresses.join(" "),
        ]);
    }
    table(&rows)
}

/// Columns, each as wide as its widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = core::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        line(&mut text, &cells.join("  "));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

fn append(text: &mut String, what: core::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// The Primary of a pool in good order.
    pub(crate) fn status() -> Status {
        let status = json!({
            "node": "manager-a",
            "mode": "master",
            "status": "primary",
            "state": "ok",
            "why": [],
            "epoch": "7.a",
            "primary": "master",
            "in_sync": ["master", "backup"],
            "lease_ms": 540,
            "virtual_routers": [{
                "name": "service", "interface": "eth0", "vrid": 51, "state": "Active",
                "priority": 150, "reason": "150 as configured", "addresses": ["192.0.2.100/24"],
            }],
            "gate": "open",
            "servers": {
                "master": {"address": "192.0.2.11", "status": "primary", "priority": 150, "heard_ms": null},
                "backup": {"address": "192.0.2.12", "status": "online", "priority": 100, "heard_ms": 31},
                "arbiter": {"address": "192.0.2.13", "status": "arbiter", "priority": null, "heard_ms": 30},
            },
            "database": {
                "server": "primary", "healthy": true, "detail": "",
                "position": {"timeline": 1, "lsn": "0/3000060"},
            },
            "events": [],
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_pool_in_good_order_reads_so() {
        assert_eq!(
            super::status(&status()),
            "this server  manager-a (master): primary\n\
             pool         ok\n\
             Primary      master\n\
             epoch        7.a, lease 540 ms\n\
             in sync      master, backup\n\
             gate         open\n\
             database     primary, 0/3000060 on timeline 1\n\
             \n\
             SERVER   ADDRESS     STATUS   PRIORITY  HEARD\n\
             master   192.0.2.11  primary  150       this server\n\
             backup   192.0.2.12  online   100       31 ms ago\n\
             arbiter  192.0.2.13  arbiter  -         30 ms ago\n\
             \n\
             ROUTER   INTERFACE  VRID  STATE   PRIORITY                 ADDRESSES\n\
             service  eth0       51    Active  150 (150 as configured)  192.0.2.100/24\n"
        );
    }

    #[test]
    fn what_is_wrong_stands_under_the_state() {
        let mut bad = status();
        bad.state = "failure".to_owned();
        bad.why = vec![
            "the backup does not answer".to_owned(),
            "there is no Primary".to_owned(),
        ];
        bad.status = "online".to_owned();
        bad.primary = None;
        bad.epoch = None;
        bad.in_sync.clear();
        bad.database = Value::Null;
        bad.virtual_routers.clear();
        let text = super::status(&bad);
        let (head, _) = text.split_once("\n\n").unwrap();
        assert_eq!(
            head,
            "this server  manager-a (master): online\n\
             pool         failure\n             the backup does not answer\n             there is no \
             Primary\nPrimary      none known\n\
             epoch        none yet\n\
             in sync      none\n\
             gate         open\n\
             database     the replicator is not connected"
        );
    }

    #[test]
    fn a_copy_under_way_is_told_with_its_progress() {
        assert_eq!(
            database(&json!({
                "server": "busy", "healthy": false, "detail": "copying from 192.0.2.11",
                "progress": {"done": 5_242_880, "total": 10_485_760}, "position": null,
            })),
            "busy, not healthy, 5 of 10 MiB copied: copying from 192.0.2.11"
        );
    }

    #[test]
    fn a_journal_line_begins_with_its_time() {
        let entry = Entry {
            time: "2026-01-31T09:15:02.123Z".to_owned(),
            boottime_ms: 5,
            line: "service: Backup -> Active".to_owned(),
        };
        assert_eq!(
            super::entry(&entry),
            "2026-01-31T09:15:02.123Z service: Backup -> Active\n"
        );
    }
}
