//! The template does what vrrpd-plugin(7) asks of every plugin.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use replicator::plugin::contract::{self, Node, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a commit may take.
const LIMIT: Duration = Duration::from_secs(30);

struct Template {
    directory: TempDir,
    ports: [u16; 2],
}

impl Template {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Both at once, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        for node in [Node::A, Node::B] {
            fs::create_dir_all(directory.path().join(format!("{node:?}/state"))).unwrap();
        }
        Self { directory, ports }
    }
}

impl Subject for Template {
    fn executable(&self) -> PathBuf {
        env!("CARGO_BIN_EXE_template").into()
    }

    fn config(&self, node: Node) -> Value {
        let data = self.directory.path().join(format!("{node:?}/data"));
        json!({"data_directory": data, "port": self.address(node).1})
    }

    fn state(&self, node: Node) -> PathBuf {
        self.directory.path().join(format!("{node:?}/state"))
    }

    fn address(&self, node: Node) -> (String, u16) {
        ("127.0.0.1".to_owned(), self.ports[node as usize])
    }

    fn write(&self, node: Node) {
        let mut stream = TcpStream::connect(self.address(node)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        writeln!(stream, r#"{{"Append":"a line of {node:?}"}}"#).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert_eq!(answer, "\"Done\"\n");
    }
}

#[test]
fn it_keeps_the_contract() {
    contract::check(&Template::new());
}

#[test]
fn it_is_not_for_people_to_start() {
    let output = Command::new(env!("CARGO_BIN_EXE_template"))
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("the replicator starts it")
    );
}
