//! `vrrpctl switchover`.

use std::path::Path;
use std::time::{Duration, Instant};

use vrrpd::control::status::Status;
use vrrpd::control::{Client, Request};

use crate::told;

/// No switchover takes longer; the old Primary has claimed again before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the other manager becomes is heard from it, not in this one's journal.
const GLANCE: Duration = Duration::from_millis(100);

/// How a switchover goes, by a status after it.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    UnderWay,
    Done(String),
    Failed(String),
}

/// Gives the order in the present epoch, which is returned.
pub(crate) fn order(client: &mut Client) -> Result<Option<String>, String> {
    let status: Status = client.ask(&Request::Status).map_err(told)?;
    let request = Request::Switchover {
        epoch: status.epoch.clone(),
    };
    let _: serde_json::Value = client.ask(&request).map_err(told)?;
    Ok(status.epoch)
}

/// Gives the order and waits for its outcome: a line to print.
pub(crate) fn order_and_wait(client: &mut Client, socket: &Path) -> Result<String, String> {
    // Watched before it is ordered, so that nothing is missed.
    let mut watcher = Client::connect(socket).map_err(told)?;
    watcher.ask::<()>(&Request::Watch).map_err(told)?;
    let ordered = order(client)?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        watcher.next(Some(GLANCE)).map_err(told)?;
        let status: Status = client.ask(&Request::Status).map_err(told)?;
        match course(&status, ordered.as_deref()) {
            Course::UnderWay => {}
            Course::Done(line) => {
                return Ok(format!(
                    "{line} after {:.1} s\n",
                    began.elapsed().as_secs_f64()
                ));
            }
            Course::Failed(why) => return Err(why),
        }
    }
    Err(format!(
        "nobody is known to be Primary after {} s: see vrrpctl status",
        PATIENCE.as_secs()
    ))
}

fn course(status: &Status, ordered: Option<&str>) -> Course {
    let epoch = status.epoch.as_deref();
    match status.primary.as_deref() {
        Some(primary) if primary != status.mode => Course::Done(format!(
            "{primary} is Primary, epoch {}",
            epoch.unwrap_or("unknown")
        )),
        Some(_) if epoch != ordered => Course::Failed(
            "this manager is Primary again: the other did not claim in time; vrrpctl log says why"
                .to_owned(),
        ),
        Some(_) if !status.handing_over => Course::Failed(
            "the switchover was called off and this manager is Primary still: vrrpctl log says why"
                .to_owned(),
        ),
        Some(_) | None => Course::UnderWay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::status;

    #[test]
    fn a_switchover_is_done_when_the_other_is_primary() {
        let mut now = status();
        now.handing_over = true;
        assert_eq!(course(&now, Some("7.a")), Course::UnderWay);
        now.primary = None;
        assert_eq!(course(&now, Some("7.a")), Course::UnderWay);
        now.primary = Some("backup".to_owned());
        now.epoch = Some("8.b".to_owned());
        assert_eq!(
            course(&now, Some("7.a")),
            Course::Done("backup is Primary, epoch 8.b".to_owned())
        );
    }

    #[test]
    fn a_switchover_that_is_called_off_has_failed() {
        let now = status();
        assert!(
            matches!(course(&now, Some("7.a")), Course::Failed(why) if why.contains("called off"))
        );
    }

    #[test]
    fn a_switchover_has_failed_when_the_old_one_reigns_anew() {
        let mut now = status();
        now.epoch = Some("9.a".to_owned());
        assert!(matches!(course(&now, Some("7.a")), Course::Failed(_)));
    }
}
