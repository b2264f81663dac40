//! How fast a bare address moves when its host dies.

use std::thread;
use std::time::Duration;

use lab::directory::Directory;
use lab::fault::{Fault, Result};
use lab::host::Name::{ManagerA, ManagerB};
use lab::link::wait_advert;
use lab::pinger::Pinger;
use lab::pool::{PATIENCE, VIRTUAL_IP};
use lab::router::{Daemon, Pair, VirtualRouter};
use lab::timeline::Timeline;

use crate::report::{Figure, Row, bar_of};

const INTERVAL: Duration = Duration::from_millis(100);

/// Deaths come until so long after an advertisement. A death itself takes some
/// milliseconds; one that the next advertisement overtakes says nothing.
const SPREAD: Duration = Duration::from_millis(80);

/// So many deaths of one daemon's, then of the other's: what else the machine
/// does meets both.
const BLOCK: usize = 5;

const WHAT: &str = "bare address, host dies: last answer to first answer";

pub(crate) fn measure(runs: usize) -> Result<Vec<Row>> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let numbers: Vec<usize> = (0..runs).collect();
    for block in numbers.chunks(BLOCK) {
        ours.extend(deaths(Daemon::Vrrpd, block, runs)?);
        theirs.extend(deaths(Daemon::Keepalived, block, runs)?);
    }
    let row = |name: &str, runs| Row {
        name: name.into(),
        what: WHAT,
        figure: Figure::Times { runs, lost: 0 },
        bar: None,
    };
    let keepalived = row("vip_100ms_keepalived", theirs);
    let mut ours = row("vip_100ms", ours);
    ours.bar = bar_of(&keepalived);
    Ok(vec![ours, keepalived])
}

/// How long the address was silent at each of the deaths `numbers` of `runs`,
/// which come evenly spread after an advertisement.
fn deaths(daemon: Daemon, numbers: &[usize], runs: usize) -> Result<Vec<Duration>> {
    let router = VirtualRouter::new(INTERVAL);
    let directory = Directory::alone()?;
    let mut pair = Pair::new([daemon; 2], &router, directory, &Timeline::new())?;
    pair.begin()?;
    let pinger = Pinger::start(pair.client().namespace()?, VIRTUAL_IP)?;
    let mut silences = Vec::new();
    for &number in numbers {
        let heard = wait_advert(pair.switch().namespace(), PATIENCE)?;
        let part = u32::try_from(number).unwrap_or(0);
        let whole = u32::try_from(runs).unwrap_or(u32::MAX);
        thread::sleep((SPREAD * part / whole).saturating_sub(heard.elapsed()));
        let died = pair.power_off(ManagerA)?;
        pair.wait_holder(ManagerB)?;
        pinger.answers_after(died.plus(INTERVAL), PATIENCE)?;
        let silence = pinger
            .longest_silence(died)
            .ok_or_else(|| Fault::new("the address was never silent"))?;
        silences.push(silence.length());
        pair.power_on(ManagerA)?;
        pair.wait_holder(ManagerA)?;
    }
    Ok(silences)
}
