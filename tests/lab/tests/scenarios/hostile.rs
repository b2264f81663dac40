//! Wrong configurations, wrong keys, damaged files, foreign packets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lab::clock::{Moment, wait_for};
use lab::directory;
use lab::fault::{Attempt, Fault, Result};
use lab::host::Name::{self, Arbiter, ManagerA, ManagerB};
use lab::link::{Forger, keep};
use lab::pool::{PATIENCE, Pool, SERVERS};
use lab::timeline::Timeline;
use lab::trial::{Trial, scenario};
use nix::sys::signal::Signal;

/// The pool's port.
const PORT: u16 = 8112;

/// Packets a millisecond: 10,000 a second.
const BURST: usize = 10;

/// So many log lines may a flood of ten seconds cause on all hosts together.
const LINES: usize = 200;

/// An advertisement of VRID 51 for the virtual IP, with this priority. Its
/// checksum is right (without pseudo-header, RFC 9568 §5.2.8).
fn advertisement(priority: u8) -> Vec<u8> {
    let mut packet = vec![0x31, 51, priority, 1, 0, 20, 0, 0, 192, 0, 2, 100];
    let sum: u32 = packet
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(folded as u16);
    packet[6..8].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Ten a millisecond, each of another kind than the last, for ten seconds.
fn flood(forger: &Forger, kept: &[Vec<u8>]) {
    let start = Moment::now();
    let mut number = 0;
    for burst in 1_u32.. {
        if start.elapsed() > Duration::from_secs(10) {
            return;
        }
        for _ in 0..BURST {
            let victim = SERVERS[number % 3];
            let other = SERVERS[(number + 1) % 3];
            // As good as random, and the same each time.
            let noise: Vec<u8> = (0..number % 300)
                .map(|at| (number.wrapping_mul(2_654_435_761) >> (at % 23)) as u8)
                .collect();
            let pool_like = [b"VRRPD\x01".as_slice(), &noise].concat();
            let mut bent = kept[number % kept.len()].clone();
            let last = bent.len() - 1 - number % 40;
            bent[last] ^= 1;
            match number % 7 {
                0 => forger.udp(
                    other.address(),
                    victim.address(),
                    victim.mac(),
                    PORT,
                    &noise,
                ),
                1 => forger.udp(
                    other.address(),
                    victim.address(),
                    victim.mac(),
                    PORT,
                    &pool_like,
                ),
                2 => forger.vrrp(other.address(), &advertisement(254)),
                3 => forger.vrrp(other.address(), &advertisement(0)),
                4 => forger.vrrp(other.address(), &noise),
                5 => forger.replay(&kept[number % kept.len()]),
                _ => forger.replay(&bent),
            }
            number += 1;
        }
        let next = start.plus(Duration::from_millis(1) * burst);
        std::thread::park_timeout(next.since(Moment::now()));
    }
}

#[test]
fn foreign_packets_move_nothing() {
    scenario("foreign packets move nothing", |trial| {
        let network = trial.pool.switch().namespace();
        let kept = keep(network, PORT, 200, PATIENCE)?;
        let forger = Forger::new(trial.pool.client().namespace()?)?;
        let before = trial.pool.status(ManagerA)?["epoch"].clone();
        let lines = trial.pool.timeline().len();
        trial
            .pool
            .timeline()
            .mark("10,000 foreign packets a second");
        flood(&forger, &kept);
        let said = trial.pool.timeline().len() - lines;
        trial.pool.timeline().mark("the flood is over");
        trial.commits_flow()?;
        let after = trial.pool.status(ManagerA)?["epoch"].clone();
        if before != after {
            return Err(Fault::new(format!(
                "the epoch went from {before} to {after}"
            )));
        }
        if said > LINES {
            return Err(Fault::new(format!(
                "the flood caused {said} log lines, more than {LINES}"
            )));
        }
        trial.pool.wait_primary(ManagerA)?;
        trial.pool.wait_ok()
    });
}

/// Stops vrrpd (arbiterd) of a server in good order.
fn stop(trial: &Trial, name: Name, daemon: &str) -> Result<()> {
    trial.pool.signal(name, daemon, Signal::SIGTERM)?;
    trial
        .pool
        .host(name)
        .process(daemon)?
        .ended(Duration::from_secs(20))
        .map(drop)
}

/// Starts a daemon that has to refuse; what it said.
fn refuses(trial: &mut Trial, name: Name, daemon: &str) -> Result<String> {
    let before = trial.pool.timeline().len();
    trial.pool.start(name, daemon)?;
    let process = trial.pool.host(name).process(daemon)?;
    let status = process.ended(Duration::from_secs(20))?;
    let who = format!("{name} {daemon}");
    let said = || {
        let entries = trial.pool.timeline().entries();
        let words = entries.into_iter().skip(before);
        let words = words.filter(|entry| entry.who == who && !entry.what.starts_with("ended:"));
        words.map(|entry| entry.what).collect::<Vec<_>>().join("\n")
    };
    if status.code() != Some(1) {
        return Err(Fault::new(format!(
            "{daemon} ended with {status}: {}",
            said()
        )));
    }
    wait_for("its words", PATIENCE, || {
        let said = said();
        (!said.is_empty()).then_some(said).ok_or_else(String::new)
    })
}

fn says(said: &str, needle: &str) -> Result<()> {
    if said.contains(needle) {
        return Ok(());
    }
    Err(Fault::new(format!(
        "{needle:?} is not in what it said: {said}"
    )))
}

#[test]
fn damaged_state_is_refused_and_named() {
    scenario("damaged state is refused", |trial| {
        for (name, daemon, state) in [
            (ManagerB, "vrrpd", "vrrpd/state"),
            (Arbiter, "arbiterd", "arbiterd/site-1/state"),
        ] {
            stop(trial, name, daemon)?;
            let path = trial.pool.host(name).disk().join(state);
            let what = || format!("damage {}", path.display());
            let whole = fs::read(&path).attempt(what)?;
            let mut damaged = whole.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 0x10;
            fs::write(&path, &damaged).attempt(what)?;
            let said = refuses(trial, name, daemon)?;
            let directory = path.parent().unwrap_or(Path::new("/"));
            says(&said, &directory.display().to_string())?;
            fs::write(&path, &whole).attempt(what)?;
            trial.pool.start(name, daemon)?;
            trial.pool.wait_ok()?;
        }
        trial.pool.wait_primary(ManagerA)
    });
}

#[test]
fn standby_with_another_key_is_not_believed() {
    scenario("standby with another key", |trial| {
        let before = trial.pool.status(ManagerA)?["epoch"].clone();
        stop(trial, ManagerB, "vrrpd")?;
        let path = trial.pool.host(ManagerB).etc().join("pool.key");
        let what = || format!("replace {}", path.display());
        let key = fs::read_to_string(&path).attempt(what)?;
        directory::write(&path, &"ab".repeat(32))?;
        trial.pool.start(ManagerB, "vrrpd")?;
        trial.commits_after(Moment::now().plus(Duration::from_secs(5)))?;
        let after = trial.pool.status(ManagerA)?["epoch"].clone();
        if before != after {
            return Err(Fault::new(format!(
                "the epoch went from {before} to {after}"
            )));
        }
        stop(trial, ManagerB, "vrrpd")?;
        directory::write(&path, &key)?;
        trial.pool.start(ManagerB, "vrrpd")?;
        trial.pool.wait_ok()
    });
}

/// Every mistake in one go, each with its line; the running daemon is not concerned.
#[test]
fn every_mistake_of_a_configuration_is_listed() -> Result<()> {
    let directory = directory::Directory::new()?;
    let pool = Pool::new(Default::default(), directory, &Timeline::new())?;
    let config = pool.config(ManagerA);
    let text = fs::read_to_string(&config).attempt(|| format!("read {}", config.display()))?;
    let wrong = text
        .replace("priority = 150", "priority = 300")
        .replace("peer = \"192.0.2.12\"", "peer = \"192.0.2.11\"")
        .replace(
            "advertise_interval = \"200ms\"",
            "advertise_interval = \"fast\"",
        )
        .replace("tcp_ports = [5432]", "tcp_ports = []\ntcp_portz = 1")
        .replace("vrid = 51", "vrid = 0");
    let file = config.with_file_name("wrong.toml");
    directory::write(&file, &wrong)?;
    let key = pool.host(ManagerA).etc().join("pool.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))
        .attempt(|| "change a mode".into())?;
    let name = file.display().to_string();
    let vrrpd = pool.programs().path("vrrpd").display().to_string();
    let refusal = pool
        .host(ManagerA)
        .namespace()?
        .command(&vrrpd, &["-c", &name, "--check"])
        .expect_err("a file full of mistakes is refused")
        .to_string();
    for (at, what) in [
        ("priority = 300", "priority 300 is out of range"),
        ("vrid = 0", "vrid 0"),
        ("advertise_interval = \"fast\"", "fast"),
        ("tcp_ports = []", "tcp_ports is empty"),
        ("tcp_portz = 1", "tcp_portz"),
        ("peer = \"192.0.2.11\"", "peer is the same as address"),
        ("key_file =", "others can read it"),
    ] {
        let line = 1 + wrong
            .lines()
            .position(|line| line.contains(at))
            .expect("it is there");
        let told = refusal
            .lines()
            .any(|told| told.contains(&format!("{name}:{line}:")) && told.contains(what));
        assert!(
            told,
            "no mistake at line {line} that says {what:?} in:\n{refusal}"
        );
    }
    Ok(())
}
