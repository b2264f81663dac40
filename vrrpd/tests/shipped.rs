//! The examples that are installed, and those of the manual, are legal.
#![forbid(unsafe_code)]

use std::path::Path;

use vrrpd::config::arbiter;
use vrrpd::config::{Config, Host};
use vrrpd::seal::Key;

/// A host that has every key and program that an example names.
struct WellKept;

impl Host for WellKept {
    fn key(&self, path: &Path) -> Result<Key, String> {
        // A key of its own for each file: no two pools share one.
        let digit = if path.ends_with("site-2.key") {
            "2"
        } else {
            "1"
        };
        Key::parse(&digit.repeat(64))
    }

    fn program(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

fn manager(text: &str) -> Config {
    Config::parse(text, Path::new("vrrpd.toml"), &WellKept)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn arbiter(text: &str) -> arbiter::Config {
    arbiter::Config::parse(text, Path::new("arbiter.toml"), &WellKept)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// What stands in the first literal display of the section EXAMPLES.
fn example(page: &str) -> &str {
    let (_, examples) = page.split_once("\n.Sh EXAMPLES\n").expect("examples");
    let (_, display) = examples
        .split_once(".Bd -literal -offset indent\n")
        .expect("a display");
    let (display, _) = display.split_once(".Ed\n").expect("its end");
    display
}

#[test]
fn the_installed_examples_make_one_pool() {
    let master = manager(include_str!("../../conf/master.toml"));
    let backup = manager(include_str!("../../conf/backup.toml"));
    let arbiter = arbiter(include_str!("../../conf/arbiter.toml"));
    let (a, b) = (master.pool.expect("a pool"), backup.pool.expect("a pool"));
    let voter = &arbiter.pools[0];
    assert_eq!((a.address, a.peer), (b.peer, b.address));
    assert_eq!([a.arbiter, b.arbiter], [arbiter.address; 2]);
    assert_eq!([a.arbiter_port, b.arbiter_port], [arbiter.port; 2]);
    assert!(a.priority > b.priority);
    assert!(voter.member.offer.is_some());
    assert_eq!([a.member.offer, b.member.offer], [voter.member.offer; 2]);
}

#[test]
fn the_installed_router_needs_no_pool() {
    let router = manager(include_str!("../../conf/router.toml"));
    assert_eq!(router.pool, None);
    assert_eq!(router.virtual_routers.len(), 2);
}

#[test]
fn the_manuals_examples_are_legal() {
    let config = manager(example(include_str!("../../man/vrrpd.toml.5")));
    assert!(config.pool.is_some());
    let config = arbiter(example(include_str!("../../man/arbiter.toml.5")));
    assert_eq!(config.pools.len(), 2);
}
