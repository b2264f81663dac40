//! `vrrpctl configure`.

use std::io::{self, IsTerminal, Write};
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use vrrpd::configure::{Common, Wish};
use vrrpd::control::status::Status;
use vrrpd::control::{Client, Request};

use crate::{print, show, told};

/// vrrpd executes itself again within this.
const AWAY: Duration = Duration::from_secs(60);

/// Between looks at how far it is.
const GLANCE: Duration = Duration::from_millis(200);

/// Between lines that differ in their figures only.
const FIGURES: Duration = Duration::from_secs(5);

/// What this manager shall be.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    mode: Mode,
    /// Do not ask
    #[arg(long, global = true)]
    yes: bool,
    /// Do not wait until it is done
    #[arg(long, global = true)]
    no_wait: bool,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Leave the pool, or give up forming it: the database is read-write, alone
    Standalone,
    /// Form a pool as the Master Manager, whose data are kept
    Master {
        /// The Backup Manager's address
        #[arg(long, value_name = "ADDRESS")]
        backup: IpAddr,
        #[command(flatten)]
        pool: PoolArguments,
        /// Act as Primary when up
        #[arg(long)]
        active: bool,
    },
    /// Form a pool as the Backup Manager, whose data are replaced
    Backup {
        /// The Master Manager's address
        #[arg(long, value_name = "ADDRESS")]
        master: IpAddr,
        #[command(flatten)]
        pool: PoolArguments,
    },
}

#[derive(Debug, Args)]
struct PoolArguments {
    /// This server's address [default: the one in the virtual IP's subnet]
    #[arg(long, value_name = "ADDRESS")]
    local: Option<IpAddr>,
    /// The virtual IP, with its prefix length
    #[arg(long, value_name = "ADDRESS/LENGTH")]
    virtual_ip: String,
    /// Where the virtual IP goes [default: the local address's]
    #[arg(long, value_name = "INTERFACE")]
    interface: Option<String>,
    /// The arbiter's address [default: the one in the configuration]
    #[arg(long, value_name = "ADDRESS")]
    arbiter: Option<IpAddr>,
}

impl Arguments {
    fn wish(&self) -> Wish {
        let common = |pool: &PoolArguments| Common {
            local: pool.local,
            virtual_ip: pool.virtual_ip.clone(),
            interface: pool.interface.clone(),
            arbiter: pool.arbiter,
        };
        match &self.mode {
            Mode::Standalone => Wish::Standalone,
            Mode::Master {
                backup,
                pool,
                active,
            } => Wish::Master {
                backup: *backup,
                common: common(pool),
                active: *active,
            },
            Mode::Backup { master, pool } => Wish::Backup {
                master: *master,
                common: common(pool),
            },
        }
    }
}

/// Tells what happens, asks, does it, and waits until it is done.
pub(crate) fn run(arguments: &Arguments, client: &mut Client, socket: &Path) -> Result<(), String> {
    let wish = arguments.wish();
    let ask = |client: &mut Client, dry_run| {
        let wish = wish.clone();
        client
            .ask::<Vec<String>>(&Request::Configure { wish, dry_run })
            .map_err(told)
    };
    let steps = ask(client, true)?;
    print(&(steps.join("\n") + "\n"))?;
    if !arguments.yes && !agreed()? {
        return Err("nothing was changed".to_owned());
    }
    ask(client, false)?;
    if arguments.no_wait {
        return Ok(());
    }
    wait(&wish, socket)
}

fn agreed() -> Result<bool, String> {
    if !io::stdin().is_terminal() {
        return Err("nobody can be asked: say --yes to agree; nothing was changed".to_owned());
    }
    print("Go on? [y/N] ")?;
    io::stdout().flush().map_err(|error| error.to_string())?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// How far it is, by a status.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    UnderWay(String),
    Done(String),
    Failed(String),
}

fn wait(wish: &Wish, socket: &Path) -> Result<(), String> {
    let mut seen = Instant::now();
    let mut said = Said::default();
    loop {
        thread::sleep(GLANCE);
        let status =
            Client::connect(socket).and_then(|mut client| client.ask::<Status>(&Request::Status));
        let line = match status {
            // It executes itself again.
            Err(why) if seen.elapsed() > AWAY => return Err(told(why)),
            Err(_) => continue,
            Ok(status) => match course(wish, &status) {
                Course::Done(line) => return print(&(line + "\n")),
                Course::Failed(why) => return Err(why),
                Course::UnderWay(line) => line,
            },
        };
        seen = Instant::now();
        if said.is_news(&line, seen) {
            print(&(line + "\n"))?;
        }
    }
}

/// What was said last, and when.
#[derive(Debug, Default)]
struct Said(Option<(String, Instant)>);

impl Said {
    /// Another step at once; the same one with other figures now and then.
    fn is_news(&mut self, line: &str, now: Instant) -> bool {
        let step = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
        let news = self.0.as_ref().is_none_or(|(said, at)| {
            step(said) != step(line) || said != line && now - *at >= FIGURES
        });
        if news {
            self.0 = Some((line.to_owned(), now));
        }
        news
    }
}

fn course(wish: &Wish, status: &Status) -> Course {
    let mode = match wish {
        Wish::Standalone => "standalone",
        Wish::Master { .. } => "master",
        Wish::Backup { .. } => "backup",
    };
    if let (Some(why), true) = (&status.not_formed, mode != "standalone") {
        return Course::Failed(why.clone());
    }
    if status.mode != mode {
        return Course::UnderWay("vrrpd starts in the new mode".to_owned());
    }
    if let Some(hold) = &status.on_hold {
        return Course::UnderWay(format!("{}: {}", show::left(hold), hold.waits_for));
    }
    let server = status.database["server"].as_str().unwrap_or_default();
    let done = match wish {
        Wish::Standalone => status.database.is_null() || server == "primary",
        Wish::Master { .. } => status.primary.as_deref() == Some("master") && status.gate == "open",
        Wish::Backup { .. } => status.in_sync.iter().any(|name| name == "backup"),
    };
    if !done {
        return Course::UnderWay(format!("database: {}", show::database(&status.database)));
    }
    Course::Done(match wish {
        Wish::Standalone => "this manager is standalone, its database read-write".to_owned(),
        Wish::Master { .. } => "the pool has formed: this manager is Primary".to_owned(),
        Wish::Backup { .. } => "the pool has formed: this manager is Online and in sync".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::status;
    use vrrpd::control::status::OnHold;

    fn backup() -> Wish {
        Wish::Backup {
            master: "192.0.2.11".parse().unwrap(),
            common: Common {
                local: None,
                virtual_ip: "192.0.2.100/24".to_owned(),
                interface: None,
                arbiter: None,
            },
        }
    }

    #[test]
    fn another_step_is_news_at_once_and_other_figures_are_later() {
        let mut said = Said::default();
        let start = Instant::now();
        assert!(said.is_news("9 s left: waits", start));
        assert!(!said.is_news("8 s left: waits", start));
        assert!(said.is_news("7 s left: copies", start));
        assert!(said.is_news("2 s left: copies", start + FIGURES));
    }

    #[test]
    fn a_backup_is_done_when_its_copy_is_in_sync() {
        let mut now = status();
        let started = course(&backup(), &now);
        assert_eq!(
            started,
            Course::UnderWay("vrrpd starts in the new mode".to_owned())
        );
        now.mode = "backup".to_owned();
        now.in_sync = vec!["master".to_owned()];
        assert!(matches!(course(&backup(), &now), Course::UnderWay(_)));
        now.in_sync.push("backup".to_owned());
        assert!(matches!(course(&backup(), &now), Course::Done(_)));
    }

    #[test]
    fn one_on_hold_says_what_it_waits_for_and_how_long() {
        let mut now = status();
        now.mode = "backup".to_owned();
        now.on_hold = Some(OnHold {
            waits_for: "the master does not answer".to_owned(),
            left_ms: 61_500,
        });
        assert_eq!(
            course(&backup(), &now),
            Course::UnderWay("on hold, 61 s left: the master does not answer".to_owned())
        );
    }

    #[test]
    fn a_pool_that_has_not_formed_is_a_failure() {
        let mut now = status();
        now.mode = "standalone".to_owned();
        now.not_formed = Some("nobody came".to_owned());
        assert_eq!(
            course(&backup(), &now),
            Course::Failed("nobody came".to_owned())
        );
        now.database = serde_json::json!({"server": "primary"});
        assert!(matches!(course(&Wish::Standalone, &now), Course::Done(_)));
    }
}
