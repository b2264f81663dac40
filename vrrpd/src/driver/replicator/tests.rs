//! Orders out, reports in, and what becomes of a replicator that misbehaves.

use std::io::{BufRead, Read, Write};

use super::*;
use vrrpd_core::pool::record::Epoch;

#[test]
fn report_is_heard_as_it_was_written() {
    let line = r#"{"report":{"ticket":5,"server":"primary","healthy":true,"copy":"00000000000000ab","run":3,"synchronous":"00000000000000cd","position":{"timeline":2,"lsn":"0/3000060"},"follower":{"copy":"00000000000000cd","flushed":"1/3000060"},"checkpointed":true,"detail":"serves"}}"#;
    let (report, heard) = observed(line).expect("well formed");
    assert_eq!(report.detail, "serves");
    assert_eq!(
        heard,
        Observed {
            ticket: Ticket(5),
            server: Server::Primary,
            healthy: true,
            copy: Some(CopyId(0xab)),
            run: 3,
            synchronous: Some(CopyId(0xcd)),
            position: Some(Position {
                timeline: 2,
                lsn: 0x300_0060
            }),
            follower: Some(Follower {
                copy: CopyId(0xcd),
                flushed: 0x1_0300_0060
            }),
            checkpointed: true,
        }
    );
}

#[test]
fn report_without_a_ticket_is_refused() {
    let line = r#"{"report":{"ticket":"five","server":"down","healthy":false,"copy":null,"run":0,"synchronous":null,"position":null,"follower":null,"checkpointed":false,"detail":""}}"#;
    let why = observed(line).unwrap_err();
    assert!(
        why.starts_with("invalid type: string \"five\", expected u64"),
        "{why}"
    );
}

#[test]
fn order_names_the_peer_to_follow_and_the_copy_to_wait_for() {
    let terms = Terms {
        node: NodeId::B,
        peer: Some("192.0.2.11".into()),
        port: 5433,
        password: "secret".into(),
    };
    let order = terms.order(Desired {
        ticket: Ticket(6),
        epoch: Epoch {
            counter: 9,
            node: NodeId::A,
        },
        role: Role::Standby,
        copy: Some(CopyId(0xee)),
        follow: Some(NodeId::A),
        synchronous: None,
    });
    let line = serde_json::to_string(&role::ToReplicator::Order(order)).expect("plain data");
    assert_eq!(
        line,
        r#"{"order":{"ticket":6,"epoch":"9.a","role":"standby","copy":null,"follow":{"host":"192.0.2.11","port":5433,"copy":"00000000000000ee"},"synchronous":null,"peers":["192.0.2.11"],"password":"secret","node":"b"}}"#
    );
}

const LISTENER: Token = Token(0);
const CLIENT: Token = Token(1);
const TIMEOUT: Duration = Duration::from_secs(2);

/// A link, and what a replicator's connection to it brings about.
struct Rig {
    directory: tempfile::TempDir,
    poll: mio::Poll,
    link: ReplicatorLink,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let poll = mio::Poll::new().unwrap();
        let terms = Terms {
            node: NodeId::A,
            peer: Some("192.0.2.12".into()),
            port: 5432,
            password: "secret".into(),
        };
        let link = ReplicatorLink::listen(
            &directory.path().join("socket"),
            terms,
            TIMEOUT,
            poll.registry(),
            (LISTENER, CLIENT),
        )
        .unwrap();
        Self {
            directory,
            poll,
            link,
            now: Instant::ZERO + Duration::from_secs(1),
        }
    }

    fn connect(&mut self) -> (std::os::unix::net::UnixStream, Vec<News>) {
        let path = self.directory.path().join("socket");
        let replicator = std::os::unix::net::UnixStream::connect(path).unwrap();
        let mut news = Vec::new();
        self.link
            .on_listener(self.poll.registry(), self.now, &mut news);
        (replicator, news)
    }

    fn read(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        while self.link.on_client(self.now, &mut news) {}
        news
    }

    fn wake_after(&mut self, span: Duration) -> Vec<News> {
        self.now = self.now + span;
        let mut news = Vec::new();
        self.link.on_wake(self.now, &mut news);
        news
    }
}

fn report(ticket: u64) -> String {
    format!(
        r#"{{"report":{{"ticket":{ticket},"server":"standby","healthy":true,"copy":null,"run":1,"synchronous":null,"position":null,"follower":null,"checkpointed":false,"detail":""}}}}"#
    )
}

fn desired(ticket: u64) -> Desired {
    Desired {
        ticket: Ticket(ticket),
        epoch: Epoch::ZERO,
        role: Role::Standby,
        copy: None,
        follow: None,
        synchronous: None,
    }
}

fn tickets(news: &[News]) -> Vec<Option<u64>> {
    news.iter()
        .map(|news| match news {
            News::Observed(observed) => Some(observed.ticket.0),
            News::Lost => None,
        })
        .collect()
}

fn next_order(replicator: &std::os::unix::net::UnixStream) -> role::Order {
    let mut line = String::new();
    std::io::BufReader::new(replicator)
        .read_line(&mut line)
        .unwrap();
    let role::ToReplicator::Order(order) = serde_json::from_str(&line).unwrap();
    order
}

#[test]
fn each_connection_is_told_the_present_order_and_no_older_one() {
    let mut rig = Rig::new();
    let mut news = Vec::new();
    rig.link.order(desired(1), &mut news);
    rig.link.order(desired(2), &mut news);
    let (replicator, _) = rig.connect();
    assert_eq!(next_order(&replicator).ticket, 2);
    rig.link.order(desired(3), &mut news);
    assert_eq!(next_order(&replicator).ticket, 3);
    assert_eq!(news, []);
}

#[test]
fn reports_are_heard_however_they_arrive() {
    let mut rig = Rig::new();
    let (mut replicator, _) = rig.connect();
    let lines = format!("{}\n{}\n{}", report(1), report(2), &report(3)[..40]);
    replicator.write_all(lines.as_bytes()).unwrap();
    assert_eq!(tickets(&rig.read()), [Some(1), Some(2)]);
    let rest = format!("{}\n", &report(3)[40..]);
    replicator.write_all(rest.as_bytes()).unwrap();
    drop(replicator);
    // What it said before it went counts.
    assert_eq!(tickets(&rig.read()), [Some(3), None]);
    assert_eq!(rig.link.report(), None);
}

#[test]
fn a_replicator_that_talks_nonsense_is_lost_and_may_come_again() {
    let endless = "x".repeat(MAX_LINE + 1);
    for nonsense in ["\n", "{}\n", "{\"report\":{}}\n", "\u{0}\u{1}\n", &endless] {
        let mut rig = Rig::new();
        let (mut replicator, _) = rig.connect();
        let line = format!("{}\n{nonsense}", report(1));
        // It may be cut off before it has said it all.
        replicator.write_all(line.as_bytes()).ok();
        assert_eq!(
            tickets(&rig.read()),
            [Some(1), None],
            "{:?}",
            &nonsense[..nonsense.len().min(20)]
        );
        assert_eq!(rig.link.deadline(), None);
        let (mut replicator, news) = rig.connect();
        assert_eq!(news, []);
        replicator
            .write_all(format!("{}\n", report(4)).as_bytes())
            .unwrap();
        assert_eq!(tickets(&rig.read()), [Some(4)]);
    }
}

#[test]
fn a_replicator_that_falls_silent_is_lost() {
    let mut rig = Rig::new();
    assert_eq!(rig.link.deadline(), None);
    let (mut replicator, _) = rig.connect();
    let almost = TIMEOUT - Duration::from_millis(1);
    assert_eq!(rig.wake_after(almost), []);
    replicator
        .write_all(format!("{}\n", report(1)).as_bytes())
        .unwrap();
    assert_eq!(tickets(&rig.read()), [Some(1)]);
    assert_eq!(rig.link.deadline(), Some(rig.now + TIMEOUT));
    assert_eq!(rig.wake_after(almost), []);
    assert_eq!(rig.wake_after(Duration::from_millis(1)), [News::Lost]);
    assert_eq!(rig.link.deadline(), None);
    assert_eq!(rig.wake_after(TIMEOUT), []);
}

#[test]
fn what_a_daemon_that_was_late_has_not_read_yet_is_no_silence() {
    let mut rig = Rig::new();
    let (mut replicator, _) = rig.connect();
    replicator
        .write_all(format!("{}\n", report(1)).as_bytes())
        .unwrap();
    assert_eq!(tickets(&rig.wake_after(TIMEOUT * 3)), [Some(1)]);
    assert_eq!(rig.link.deadline(), Some(rig.now + TIMEOUT));
}

#[test]
fn half_a_line_is_a_silence() {
    let mut rig = Rig::new();
    let (mut replicator, _) = rig.connect();
    replicator.write_all(&report(1).as_bytes()[..20]).unwrap();
    assert_eq!(rig.read(), []);
    assert_eq!(rig.wake_after(TIMEOUT), [News::Lost]);
}

#[test]
fn the_newest_connection_is_the_replicators() {
    let mut rig = Rig::new();
    let mut news = Vec::new();
    let (mut old, _) = rig.connect();
    let (mut new, lost) = rig.connect();
    assert_eq!(lost, [News::Lost]);
    assert_eq!(old.read(&mut [0; 16]).unwrap(), 0);
    rig.link.order(desired(1), &mut news);
    assert_eq!(next_order(&new).ticket, 1);
    new.write_all(format!("{}\n", report(1)).as_bytes())
        .unwrap();
    assert_eq!(tickets(&rig.read()), [Some(1)]);
}

#[test]
fn a_replicator_that_does_not_read_is_lost() {
    let mut rig = Rig::new();
    let (_replicator, _) = rig.connect();
    let mut news = Vec::new();
    for ticket in 1..100_000 {
        rig.link.order(desired(ticket), &mut news);
        if !news.is_empty() {
            break;
        }
    }
    assert_eq!(news, [News::Lost]);
}

#[test]
fn a_forsaken_replicator_finds_no_order() {
    let mut rig = Rig::new();
    let mut news = Vec::new();
    rig.link.order(desired(1), &mut news);
    let (mut replicator, _) = rig.connect();
    assert_eq!(next_order(&replicator).ticket, 1);
    rig.link.forsake();
    assert_eq!(replicator.read(&mut [0; 16]).unwrap(), 0);
    let (mut replicator, _) = rig.connect();
    replicator.set_nonblocking(true).unwrap();
    let error = replicator.read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}
