//! `vrrpd`: the daemon on a manager.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vrrpd::config::Config;
use vrrpd::driver::Driver;
use vrrpd::driver::signals::Signals;
use vrrpd::logging;
use vrrpd_sys::sched;

/// Keeps virtual addresses, and with a pool the Primary, where they belong.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration.
    #[arg(short, value_name = "FILE", default_value = "/etc/vrrpd/vrrpd.toml")]
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
    let outcome = run(arguments.config, config);
    // The last lines are still with the log's thread.
    log::logger().flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrrpd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(file: PathBuf, config: Config) -> Result<(), Box<dyn Error>> {
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
    Driver::start(file, config, signals)?.run()?;
    Ok(())
}
