//! The threads that learn what the server is: its death and its samples.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, Row, Statement};
use replicator::role::{CopyId, Follower, Lsn, Position};

use crate::fitness;
use crate::process::Postmaster;
use crate::server::Server;
use crate::session::{self, REPLICATION_ROLE};
use crate::state::{Phase, Sample};

/// Between two samples of a server in which nothing moves.
const IDLE: Duration = Duration::from_millis(25);

/// Between two samples of a server in which something moves.
const MOVING: Duration = Duration::from_millis(10);

/// Between two samples while a command waits for the next.
const HURRIED: Duration = Duration::from_millis(2);

/// Between two looks whether there is a server to watch.
const LOOK: Duration = Duration::from_millis(250);

/// All of a sample in one row: the role, the position, the timeline's bearer
/// (a file name on a primary, a number on a standby), the end of the replay,
/// whether log is received, what the replay waits for, the replica.
const SAMPLE: &str = "
SELECT r.standby,
       CASE WHEN r.standby
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn() END::text,
       CASE WHEN NOT r.standby THEN pg_walfile_name(pg_current_wal_flush_lsn()) END,
       w.received_tli,
       CASE WHEN r.standby THEN (SELECT greatest(c.timeline_id, m.min_recovery_end_timeline)
                                 FROM pg_control_checkpoint() c, pg_control_recovery() m) END,
       pg_last_wal_replay_lsn()::text,
       coalesce(w.status = 'streaming', false),
       CASE WHEN r.standby THEN (SELECT wait_event FROM pg_stat_activity
                                 WHERE backend_type = 'startup') END,
       f.application_name, f.flush_lsn::text
FROM (SELECT pg_is_in_recovery() AS standby) r
LEFT JOIN pg_stat_wal_receiver w ON r.standby
LEFT JOIN LATERAL (
    SELECT application_name, flush_lsn FROM pg_stat_replication
    WHERE usename = $1 AND application_name LIKE 'vrrpd\\_%'
      AND state IN ('catchup', 'streaming') AND flush_lsn IS NOT NULL
    ORDER BY backend_start DESC LIMIT 1) f ON true";

/// Begins to watch, for as long as the process runs.
pub fn start(server: &Arc<Server>) {
    for work in [watch_death, sample_run] {
        let server = Arc::clone(server);
        thread::spawn(move || {
            loop {
                work(&server);
            }
        });
    }
    fitness::start(server);
}

/// Waits a while for the end of the postmaster, and tells it.
fn watch_death(server: &Server) {
    let postmaster = server
        .state
        .wait_for(LOOK, |inner| inner.postmaster.clone());
    let Some(postmaster) = postmaster else {
        return;
    };
    if !postmaster.has_ended_within(LOOK) {
        return;
    }
    // A command that ends it tells so itself.
    let unexpected = server.state.update(|inner| {
        let present = inner.postmaster.as_ref();
        let is_present = present.is_some_and(|present| Arc::ptr_eq(present, &postmaster));
        let unexpected = is_present && inner.phase == Phase::Running;
        if unexpected {
            // Told at once; why follows.
            inner.end(Phase::Down("the server has died".to_owned()));
        }
        unexpected
    });
    if unexpected {
        server.settle_end(|server| Phase::Down(server.died()));
    } else {
        server.state.wait_for(LOOK, |inner| {
            let present = inner.postmaster.as_ref();
            let is_present = present.is_some_and(|present| Arc::ptr_eq(present, &postmaster));
            (!is_present).then_some(())
        });
    }
}

/// Samples one run of the server for as long as it answers.
fn sample_run(server: &Server) {
    let postmaster = server
        .state
        .wait_for(LOOK, |inner| inner.postmaster.clone());
    let Some(postmaster) = postmaster else {
        return;
    };
    let connected = session::own(&server.config, session::Waits::No).and_then(|mut client| {
        let statement = client.prepare(SAMPLE)?;
        Ok((client, statement))
    });
    match connected {
        Ok((mut client, statement)) => {
            while sample(server, &postmaster, &mut client, &statement) {
                let pause = server
                    .state
                    .look(|inner| pause(inner.hurried, inner.moving));
                thread::sleep(pause);
            }
        }
        Err(error) => {
            if session::is_starting(&error) {
                server.state.update(|inner| inner.answered = Instant::now());
            }
            thread::sleep(HURRIED);
        }
    }
}

const fn pause(hurried: bool, moving: bool) -> Duration {
    match (hurried, moving) {
        (true, _) => HURRIED,
        (false, true) => MOVING,
        (false, false) => IDLE,
    }
}

/// Takes a sample; false when this session is of no use any more.
fn sample(
    server: &Server,
    postmaster: &Arc<Postmaster>,
    client: &mut Client,
    statement: &Statement,
) -> bool {
    let row = match client.query_one(statement, &[&REPLICATION_ROLE]) {
        Ok(row) => row,
        // It was promoted in the middle of it.
        Err(error) => return error.as_db_error().is_some() && !client.is_closed(),
    };
    server.state.update(|inner| {
        let present = inner.postmaster.as_ref();
        if !present.is_some_and(|present| Arc::ptr_eq(present, postmaster)) {
            return false;
        }
        inner.answered = Instant::now();
        inner.faults.silent = false;
        let Some(sample) = read(&row, inner.sample.as_ref()) else {
            return true;
        };
        inner.moving = inner.sample != Some(sample);
        inner.sample = Some(sample);
        true
    })
}

/// What the row says; `None` while there is no position yet.
fn read(row: &Row, before: Option<&Sample>) -> Option<Sample> {
    let lsn = |index| row.get::<_, Option<&str>>(index)?.parse::<Lsn>().ok();
    let timeline = |index| {
        let number = row.get::<_, Option<i32>>(index)?;
        u32::try_from(number).ok().filter(|&timeline| timeline != 0)
    };
    let standby: bool = row.get(0);
    let end = lsn(1)?;
    let timeline = if standby {
        // Without a receiver the control file tells, which lags behind.
        let known = before.filter(|before| before.standby);
        timeline(3).or_else(|| timeline(4).max(known.map(|before| before.position.timeline)))?
    } else {
        let file = row.get::<_, Option<&str>>(2)?;
        u32::from_str_radix(file.get(..8)?, 16).ok()?
    };
    let waits = row.get::<_, Option<&str>>(7);
    let follower = || {
        let copy = row.get::<_, Option<&str>>(8)?.strip_prefix("vrrpd_")?;
        Some(Follower {
            copy: copy.parse::<CopyId>().ok()?,
            flushed: lsn(9)?,
        })
    };
    Some(Sample {
        standby,
        position: Position { timeline, lsn: end },
        replayed: lsn(5).filter(|_| standby),
        is_replayed: lsn(5) >= Some(end)
            && matches!(
                waits,
                Some("RecoveryWalStream" | "RecoveryRetrieveRetryInterval")
            ),
        streaming: row.get(6),
        follower: follower(),
    })
}
