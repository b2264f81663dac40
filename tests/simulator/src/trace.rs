//! One short line for everything that happens.

use vrrpd_core::pool::database::Desired;
use vrrpd_core::pool::message::{Body, Envelope};
use vrrpd_core::pool::record::{Durable, Record};

use crate::check::Right;

/// A message: who to whom, and what.
pub fn envelope(envelope: &Envelope) -> String {
    let (from, to) = (envelope.from, envelope.to);
    format!("{from} -> {to} {}", body(&envelope.body))
}

fn body(body: &Body) -> String {
    match body {
        Body::Hello { answer } => format!("Hello{}", if *answer { "?" } else { "" }),
        Body::Claim {
            epoch,
            record,
            effective,
            force,
            ..
        } => format!(
            "Claim {epoch}{} of {}{}",
            if *force { " by force" } else { "" },
            optional(record.as_ref()),
            if *effective { "*" } else { "" }
        ),
        Body::Deny {
            epoch,
            promised,
            reason,
            record,
            ..
        } => format!(
            "Deny {epoch}: {reason} (promised {promised}, record {})",
            optional(record.as_ref())
        ),
        Body::Promise { epoch, record, .. } => {
            format!("Promise {epoch}, record {}", optional(record.as_ref()))
        }
        Body::Accept { record, nonce } => {
            format!("Accept {}, nonce {}", short(record), nonce.count)
        }
        Body::Accepted {
            epoch,
            version,
            nonce,
        } => format!("Accepted {epoch}/{version}, nonce {}", nonce.count),
        Body::Renew {
            record,
            effective,
            nonce,
        } => format!(
            "Renew {}{}, nonce {}",
            short(record),
            if *effective { "*" } else { "" },
            nonce.count
        ),
        Body::Renewed {
            epoch,
            version,
            nonce,
        } => format!("Renewed {epoch}/{version}, nonce {}", nonce.count),
        Body::Release { epoch, position } => match position {
            Some(position) => format!("Release {epoch} at {position}"),
            None => format!("Release {epoch}"),
        },
    }
}

/// A record: epoch, version, in-sync set.
pub fn short(record: &Record) -> String {
    format!(
        "{}/{} {}{}",
        record.epoch,
        record.version,
        record.in_sync,
        if record.forced { "!" } else { "" }
    )
}

fn optional(record: Option<&Record>) -> String {
    record.map_or_else(|| "none".to_owned(), short)
}

/// A voter's state.
pub fn state(state: &Durable) -> String {
    format!(
        "promised {}, record {}, effective {}",
        state.promised,
        optional(state.record.as_ref()),
        optional(state.effective.as_ref())
    )
}

/// An order to the database.
pub fn desired(desired: &Desired) -> String {
    let mut said = format!("{:?} for {}", desired.role, desired.epoch);
    if let Some(leader) = desired.follow {
        said.push_str(&format!(", following {leader}"));
    }
    if let Some(copy) = desired.synchronous {
        said.push_str(&format!(", waiting for {copy}"));
    }
    said
}

/// A right to be Primary.
pub fn right(right: Right) -> String {
    let until = right.leased_until as f64 / 1e9;
    match (right.alone, right.leased_until) {
        (true, 0) => "alone".to_owned(),
        (true, _) => format!("alone, leased until {until:.6}"),
        (false, _) => format!("leased until {until:.6}"),
    }
}
