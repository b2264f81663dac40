//! Many schedules, on every processor.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Runs `schedule` for each of `seeds`, and hands what comes of it to `verdict`
/// until that says false. Seeds are begun in order and end in any.
pub fn sweep<T: Send>(
    seeds: Range<u64>,
    schedule: impl Fn(u64) -> T + Sync,
    verdict: impl FnMut(u64, T) -> bool + Send,
) {
    let next = AtomicU64::new(seeds.start);
    let done = AtomicBool::new(false);
    let verdict = Mutex::new(verdict);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = schedule(seed);
                    let Ok(mut verdict) = verdict.lock() else {
                        return;
                    };
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    if !verdict(seed, outcome) {
                        done.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::sweep;

    #[test]
    fn every_seed_is_judged_once() {
        let mut judged = Vec::new();
        sweep(
            3..40,
            |seed| seed * 2,
            |seed, twice| {
                assert_eq!(twice, seed * 2);
                judged.push(seed);
                true
            },
        );
        judged.sort_unstable();
        assert_eq!(judged, (3..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_verdict_ends_it() {
        let mut judged = 0;
        let all = 0..1_000_000;
        sweep(
            all,
            |seed| seed,
            |seed, _| {
                judged += 1;
                seed < 10
            },
        );
        assert!((1..1_000_000).contains(&judged));
    }
}
