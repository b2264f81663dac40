//! What the other manager's server says of itself, before it is followed.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use postgres::Client;
use replicator::plugin::serve::Token;
use replicator::plugin::{Access, Failure};
use replicator::role::{CopyId, Lsn, Upstream};

use crate::config::Config;
use crate::session;
use crate::settings::COPY;
use crate::wal::{self, History};

/// How often a wait for its answer looks whether that is still wanted.
const LOOK: Duration = Duration::from_millis(10);

/// A question and its answers, in one row.
const QUESTION: &str = "
SELECT pg_is_in_recovery(), current_setting($1, true), system_identifier::text,
       (SELECT timeline_id FROM pg_control_checkpoint()),
       CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() END::text
FROM pg_control_system()";

/// A primary that can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Equal in all copies of one database.
    pub system: String,
    /// Its timelines.
    pub history: History,
    /// The timeline of its last checkpoint: `pg_rewind` before 16 reads it.
    pub checkpoint_timeline: u32,
    /// Whether it still has the file of the log that was asked for.
    pub has_log: bool,
}

/// Asks it, and whether it still has the log from `need` on.
///
/// # Errors
///
/// That it cannot be asked, is no primary, or another copy than is meant; or
/// that the command was called off: the answer is then not waited for.
pub fn ask(
    config: &Config,
    upstream: &Upstream,
    access: &Access,
    need: Option<(Lsn, u64)>,
    token: &Token,
) -> Result<Facts, Failure> {
    let (send, receive) = mpsc::channel();
    let (config, access, asked) = (config.clone(), access.clone(), upstream.clone());
    // A host that is gone answers nothing for long.
    thread::spawn(move || drop(send.send(answer(&config, &asked, &access, need))));
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(facts) => return facts,
            Err(RecvTimeoutError::Timeout) => token.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::new(format!(
                    "the primary at {upstream} cannot be asked: the session broke down"
                )));
            }
        }
    }
}

fn answer(
    config: &Config,
    upstream: &Upstream,
    access: &Access,
    need: Option<(Lsn, u64)>,
) -> Result<Facts, Failure> {
    let refused = |error: postgres::Error| {
        Failure::new(format!(
            "the primary at {upstream} cannot be asked: {}",
            session::said(&error)
        ))
    };
    let unclear = |what: &str| Failure::new(format!("the primary at {upstream} says no {what}"));
    let mut client = session::upstream(config, upstream, access)?;
    let row = client.query_one(QUESTION, &[&COPY]).map_err(refused)?;
    if row.get::<_, bool>(0) {
        return Err(Failure::new(format!(
            "the server at {upstream} is not a primary yet: waits for it"
        )));
    }
    let copy = row
        .get::<_, Option<&str>>(1)
        .and_then(|text| text.parse::<CopyId>().ok());
    if copy.is_none() || copy != upstream.copy {
        let name = |copy: Option<CopyId>| copy.map_or("no copy".to_owned(), |id| id.to_string());
        return Err(Failure::new(format!(
            "the primary at {upstream} has {}, the pool means {}: waits",
            name(copy),
            name(upstream.copy)
        )));
    }
    let checkpoint_timeline = u32::try_from(row.get::<_, i32>(3)).unwrap_or_default();
    let timeline = row
        .get::<_, Option<&str>>(4)
        .and_then(|file| u32::from_str_radix(file.get(..8)?, 16).ok())
        .ok_or_else(|| unclear("timeline"))?;
    let history = history(&mut client, timeline).map_err(refused)?;
    let history =
        History::parse(timeline, &history).map_err(|what| unclear(&format!("history: {what}")))?;
    let end = row
        .get::<_, Option<&str>>(5)
        .and_then(|end| end.parse::<Lsn>().ok())
        .ok_or_else(|| unclear("position"))?;
    let has_log = match need {
        None => true,
        // What comes next is not written yet.
        Some((lsn, _)) if lsn >= end => true,
        Some((lsn, segment_size)) => {
            has_log(&mut client, &history, lsn, segment_size).map_err(refused)?
        }
    };
    Ok(Facts {
        system: row.get(2),
        history,
        checkpoint_timeline,
        has_log,
    })
}

/// The history file of `timeline`; the first has none.
fn history(client: &mut Client, timeline: u32) -> Result<String, postgres::Error> {
    if timeline == 1 {
        return Ok(String::new());
    }
    let file = format!("pg_wal/{}", History::file_name(timeline));
    let row = client.query_one(
        "SELECT convert_from(pg_read_binary_file($1), 'UTF8')",
        &[&file],
    )?;
    Ok(row.get(0))
}

/// The file that holds the log from `lsn` on: of the timeline there, or of a
/// later one that begins in the same file.
fn has_log(
    client: &mut Client,
    history: &History,
    lsn: Lsn,
    segment_size: u64,
) -> Result<bool, postgres::Error> {
    let first = history.timeline_at(lsn);
    let timelines = history
        .ancestors
        .iter()
        .map(|ancestor| ancestor.timeline)
        .chain([history.timeline])
        .filter(|&timeline| timeline >= first);
    for timeline in timelines {
        let file = format!("pg_wal/{}", wal::segment_name(timeline, lsn, segment_size));
        let row = client.query_one("SELECT (pg_stat_file($1, true)).size IS NOT NULL", &[&file])?;
        if row.get(0) {
            return Ok(true);
        }
    }
    Ok(false)
}
