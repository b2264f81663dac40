//! The log: standard error, journald's priorities under systemd, never in the
//! loop's way.

use std::env;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use env_logger::{Builder, Target};
use log::{Level, LevelFilter};

use crate::control::utc;

/// Lines that wait to be written; beyond, they are lost and counted.
const WAITING: usize = 4096;

/// The last lines are waited for so long when the process ends.
const PATIENCE: Duration = Duration::from_millis(500);

/// To the writing thread, once the log has started.
static LINES: OnceLock<SyncSender<Line>> = OnceLock::new();

/// What the writing thread is given.
#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    /// All before it is written; answer.
    Flush(SyncSender<()>),
}

/// Starts the log at `level`. A later [`log::set_max_level`] changes the level.
///
/// Lines are written by a thread of its own; when that falls behind, lines are
/// lost and counted, and the loop goes on.
///
/// # Panics
///
/// If a log was started already, or no thread can be.
pub fn start(level: LevelFilter) {
    let (lines, waiting) = sync_channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    LINES.set(lines.clone()).expect("the log is started once");
    let queue = Queue {
        lines,
        lost: Arc::clone(&lost),
    };
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write(&waiting, &lost, &mut io::stderr()))
        .expect("a thread for the log can be started");
    let journald = env::var_os("JOURNAL_STREAM").is_some();
    Builder::new()
        .filter_level(LevelFilter::Trace)
        .target(Target::Pipe(Box::new(queue)))
        .format(move |to, record| {
            let line = format(journald, record.level(), record.args(), SystemTime::now());
            to.write_all(line.as_bytes())
        })
        .init();
    log::set_max_level(level);
}

/// Waits until what was said so far is written, for half a second at most.
/// For the end of the process; without [`start`] it does nothing.
pub fn finish() {
    let (done, wait) = sync_channel(1);
    let asked = LINES
        .get()
        .is_some_and(|lines| lines.try_send(Line::Flush(done)).is_ok());
    if asked {
        // When the reader stands still, the process ends without its last lines.
        wait.recv_timeout(PATIENCE).unwrap_or_default();
    }
}

/// One line as it is written. A line break within it becomes a space, so that
/// a text from elsewhere cannot pass for a line of ours.
fn format(journald: bool, level: Level, text: &impl ToString, wall: SystemTime) -> String {
    let text = text.to_string().replace(['\n', '\r'], " ");
    if journald {
        // sd-daemon(3)
        let priority = match level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        format!("<{priority}>{text}\n")
    } else {
        format!("{} {level:5} {text}\n", utc(wall))
    }
}

/// Hands lines to the writing thread without waiting for it.
#[derive(Debug)]
struct Queue {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Line::Text(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what comes until nobody can send any more.
fn write(waiting: &Receiver<Line>, lost: &AtomicU64, to: &mut impl Write) {
    for line in waiting {
        match line {
            Line::Text(text) => put(&text, lost, to),
            // Who asked may have lost patience.
            Line::Flush(done) => done.try_send(()).unwrap_or_default(),
        }
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let line = format!("<4>{missing} lines of the log are lost: it is read too slowly\n");
            put(line.as_bytes(), lost, to);
        }
    }
}

/// Writes one line, or counts it as lost: a log has nowhere to complain.
fn put(line: &[u8], lost: &AtomicU64, to: &mut impl Write) {
    if to.write_all(line).is_err() {
        lost.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn lines_have_journalds_priority_or_the_time() {
        let line = |journald, level| format(journald, level, &"a\nb", UNIX_EPOCH);
        assert_eq!(line(true, Level::Error), "<3>a b\n");
        assert_eq!(line(true, Level::Warn), "<4>a b\n");
        assert_eq!(line(true, Level::Info), "<6>a b\n");
        assert_eq!(line(true, Level::Debug), "<7>a b\n");
        assert_eq!(
            line(false, Level::Info),
            "1970-01-01T00:00:00.000Z INFO  a b\n"
        );
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let (lines, waiting) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let mut queue = Queue {
            lines: lines.clone(),
            lost: Arc::clone(&lost),
        };
        for text in ["one\n", "two\n", "three\n", "four\n"] {
            queue.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        drop((lines, queue));
        let mut written = Vec::new();
        write(&waiting, &lost, &mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "one\n<4>2 lines of the log are lost: it is read too slowly\ntwo\n"
        );
    }

    #[test]
    fn a_flush_is_answered_after_what_came_before() {
        let (lines, waiting) = sync_channel(2);
        let (done, wait) = sync_channel(1);
        lines.send(Line::Text(b"last\n".to_vec())).unwrap();
        lines.send(Line::Flush(done)).unwrap();
        drop(lines);
        let mut written = Vec::new();
        write(&waiting, &AtomicU64::new(0), &mut written);
        assert_eq!(wait.try_recv(), Ok(()));
        assert_eq!(written, b"last\n");
    }
}
