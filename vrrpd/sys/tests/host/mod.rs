//! Hosts for tests: a network namespace is held by a thread and gone with it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};
use vrrpd_sys::socket::Interface;

type Job = Box<dyn FnOnce() + Send>;

/// A host with its own network, named `eth0` on both ends of a [`pair`].
pub(crate) struct Host {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    id: Pid,
}

impl Host {
    /// An empty network but for loopback.
    ///
    /// # Panics
    ///
    /// When not run as root: these tests need namespaces of their own.
    pub(crate) fn new() -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (ready, started) = channel();
        let thread = thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET);
            ready.send((made, gettid())).expect("the test waits");
            for job in inbox {
                job();
            }
        });
        let (made, id) = started.recv().expect("the thread says so");
        made.expect("a network namespace: this test has to be run as root");
        let host = Self {
            jobs: Some(jobs),
            thread: Some(thread),
            id,
        };
        host.ip("link set lo up");
        host
    }

    /// Runs `work` on this host and returns what it returns.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job: Job = Box::new(move || {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            done.send(outcome).expect("the test waits");
        });
        let jobs = self.jobs.as_ref().expect("the host runs");
        jobs.send(job).expect("the host runs");
        match result.recv().expect("the host answers") {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs a program on this host; its standard output.
    pub(crate) fn command(&self, line: &str) -> String {
        let line = line.to_owned();
        self.run(move || {
            let mut words = line.split_whitespace();
            let output = Command::new(words.next().expect("a program"))
                .args(words)
                .output()
                .expect("the program is installed");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {errors}");
            String::from_utf8(output.stdout).expect("text")
        })
    }

    /// `ip` with these arguments.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.command(&format!("ip {arguments}"))
    }

    /// Its interface to the other host.
    pub(crate) fn eth0(&self) -> Interface {
        let links = self.run(|| {
            let mut route = vrrpd_sys::netlink::Route::open().expect("netlink");
            route.links().expect("links")
        });
        let link = links.into_iter().find(|link| link.name == "eth0");
        Interface {
            name: "eth0".into(),
            index: link.expect("eth0").index,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // The namespace goes with its thread.
            thread.join().expect("the host's jobs catch their panics");
        }
    }
}

/// Two hosts with a wire between: 192.0.2.1, fd00::1 at MAC 02:00:00:00:00:0a and
/// 192.0.2.2, fd00::2 at 02:00:00:00:00:0b.
pub(crate) fn pair() -> (Host, Host) {
    let (a, b) = (Host::new(), Host::new());
    a.ip(&format!(
        "link add eth0 address 02:00:00:00:00:0a type veth peer name eth0 \
         address 02:00:00:00:00:0b netns {}",
        b.id
    ));
    for (host, number) in [(&a, 1), (&b, 2)] {
        host.ip(&format!("address add 192.0.2.{number}/24 dev eth0"));
        host.ip(&format!("address add fd00::{number}/64 dev eth0 nodad"));
        host.ip("link set eth0 up");
    }
    for host in [&a, &b] {
        wait_until("the link is ready for IPv6", || {
            let all = host.run(|| {
                let mut route = vrrpd_sys::netlink::Route::open().expect("netlink");
                route.addresses().expect("addresses")
            });
            let linked = |a: &vrrpd_sys::netlink::Address| match a.address {
                IpAddr::V6(address) => address.is_unicast_link_local() && !a.tentative,
                IpAddr::V4(_) => false,
            };
            all.iter().any(linked)
        });
    }
    (a, b)
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// When it does not within 5 s.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `question` has an answer, and returns it.
///
/// # Panics
///
/// When it has none within 5 s.
pub(crate) fn wait_for<T: Debug>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < end, "not within 5 s: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
