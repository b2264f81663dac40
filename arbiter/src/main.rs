//! `arbiterd`: the Redundancy Arbiter.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use arbiterd::arbiter::Arbiter;
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use vrrpd::config::arbiter::Config;
use vrrpd::driver::signals::Signals;
use vrrpd::logging;
use vrrpd_sys::sched;

/// Votes in the elections of redundancy pools.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration.
    #[arg(short, value_name = "FILE", default_value = "/etc/vrrpd/arbiter.toml")]
    config: PathBuf,
    /// Only tell every mistake in the configuration; exit status 1 if there is one.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.check {
        return ExitCode::SUCCESS;
    }
    let outcome = run(config);
    // The last lines are still with the log's thread.
    log::logger().flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("arbiterd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before the log's thread is started, so that it is never the one signalled.
    let signals = Signals::catch()?;
    logging::start(config.process.log);
    if let Some(priority) = config.process.realtime {
        sched::run_in_real_time(priority)
            .map_err(|error| format!("[process] realtime: {error}: give it CAP_SYS_NICE"))?;
    }
    if config.process.lock_memory {
        sched::lock_memory()
            .map_err(|error| format!("[process] lock_memory: {error}: give it CAP_IPC_LOCK"))?;
    }
    // Two descriptors a pool: its directory, and the lock in it.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Arbiter::start(config, signals)?.run()?;
    Ok(())
}
