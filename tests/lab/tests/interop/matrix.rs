//! Every daemon, version, family and way of sending, in both roles.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv6Addr;
use std::thread;
use std::time::Duration;

use lab::clock::Moment;
use lab::directory::Directory;
use lab::fault::{Fault, Result};
use lab::programs::Programs;
use nix::sys::signal::Signal;

use crate::capture::{Advert, Verdict};
use crate::daemon::Daemon::{self, Frr, Keepalived, Vrrpd};
use crate::daemon::{OURS, PEER, Service};
use crate::lan::{Lan, own_address};

const STEPS: [&str; 6] = [
    "elects",
    "releases",
    "takes over",
    "yields",
    "is released",
    "dissects",
];

#[derive(Clone, Copy, Debug)]
struct Row {
    peer: Daemon,
    version: u8,
    six: bool,
    unicast: bool,
    /// That our side is told to send.
    checksum: Option<&'static str>,
    /// That the peer sends; told to it if it is one of ours.
    theirs: Option<&'static str>,
}

const fn row(peer: Daemon, version: u8, six: bool, unicast: bool) -> Row {
    Row {
        peer,
        version,
        six,
        unicast,
        checksum: None,
        theirs: None,
    }
}

const fn forms(ours: &'static str, theirs: &'static str) -> Row {
    Row {
        checksum: Some(ours),
        theirs: Some(theirs),
        ..row(Vrrpd, 3, false, false)
    }
}

const ROWS: [Row; 13] = [
    row(Keepalived, 2, false, false),
    row(Keepalived, 2, false, true),
    row(Keepalived, 3, false, false),
    row(Keepalived, 3, false, true),
    row(Keepalived, 3, true, false),
    row(Keepalived, 3, true, true),
    row(Frr, 2, false, false),
    row(Frr, 3, false, false),
    row(Frr, 3, true, false),
    row(Vrrpd, 2, false, true),
    row(Vrrpd, 3, true, true),
    forms("rfc9568", "pseudo-header"),
    forms("auto", "rfc9568"),
];

/// What a row has come to: its steps' times, and the checksums of both sides.
struct Outcome {
    times: Vec<Duration>,
    verdicts: Option<[Verdict; 2]>,
    failure: Option<String>,
}

#[test]
fn every_daemon_version_family_and_way_of_sending() -> Result<()> {
    let directory = Directory::new()?;
    let programs = Programs::install(directory.path())?;
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let rows: Vec<_> = ROWS
            .iter()
            .enumerate()
            .map(|(number, row)| {
                let at = directory.path().join(format!("row-{number}"));
                let programs = &programs;
                scope.spawn(move || play(row, &at, programs))
            })
            .collect();
        let join = |row: thread::ScopedJoinHandle<'_, Outcome>| {
            row.join().expect("a row's faults are values")
        };
        rows.into_iter().map(join).collect()
    });
    let table = table(&outcomes);
    // The table is the result also of a test that holds.
    let shown = std::io::stdout().lock().write_all(table.as_bytes());
    assert!(shown.is_ok());
    let failures: Vec<&str> = outcomes
        .iter()
        .filter_map(|row| row.failure.as_deref())
        .collect();
    assert!(failures.is_empty(), "\n{}\n{table}", failures.join("\n"));
    Ok(())
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("\n{:<34}", "ours with");
    for step in STEPS {
        let _ = write!(text, "{step:>13}");
    }
    text.push_str("  checksums of ours, of the peer\n");
    for (row, outcome) in ROWS.iter().zip(outcomes) {
        let _ = write!(text, "{:<34}", title(row));
        for step in 0..STEPS.len() {
            let cell = match outcome.times.get(step) {
                Some(time) => format!("{} ms", time.as_millis()),
                None if step == outcome.times.len() && outcome.failure.is_some() => "FAILED".into(),
                None => "-".into(),
            };
            let _ = write!(text, "{cell:>13}");
        }
        if let Some([ours, theirs]) = &outcome.verdicts {
            let _ = write!(text, "  {}, {}", counts(ours), counts(theirs));
        }
        text.push('\n');
    }
    text
}

fn counts(verdict: &Verdict) -> String {
    match verdict {
        Verdict {
            one_form,
            with_pseudo_header: 0,
            without: 0,
        } => format!("{one_form} right"),
        Verdict {
            with_pseudo_header,
            without,
            ..
        } => {
            format!("{with_pseudo_header} with + {without} without pseudo-header")
        }
    }
}

fn title(row: &Row) -> String {
    let family = if row.six { "IPv6" } else { "IPv4" };
    let way = match row.checksum {
        Some(form) => form,
        None if row.unicast => "unicast",
        None => "multicast",
    };
    format!(
        "{:<10} VRRPv{} {family} {way}",
        format!("{:?}", row.peer),
        row.version
    )
}

fn play(row: &Row, at: &std::path::Path, programs: &Programs) -> Outcome {
    let start = Moment::now();
    let mut outcome = Outcome {
        times: Vec::new(),
        verdicts: None,
        failure: None,
    };
    match Lan::new(at, programs) {
        Ok(mut lan) => {
            if let Err(fault) = steps(row, &mut lan, &mut outcome) {
                let story = lan.story(start);
                outcome.failure = Some(format!("{}: {fault}\n{story}", title(row)));
            }
        }
        Err(fault) => outcome.failure = Some(format!("{}: {fault}", title(row))),
    }
    outcome
}

fn steps(row: &Row, lan: &mut Lan, outcome: &mut Outcome) -> Result<()> {
    let interval = Duration::from_millis(if row.version == 2 { 1_000 } else { 200 });
    let service = Service {
        six: row.six,
        unicast: row.unicast,
        // What keepalived 2.2 sends by unicast over IPv6.
        min_ttl: match (row.peer, row.six, row.unicast) {
            (Keepalived, true, true) => 64,
            _ => 255,
        },
        checksum: row.checksum,
        ..Service::new(row.version, interval)
    };
    let theirs = Service {
        checksum: row.theirs,
        ..service.clone()
    };
    let us = own_address(OURS, row.six);
    let them = match (row.peer, row.six) {
        // FRR's advertises from its macvlan's address, which is the virtual one.
        (Frr, true) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100).into(),
        _ => own_address(PEER, row.six),
    };
    let mut done = |since: Moment| outcome.times.push(since.elapsed());

    // It is Active, and the higher priority preempts it.
    lan.start_peer(row.peer, &theirs)?;
    lan.capture
        .wait("the peer is Active", |all| last(all, them))?;
    let step = lan.timeline.mark("elect");
    lan.start_ours(&Service {
        priority: 150,
        ..service.clone()
    })?;
    lan.capture
        .wait("ours is Active alone", |all| alone(all, us, 150))?;
    lan.wait_held(service.address(), true)?;
    done(step);

    // Priority 0, when the address is gone: Skew_Time, not Active_Down_Interval.
    let step = lan.timeline.mark("release");
    lan.ours.signal("vrrpd", Signal::SIGTERM)?;
    lan.ours.process("vrrpd")?.ended(lab::pool::PATIENCE)?;
    let zero = lan
        .capture
        .wait("ours says that it stops", |all| stopped(all, us))?;
    let next = lan
        .capture
        .wait("the peer is Active", |all| first_after(all, them, zero.at))?;
    within(
        next.at - zero.at,
        interval * 3,
        "the peer waited after priority 0",
    )?;
    lan.wait_held(service.address(), false)?;
    done(step);

    // Ours follows with an interval of its own, and times the peer by the peer's.
    let step = lan.timeline.mark("take over");
    lan.start_ours(&Service {
        priority: 50,
        interval: Duration::from_secs(1),
        ..service.clone()
    })?;
    lan.wait_said("-> Backup", step)?;
    let heard = lan.capture.adverts()?.len();
    lan.capture.wait("the peer is heard", |all| {
        (all.len() >= heard + 3).then_some(())
    })?;
    lan.switch.cut("manager-a", "manager-b")?;
    let ours = lan
        .capture
        .wait("ours takes over", |all| first_after(all, us, zero.at))?;
    let died = lan
        .capture
        .wait("the peer was Active", |all| last(all, them))?;
    within(
        ours.at - died.at,
        interval * 4 + Duration::from_secs(1),
        "ours waited",
    )?;
    lan.wait_held(service.address(), true)?;
    done(step);

    let step = lan.timeline.mark("yield");
    lan.switch.mend()?;
    lan.capture
        .wait("the peer is Active alone", |all| alone(all, them, 100))?;
    lan.wait_held(service.address(), false)?;
    done(step);

    let step = lan.timeline.mark("be released");
    lan.peer.signal(row.peer.process(), Signal::SIGTERM)?;
    let zero = lan
        .capture
        .wait("the peer says that it stops", |all| stopped(all, them))?;
    let ours = lan
        .capture
        .wait("ours is Active", |all| first_after(all, us, zero.at))?;
    within(
        ours.at - zero.at,
        interval * 3,
        "ours waited after priority 0",
    )?;
    lan.wait_held(service.address(), true)?;
    done(step);

    let step = lan.timeline.mark("dissect");
    let ours = lan.capture.dissect(us, 255)?;
    let theirs = lan.capture.dissect(them, service.min_ttl)?;
    if matches!(row.checksum, Some("rfc9568")) && ours.with_pseudo_header > 0
        || row.theirs == Some("pseudo-header") && theirs.without > 0
    {
        return Err(Fault::new(
            "a checksum is not of the form that was configured",
        ));
    }
    done(step);
    outcome.verdicts = Some([ours, theirs]);
    Ok(())
}

fn within(took: Duration, limit: Duration, what: &str) -> Result<()> {
    if took <= limit {
        return Ok(());
    }
    Err(Fault::new(format!(
        "{what} {} ms, and may {}",
        took.as_millis(),
        limit.as_millis()
    )))
}

fn last(all: &[Advert], source: std::net::IpAddr) -> Option<Advert> {
    all.iter().rfind(|advert| advert.source == source).copied()
}

fn stopped(all: &[Advert], source: std::net::IpAddr) -> Option<Advert> {
    last(all, source).filter(|advert| advert.priority == 0)
}

fn first_after(all: &[Advert], source: std::net::IpAddr, at: Duration) -> Option<Advert> {
    all.iter()
        .find(|advert| advert.source == source && advert.at > at && advert.priority > 0)
        .copied()
}

/// The last three are all of `source`, with `priority`.
fn alone(all: &[Advert], source: std::net::IpAddr, priority: u8) -> Option<()> {
    let last = all.last_chunk::<3>()?;
    let is = |advert: &Advert| (advert.source, advert.priority) == (source, priority);
    last.iter().all(is).then_some(())
}
