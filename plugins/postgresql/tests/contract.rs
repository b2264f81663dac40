//! The plugin does what vrrpd-plugin(7) asks of every plugin.
#![forbid(unsafe_code)]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use postgres::{Config, NoTls};
use replicator::plugin::contract::{self, Node, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARIES: &str = "/usr/lib/postgresql/15/bin";

/// Two databases, each of its own making; the plugin runs as their owner.
struct Postgresql {
    place: TempDir,
    ports: [u16; 2],
    owner: User,
}

impl Postgresql {
    fn new() -> Self {
        let owner = match nix::unistd::geteuid().is_root() {
            true => User::from_name("postgres")
                .unwrap()
                .expect("the user postgres"),
            false => User::from_uid(nix::unistd::geteuid()).unwrap().unwrap(),
        };
        let place = tempfile::Builder::new()
            .prefix("vrrpd-contract-")
            .tempdir_in("/tmp")
            .unwrap();
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        let subject = Self {
            place,
            ports,
            owner,
        };
        subject.give(subject.place.path());
        for node in [Node::A, Node::B] {
            for directory in [subject.home(node), subject.state(node)] {
                fs::create_dir(&directory).unwrap();
                subject.give(&directory);
            }
            let mut initdb = Command::new(format!("{BINARIES}/initdb"));
            initdb
                .args([
                    "--username=postgres",
                    "--auth=trust",
                    "--no-sync",
                    "--locale=C",
                ])
                .args(["--encoding=UTF8", "--data-checksums", "--pgdata"])
                .arg(subject.data(node))
                .current_dir("/")
                .stdout(Stdio::null());
            if nix::unistd::geteuid().is_root() {
                initdb
                    .uid(subject.owner.uid.as_raw())
                    .gid(subject.owner.gid.as_raw());
            }
            assert!(initdb.status().unwrap().success());
        }
        subject.wrap();
        subject
    }

    fn give(&self, path: &Path) {
        let (user, group) = (self.owner.uid.as_raw(), self.owner.gid.as_raw());
        chown(path, Some(user), Some(group)).unwrap();
    }

    /// A program that becomes the plugin, as the owner.
    fn wrap(&self) {
        let plugin = env!("CARGO_BIN_EXE_postgresql");
        let (user, group) = (self.owner.uid, self.owner.gid);
        let script = match nix::unistd::geteuid().is_root() {
            true => format!(
                "#!/bin/sh\nexec setpriv --reuid={user} --regid={group} --clear-groups {plugin}\n"
            ),
            false => format!("#!/bin/sh\nexec {plugin}\n"),
        };
        fs::write(self.executable(), script).unwrap();
        fs::set_permissions(self.executable(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn home(&self, node: Node) -> PathBuf {
        self.place.path().join(format!("{node:?}"))
    }

    fn data(&self, node: Node) -> PathBuf {
        self.home(node).join("main")
    }
}

impl Subject for Postgresql {
    fn executable(&self) -> PathBuf {
        self.place.path().join("plugin")
    }

    fn config(&self, node: Node) -> Value {
        json!({
            "data_directory": self.data(node),
            "port": self.address(node).1,
            "listen_addresses": "127.0.0.1",
            "socket_directory": self.home(node),
        })
    }

    fn state(&self, node: Node) -> PathBuf {
        self.home(node).join("state")
    }

    fn address(&self, node: Node) -> (String, u16) {
        ("127.0.0.1".to_owned(), self.ports[node as usize])
    }

    fn write(&self, node: Node) {
        let mut client = Config::new()
            .host("127.0.0.1")
            .port(self.address(node).1)
            .user("postgres")
            .connect(NoTls)
            .unwrap();
        client
            .batch_execute("CREATE TABLE IF NOT EXISTS t (n int); INSERT INTO t VALUES (1)")
            .unwrap();
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        for node in [Node::A, Node::B] {
            if let Ok(text) = fs::read_to_string(self.data(node).join("postmaster.pid"))
                && let Some(Ok(pid)) = text.lines().next().map(str::parse)
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            }
        }
    }
}

#[test]
fn it_keeps_the_contract() {
    contract::check(&Postgresql::new());
}
