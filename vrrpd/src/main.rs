//! `vrrpd`: the daemon on a manager.
#![forbid(unsafe_code)]

use std::error::Error;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vrrpd::config::Config;
use vrrpd::driver::signals::Signals;
use vrrpd::driver::{Driver, End};
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
        Ok(End::Stopped) => ExitCode::SUCCESS,
        Ok(End::Again) => {
            let error = execute_again();
            eprintln!("vrrpd: cannot be executed again: {error}: start it");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("vrrpd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Becomes the same program with the same arguments: the process, and who
/// supervises it, stay. Returns only if that fails.
///
/// Signals stay blocked meanwhile: what comes is read by the new program.
fn execute_again() -> Box<dyn Error> {
    let again = || -> Result<(), Box<dyn Error>> {
        let program = std::env::current_exe()?.into_os_string().into_vec();
        // A package that was upgraded has unlinked the file that runs.
        let program = program.strip_suffix(b" (deleted)").unwrap_or(&program);
        let program = CString::new(program)?;
        let arguments = std::env::args_os()
            .map(|argument| CString::new(argument.into_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        nix::unistd::execv(&program, &arguments)?;
        Ok(())
    };
    match again() {
        Ok(()) => "it returned".into(),
        Err(error) => error,
    }
}

fn run(file: PathBuf, config: Config) -> Result<End, Box<dyn Error>> {
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
    Ok(Driver::start(file, config, signals)?.run()?)
}
