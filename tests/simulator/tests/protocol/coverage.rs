//! Every named schedule of PROTOCOL.md has its test.

/// How many PROTOCOL.md names.
const SCHEDULES: usize = 47;

#[test]
fn every_named_schedule_has_a_test() {
    let sources = [
        include_str!("alone.rs"),
        include_str!("claims.rs"),
        include_str!("database.rs"),
        include_str!("in_sync.rs"),
        include_str!("release.rs"),
        include_str!("renewing.rs"),
        include_str!("voters.rs"),
    ];
    let mut tests = [0; SCHEDULES + 1];
    for line in sources.iter().flat_map(|source| source.lines()) {
        let Some(name) = line.strip_prefix("fn schedule_") else {
            continue;
        };
        let number: usize = name[..2].parse().expect("two digits");
        tests[number] += 1;
    }
    let missing: Vec<_> = (1..=SCHEDULES).filter(|&n| tests[n] == 0).collect();
    assert!(missing.is_empty(), "no test of the schedules {missing:?}");
}
