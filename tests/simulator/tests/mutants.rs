//! Rules and flaws that schedules under random faults show: with one broken,
//! some seed of a bounded range breaks the invariant that PROTOCOL.md names, and
//! breaks nothing with it whole. Rules that take a schedule of their own are in
//! `protocol/rules.rs`.

use simulator::check::Invariant;
use simulator::clock::MILLIS;
use simulator::plan::{Flaw, Plan};
use simulator::sweep::sweep;
use simulator::world::{Fate, Trace, World};
use simulator::{run, run_seed};
use vrrpd_core::pool::record::NodeId;
use vrrpd_core::pool::rule::Rule;

/// How many seeds are tried: the rarest is found within a quarter of them.
const SEEDS: u64 = 20_000;

/// The first found of `SEEDS` that breaks `invariant` without `rule`.
fn found(rule: &str, invariant: Invariant) -> Option<u64> {
    let mut first = None;
    sweep(
        0..SEEDS,
        |seed| {
            let plan = Plan::from_seed(seed).breaking(rule);
            let mut plan = plan.expect("a rule or flaw has that name");
            plan.watch = Some(invariant);
            run(plan, Trace::Off).violation.is_some()
        },
        |seed, broken| {
            first = broken.then_some(seed);
            !broken
        },
    );
    first
}

macro_rules! broken {
    ($($name:ident: $rule:ident, $invariant:ident;)*) => {
        $(
            #[test]
            fn $name() {
                let seed = found(stringify!($rule), Invariant::$invariant);
                let seed = seed.expect("no seed shows that the rule is broken");
                assert_eq!(run_seed(seed).violation, None, "seed {seed}, the rule whole");
            }
        )*

        /// What the tests above break.
        const BROKEN: &[&str] = &[$(stringify!($rule)),*];
    };
}

broken! {
    pending_add_ignored: PendingAddEndsAlone, I2;
    acceptance_does_not_promise: AcceptRaisesPromised, I5;
    leased_primary_promises: LeasedPrimaryDenies, Deposed;
    deny_deposes: DenyDeposesNobody, Deposed;
    grant_ignored: GrantBlocksPromise, I2;
    grant_shorter_than_the_lease: GrantCoversLease, I2;
    names_instead_of_copies: CopiesNotNames, I1;
    gate_open_around_a_restart: GateClosesForRestart, I7;
    position_read_early: PositionAfterSynchronous, I1;
    add_does_not_wait_for_the_flush: AddWaitsForFlush, I1;
    synchronous_off_after_proposing: SynchronousStaysOn, I1;
    remove_without_a_quorum: RemoveNeedsQuorum, I1;
    in_sync_check_left_out: ClaimNeedsInSync, I1;
    replaced_node_stays_in_sync: ReplacedLeavesInSync, I1;
    released_not_durable: ReleasedIsDurable, I2;
    flaw_copy_id_kept: KeepsCopyId, I1;
    flaw_synchronous_reported_early: ReportsSynchronousEarly, I1;
    flaw_position_reported_early: ReadsPositionEarly, I1;
    flaw_database_restarted_unasked: RestartsUnasked, I7;
    flaw_synchronous_relaxed_on_the_way_down: RelaxesBeforeStopping, I1;
    flaw_sent_before_persisted: SendsBeforePersisting, I5;
    flaw_fences_do_not_expire: FencesDoNotExpire, I3;
}

/// a's database died, and is replaced by an older one while it is started.
fn replaced_while_started(seed: u64, flaw: Option<Flaw>) -> World {
    let mut plan = Plan::calm(seed);
    plan.flaw = flaw;
    let mut world = World::new(plan);
    world.boot();
    assert!(
        world.run_until(10_000 * MILLIS, World::is_settled),
        "{seed}"
    );
    let old = world.serving().expect("it is settled");
    world.take_snapshot(old);
    // The managers do not hear each other; replication goes on.
    world.intercept(|envelope| {
        let managers = envelope.from != NodeId::R && envelope.to != NodeId::R;
        if managers { Fate::Lose } else { Fate::Pass }
    });
    world.run(320 * MILLIS);
    world.kill_database(old);
    world.run((60 + seed % 100) * MILLIS);
    world.restore_data(old);
    world.run(400 * MILLIS);
    world.heal();
    world
}

#[test]
fn flaw_copy_ignored() {
    // The other follows what was promoted: no whole copy is left.
    let ruined = |&seed: &u64| !replaced_while_started(seed, Some(Flaw::IgnoresCopy)).can_recover();
    let seed = (0..2_000)
        .find(ruined)
        .expect("no seed shows that the copy is ignored");
    let mut world = replaced_while_started(seed, None);
    assert!(world.can_recover());
    world.demand_progress();
    assert_eq!(world.violation, None);
}

#[test]
fn every_rule_and_flaw_is_broken_once() {
    let scripts = include_str!("protocol/rules.rs");
    for rule in Rule::ALL {
        let name = format!("{rule:?}");
        let scripted = scripts.contains(&format!("{name},"));
        assert!(
            scripted || BROKEN.contains(&name.as_str()),
            "{name} is never broken"
        );
    }
    for flaw in Flaw::ALL {
        let name = format!("{flaw:?}");
        let own = *flaw == Flaw::IgnoresCopy;
        assert!(
            own || BROKEN.contains(&name.as_str()),
            "{name} is never broken"
        );
    }
}
