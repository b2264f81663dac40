//! The fence that needs nobody alive: when vrrpd of the Primary is killed or
//! stopped, the kernel closes the gate and stops answering for the virtual IP.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use lab::clock::{Moment, milliseconds, wait_for};
use lab::fault::{Attempt, Fault, Result};
use lab::host::Name::{ManagerA, ManagerB};
use lab::pool::PATIENCE;
use lab::postgres;
use lab::trial::{Trial, scenario};
use lab::wire::Connection;
use nix::sys::signal::Signal;

/// What DESIGN.md and PROTOCOL.md promise after the end of the lease.
const PROMISED: Duration = Duration::from_millis(50);

/// What a busy machine may add: the promise is printed beside what was measured.
const SLACK: Duration = Duration::from_millis(400);

/// A session at the manager's own address, which does not move away: when it
/// was last answered.
fn session(trial: &Trial) -> Result<impl FnOnce() -> Result<Moment>> {
    let entry = trial.pool.client().namespace()?.entry()?;
    let address = SocketAddr::from((ManagerA.address(), postgres::PORT));
    let (ready, established) = channel();
    let patience = Duration::from_millis(200);
    let thread = thread::Builder::new()
        .name("session".into())
        .spawn(move || {
            entry.enter()?;
            let mut connection = Connection::tcp(address, Duration::from_secs(5))
                .attempt(|| "connect to manager-a".into())?;
            let mut last = Moment::now();
            // The test waits; it may have failed before.
            let _ = ready.send(());
            while connection.query("SELECT 1", patience).is_ok() {
                last = Moment::now();
                thread::park_timeout(Duration::from_millis(1));
            }
            Ok(last)
        })
        .attempt(|| "start a thread".into())?;
    let joined = move || {
        thread
            .join()
            .map_err(|_| Fault::new("the session panicked"))?
    };
    match established.recv() {
        Ok(()) => Ok(joined),
        Err(_) => Err(joined().err().unwrap_or_else(|| Fault::new("no session"))),
    }
}

fn fenced(trial: &mut Trial, signal: Signal) -> Result<()> {
    let lease = trial.pool.settings().advertise_interval * 3;
    let session = session(trial)?;
    let struck = trial.pool.signal(ManagerA, "vrrpd", signal)?;
    let last = session()?;
    // The other has it, and the old host has long been silent.
    trial.pool.wait_primary(ManagerB)?;
    trial.commits_after(struck.plus(lease * 3))?;
    let seen = trial.probe().seen();
    for (what, last) in [
        ("established connections were answered", Some(last)),
        ("ARP for the virtual IP was answered", seen.answered[0]),
        ("clients were admitted at its own address", seen.admitted[0]),
        ("clients were admitted at the virtual IP", seen.served[0]),
    ] {
        let last = last.ok_or_else(|| Fault::new(format!("{what}: never")))?;
        let after = last.since(struck);
        println!(
            "{signal}: {what} until {} after it (promised: within {})",
            milliseconds(after),
            milliseconds(lease + PROMISED),
        );
        if after > lease + SLACK {
            return Err(Fault::new(format!(
                "{what} until {} after {signal}, with a lease of {}",
                milliseconds(after),
                milliseconds(lease),
            )));
        }
    }
    Ok(())
}

#[test]
fn killed_vrrpd_is_fenced_by_the_kernel() {
    scenario("killed vrrpd is fenced by the kernel", |trial| {
        fenced(trial, Signal::SIGKILL)?;
        trial.pool.start(ManagerA, "vrrpd")?;
        trial.pool.wait_ok()
    });
}

#[test]
fn stopped_vrrpd_is_fenced_by_the_kernel() {
    scenario("stopped vrrpd is fenced by the kernel", |trial| {
        fenced(trial, Signal::SIGSTOP)?;
        trial.pool.signal(ManagerA, "vrrpd", Signal::SIGCONT)?;
        trial.pool.wait_ok()
    });
}

/// What the kernel cannot end, the daemon ends when it is back: the address.
#[test]
fn address_of_a_killed_vrrpd_goes_by_itself() {
    scenario("address of a killed vrrpd goes by itself", |trial| {
        trial.pool.signal(ManagerA, "vrrpd", Signal::SIGKILL)?;
        wait_for("the kernel removes the virtual IP", PATIENCE, || {
            let host = trial.pool.host(ManagerA).namespace();
            let shown = host
                .and_then(|host| host.command("ip", &["-4", "address", "show", "dev", "eth0"]))
                .map_err(|fault| fault.to_string())?;
            (!shown.contains("192.0.2.100")).then_some(()).ok_or(shown)
        })?;
        trial.pool.wait_primary(ManagerB)?;
        trial.pool.start(ManagerA, "vrrpd")?;
        trial.pool.wait_ok()
    });
}
