//! Order, observation and answers, and what follows from them.

use serde_json::{Value, json};

use super::*;
use crate::role::{CopyId, Follower, Lsn, Position};

const OWN: CopyId = CopyId(0xa);
const PEERS: CopyId = CopyId(0xb);

fn leader(copy: Option<CopyId>) -> Upstream {
    Upstream {
        host: "192.0.2.12".to_owned(),
        port: 5432,
        copy,
    }
}

/// An order as vrrpd gives it: bound to the copy that is meant.
fn order(ticket: u64, role: Role) -> Order {
    let standby = role == Role::Standby;
    Order {
        ticket,
        epoch: "3.a".to_owned(),
        role,
        copy: role.is_read_write().then_some(OWN),
        follow: standby.then(|| leader(Some(PEERS))),
        synchronous: None,
        peers: vec!["192.0.2.12".to_owned()],
        password: "secret".to_owned(),
        node: "a".to_owned(),
    }
}

fn waiting_for(ticket: u64, copy: CopyId) -> Order {
    Order {
        synchronous: Some(copy),
        ..order(ticket, Role::Primary)
    }
}

fn seen(server: Server) -> Observation {
    Observation {
        server,
        healthy: true,
        copy: Some(OWN),
        run: 1,
        upstream: None,
        ..Observation::down(String::new())
    }
}

fn following() -> Observation {
    Observation {
        upstream: Some(leader(Some(PEERS))),
        streaming: true,
        ..seen(Server::Standby)
    }
}

/// A command in a few words.
fn words(command: Option<&Command>) -> String {
    let copy =
        |copy: Option<CopyId>| copy.map_or("nobody".to_owned(), |copy| format!("{:x}", copy.0));
    let source = |upstream: &Upstream| copy(upstream.copy);
    match command {
        None => "nothing".to_owned(),
        Some(Command::Follow(follow)) => format!(
            "follow {}",
            follow.upstream.as_ref().map_or("nobody".to_owned(), source)
        ),
        Some(Command::Rewind(from)) => format!("rewind {}", source(&from.upstream)),
        Some(Command::Clone(from)) => format!("clone {}", source(&from.upstream)),
        Some(Command::Promote(promote)) => format!(
            "promote {:x} wait {}",
            promote.copy.0,
            copy(promote.synchronous)
        ),
        Some(Command::Synchronous(synchronous)) => format!("wait {}", copy(synchronous.copy)),
        Some(Command::Stop(Stop { prepare: true })) => "prepare".to_owned(),
        Some(Command::Stop(Stop { prepare: false })) => "stop".to_owned(),
        Some(command) => command.method().to_owned(),
    }
}

/// A keeper, and the command that it has in hand.
struct Bench {
    keeper: Keeper,
    command: Option<Command>,
}

impl Bench {
    /// One that was just born.
    fn born() -> Self {
        Self {
            keeper: Keeper::new("not asked yet".to_owned()),
            command: None,
        }
    }

    /// One that has been ordered to stand by, with ticket 1, before it looked.
    fn new(observed: Observation) -> Self {
        Self::born().order(order(1, Role::Standby)).seen(observed)
    }

    /// A read-write server that was promoted by order 2.
    fn serving() -> Self {
        Self::new(seen(Server::Standby))
            .order(order(2, Role::Primary))
            .does("promote a wait nobody")
            .seen(seen(Server::Primary))
            .done(json!({}))
            .does("wait nobody")
            .done(json!({}))
            .wants("nothing")
            .says(2, Server::Primary)
    }

    fn order(mut self, order: Order) -> Self {
        self.keeper.on_order(order);
        self
    }

    fn seen(mut self, observed: Observation) -> Self {
        self.keeper.on_observed(observed);
        self
    }

    #[track_caller]
    fn wants(self, wanted: &str) -> Self {
        assert_eq!(words(self.keeper.wanted().as_ref()), wanted);
        self
    }

    /// Wants that, and is given it.
    #[track_caller]
    fn does(mut self, wanted: &str) -> Self {
        self = self.wants(wanted);
        self.command = self.keeper.wanted();
        self.keeper
            .on_commanded(self.command.as_ref().expect("something"));
        self
    }

    /// Whether what it has in hand may go on.
    #[track_caller]
    fn serves(self, serves: bool) -> Self {
        let command = self.command.as_ref().expect("a command in hand");
        assert_eq!(self.keeper.serves(command), serves, "{command:?}");
        self
    }

    /// The answer, before anything was seen of what it tells.
    fn answered(mut self, answer: Result<Value, Failure>) -> Self {
        let command = self.command.take().expect("a command in hand");
        self.keeper.on_answer(&command, &answer);
        self
    }

    /// What was asked for after the answer is seen: nothing new.
    fn settled(mut self) -> Self {
        self.keeper.on_settled();
        self
    }

    fn done(self, answer: Value) -> Self {
        self.answered(Ok(answer)).settled()
    }

    fn failed(self, why: &str) -> Self {
        self.answered(Err(Failure::new(why))).settled()
    }

    fn cancelled(self) -> Self {
        self.serves(false)
            .answered(Err(Failure::cancelled()))
            .settled()
    }

    fn follows(self) -> Self {
        self.done(json!({"state": "following"}))
    }

    fn diverges(self, remedy: &str) -> Self {
        self.done(json!({"state": "diverged", "remedy": remedy, "why": "they parted at 0/5"}))
    }

    fn plugin_restarts(mut self, observed: Observation) -> Self {
        self.command = None;
        self.keeper.on_plugin_started();
        self.seen(observed)
    }

    #[track_caller]
    fn says(self, ticket: u64, server: Server) -> Self {
        let report = self.keeper.report();
        assert_eq!((report.ticket, report.server), (ticket, server));
        self
    }
}

const SERVERS: [Server; 5] = [
    Server::Down,
    Server::Busy,
    Server::Stopped,
    Server::Standby,
    Server::Primary,
];

#[test]
fn each_role_has_a_command_for_each_server() {
    // Down, Busy, Stopped, Standby, Primary.
    let table = [
        (Role::Standby, ["follow b"; 5]),
        (
            Role::Primary,
            [
                "follow nobody",
                "follow nobody",
                "follow nobody",
                "promote a wait nobody",
                "wait nobody",
            ],
        ),
        (
            Role::Retiring,
            ["nothing", "nothing", "nothing", "nothing", "wait nobody"],
        ),
        (Role::Stopped, ["stop", "stop", "nothing", "stop", "stop"]),
    ];
    for (role, commands) in table {
        for (server, command) in SERVERS.into_iter().zip(commands) {
            // The order first: nothing ceases under it.
            Bench::new(seen(server))
                .order(order(2, role))
                .wants(command);
        }
    }
}

#[test]
fn without_an_order_nothing_is_wanted_and_ticket_0_is_said() {
    for server in SERVERS {
        Bench::born()
            .seen(seen(server))
            .wants("nothing")
            .says(0, server);
    }
}

#[test]
fn a_fence_touches_only_a_read_write_server() {
    for ordered in [
        None,
        Some(Role::Standby),
        Some(Role::Primary),
        Some(Role::Stopped),
    ] {
        for server in SERVERS {
            let mut bench = Bench::born();
            if let Some(role) = ordered {
                bench = bench.order(order(1, role));
            }
            bench = bench.seen(seen(server));
            bench.keeper.fence();
            bench.wants(if server == Server::Primary {
                "follow nobody"
            } else {
                "nothing"
            });
        }
    }
}

#[test]
fn a_fence_ends_what_makes_read_write_and_lets_the_rest_go_on() {
    for (role, observed, command, goes_on) in [
        (Role::Standby, seen(Server::Down), "follow b", true),
        (Role::Stopped, seen(Server::Standby), "stop", true),
        (
            Role::Primary,
            seen(Server::Standby),
            "promote a wait nobody",
            false,
        ),
        (Role::Primary, seen(Server::Primary), "wait nobody", false),
    ] {
        let mut bench = Bench::new(observed).order(order(2, role)).does(command);
        bench.keeper.fence();
        bench.serves(goes_on);
    }
}

#[test]
fn a_fenced_promotion_that_may_succeed_yet_is_taken_back() {
    let mut bench = Bench::new(seen(Server::Standby))
        .order(order(2, Role::Primary))
        .does("promote a wait nobody");
    bench.keeper.fence();
    bench
        .cancelled()
        .does("follow nobody")
        .follows()
        .wants("nothing");
}

#[test]
fn a_standby_that_follows_is_left_alone() {
    Bench::new(seen(Server::Down))
        .does("follow b")
        .seen(following())
        .follows()
        .wants("nothing")
        .says(1, Server::Standby);
}

#[test]
fn a_standby_is_told_again_what_has_changed() {
    let follows = || {
        Bench::new(seen(Server::Down))
            .does("follow b")
            .seen(following())
            .follows()
    };
    // The access.
    let mut changed = order(2, Role::Standby);
    changed.password = "another".to_owned();
    follows().order(changed).wants("follow b");
    // The upstream's copy.
    let mut changed = order(2, Role::Standby);
    changed.follow = Some(leader(Some(CopyId(0xc))));
    follows().order(changed).wants("follow c");
    // The plugin, which may have forgotten.
    follows().plugin_restarts(following()).wants("follow b");
    // The server, started again by hand.
    let again = Observation {
        run: 2,
        ..following()
    };
    follows().seen(again).wants("follow b");
    // The same order, told again, changes nothing.
    follows().order(order(1, Role::Standby)).wants("nothing");
}

#[test]
fn a_stalled_stream_asks_for_the_upstreams_history_again() {
    let mut bench = Bench::new(seen(Server::Down))
        .does("follow b")
        .seen(following())
        .follows();
    assert!(!bench.keeper.is_stalled());
    bench = bench.seen(Observation {
        streaming: false,
        ..following()
    });
    assert!(bench.keeper.is_stalled());
    bench.keeper.on_stalled();
    bench = bench.wants("follow b").seen(following()).wants("nothing");
    assert!(!bench.keeper.is_stalled());
}

#[test]
fn an_upstream_whose_copy_is_not_known_is_nobody() {
    let mut unknown = order(2, Role::Standby);
    unknown.follow = Some(leader(None));
    Bench::new(seen(Server::Down))
        .order(unknown)
        .does("follow nobody")
        .serves(true)
        .seen(seen(Server::Standby))
        .follows()
        .wants("nothing");
}

#[test]
fn a_diverged_copy_is_rewound_then_cloned() {
    Bench::new(seen(Server::Standby))
        .does("follow b")
        .diverges("rewind")
        .does("rewind b")
        .done(json!({}))
        .does("follow b")
        .diverges("rewind")
        .does("clone b")
        .done(json!({}))
        .does("follow b")
        .follows();
}

#[test]
fn a_rewind_that_fails_becomes_a_clone_and_a_clone_is_tried_again() {
    let bench = Bench::new(seen(Server::Standby))
        .does("follow b")
        .diverges("rewind")
        .does("rewind b")
        .failed("no wal")
        .does("clone b")
        .failed("no space");
    assert_eq!(bench.keeper.report().detail, "no space");
    bench.wants("clone b");
}

#[test]
fn a_divergence_counts_only_for_the_upstream_that_is_meant() {
    let mut other = order(2, Role::Standby);
    other.follow = Some(leader(Some(CopyId(0xc))));
    // Found out just before it was called off.
    Bench::new(seen(Server::Standby))
        .does("follow b")
        .order(other.clone())
        .serves(false)
        .diverges("clone")
        .wants("follow c");
    // Failed just before it was called off.
    Bench::new(seen(Server::Standby))
        .does("follow b")
        .diverges("rewind")
        .does("rewind b")
        .order(other.clone())
        .failed("no wal")
        .wants("follow c");
    // Known, but of the upstream before.
    Bench::new(seen(Server::Standby))
        .does("follow b")
        .diverges("rewind")
        .order(other.clone())
        .wants("follow c");
    // A rewind towards the one before is none towards the next.
    Bench::new(seen(Server::Standby))
        .does("follow b")
        .diverges("rewind")
        .does("rewind b")
        .order(other)
        .done(json!({}))
        .does("follow c")
        .diverges("rewind")
        .wants("rewind c");
}

#[test]
fn a_copy_is_not_given_up_once_it_is_to_be_primary() {
    for (remedy, command) in [("rewind", "rewind b"), ("clone", "clone b")] {
        Bench::new(seen(Server::Standby))
            .does("follow b")
            .diverges(remedy)
            .does(command)
            .order(order(2, Role::Primary))
            .says(1, Server::Standby)
            .cancelled()
            .says(2, Server::Standby)
            .wants("promote a wait nobody");
    }
}

#[test]
fn only_the_copy_that_is_meant_is_promoted() {
    let mut unbound = order(2, Role::Primary);
    unbound.copy = None;
    Bench::new(seen(Server::Standby))
        .order(unbound)
        .wants("nothing");
    // Another copy is meant by the next order.
    let mut another = order(3, Role::Primary);
    another.copy = Some(CopyId(0xc));
    Bench::new(seen(Server::Standby))
        .order(order(2, Role::Primary))
        .does("promote a wait nobody")
        .order(another)
        .says(2, Server::Standby)
        .cancelled()
        .says(3, Server::Standby)
        .wants("promote c wait nobody");
    // The same copy, by a newer epoch or to retire: it may go on.
    for role in [Role::Primary, Role::Retiring] {
        let next = Order {
            epoch: "4.a".to_owned(),
            ..order(3, role)
        };
        Bench::new(seen(Server::Standby))
            .order(order(2, Role::Primary))
            .does("promote a wait nobody")
            .order(next)
            .serves(true)
            .says(3, Server::Standby);
    }
}

#[test]
fn a_server_is_started_as_a_standby_and_then_promoted() {
    Bench::new(seen(Server::Down))
        .order(waiting_for(2, PEERS))
        .does("follow nobody")
        .seen(seen(Server::Standby))
        .follows()
        .does("promote a wait b")
        .says(2, Server::Standby)
        .seen(seen(Server::Primary))
        .says(2, Server::Primary)
        .done(json!({}))
        .wants("wait b");
}

#[test]
fn an_order_is_answered_only_when_a_promotion_has_ended() {
    // A standby that may become read-write yet is no answer to "stand by".
    let promoting = || {
        Bench::new(seen(Server::Standby))
            .order(order(2, Role::Primary))
            .does("promote a wait nobody")
            .order(order(3, Role::Standby))
            .says(2, Server::Standby)
    };
    // It was called off in time, or so the plugin says: it is made sure.
    promoting()
        .cancelled()
        .says(2, Server::Standby)
        .does("follow nobody")
        .serves(true)
        .follows()
        .says(3, Server::Standby)
        .wants("follow b");
    // It had succeeded: not even the answer is believed before it is seen.
    promoting()
        .answered(Ok(json!({})))
        .says(2, Server::Standby)
        .wants("nothing")
        .seen(seen(Server::Primary))
        .settled()
        .says(3, Server::Primary)
        .does("follow b")
        .says(3, Server::Busy);
    // It died of it.
    promoting()
        .seen(seen(Server::Down))
        .cancelled()
        .says(3, Server::Down)
        .wants("follow b");
    // To be stopped: the stop is the end of it.
    promoting()
        .order(order(4, Role::Stopped))
        .cancelled()
        .says(2, Server::Standby)
        .does("stop")
        .seen(seen(Server::Stopped))
        .done(json!({"clean": true}))
        .says(4, Server::Stopped);
    // To be Primary again: there is nothing to be afraid of.
    promoting()
        .order(order(4, Role::Primary))
        .says(4, Server::Standby);
}

#[test]
fn a_promotion_outlives_the_plugin_that_began_it() {
    let bench = Bench::new(seen(Server::Standby))
        .order(order(2, Role::Primary))
        .does("promote a wait nobody")
        .plugin_restarts(seen(Server::Standby))
        .order(order(3, Role::Standby))
        .says(2, Server::Standby)
        .does("follow nobody");
    // Nothing that is observed meanwhile will do, as long as it stands by.
    bench
        .seen(seen(Server::Standby))
        .says(2, Server::Standby)
        .follows()
        .says(3, Server::Standby)
        .wants("follow b");
}

#[test]
fn a_server_that_died_read_write_stays_down_until_the_gate_is_closed() {
    for ceased in [Server::Down, Server::Busy, Server::Stopped, Server::Standby] {
        let dead = || Bench::serving().seen(seen(ceased)).wants("nothing");
        // "stopped" is what was ordered; this was not.
        let told = match ceased {
            Server::Stopped => Server::Down,
            server => server,
        };
        dead().says(2, told);
        // Neither the same order nor a newer one to be Primary will do: either
        // may have crossed the report of the death.
        dead().order(order(2, Role::Primary)).wants("nothing");
        dead().order(order(3, Role::Primary)).wants("nothing");
        dead().order(order(3, Role::Retiring)).wants("nothing");
        // Nor another run of the plugin, nor that it changes meanwhile.
        dead().plugin_restarts(seen(ceased)).wants("nothing");
        dead()
            .seen(seen(Server::Busy))
            .seen(seen(Server::Down))
            .wants("nothing");
        // An order to stand by has closed the gate.
        let after = match ceased {
            Server::Standby => "promote a wait nobody",
            _ => "follow nobody",
        };
        dead()
            .order(order(3, Role::Standby))
            .wants("follow b")
            .order(order(4, Role::Primary))
            .wants(after);
        dead()
            .order(order(3, Role::Stopped))
            .order(order(4, Role::Primary))
            .wants(after);
    }
}

#[test]
fn a_death_that_no_plugin_saw_is_a_death() {
    Bench::serving()
        .plugin_restarts(seen(Server::Down))
        .wants("nothing")
        .says(2, Server::Down);
}

#[test]
fn what_was_fenced_is_not_promoted_by_an_order_that_is_told_again() {
    let mut bench = Bench::serving();
    bench.keeper.fence();
    bench
        .does("follow nobody")
        .says(2, Server::Busy)
        .seen(seen(Server::Standby))
        .follows()
        .order(order(2, Role::Primary))
        .wants("nothing")
        .says(2, Server::Standby)
        .order(order(3, Role::Standby))
        .order(order(4, Role::Primary))
        .wants("promote a wait nobody");
}

#[test]
fn a_new_replicator_goes_on_with_what_runs_and_starts_nothing_unasked() {
    // What its predecessor left, and what it may have done, is not known.
    for (server, at_first, later) in [
        (Server::Down, "nothing", "follow nobody"),
        (Server::Busy, "nothing", "follow nobody"),
        (Server::Stopped, "nothing", "follow nobody"),
        (Server::Standby, "nothing", "promote a wait nobody"),
        (Server::Primary, "wait nobody", "wait nobody"),
    ] {
        let bench = Bench::born()
            .seen(seen(server))
            .order(order(2, Role::Primary))
            .wants(at_first);
        let waits = bench.keeper.report().detail;
        assert_eq!(waits.is_empty(), server == Server::Primary, "{waits}");
        bench
            .order(order(3, Role::Standby))
            .order(order(4, Role::Primary))
            .wants(later);
    }
}

#[test]
fn before_it_has_looked_it_claims_nothing() {
    let bench = Bench::born()
        .order(order(1, Role::Standby))
        .says(1, Server::Busy);
    let report = bench.keeper.report();
    assert!(!report.healthy);
    assert_eq!(report.copy, None);
}

#[test]
fn a_server_told_to_cease_is_busy_until_seen_otherwise() {
    for (role, command) in [(Role::Standby, "follow b"), (Role::Stopped, "stop")] {
        let leaving = || {
            Bench::serving()
                .order(order(3, role))
                .says(3, Server::Primary)
                .does(command)
                .says(3, Server::Busy)
        };
        // What was observed before it took effect changes nothing.
        leaving().seen(seen(Server::Primary)).says(3, Server::Busy);
        leaving()
            .seen(seen(Server::Standby))
            .says(3, Server::Standby);
        leaving().seen(seen(Server::Down)).says(3, Server::Down);
        // It did not cease: that is seen after the answer, not by it.
        let failed = leaving().answered(Err(Failure::new("it hangs")));
        failed
            .says(3, Server::Busy)
            .settled()
            .says(3, Server::Primary)
            .wants(command);
    }
}

#[test]
fn commits_are_known_to_wait_only_when_nothing_about_it_is_under_way() {
    let waits = |server| Observation {
        synchronous: Some(PEERS),
        ..seen(server)
    };
    let bench = Bench::serving().order(waiting_for(3, PEERS)).does("wait b");
    // It may be in effect, but is not known to stay so.
    let bench = bench.seen(waits(Server::Primary));
    assert_eq!(bench.keeper.report().synchronous, None);
    let bench = bench
        .done(json!({}))
        .wants("nothing")
        .says(3, Server::Primary);
    assert_eq!(bench.keeper.report().synchronous, Some(PEERS));

    // Relaxed and tightened again before the first took effect: what was
    // observed before, and the position with it, prove nothing.
    let bench = bench
        .order(order(4, Role::Primary))
        .does("wait nobody")
        .order(waiting_for(5, PEERS))
        .says(4, Server::Primary);
    assert_eq!(bench.keeper.report().synchronous, None);
    let bench = bench.cancelled().says(5, Server::Primary);
    assert_eq!(bench.keeper.report().synchronous, None);
    let bench = bench.does("wait b").done(json!({}));
    assert_eq!(bench.keeper.report().synchronous, Some(PEERS));

    // A new run, or a new plugin, has to be asked again.
    let again = Observation {
        run: 2,
        ..waits(Server::Primary)
    };
    let bench = bench.seen(again).wants("wait b");
    assert_eq!(bench.keeper.report().synchronous, None);
}

#[test]
fn on_the_way_down_nothing_is_relaxed() {
    for role in [Role::Standby, Role::Stopped] {
        let bench = Bench::serving()
            .order(waiting_for(3, PEERS))
            .does("wait b")
            .order(order(4, role))
            .cancelled();
        let wanted = bench.keeper.wanted();
        assert!(
            matches!(wanted, Some(Command::Follow(_) | Command::Stop(_))),
            "{wanted:?}"
        );
    }
}

#[test]
fn a_failed_change_of_synchronous_is_wanted_again() {
    let bench = Bench::serving()
        .order(waiting_for(3, PEERS))
        .does("wait b")
        .failed("it does not stream");
    assert_eq!(bench.keeper.report().detail, "it does not stream");
    bench.wants("wait b");
}

#[test]
fn retiring_does_one_checkpoint_and_goes_on_serving() {
    let retired = Bench::serving()
        .order(order(3, Role::Retiring))
        .does("prepare");
    assert!(!retired.keeper.report().checkpointed);
    let retired = retired
        .done(json!({"clean": false}))
        .wants("nothing")
        .says(3, Server::Primary);
    assert!(retired.keeper.report().checkpointed);
    // Still so while it stops.
    let stopping = retired.order(order(4, Role::Stopped));
    assert!(stopping.keeper.report().checkpointed);
    // Called off and begun again, it takes another; so does another run.
    let again = stopping
        .order(order(5, Role::Primary))
        .order(order(6, Role::Retiring));
    assert!(!again.keeper.report().checkpointed);
    let again = again.does("prepare").done(json!({"clean": false}));
    let restarted = again.seen(Observation {
        run: 2,
        ..seen(Server::Primary)
    });
    assert!(!restarted.keeper.report().checkpointed);
}

#[test]
fn a_late_checkpoint_does_not_count_for_the_next_retirement() {
    let late = Bench::serving()
        .order(order(3, Role::Retiring))
        .does("prepare")
        .order(order(4, Role::Primary))
        .serves(false)
        .done(json!({"clean": false}))
        .order(order(5, Role::Retiring));
    assert!(!late.keeper.report().checkpointed);
    late.wants("prepare");
}

#[test]
fn a_stop_is_done_when_answered_and_again_if_it_runs() {
    let stopped = || Bench::serving().order(order(3, Role::Stopped)).does("stop");
    stopped()
        .seen(seen(Server::Stopped))
        .done(json!({"clean": true}))
        .wants("nothing")
        .says(3, Server::Stopped);
    // It died of it, or before.
    stopped()
        .seen(seen(Server::Down))
        .done(json!({"clean": false}))
        .wants("nothing")
        .says(3, Server::Down);
    // It hangs.
    stopped().failed("it hangs").wants("stop");
    // Someone started it.
    stopped()
        .seen(seen(Server::Stopped))
        .done(json!({"clean": true}))
        .seen(seen(Server::Standby))
        .wants("stop");
    // Another order to stop asks again.
    let next = Order {
        epoch: "4.a".to_owned(),
        ..order(4, Role::Stopped)
    };
    stopped()
        .seen(seen(Server::Down))
        .done(json!({"clean": false}))
        .order(next)
        .wants("stop");
}

#[test]
fn commands_that_do_not_serve_the_next_order_are_called_off() {
    // The order before, what is seen, the command, and the roles it serves.
    let table = [
        (
            Role::Standby,
            Server::Down,
            "follow b",
            [Role::Standby].as_slice(),
        ),
        (
            Role::Primary,
            Server::Down,
            "follow nobody",
            &[Role::Primary],
        ),
        (
            Role::Primary,
            Server::Standby,
            "promote a wait nobody",
            &[Role::Primary, Role::Retiring],
        ),
        (
            Role::Primary,
            Server::Primary,
            "wait nobody",
            &[Role::Primary, Role::Retiring],
        ),
        (Role::Stopped, Server::Standby, "stop", &[Role::Stopped]),
    ];
    let roles = [Role::Standby, Role::Primary, Role::Retiring, Role::Stopped];
    for (role, server, command, served) in table {
        for next in roles {
            let serves = served.contains(&next);
            Bench::new(seen(server))
                .order(order(2, role))
                .does(command)
                .order(order(3, next))
                .serves(serves)
                .says(if serves { 3 } else { 2 }, server);
        }
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_a_failure() {
    let bench = Bench::new(seen(Server::Down))
        .does("follow b")
        .done(json!({"state": "perhaps"}));
    let detail = bench.keeper.report().detail;
    assert!(
        detail.starts_with("the plugin's answer cannot be read"),
        "{detail}"
    );
    bench.wants("follow b");
}

#[test]
fn a_failure_is_told_until_something_succeeds_or_the_role_changes() {
    let failed = || {
        Bench::new(seen(Server::Down))
            .does("follow b")
            .failed("no route")
    };
    assert_eq!(failed().keeper.report().detail, "no route");
    let again = failed().does("follow b").follows();
    assert_eq!(again.keeper.report().detail, "");
    let other = failed().order(order(2, Role::Stopped));
    assert_eq!(other.keeper.report().detail, "");
    let cancelled = failed()
        .does("follow b")
        .order(order(2, Role::Standby))
        .answered(Err(Failure::cancelled()));
    assert_eq!(cancelled.keeper.report().detail, "no route");
}

#[test]
fn a_plugin_that_is_gone_is_not_healthy_until_it_is_back() {
    let mut bench = Bench::serving();
    bench.keeper.on_plugin_lost("it does not run".to_owned());
    let report = bench.keeper.report();
    assert_eq!((report.healthy, report.server), (false, Server::Primary));
    assert_eq!(report.detail, "it does not run");
    let bench = bench.plugin_restarts(seen(Server::Primary));
    assert!(bench.keeper.report().healthy);
    bench.wants("wait nobody");
}

#[test]
fn what_a_lost_plugin_had_in_hand_is_done_anew() {
    Bench::new(seen(Server::Down))
        .does("follow b")
        .plugin_restarts(seen(Server::Busy))
        .wants("follow b")
        .says(1, Server::Busy);
}

#[test]
fn ending_stops_the_server_whatever_is_ordered() {
    for role in [Role::Standby, Role::Primary, Role::Retiring, Role::Stopped] {
        for server in [Server::Busy, Server::Standby, Server::Primary] {
            let mut bench = Bench::new(seen(server)).order(order(2, role));
            bench.keeper.end();
            assert!(!bench.keeper.has_ended());
            let bench = bench.does("stop").serves(true).seen(seen(Server::Stopped));
            // The answer has yet to come.
            assert!(!bench.keeper.has_ended());
            let bench = bench.done(json!({"clean": true})).wants("nothing");
            assert!(bench.keeper.has_ended());
        }
    }
}

#[test]
fn ending_calls_off_a_start_before_it_believes_that_nothing_runs() {
    let mut bench = Bench::new(seen(Server::Down)).does("follow b");
    bench.keeper.end();
    assert!(!bench.keeper.has_ended());
    let bench = bench.cancelled();
    assert!(bench.keeper.has_ended());
}

#[test]
fn ending_waits_to_be_told_whether_a_server_runs() {
    let mut bench = Bench::born();
    bench.keeper.end();
    assert!(!bench.keeper.has_ended());
    let bench = bench.seen(seen(Server::Primary)).wants("stop");
    assert!(!bench.keeper.has_ended());

    // A plugin that never ran never will tell.
    let mut bench = Bench::born();
    bench
        .keeper
        .on_plugin_lost("it is not installed".to_owned());
    bench.keeper.end();
    assert!(bench.keeper.has_ended());
}

#[test]
fn a_report_hands_on_what_the_plugin_saw() {
    let mut bench = Bench::new(Observation {
        position: Some(Position {
            timeline: 2,
            lsn: Lsn(9),
        }),
        follower: Some(Follower {
            copy: PEERS,
            flushed: Lsn(8),
        }),
        cancelled_waits: 4,
        detail: "recovers".to_owned(),
        ..seen(Server::Standby)
    });
    bench.keeper.on_progress(Progress { done: 1, total: 2 });
    assert_eq!(
        bench.keeper.report(),
        Report {
            ticket: 1,
            server: Server::Standby,
            healthy: true,
            copy: Some(OWN),
            run: 1,
            synchronous: None,
            position: Some(Position {
                timeline: 2,
                lsn: Lsn(9),
            }),
            follower: Some(Follower {
                copy: PEERS,
                flushed: Lsn(8),
            }),
            checkpointed: false,
            detail: "recovers".to_owned(),
            progress: Some(Progress { done: 1, total: 2 }),
            cancelled_waits: 4,
        }
    );
}
