//! PostgreSQL's own programs, run as children that can be called off.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use replicator::plugin::Failure;
use replicator::plugin::serve::Token;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How often a running tool looks whether it is still wanted.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A program and its arguments, in the `C` locale, so that its output can be read.
pub fn command(binaries: &Path, name: &str) -> Command {
    let mut command = Command::new(binaries.join(name));
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it to its end and returns its output.
///
/// # Errors
///
/// That it could not be started, or what it said last before it failed.
pub fn output(mut command: Command) -> Result<String, Failure> {
    let name = name(&command);
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("{name}: cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(&name, &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it to its end, or until `token` is cancelled: it is killed then. Each
/// line of its standard error goes to `line`.
///
/// # Errors
///
/// That it could not be started, what it said last before it failed, or that
/// it was cancelled.
pub fn run(
    mut command: Command,
    token: &Token,
    mut line: impl FnMut(&str) + Send,
) -> Result<(), Failure> {
    let name = name(&command);
    let started =
        |error: std::io::Error| Failure::new(format!("{name}: cannot be started: {error}"));
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Of its own group: pg_basebackup has a child that is to end with it.
        .process_group(0)
        .spawn()
        .map_err(started)?;
    let pid = Pid::from_child(&child);
    let errors = child.stderr.take();
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| started(error.into()))?;
    let (cancelled, last) = thread::scope(|scope| {
        let reader = scope.spawn(move || last_line(errors, &mut line));
        let mut cancelled = false;
        while !has_ended(pidfd.as_fd()) {
            if !cancelled && token.is_cancelled() {
                cancelled = true;
                // It may have ended in this very moment.
                let _ = kill_process_group(pid, Signal::KILL);
            }
        }
        (cancelled, reader.join().unwrap_or_default())
    });
    let status = child.wait().map_err(started)?;
    if cancelled {
        return Err(Failure::cancelled());
    }
    if !status.success() {
        return Err(failed(&name, &last));
    }
    Ok(())
}

fn has_ended(pidfd: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&LOOK)), Ok(1..))
}

/// Gives each line on, and returns the last that says something.
fn last_line(errors: Option<impl Read>, line: &mut impl FnMut(&str)) -> String {
    let mut last = String::new();
    let Some(errors) = errors else {
        return last;
    };
    let mut errors = BufReader::new(errors);
    let mut bytes = Vec::new();
    // Progress is written over itself, with returns in place of line ends.
    while matches!(errors.read_until(b'\n', &mut bytes), Ok(1..)) {
        for text in String::from_utf8_lossy(&bytes).split(['\r', '\n']) {
            if !text.trim().is_empty() {
                line(text.trim());
                text.trim().clone_into(&mut last);
            }
        }
        bytes.clear();
    }
    last
}

fn name(command: &Command) -> String {
    Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned()
}

fn failed(name: &str, errors: &str) -> Failure {
    let said = errors
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("it said nothing");
    let said = said.strip_prefix(name).unwrap_or(said);
    let said = said.trim_start_matches([':', ' ']);
    let said = said.strip_prefix("error: ").unwrap_or(said);
    Failure::new(format!("{name} failed: {said}"))
}

use std::os::unix::process::CommandExt;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new("/bin"), "sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_tells_what_the_tool_said_last() {
        let failure = run(
            shell("echo first >&2; echo 'sh: error: no space' >&2; exit 1"),
            &Token::default(),
            |_| {},
        )
        .unwrap_err();
        assert_eq!(failure.message, "sh failed: no space");
        assert_eq!(
            output(shell("exit 3")).unwrap_err().message,
            "sh failed: it said nothing"
        );
        assert_eq!(output(shell("echo out")).unwrap(), "out\n");
    }

    #[test]
    fn each_line_of_progress_is_given_on() {
        let mut lines = Vec::new();
        run(
            shell("printf '1/3 kB\\r2/3 kB\\n3/3 kB\\n' >&2"),
            &Token::default(),
            |line| lines.push(line.to_owned()),
        )
        .unwrap();
        assert_eq!(lines, ["1/3 kB", "2/3 kB", "3/3 kB"]);
    }

    #[test]
    fn a_tool_that_is_called_off_is_killed_with_its_children() {
        let token = Token::default();
        let cancel = token.clone();
        let began = Instant::now();
        let outcome = run(shell("sleep 600 & echo started >&2; wait"), &token, |_| {
            cancel.cancel();
        });
        assert!(outcome.unwrap_err().is_cancelled());
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
