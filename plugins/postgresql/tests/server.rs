//! The plugin as the replicator uses it, with real servers on loopback.
#![forbid(unsafe_code)]

mod rig;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, Config, NoTls};
use rig::{as_owner, clear, directory, initdb};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that nobody listens on.
fn port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One manager: a directory, a plugin process, what it said.
struct Manager {
    node: &'static str,
    place: TempDir,
    port: u16,
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    next: u64,
    observed: Value,
}

impl Manager {
    fn new(node: &'static str) -> Self {
        let place = directory();
        let port = port();
        let (process, input, lines) = launch();
        let mut manager = Self {
            node,
            place,
            port,
            process,
            input: Some(input),
            lines,
            next: 1,
            observed: Value::Null,
        };
        let data = manager.data();
        if node == "a" {
            initdb(&data);
        }
        manager.describe();
        manager
    }

    fn data(&self) -> PathBuf {
        self.place.path().join("main")
    }

    fn describe(&mut self) -> Value {
        let state = self.place.path().join("state");
        let setup = json!({
            "config": {
                "data_directory": self.data(),
                "port": self.port,
                "listen_addresses": "127.0.0.1",
                "socket_directory": self.place.path(),
            },
            "state": state,
        });
        self.done("describe", setup)
    }

    /// Sends a request, and does not wait.
    fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut input = self.input.as_ref().expect("not closed");
        writeln!(input, "{request}").unwrap();
        id
    }

    /// Waits for the answer to a request; takes note of observations.
    fn answer(&mut self, id: u64) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.line(deadline).expect("an answer in time");
            if line["id"] == id {
                return match line.get("error") {
                    Some(error) => Err(error["message"].as_str().unwrap().to_owned()),
                    None => Ok(line["result"].clone()),
                };
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> Option<Value> {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left).ok()?;
        if line["method"] == "observed" {
            self.observed = line["params"].clone();
        }
        Some(line)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let id = self.send(method, params);
        self.answer(id)
    }

    fn done(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params)
            .unwrap_or_else(|why| panic!("{method} on {}: {why}", self.node))
    }

    /// Asks again until it is done, as the replicator does.
    fn until_done(&mut self, method: &str, params: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(method, params.clone()) {
                Ok(value) => return value,
                Err(why) if Instant::now() > deadline => {
                    panic!("{method} on {}: {why}", self.node)
                }
                Err(_) => {}
            }
        }
    }

    fn observe(&mut self) -> Value {
        self.done("observe", json!({}))
    }

    /// Waits for an observation that is told unasked.
    fn wait(&mut self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut observed = self.observe();
        while !found(&observed) {
            assert!(self.line(deadline).is_some(), "{what}: {observed}");
            observed = self.observed.clone();
        }
        observed
    }

    fn access(&self) -> Value {
        json!({"peers": ["127.0.0.1"], "password": "secret", "node": self.node})
    }

    fn copy(&mut self) -> Value {
        self.observe()["copy"].clone()
    }

    fn upstream(&mut self) -> Value {
        let copy = self.copy();
        json!({"host": "127.0.0.1", "port": self.port, "copy": copy})
    }

    /// Starts it alone, and makes it read-write.
    fn become_primary(&mut self) {
        let access = self.access();
        let follow = json!({"upstream": null, "access": access});
        assert_eq!(self.done("follow", follow)["state"], "following");
        let copy = self.copy();
        self.done("promote", json!({"copy": copy, "synchronous": null}));
        self.done("synchronous", json!({"copy": null, "access": access}));
        assert_eq!(self.observe()["server"], "primary");
    }

    /// Follows the other, with whatever that takes; the remedies it took.
    fn join(&mut self, leader: &mut Self) -> Vec<String> {
        let mut remedies = Vec::new();
        loop {
            let upstream = leader.upstream();
            let source = json!({"upstream": upstream, "access": self.access()});
            let followed = self.until_done("follow", &source);
            if followed["state"] == "following" {
                self.wait("streams", |observed| observed["streaming"] == true);
                return remedies;
            }
            let remedy = followed["remedy"].as_str().unwrap().to_owned();
            self.until_done(&remedy, &source);
            remedies.push(remedy);
        }
    }

    /// Has every commit wait for the other's copy.
    fn wait_for(&mut self, follower: &mut Self) {
        let copy = follower.copy();
        let ordered = json!({"copy": copy, "access": self.access()});
        self.until_done("synchronous", &ordered);
        assert_eq!(self.observe()["synchronous"], copy);
    }

    fn client(&self) -> Client {
        Config::new()
            .host("127.0.0.1")
            .port(self.port)
            .user("postgres")
            .connect(NoTls)
            .unwrap()
    }

    fn rows(&self) -> Vec<i32> {
        let rows = self
            .client()
            .query("SELECT n FROM t ORDER BY n", &[])
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn postmaster(&self) -> Pid {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
    }

    fn kill_server(&mut self) {
        kill(self.postmaster(), Signal::SIGKILL).unwrap();
        let observed = self.wait("is down", |observed| observed["server"] == "down");
        assert_eq!(observed["synchronous"], Value::Null);
    }

    /// The plugin dies, and another is started.
    fn replace_plugin(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let (process, input, lines) = launch();
        (self.process, self.input, self.lines) = (process, Some(input), lines);
        self.describe();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        clear(&self.data());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn launch() -> (Child, ChildStdin, Receiver<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postgresql"));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .current_dir("/");
    let mut process = as_owner(&mut command).spawn().unwrap();
    let input = process.stdin.take().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if send.send(serde_json::from_str(&line).unwrap()).is_err() {
                return;
            }
        }
    });
    (process, input, lines)
}

fn insert(manager: &Manager, numbers: std::ops::Range<i32>) {
    let mut client = manager.client();
    for number in numbers {
        client
            .execute("INSERT INTO t VALUES ($1)", &[&number])
            .unwrap();
    }
}

/// Waits until a client's commit waits for the replica. The plugin's own, by
/// which it sees that waiting is in effect, may wait beside it.
fn see_insert_wait(manager: &Manager) {
    let mut client = manager.client();
    let deadline = Instant::now() + PATIENCE;
    let waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'
                   AND query LIKE 'INSERT%'";
    while client.query(waiting, &[]).unwrap().is_empty() {
        assert!(Instant::now() < deadline, "no commit waits");
    }
}

/// A primary with a table, and a replica that every commit waits for.
fn pair() -> (Manager, Manager) {
    let (mut a, mut b) = (Manager::new("a"), Manager::new("b"));
    a.become_primary();
    a.client().batch_execute("CREATE TABLE t (n int)").unwrap();
    assert_eq!(b.join(&mut a), ["clone"]);
    a.wait_for(&mut b);
    (a, b)
}

fn promote(manager: &mut Manager) {
    let copy = manager.copy();
    manager.done("promote", json!({"copy": copy, "synchronous": null}));
    let access = manager.access();
    manager.done("synchronous", json!({"copy": null, "access": access}));
}

#[test]
fn a_killed_primary_rejoins_by_rewind_and_loses_nothing() {
    let (mut a, mut b) = pair();
    insert(&a, 0..50);
    // A tail that no other copy has: its commit is never acknowledged.
    kill(child(a.postmaster(), "walsender"), Signal::SIGSTOP).unwrap();
    let mut doomed = a.client();
    let doomed = thread::spawn(move || doomed.execute("INSERT INTO t VALUES (1000)", &[]));
    see_insert_wait(&a);
    a.kill_server();
    assert!(doomed.join().unwrap().is_err());
    b.wait("does not stream", |observed| observed["streaming"] == false);
    promote(&mut b);
    insert(&b, 50..60);
    let before = a.copy();
    let remedies = a.join(&mut b);
    assert_eq!(remedies, ["rewind"]);
    assert_ne!(a.copy(), before);
    b.wait_for(&mut a);
    insert(&b, 60..70);
    let all: Vec<i32> = (0..70).collect();
    assert_eq!(b.rows(), all);
    promote_after_stop(&mut b, &mut a);
    assert_eq!(a.rows(), all);
    assert!(
        a.place
            .path()
            .join("state/tails")
            .read_dir()
            .unwrap()
            .next()
            .is_some()
    );
}

/// A child of `parent` whose title has `word`.
fn child(parent: Pid, word: &str) -> Pid {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let read = |name: &str| {
            fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(name))
                .unwrap_or_default()
        };
        let stat = read("stat");
        let is_child = stat
            .rsplit_once(") ")
            .and_then(|(_, fields)| fields.split(' ').nth(1))
            .is_some_and(|field| field == parent.to_string());
        if is_child && read("cmdline").contains(word) {
            return Pid::from_raw(pid);
        }
    }
    panic!("no child {word} of {parent}")
}

/// A planned switchover.
fn promote_after_stop(primary: &mut Manager, standby: &mut Manager) {
    primary.done("stop", json!({"prepare": true}));
    assert_eq!(
        primary.done("stop", json!({"prepare": false}))["clean"],
        true
    );
    let stopped = primary.observe();
    assert_eq!(stopped["server"], "stopped");
    let end = stopped["position"].clone();
    standby.wait("has the shutdown checkpoint", |observed| {
        observed["position"] == end
    });
    promote(standby);
}

#[test]
fn a_stopped_primary_follows_without_a_rewind() {
    let (mut a, mut b) = pair();
    insert(&a, 0..20);
    promote_after_stop(&mut a, &mut b);
    insert(&b, 20..40);
    let copy = a.copy();
    assert!(a.join(&mut b).is_empty());
    assert_eq!(a.copy(), copy);
    b.wait_for(&mut a);
    promote_after_stop(&mut b, &mut a);
    assert!(b.join(&mut a).is_empty());
    assert_eq!(a.rows(), (0..40).collect::<Vec<i32>>());
}

#[test]
fn a_primary_that_is_to_be_a_standby_is_stopped_at_once() {
    let (mut a, _b) = pair();
    let access = a.access();
    a.done("follow", json!({"upstream": null, "access": access}));
    let observed = a.observe();
    assert_eq!(observed["server"], "standby");
    let refused = a.client().execute("INSERT INTO t VALUES (1)", &[]);
    assert!(refused.is_err());
}

#[test]
fn another_copy_than_is_meant_is_not_promoted_and_not_followed() {
    let (mut a, mut b) = pair();
    let refused = b.ask(
        "promote",
        json!({"copy": "00000000000000ff", "synchronous": null}),
    );
    assert!(
        refused
            .unwrap_err()
            .contains("00000000000000ff that the pool means")
    );
    let mut upstream = a.upstream();
    upstream["copy"] = json!("00000000000000ff");
    let access = b.access();
    let refused = b.ask("follow", json!({"upstream": upstream, "access": access}));
    assert!(
        refused
            .unwrap_err()
            .contains("the pool means 00000000000000ff")
    );
    assert_eq!(b.observe()["server"], "standby");
}

#[test]
fn a_plugin_adopts_the_server_of_the_one_before() {
    let (mut a, mut b) = pair();
    let copy = b.copy();
    let server = a.postmaster();
    let run = a.observe()["run"].clone();
    a.replace_plugin();
    let observed = a.observe();
    assert_eq!(observed["server"], "primary");
    assert_eq!(observed["synchronous"], copy);
    assert_eq!(observed["run"], run);
    assert_eq!(a.postmaster(), server);
    b.replace_plugin();
    assert_eq!(b.observe()["copy"], copy);
    b.wait("streams", |observed| observed["streaming"] == true);
    assert!(b.join(&mut a).is_empty());
}

#[test]
fn commits_wait_for_the_copy_and_for_nobody_when_told() {
    let (mut a, b) = pair();
    let receiver = child(b.postmaster(), "walreceiver");
    kill(receiver, Signal::SIGSTOP).unwrap();
    let mut client = a.client();
    let commit = thread::spawn(move || client.execute("INSERT INTO t VALUES (1)", &[]));
    see_insert_wait(&a);
    assert!(!commit.is_finished());
    let access = a.access();
    a.done("synchronous", json!({"copy": null, "access": access}));
    assert_eq!(commit.join().unwrap().unwrap(), 1);
    assert_eq!(a.observe()["synchronous"], Value::Null);
    kill(receiver, Signal::SIGCONT).unwrap();
}

#[test]
fn data_put_back_by_hand_are_another_copy() {
    let (mut a, mut b) = pair();
    let copy = b.copy();
    let keep = b.place.path().join("snapshot");
    b.done("stop", json!({"prepare": false}));
    let copied = Command::new("cp")
        .arg("-a")
        .arg(b.data())
        .arg(&keep)
        .status();
    assert!(copied.unwrap().success());
    assert!(b.join(&mut a).is_empty());
    assert_eq!(b.copy(), copy);
    b.done("stop", json!({"prepare": false}));
    fs::remove_dir_all(b.data()).unwrap();
    fs::rename(&keep, b.data()).unwrap();
    b.join(&mut a);
    assert_ne!(b.copy(), copy);
}

#[test]
fn a_server_that_nobody_keeps_is_stopped() {
    let mut a = Manager::new("a");
    a.become_primary();
    let server = a.postmaster();
    a.input = None;
    let deadline = Instant::now() + PATIENCE;
    while kill(server, None).is_ok() {
        assert!(Instant::now() < deadline, "the server runs still");
        thread::yield_now();
    }
    assert!(a.process.wait().unwrap().success());
}
