//! A network of its own, and the processes that live in it.
//!
//! Everything is held by this process: when it ends, however it ends, the
//! kernel ends the processes and takes the networks away.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns, unshare};

use crate::fault::{Attempt, Fault, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Ends when its input does, that is with us; as the first process of its
/// namespace it fetches the ends of orphans, as the kernel's init does.
const INIT: &str = "mount --make-rprivate / && mount -t proc proc /proc && echo up && read -r _";

/// A network namespace, held by a thread in it.
#[derive(Debug)]
pub struct Namespace {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    network: File,
    init: Option<Child>,
}

impl Namespace {
    /// A network, with its own `/sys`: its processes are not kept apart from
    /// others.
    ///
    /// # Errors
    ///
    /// Not run as root.
    pub fn network() -> Result<Self> {
        let network = Self::new(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        network.command("mount", &["--make-rprivate", "/"])?;
        network.command("mount", &["-t", "sysfs", "sysfs", "/sys"])?;
        Ok(network)
    }

    /// A network, and processes that can only end together.
    ///
    /// # Errors
    ///
    /// Not run as root.
    pub fn machine() -> Result<Self> {
        let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        let mut machine = Self::new(flags)?;
        let init = machine.run(start_init)?;
        machine.init = Some(init);
        Ok(machine)
    }

    fn new(flags: CloneFlags) -> Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (ready, started) = channel();
        let thread = thread::Builder::new()
            .name("namespace".into())
            .spawn(move || {
                let network = unshare(flags)
                    .map_err(std::io::Error::from)
                    .and_then(|()| File::open("/proc/thread-self/ns/net"));
                if ready.send(network).is_ok() {
                    inbox.into_iter().for_each(|job| job());
                }
            })
            .attempt(|| "start a thread".into())?;
        let network = started
            .recv()
            .map_err(|_| Fault::new("the namespace's thread ended at once"))?
            .attempt(|| "make a network namespace (the lab has to be run as root)".into())?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            network,
            init: None,
        })
    }

    /// Runs `work` in it and returns what it returns; a panic comes back as one.
    /// `work` may start processes there, but no threads: see [`Namespace::entry`].
    ///
    /// # Panics
    ///
    /// When `work` does.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job: Job = Box::new(move || {
            // The caller waits: it cannot have gone.
            let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
        });
        let jobs = self
            .jobs
            .as_ref()
            .expect("a namespace in use has its thread");
        jobs.send(job)
            .expect("the thread serves until it is dropped");
        match result.recv().expect("each job answers") {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Runs a program in it to its end, with `input`; its standard output.
    ///
    /// # Errors
    ///
    /// It cannot be started, or fails: its words.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let program = program.to_owned();
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        self.run(move || {
            let line = || format!("{program} {}", arguments.join(" "));
            let output = Command::new(&program)
                .args(&arguments)
                .stdin(Stdio::null())
                .output()
                .attempt(line)?;
            if !output.status.success() {
                let errors = String::from_utf8_lossy(&output.stderr);
                return Err(Fault::new(format!("{}: {}", line(), errors.trim_end())));
            }
            String::from_utf8(output.stdout).attempt(line)
        })
    }

    /// `ip` with these words.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub fn ip(&self, words: &str) -> Result<()> {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.command("ip", &words).map(drop)
    }

    /// What lets another thread step into the network.
    ///
    /// # Errors
    ///
    /// Out of file descriptors.
    pub fn entry(&self) -> Result<Entry> {
        let network = self
            .network
            .try_clone()
            .attempt(|| "copy a file descriptor".into())?;
        Ok(Entry(network))
    }

    /// The process id of the first process, as this process sees it.
    pub fn init(&self) -> Option<u32> {
        self.init.as_ref().map(Child::id)
    }

    /// Kills all its processes, at once and for good.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        match &mut self.init {
            Some(init) => init.kill().attempt(|| "kill a host's processes".into()),
            None => Ok(()),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(mut init) = self.init.take() {
            // It may have ended by itself; either way it is gone after this.
            let _ = init.kill();
            let _ = init.wait();
        }
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Its jobs catch their panics.
            let _ = thread.join();
        }
    }
}

/// The way into a network.
#[derive(Debug)]
pub struct Entry(File);

impl Entry {
    /// Moves the calling thread into the network, for good.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn enter(&self) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).attempt(|| "enter a network namespace".into())
    }
}

fn start_init() -> Result<Child> {
    let mut init = Command::new("bash")
        .args(["-c", INIT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .attempt(|| "start bash".into())?;
    let output = init
        .stdout
        .take()
        .ok_or_else(|| Fault::new("bash has no output"))?;
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .attempt(|| "read from bash".into())?;
    if line.trim_end() != "up" {
        return Err(Fault::new("a process namespace could not mount its /proc"));
    }
    Ok(init)
}
