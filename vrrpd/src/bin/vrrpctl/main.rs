//! vrrpctl: asks vrrpd how it is, and orders it.
//!
//! Exit status: 0 done; 1 refused or failed, one line says why; 2 usage.
#![forbid(unsafe_code)]

mod configure;
mod import;
mod keygen;
mod pause;
mod promote;
mod show;
mod switchover;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vrrpd::config;
use vrrpd::control::status::Status;
use vrrpd::control::{Client, Entry, Failure, Request};

const CONFIGURATION: &str = "/etc/vrrpd/vrrpd.toml";
const SOCKET: &str = "/run/vrrpd/control.sock";

/// Asks vrrpd how it is, and orders it. See vrrpctl(8).
#[derive(Debug, Parser)]
#[command(name = "vrrpctl", version, arg_required_else_help = true)]
struct Arguments {
    /// vrrpd's configuration, which names its socket [default: /etc/vrrpd/vrrpd.toml]
    #[arg(short = 'c', value_name = "FILE", conflicts_with = "socket")]
    configuration: Option<PathBuf>,
    /// vrrpd's control socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show this server, the pool and the virtual routers
    Status {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show what happens as it happens, until interrupted
    Watch,
    /// Hand the Primary status over to the other manager; given on the Primary
    Switchover {
        /// Only give the order; do not wait until the other manager is Primary
        #[arg(long)]
        no_wait: bool,
    },
    /// Make this manager Primary by your word, though commits may be lost
    Promote {
        /// You mean it: without it nothing is done
        #[arg(long, required = true)]
        force: bool,
        /// The two others are off, and cannot promise their votes
        #[arg(long)]
        alone: bool,
        /// Do not ask for this manager's name
        #[arg(long)]
        i_accept_data_loss: bool,
    },
    /// Begin maintenance: nobody becomes Primary but by an operator's order
    Pause,
    /// End maintenance
    Resume,
    /// Form a pool, or leave it: tells what happens, asks, and waits until it is done
    Configure(configure::Arguments),
    /// Show what has happened since vrrpd started, oldest first
    Log,
    /// Read the configuration again; a file with a mistake changes nothing
    Reload,
    /// Make a new pool key
    Keygen {
        /// Write it to this new file, mode 0600, instead of printing it
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print a keepalived configuration as a vrrpd.toml, and what became of each line
    Import {
        /// Tell it in comments of the new file, not on standard error
        #[arg(long)]
        explain: bool,
        /// Decide lines that begin with @, as keepalived's -i [default: from the machine's name]
        #[arg(short = 'i', long, value_name = "ID")]
        config_id: Option<String>,
        /// keepalived's configuration, - for standard input
        #[arg(value_name = "FILE", default_value = import::KEEPALIVED)]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("vrrpctl: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    // These talk to no daemon.
    match &arguments.command {
        Command::Keygen { file } => return keygen::run(file.as_deref()),
        Command::Import {
            explain,
            config_id,
            file,
        } => return import::run(file, config_id.as_deref(), *explain),
        _ => {}
    }
    let socket = socket(arguments)?;
    let mut client = Client::connect(&socket).map_err(told)?;
    match &arguments.command {
        Command::Status { json: false } => {
            let status: Status = client.ask(&Request::Status).map_err(told)?;
            print(&show::status(&status))
        }
        Command::Status { json: true } => {
            let status: serde_json::Value = client.ask(&Request::Status).map_err(told)?;
            print(&format!("{status:#}\n"))
        }
        Command::Watch => watch(&mut client),
        Command::Switchover { no_wait: true } => {
            switchover::order(&mut client)?;
            Ok(())
        }
        Command::Switchover { no_wait: false } => {
            let line = switchover::order_and_wait(&mut client, &socket)?;
            print(&line)
        }
        Command::Promote {
            force: _,
            alone,
            i_accept_data_loss,
        } => print(&promote::run(&mut client, *alone, *i_accept_data_loss)?),
        Command::Pause => print(&pause::order(&mut client, true)?),
        Command::Resume => print(&pause::order(&mut client, false)?),
        Command::Configure(arguments) => configure::run(arguments, &mut client, &socket),
        Command::Log => {
            let entries: Vec<Entry> = client.ask(&Request::Log).map_err(told)?;
            let lines: String = entries.iter().map(show::entry).collect();
            print(&lines)
        }
        Command::Reload => {
            let _: serde_json::Value = client.ask(&Request::Reload).map_err(told)?;
            Ok(())
        }
        Command::Keygen { .. } | Command::Import { .. } => Ok(()),
    }
}

/// The socket that is named, or that the configuration names.
fn socket(arguments: &Arguments) -> Result<PathBuf, String> {
    if let Some(socket) = &arguments.socket {
        return Ok(socket.clone());
    }
    let file = match &arguments.configuration {
        Some(file) => file,
        // A host may hold its configuration elsewhere and its socket as usual.
        None if !Path::new(CONFIGURATION).exists() => return Ok(SOCKET.into()),
        None => Path::new(CONFIGURATION),
    };
    config::control_socket(file).map_err(|mistakes| mistakes.to_string())
}

fn watch(client: &mut Client) -> Result<(), String> {
    client.ask::<()>(&Request::Watch).map_err(told)?;
    while let Some(entry) = client.next(None).map_err(told)? {
        print(&show::entry(&entry))?;
    }
    Ok(())
}

fn told(failure: Failure) -> String {
    failure.to_string()
}

/// Prints, and ends quietly when nobody reads any more.
fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| format!("standard output: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_is_checked() {
        let kind = |line: &str| {
            let parsed = Arguments::try_parse_from(line.split(' '));
            parsed
                .map_err(|error| (error.kind(), error.exit_code()))
                .err()
        };
        assert_eq!(kind("vrrpctl status --json"), None);
        assert_eq!(kind("vrrpctl -c /x switchover --no-wait"), None);
        assert_eq!(kind("vrrpctl promote --force --alone"), None);
        assert_eq!(
            kind("vrrpctl promote"),
            Some((ErrorKind::MissingRequiredArgument, 2))
        );
        assert_eq!(
            kind("vrrpctl configure backup --master 192.0.2.11 --virtual-ip 192.0.2.100/24 --yes"),
            None
        );
        assert_eq!(kind("vrrpctl configure standalone --no-wait"), None);
        assert_eq!(
            kind("vrrpctl stats"),
            Some((ErrorKind::InvalidSubcommand, 2))
        );
        assert_eq!(
            kind("vrrpctl -c /x --socket /y log"),
            Some((ErrorKind::ArgumentConflict, 2))
        );
    }

    #[test]
    fn the_socket_is_the_configurations() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vrrpd.toml");
        let parse = |file: &Path| {
            let file = file.to_str().unwrap();
            socket(&Arguments::parse_from(["vrrpctl", "-c", file, "log"]))
        };
        std::fs::write(&file, "[paths]\nrun = \"/tmp/a\"\n").unwrap();
        assert_eq!(parse(&file), Ok("/tmp/a/control.sock".into()));
        std::fs::write(&file, "[paths]\nrun = 5\n").unwrap();
        assert_eq!(
            parse(&file),
            Err(format!(
                "{}:2:7: run is a number: it must be a string, in quotes; see vrrpd.toml(5)",
                file.display()
            ))
        );
    }
}
