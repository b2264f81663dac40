//! What is known of each other party.

use super::message::{Envelope, Report};
use super::record::{Incarnation, Voters};
use crate::time::{Duration, Instant};

/// How many incarnations of one party are told apart.
const REMEMBERED: usize = 4;

/// One other party, as last heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// The incarnations heard, the latest last, with the highest boot of each.
    known: Vec<(Incarnation, u64)>,
    heard: Option<Instant>,
    report: Option<Report>,
    /// It knew the receiver's present boot when it said so: the report is no
    /// older than that.
    acquainted: bool,
    /// Since when its latest incarnation has said nothing but that it is blank.
    blank_since: Option<Instant>,
}

impl Peer {
    /// Notes a message of this party to the voter `own` in its present boot.
    pub(crate) fn note(&mut self, envelope: &Envelope, own: (Incarnation, u64), now: Instant) {
        let latest = self.incarnation();
        let boots = self.highest_boots(envelope.incarnation).unwrap_or(0);
        self.known
            .retain(|(incarnation, _)| *incarnation != envelope.incarnation);
        self.known
            .push((envelope.incarnation, boots.max(envelope.boots)));
        if self.known.len() > REMEMBERED {
            self.known.remove(0);
        }
        self.blank_since = if !envelope.report.blank {
            None
        } else if latest == Some(envelope.incarnation) {
            self.blank_since.or(Some(now))
        } else {
            Some(now)
        };
        if envelope.boots >= boots {
            self.heard = Some(now);
            self.report = Some(envelope.report);
            self.acquainted = envelope.seen == Some(own);
        }
    }

    fn highest_boots(&self, incarnation: Incarnation) -> Option<u64> {
        self.known
            .iter()
            .find(|(known, _)| *known == incarnation)
            .map(|(_, boots)| *boots)
    }

    /// What it is told that we have seen of it.
    pub(crate) fn seen(&self) -> Option<(Incarnation, u64)> {
        self.known.last().copied()
    }

    /// Its latest incarnation.
    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        self.seen().map(|(incarnation, _)| incarnation)
    }

    /// Whether a vote in `envelope` counts by `voters`: of the named
    /// incarnation, and not of a boot before one that was seen.
    pub(crate) fn votes(&self, envelope: &Envelope, voters: &Voters) -> bool {
        voters.of(envelope.from) == envelope.incarnation
            && self.highest_boots(envelope.incarnation) <= Some(envelope.boots)
    }

    /// When it was last heard.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// Whether it was heard within `span`.
    pub(crate) fn is_heard_within(&self, span: Duration, now: Instant) -> bool {
        self.heard.is_some_and(|heard| heard.until(now) <= span)
    }

    /// Its last report.
    pub(crate) fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Its last report, if that is no older than the receiver's present boot:
    /// a datagram may have been on its way for as long as it likes.
    pub(crate) fn present_report(&self) -> Option<&Report> {
        self.report().filter(|_| self.acquainted)
    }

    /// Its incarnation, if that has said for `span` that it is blank.
    pub(crate) fn blank_for(&self, span: Duration, now: Instant) -> Option<Incarnation> {
        self.blank_since
            .filter(|since| since.until(now) >= span)
            .and(self.incarnation())
    }
}
