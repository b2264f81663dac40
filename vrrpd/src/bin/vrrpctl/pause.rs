//! `vrrpctl pause` and `vrrpctl resume`.

use std::time::{Duration, Instant};

use vrrpd::control::status::Status;
use vrrpd::control::{Client, Request};

use crate::told;

/// A server that answers knows of it by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between looks at who knows.
const GLANCE: Duration = Duration::from_millis(100);

/// Gives the order, and waits until all who answer know of it: a line to print.
pub(crate) fn order(client: &mut Client, paused: bool) -> Result<String, String> {
    let request = if paused {
        Request::Pause
    } else {
        Request::Resume
    };
    let _: serde_json::Value = client.ask(&request).map_err(told)?;
    let began = Instant::now();
    loop {
        let status: Status = client.ask(&Request::Status).map_err(told)?;
        if status.pause_unknown_to.is_empty() || began.elapsed() >= PATIENCE {
            return outcome(&status, paused);
        }
        std::thread::sleep(GLANCE);
    }
}

/// Done when the other manager knows: the arbiter only passes it on.
fn outcome(status: &Status, paused: bool) -> Result<String, String> {
    if status.paused != paused {
        return Err("another operator has said otherwise meanwhile".to_owned());
    }
    let other = ["master", "backup"].map(str::to_owned);
    let unaware = other
        .iter()
        .find(|name| status.pause_unknown_to.contains(name));
    match (unaware, paused) {
        (None, true) => Ok("failover is paused: both managers know\n".to_owned()),
        (None, false) => Ok("failover is resumed: both managers know\n".to_owned()),
        (Some(name), true) => Err(format!(
            "paused here, but the {name} does not answer and may still take over: it pauses when \
             it is reached"
        )),
        (Some(name), false) => Err(format!(
            "resumed here, but the {name} does not answer: it resumes when it is reached"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::status;

    #[test]
    fn a_pause_that_the_other_manager_does_not_know_has_failed() {
        let mut now = status();
        now.paused = true;
        assert!(outcome(&now, true).is_ok());
        now.pause_unknown_to = vec!["arbiter".to_owned()];
        assert!(outcome(&now, true).is_ok());
        now.pause_unknown_to = vec!["backup".to_owned()];
        assert_eq!(
            outcome(&now, true).unwrap_err(),
            "paused here, but the backup does not answer and may still take over: it pauses when \
             it is reached"
        );
    }

    #[test]
    fn a_later_word_of_another_operator_is_told() {
        let mut now = status();
        now.paused = true;
        assert!(outcome(&now, false).unwrap_err().contains("otherwise"));
    }
}
