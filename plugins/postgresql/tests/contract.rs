//! The plugin does what vrrpd-plugin(7) asks of every plugin.
#![forbid(unsafe_code)]

mod rig;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use postgres::{Config, NoTls};
use replicator::plugin::contract::{self, Node, Subject};
use rig::{clear, directory, give, initdb, owner};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two databases, each of its own making; the plugin runs as their owner.
struct Postgresql {
    place: TempDir,
    ports: [u16; 2],
}

impl Postgresql {
    fn new() -> Self {
        let place = directory();
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        let subject = Self { place, ports };
        for node in [Node::A, Node::B] {
            for directory in [subject.home(node), subject.state(node)] {
                fs::create_dir(&directory).unwrap();
                give(&directory);
            }
            initdb(&subject.data(node));
        }
        subject.wrap();
        subject
    }

    /// A program that becomes the plugin, as the owner.
    fn wrap(&self) {
        let plugin = env!("CARGO_BIN_EXE_postgresql");
        let become_owner = owner().map_or_else(String::new, |user| {
            format!(
                "setpriv --reuid={} --regid={} --clear-groups ",
                user.uid, user.gid
            )
        });
        let script = format!("#!/bin/sh\nexec {become_owner}{plugin}\n");
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
            clear(&self.data(node));
        }
    }
}

#[test]
fn it_keeps_the_contract() {
    contract::check(&Postgresql::new());
}
