//! The rules that the simulator may break, one at a time, to show that it
//! would notice.

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule of PROTOCOL.md whose absence breaks an invariant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $name,)* }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    /// A proposal that adds a copy ends the right to be alone.
    PendingAddEndsAlone,
    /// Alone after a restart only if the record on disk is effective.
    AloneRestartNeedsEffective,
    /// Alone after a restart only if nothing higher is promised.
    AloneRestartNeedsNoPromise,
    /// A forced record that nobody is known to have accepted gives no right.
    ForcedGivesNoRight,
    /// What was released is remembered across a restart.
    ReleasedIsDurable,
    /// An Add ends when another copy follows.
    AddIsBoundToItsCopy,
    /// Accepting a record promises its epoch.
    AcceptRaisesPromised,
    /// Nobody writes a record below its own promise.
    NoRecordBelowPromised,
    /// A Primary has stepped down before its promise leaves.
    StepDownBeforePromise,
    /// A Primary with a lease denies.
    LeasedPrimaryDenies,
    /// A ballot seen deposes nobody.
    DenyDeposesNobody,
    /// A claim is checked again when its promise arrives.
    RecheckAtPromise,
    /// A quiet voter promises nothing.
    QuietPromisesNothing,
    /// A quiet voter claims nothing.
    QuietClaimsNothing,
    /// Quiet lasts a whole lease.
    QuietLastsALease,
    /// A running grant to another denies a claim.
    GrantBlocksPromise,
    /// A running grant to another holds one's own claim back.
    GrantBlocksClaim,
    /// A grant lasts at least as long as the lease it gave.
    GrantCoversLease,
    /// The in-sync set names copies, not nodes.
    CopiesNotNames,
    /// The gate is closed around a restart of the database.
    GateClosesForRestart,
    /// After a restart it reopens on an effective Remove only.
    ReopenNeedsEffectiveRemove,
    /// A restart of the database cancels an Add.
    RestartCancelsAdd,
    /// The position of an Add is read after synchronous replication holds.
    PositionAfterSynchronous,
    /// An Add waits until its copy has flushed that position.
    AddWaitsForFlush,
    /// From proposing an Add on, synchronous replication stays on.
    SynchronousStaysOn,
    /// Commits wait for a copy until its Remove is effective.
    RemoveNeedsQuorum,
    /// Only a copy in the in-sync set is promoted.
    ClaimNeedsInSync,
    /// One proposal at a time.
    OneProposal,
    /// Only votes of named incarnations count.
    VotesAreNamed,
    /// Votes are counted by the voters of the highest record.
    VotesByHighestMap,
    /// A blank voter is admitted by a quorum, or by one that is alone by right.
    BlankNeedsQuorum,
    /// A replaced data node leaves the in-sync set.
    ReplacedLeavesInSync,
    /// A Release clears the grant of its own epoch only.
    ReleaseNamesItsEpoch,
}

/// Which rules hold: all, but for the one that a test has broken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    broken: Option<Rule>,
}

impl Rules {
    /// Whether `rule` holds. Always, outside the simulator.
    pub(crate) fn hold(&self, rule: Rule) -> bool {
        if cfg!(feature = "mutants") {
            self.broken != Some(rule)
        } else {
            true
        }
    }

    /// Breaks `rule` from now on.
    #[cfg(feature = "mutants")]
    pub(crate) fn break_rule(&mut self, rule: Rule) {
        self.broken = Some(rule);
    }
}
