//! The daemon between a scripted plugin and a vrrpd that is this test.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replicator::role::{
    CopyId, FromReplicator, HEARTBEAT, Order, Report, Role, Server, ToReplicator, Upstream,
};
use tempfile::TempDir;

/// How long anything may take here.
const LIMIT: Duration = Duration::from_secs(30);

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

struct Rig {
    directory: TempDir,
    listener: Option<UnixListener>,
    daemon: Child,
}

impl Rig {
    /// A replicator whose plugin finds its server to be `server`.
    fn start(server: &str) -> Self {
        Self::prepared(server, &[])
    }

    /// The same; the files `flags` change what the plugin does.
    fn prepared(server: &str, flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("server"), format!("{server}\n")).unwrap();
        fs::write(path("log"), "").unwrap();
        fs::write(path("scripted"), include_str!("plugin.sh")).unwrap();
        fs::set_permissions(path("scripted"), fs::Permissions::from_mode(0o755)).unwrap();
        for flag in flags {
            fs::write(path(flag), "").unwrap();
        }
        let here = directory.path().display();
        fs::write(
            path("vrrpd.toml"),
            format!(
                "[paths]\nrun = \"{here}\"\nstate = \"{here}/state\"\nplugins = \"{here}\"\n\
                 [replication]\nplugin = \"scripted\"\n"
            ),
        )
        .unwrap();
        let listener = UnixListener::bind(path("replicator.sock")).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_replicator"))
            .arg("-c")
            .arg(path("vrrpd.toml"))
            .stderr(Stdio::from(fs::File::create(path("stderr")).unwrap()))
            .spawn()
            .unwrap();
        Self {
            directory,
            listener: Some(listener),
            daemon,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The replicator's next connection.
    fn accept(&self) -> Vrrpd {
        let listener = self.listener.as_ref().expect("not gone");
        listener.set_nonblocking(true).unwrap();
        let stream = self.wait("a connection", || listener.accept().ok()).0;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Vrrpd {
            reader: BufReader::new(stream.try_clone().unwrap()),
            writer: stream,
        }
    }

    /// Waits until `found` finds it.
    fn wait<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "no {what}; the replicator said:\n{}the plugin was asked:\n{}",
                self.read("stderr"),
                self.read("log"),
            );
            thread::sleep(LOOK);
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What the plugins were asked to do, in order, without their births.
    fn asked(&self) -> Vec<String> {
        let log = self.read("log");
        let asked = log.lines().filter(|line| !line.contains(' '));
        asked.map(str::to_owned).collect()
    }

    /// The process ids of the plugins so far.
    fn born(&self) -> Vec<Pid> {
        let log = self.read("log");
        log.lines()
            .filter_map(|line| line.strip_prefix("born "))
            .map(|id| Pid::from_raw(id.parse().unwrap()))
            .collect()
    }

    fn signal_plugin(&self, signal: Signal) {
        kill(*self.born().last().expect("a plugin"), signal).unwrap();
    }

    fn terminate(&mut self) -> ExitStatus {
        let id = Pid::from_raw(self.daemon.id().try_into().unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.daemon.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
        // One that was stopped is not ended by the end of its input.
        if let Some(&last) = self.born().last() {
            kill(last, Signal::SIGKILL).ok();
        }
    }
}

/// This end of a connection.
struct Vrrpd {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Vrrpd {
    /// The next report.
    fn hear(&mut self) -> Report {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let FromReplicator::Report(report) =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        report
    }

    /// The first report that will do.
    fn hear_until(&mut self, what: &str, will_do: impl Fn(&Report) -> bool) -> Report {
        let begun = Instant::now();
        loop {
            let report = self.hear();
            if will_do(&report) {
                return report;
            }
            assert!(begun.elapsed() < LIMIT, "no report {what}, last {report:?}");
        }
    }

    fn hear_answer(&mut self, ticket: u64, server: Server) -> Report {
        self.hear_until(&format!("{ticket} {server}"), |report| {
            (report.ticket, report.server) == (ticket, server)
        })
    }

    fn say(&mut self, line: &str) {
        writeln!(self.writer, "{line}").unwrap();
    }

    fn order(&mut self, ticket: u64, role: Role) {
        let copy = |copy| Some(CopyId(copy));
        let order = ToReplicator::Order(Order {
            ticket,
            epoch: "1.a".to_owned(),
            role,
            copy: role.is_read_write().then_some(CopyId(0xaa)),
            follow: (role == Role::Standby).then(|| Upstream {
                host: "192.0.2.12".to_owned(),
                port: 5432,
                copy: copy(0xbb),
            }),
            synchronous: None,
            peers: Vec::new(),
            password: "secret".to_owned(),
            node: "a".to_owned(),
        });
        self.say(&serde_json::to_string(&order).unwrap());
    }
}

/// One that serves by order 2.
fn serving() -> (Rig, Vrrpd) {
    let rig = Rig::start("down");
    let mut vrrpd = rig.accept();
    vrrpd.order(1, Role::Standby);
    vrrpd.hear_answer(1, Server::Standby);
    vrrpd.order(2, Role::Primary);
    vrrpd.hear_answer(2, Server::Primary);
    rig.wait("grant of access", || {
        (rig.asked().last()? == "synchronous").then_some(())
    });
    (rig, vrrpd)
}

#[test]
fn it_speaks_first_and_carries_out_what_it_is_ordered() {
    let rig = Rig::start("down");
    let mut vrrpd = rig.accept();
    let first = vrrpd.hear();
    assert_eq!((first.ticket, first.server), (0, Server::Down));
    assert_eq!(first.copy, Some(CopyId(0xaa)));
    assert_eq!(rig.asked(), ["describe"]);

    vrrpd.order(1, Role::Standby);
    vrrpd.hear_answer(1, Server::Standby);
    vrrpd.order(2, Role::Primary);
    vrrpd.hear_answer(2, Server::Primary);
    vrrpd.order(3, Role::Retiring);
    vrrpd.hear_until("of a checkpoint", |report| report.checkpointed);
    vrrpd.order(4, Role::Stopped);
    vrrpd.hear_answer(4, Server::Stopped);
    let asked = rig.asked();
    // A standby is told whom to follow until its plugin says that it does.
    let follows = asked.iter().filter(|asked| *asked == "follow").count();
    assert!(follows >= 1);
    let others: Vec<_> = asked.iter().filter(|asked| *asked != "follow").collect();
    assert_eq!(
        others,
        ["describe", "promote", "synchronous", "prepare", "stop"]
    );
    assert!(!rig.read("stderr").contains("secret"));
}

#[test]
fn a_command_that_leads_nowhere_is_not_repeated_in_a_hurry() {
    let rig = Rig::start("down");
    let mut vrrpd = rig.accept();
    // The scripted plugin answers that it follows, and is never seen to.
    vrrpd.order(1, Role::Standby);
    vrrpd.hear_answer(1, Server::Standby);
    for _ in 0..10 {
        vrrpd.hear();
    }
    let follows = rig.asked().len() - 1;
    // After 100, 300, 700, 1500 ms and so on.
    assert!((2..10).contains(&follows), "{follows} times");
}

#[test]
fn it_is_never_silent() {
    let (_rig, mut vrrpd) = serving();
    let mut gaps = Vec::new();
    for _ in 0..21 {
        let begun = Instant::now();
        vrrpd.hear();
        gaps.push(begun.elapsed());
    }
    gaps.sort();
    // The core calls a replicator lost after a few hundred milliseconds.
    assert!(gaps[10] < HEARTBEAT * 2, "{gaps:?}");
    assert!(gaps[10] > HEARTBEAT / 3, "chatters: {gaps:?}");
}

#[test]
fn a_plugin_that_is_killed_is_started_again_and_adopts_the_server() {
    let (rig, mut vrrpd) = serving();
    let asked = rig.asked().len();
    rig.signal_plugin(Signal::SIGKILL);
    // Set again is what may have been forgotten; nothing else is touched.
    rig.wait("adoption", || {
        (rig.asked()[asked..] == ["describe", "synchronous"]).then_some(())
    });
    assert_eq!(rig.born().len(), 2);
    for _ in 0..5 {
        let report = vrrpd.hear();
        assert_eq!((report.ticket, report.server), (2, Server::Primary));
        assert!(report.healthy);
    }
}

#[test]
fn a_plugin_that_hangs_is_replaced() {
    let (rig, mut vrrpd) = serving();
    rig.signal_plugin(Signal::SIGSTOP);
    rig.wait("successor", || (rig.born().len() == 2).then_some(()));
    vrrpd.order(3, Role::Stopped);
    vrrpd.hear_answer(3, Server::Stopped);
}

#[test]
fn a_plugin_that_never_describes_itself_is_replaced_and_vrrpd_told() {
    let rig = Rig::prepared("down", &["mute"]);
    rig.wait("successor", || (rig.born().len() == 2).then_some(()));
    let mut vrrpd = rig.accept();
    let report = vrrpd.hear_until("of a failure", |report| !report.detail.is_empty());
    // Nothing is known of a server that nobody has looked at.
    assert_eq!((report.healthy, report.server), (false, Server::Busy));
    assert_eq!(report.detail, "the plugin scripted does not answer");
    fs::remove_file(rig.path("mute")).unwrap();
    rig.signal_plugin(Signal::SIGKILL);
    vrrpd.hear_until("of recovery", |report| report.healthy);
}

#[test]
fn a_plugin_that_talks_nonsense_is_replaced() {
    let (rig, mut vrrpd) = serving();
    fs::write(rig.path("garbage"), "").unwrap();
    let report = vrrpd.hear_until("of a failure", |report| !report.healthy);
    assert_eq!(report.detail, "the plugin scripted does not answer");
    assert_eq!(report.server, Server::Primary);
    fs::remove_file(rig.path("garbage")).unwrap();
    vrrpd.hear_until("of recovery", |report| report.healthy);
}

#[test]
fn a_plugin_that_is_not_there_is_told() {
    let mut rig = Rig::start("primary");
    fs::rename(rig.path("scripted"), rig.path("away")).unwrap();
    // It may have been started before it was moved.
    rig.wait("plugin or none", || {
        let started = !rig.born().is_empty();
        let failed = rig.read("stderr").contains("cannot be started");
        (started || failed).then_some(())
    });
    if let Some(&last) = rig.born().last() {
        kill(last, Signal::SIGKILL).unwrap();
    }
    let mut vrrpd = rig.accept();
    let report = vrrpd.hear_until("of a failure", |report| !report.healthy);
    assert_ne!(report.server, Server::Down);
    assert_eq!(rig.terminate().code(), Some(0));
}

#[test]
fn without_vrrpd_a_read_write_server_is_fenced() {
    let (mut rig, vrrpd) = serving();
    rig.listener = None;
    drop(vrrpd);
    rig.wait("fence", || {
        (rig.read("server") == "standby\n").then_some(())
    });
    assert!(rig.read("stderr").contains("the database is fenced"));
}

#[test]
fn a_vrrpd_that_comes_back_in_time_finds_the_server_as_it_was() {
    let (rig, vrrpd) = serving();
    let asked = rig.asked();
    drop(vrrpd);
    let mut vrrpd = rig.accept();
    let first = vrrpd.hear();
    assert_eq!((first.ticket, first.server), (2, Server::Primary));
    vrrpd.order(2, Role::Primary);
    // Beyond the grace: a heartbeat is at most that long.
    for _ in 0..20 {
        assert_eq!(vrrpd.hear().server, Server::Primary);
    }
    assert_eq!(rig.asked(), asked);
}

#[test]
fn connections_that_bring_no_order_do_not_put_the_fence_off() {
    let (rig, mut vrrpd) = serving();
    let begun = Instant::now();
    while rig.read("server") == "primary\n" {
        // Of another version, say.
        vrrpd.say(r#"{"order":{"ticket":3,"role":"lead"}}"#);
        vrrpd = rig.accept();
        assert!(begun.elapsed() < LIMIT, "never fenced");
    }
    assert_eq!(rig.read("server"), "standby\n");
    // Fenced, it stays so until an order follows from what it has to say.
    vrrpd.order(2, Role::Primary);
    vrrpd.hear_answer(2, Server::Standby);
    vrrpd.order(3, Role::Standby);
    vrrpd.hear_answer(3, Server::Standby);
    vrrpd.order(4, Role::Primary);
    vrrpd.hear_answer(4, Server::Primary);
}

#[test]
fn asked_to_end_it_stops_the_server_first() {
    for server in ["primary", "standby"] {
        let mut rig = Rig::start(server);
        let mut vrrpd = rig.accept();
        vrrpd.hear();
        assert_eq!(rig.terminate().code(), Some(0));
        assert_eq!(rig.read("server"), "stopped\n");
        assert_eq!(rig.asked(), ["describe", "stop"]);
    }
}

#[test]
fn a_served_role_is_told_to_be_over_before_it_ends() {
    let (mut rig, mut vrrpd) = serving();
    let reader = thread::spawn(move || vrrpd.hear_answer(2, Server::Down));
    assert_eq!(rig.terminate().code(), Some(0));
    // Whoever is Primary need not wait: it will not be started again.
    reader.join().expect("the last report says so");
}

#[test]
fn a_configuration_that_cannot_be_used_is_an_exit_status() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vrrpd.toml");
    fs::write(&file, "[node]\nname = \"a\"\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_replicator"))
        .arg("-c")
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no section [replication]"), "{said}");
}
