//! `replicator -c /etc/vrrpd/vrrpd.toml`
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use log::{LevelFilter, error};
use nix::sys::signal::{SigSet, Signal};
use replicator::config::Config;
use replicator::daemon::{self, Event};

/// Keeps the database in the role that the redundancy pool gave it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration, the same file as vrrpd's
    #[arg(short, value_name = "FILE", default_value = "/etc/vrrpd/vrrpd.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_default_env()
        .format_target(false)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&arguments.config)?;
    let (sender, receiver) = daemon::channel();
    // Before any other thread, so that none takes these signals.
    let mut ending = SigSet::empty();
    ending.add(Signal::SIGTERM);
    ending.add(Signal::SIGINT);
    ending.thread_block()?;
    let signals = sender.clone();
    thread::spawn(
        move || {
            while ending.wait().is_ok() && signals.send(Event::Terminate).is_ok() {}
        },
    );
    daemon::run(config, (sender, receiver))?;
    Ok(())
}
