//! What is on the disk: a log of lines, a copy id and two marks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use replicator::role::{CopyId, Position};

/// The first word of the line that a promotion writes.
const PROMOTED: &str = "promoted";

/// A database directory.
#[derive(Clone, Debug)]
pub(crate) struct Data(pub(crate) PathBuf);

impl Data {
    /// Makes an empty database, unless there is one.
    pub(crate) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        if self.copy().is_none() {
            self.replace(&[])?;
        }
        Ok(())
    }

    pub(crate) fn copy(&self) -> Option<CopyId> {
        self.read("copy")?.parse().ok()
    }

    /// Raised at each start of the server.
    pub(crate) fn run(&self) -> u64 {
        self.read("run").map_or(0, |run| run.parse().unwrap_or(0))
    }

    pub(crate) fn begin_run(&self) -> io::Result<()> {
        self.mark("clean", false)?;
        self.write("run", &(self.run() + 1).to_string())
    }

    /// Whether the server stopped cleanly.
    pub(crate) fn is_clean(&self) -> bool {
        self.0.join("clean").exists()
    }

    /// Whether a rewind or a clone has begun and not ended.
    pub(crate) fn is_ruined(&self) -> bool {
        self.0.join("ruined").exists()
    }

    pub(crate) fn set_clean(&self) -> io::Result<()> {
        self.mark("clean", true)
    }

    pub(crate) fn lines(&self) -> io::Result<Vec<String>> {
        let log = fs::read_to_string(self.0.join("log"))?;
        Ok(log.lines().map(str::to_owned).collect())
    }

    /// Puts other lines in place of the log's. The new copy id comes first:
    /// whatever happens then, this is not the copy it was.
    pub(crate) fn replace(&self, lines: &[String]) -> io::Result<()> {
        self.mark("ruined", true)?;
        let mut random = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        self.write("copy", &CopyId(u64::from_le_bytes(random)).to_string())?;
        let log: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.write("log", &log)?;
        self.mark("ruined", false)
    }

    /// The log, to be appended to.
    pub(crate) fn log(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.0.join("log"))
    }

    fn read(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.0.join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Whole or not at all, and on the disk when it returns.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let new = self.0.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    fn mark(&self, name: &str, set: bool) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            _ if set => self.write(name, ""),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.0)?.sync_all(),
        }
    }
}

/// The line that begins a timeline; no other history has the same.
pub(crate) fn promoted(copy: CopyId, run: u64) -> String {
    format!("{PROMOTED} {copy} {run}")
}

/// The end of a log: a byte here is a line.
pub(crate) fn end(lines: &[String]) -> Position {
    let promotions = lines.iter().filter(|line| line.starts_with(PROMOTED));
    Position {
        timeline: u32::try_from(promotions.count()).unwrap_or(u32::MAX),
        lsn: replicator::role::Lsn(lines.len() as u64),
    }
}
