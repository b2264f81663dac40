//! What was said already, and is not said again so soon.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::packet::{Addresses, Centiseconds, Refusal};
use crate::time::Instant;

/// One line of a topic so often, whatever the network sends.
const QUIET: Duration = Duration::from_secs(60);

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Refused(Refusal),
    AddressesDiffer,
    IntervalDiffers,
    Checksum,
    Owner,
    Rival,
    RivalGone,
    Late,
}

/// The limits of one router's notices.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    quiet_until: BTreeMap<Topic, Instant>,
    addresses: Option<Addresses>,
    interval: Option<(IpAddr, Centiseconds)>,
}

impl Log {
    /// Whether a line on `topic` may be written now; then, not soon again.
    pub(super) fn may_say(&mut self, topic: Topic, now: Instant) -> bool {
        let quiet = self.quiet_until.entry(topic).or_insert(now);
        let may = *quiet <= now;
        if may {
            *quiet = now + QUIET;
        }
        may
    }

    /// Whether a peer's other addresses are news. Once for each list.
    pub(super) fn addresses_are_news(&mut self, theirs: &Addresses, now: Instant) -> bool {
        let news =
            self.addresses.as_ref() != Some(theirs) && self.may_say(Topic::AddressesDiffer, now);
        if news {
            self.addresses = Some(theirs.clone());
        }
        news
    }

    /// A peer's addresses are ours: another difference would be news.
    pub(super) fn addresses_agree(&mut self) {
        self.addresses = None;
    }

    /// Whether a peer's other interval is news. Once for each.
    pub(super) fn interval_is_news(
        &mut self,
        source: IpAddr,
        theirs: Centiseconds,
        now: Instant,
    ) -> bool {
        let news =
            self.interval != Some((source, theirs)) && self.may_say(Topic::IntervalDiffers, now);
        if news {
            self.interval = Some((source, theirs));
        }
        news
    }
}
