//! `vrrpctl promote --force`.

use std::io;
use std::time::{Duration, Instant};

use vrrpd::control::status::Status;
use vrrpd::control::{Client, Request};

use crate::{print, told};

/// A claim that nobody promised to has failed by then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between looks at what has become of it.
const GLANCE: Duration = Duration::from_millis(100);

/// Says what may be lost, asks, gives the order and waits: a line to print.
pub(crate) fn run(client: &mut Client, alone: bool, accepted: bool) -> Result<String, String> {
    let before: Status = client.ask(&Request::Status).map_err(told)?;
    refusal(&before, alone)?;
    print(&warning(&before, alone))?;
    if !accepted {
        print(&format!("Type {} to go on: ", before.node))?;
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| format!("standard input: {error}"))?;
        if answer.trim() != before.node {
            return Err("not confirmed: nothing was done".to_owned());
        }
    }
    let present: Status = client.ask(&Request::Status).map_err(told)?;
    refusal(&present, alone)?;
    if present.epoch != before.epoch {
        return Err("the epoch has changed meanwhile: look at the status again".to_owned());
    }
    let _: serde_json::Value = client.ask(&Request::Promote { alone }).map_err(told)?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let status: Status = client.ask(&Request::Status).map_err(told)?;
        if status.status == "primary" {
            let epoch = status.epoch.unwrap_or_default();
            return Ok(format!("{} is Primary, epoch {epoch}\n", status.node));
        }
        std::thread::sleep(GLANCE);
    }
    Err(
        "it is not Primary: neither of the others has promised its vote; vrrpctl log says why. \
         If both are off, add --alone"
            .to_owned(),
    )
}

/// Whether something less than a force would do, or the word is not true.
fn refusal(status: &Status, alone: bool) -> Result<(), String> {
    if let Some(primary) = &status.primary {
        return Err(format!(
            "the {primary} is Primary: hand over there with vrrpctl switchover, or stop it first"
        ));
    }
    if !alone {
        return Ok(());
    }
    // A party without a memory of the pool can promise nothing.
    let voting = |name: &&String| {
        let server = &status.servers[*name];
        **name != status.mode && server.status != "unreachable" && server.status != "forming"
    };
    match status.servers.keys().find(voting) {
        Some(name) => Err(format!(
            "the {name} answers, so this manager is not alone: give the order without --alone"
        )),
        None => Ok(()),
    }
}

/// What this manager has, and what it may lack.
fn warning(status: &Status, alone: bool) -> String {
    let at = &status.database["position"];
    let position = match (at["lsn"].as_str(), at["timeline"].as_u64()) {
        (Some(lsn), Some(timeline)) => format!("{lsn} on timeline {timeline}"),
        _ => "an unknown position".to_owned(),
    };
    let epoch = status.epoch.as_deref().unwrap_or("none");
    let mut text = format!(
        "This manager is {} ({}). It knows epoch {epoch}, and its database holds the log up to \
         {position}.\n",
        status.node, status.mode
    );
    let in_sync = status.in_sync.contains(&status.mode);
    text.push_str(if in_sync {
        "By the last record that it knows, its copy is in sync. If the others have agreed on a \
         later one without it, every commit that was acknowledged since is lost.\n"
    } else {
        "Its copy is NOT in sync by the last record that it knows: every commit that was \
         acknowledged since it fell behind is lost.\n"
    });
    if alone {
        text.push_str(
            "You attest that the other manager and the arbiter are off, or have lost their state. \
             If the other manager runs somewhere and serves clients, what it acknowledges from \
             now on is lost.\n",
        );
    }
    text.push_str("The other manager keeps what only it has as a lost tail, when it comes back.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::status;

    /// The Backup of a pool whose Primary is dead.
    fn orphan() -> Status {
        let mut now = status();
        now.node = "manager-b".to_owned();
        now.mode = "backup".to_owned();
        now.status = "online".to_owned();
        now.primary = None;
        let dead = now.servers.get_mut("master").unwrap();
        dead.status = "unreachable".to_owned();
        now
    }

    #[test]
    fn a_force_under_a_primary_is_refused() {
        assert!(
            refusal(&status(), false)
                .unwrap_err()
                .contains("switchover")
        );
        assert_eq!(refusal(&orphan(), false), Ok(()));
    }

    #[test]
    fn alone_is_refused_while_a_voter_answers() {
        let mut now = orphan();
        assert_eq!(
            refusal(&now, true).unwrap_err(),
            "the arbiter answers, so this manager is not alone: give the order without --alone"
        );
        now.servers.get_mut("arbiter").unwrap().status = "forming".to_owned();
        assert_eq!(refusal(&now, true), Ok(()));
    }

    #[test]
    fn what_may_be_lost_is_said_with_the_position() {
        let mut now = orphan();
        let text = warning(&now, false);
        assert!(text.contains("epoch 7.a") && text.contains("0/3000060 on timeline 1"));
        assert!(text.contains("its copy is in sync"));
        now.in_sync = vec!["master".to_owned()];
        let text = warning(&now, true);
        assert!(text.contains("NOT in sync") && text.contains("attest"));
    }
}
