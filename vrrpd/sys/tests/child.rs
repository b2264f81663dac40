//! Children: what they inherit, how they end, and what is killed with them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use vrrpd_sys::child::{Child, Ended, Pipes, Program};

fn shell(script: &str, pipes: Pipes) -> Program {
    Program {
        path: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: BTreeMap::from([("VRRPD_EVENT".into(), "primary".into())]),
        pipes,
        dies_with_us: true,
    }
}

fn wait(child: &mut Child) -> Ended {
    let mut fds = [PollFd::new(child.pidfd(), PollFlags::POLLIN)];
    let ready = poll(
        &mut fds,
        PollTimeout::try_from(Duration::from_secs(5)).expect("short"),
    );
    assert_eq!(ready.expect("poll"), 1, "it ends within 5 s");
    child.ended().expect("wait").expect("it has ended")
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !condition() {
        assert!(Instant::now() < end, "not within 5 s: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn output(child: &mut Child) -> String {
    let mut text = Vec::new();
    let mut pipe = child.output().take().expect("a pipe");
    // Another test may be between fork and exec, and hold its end a moment more.
    wait_until("the output ends", || match pipe.read_to_end(&mut text) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    });
    String::from_utf8(text).expect("text")
}

#[test]
fn child_gets_its_environment_and_nothing_else() {
    // A copy of a descriptor stays open on exec unless someone sees to it.
    let kept_open = nix::unistd::dup(std::io::stderr()).expect("duplicates");
    let script = "echo $VRRPD_EVENT $HOME; exec ls /proc/self/fd";
    let mut child = shell(script, Pipes::Output).start().expect("starts");
    assert_eq!(wait(&mut child), Ended::Exited(0));
    // 3 is the directory that ls reads.
    assert_eq!(output(&mut child), "primary\n0\n1\n2\n3\n");
    drop(kept_open);
}

#[test]
fn child_is_a_group_and_is_killed_with_its_children() {
    let mut child = shell("sleep 1000 & echo $!; wait", Pipes::Output)
        .start()
        .expect("starts");
    let mut line = [0; 32];
    let grandchild = loop {
        match child.output().as_mut().expect("a pipe").read(&mut line) {
            Ok(length) => break String::from_utf8_lossy(&line[..length]).trim().to_owned(),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    };
    assert_eq!(child.ended().expect("wait"), None);
    child.kill().expect("kills");
    assert_eq!(wait(&mut child), Ended::Killed(9));
    wait_until("its child is gone, or dead and not fetched by init", || {
        let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
        state.map_or(true, |state| state.contains(") Z") || state.contains(") X"))
    });
    child.kill().expect("killing what has ended is no error");
}

#[test]
fn child_reads_its_input_without_blocking_us() {
    let mut child = shell(
        "read line; echo \"got $line\"; exit 3",
        Pipes::InputAndOutput,
    )
    .start()
    .expect("starts");
    let early = child.output().as_mut().expect("a pipe").read(&mut [0; 8]);
    assert_eq!(
        early.expect_err("nothing yet").kind(),
        ErrorKind::WouldBlock
    );
    let mut input = child.input().take().expect("a pipe");
    input.write_all(b"word\n").expect("fits");
    assert_eq!(wait(&mut child), Ended::Exited(3));
    assert_eq!(output(&mut child), "got word\n");
}

#[test]
fn program_that_is_not_there_is_an_error() {
    let program = Program {
        path: "/nonexistent/hook".into(),
        ..Program::default()
    };
    assert_eq!(
        program.start().expect_err("missing").kind(),
        ErrorKind::NotFound
    );
}
