//! When a domain's records are looked at again. Pure: times are values.

use std::time::{Duration, Instant};

/// After a change: time enough for external-dns or a person to have begun, short enough to be seen.
pub const SETTLE: Duration = Duration::from_secs(2);
/// The first pause while records fail; each failure doubles it.
pub const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest pause within a day of a change: somebody is waiting.
pub const RETRY_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest pause after that: nobody is.
pub const RETRY_LATE_MAX: Duration = Duration::from_secs(15 * 60);
/// How long somebody waits.
pub const LATE: Duration = Duration::from_secs(24 * 3600);
/// Failures that count at most where something has moved since the look before, so that the pause is 40 s: somebody is
/// at work.
pub const MOVING_FAILURES_MAX: u32 = 4;
/// While all is well: 10,000 domains make six looks a second.
pub const SETTLED: Duration = Duration::from_secs(30 * 60);
/// How far jitter moves a pause to either side, in percent: domains of one restart come apart.
pub const JITTER_PERCENT: u32 = 20;

/// When to look again. `last` is the end of the last look, `fine` whether all was as wanted, `failures` how many looks
/// in a row were not since the change; `jitter` lies in 0..=1, its middle moves nothing.
pub fn next(last: Option<Instant>, fine: bool, changed_at: Instant, failures: u32, jitter: f64) -> Instant {
    let soon = changed_at + SETTLE;
    let Some(last) = last.filter(|last| *last >= changed_at) else { return soon };
    let pause = if fine { SETTLED } else { retry(last.duration_since(changed_at), failures) };
    let moved = 1.0 + (jitter.clamp(0.0, 1.0) - 0.5) * 2.0 * f64::from(JITTER_PERCENT) / 100.0;
    last + pause.mul_f64(moved)
}

fn retry(since_change: Duration, failures: u32) -> Duration {
    let most = if since_change > LATE { RETRY_LATE_MAX } else { RETRY_MAX };
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    RETRY_FIRST.checked_mul(doubled).map_or(most, |pause| pause.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_after_a_change_then_seldom() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for (last, fine, changed, failures, due) in [
            // Never looked at, or changed since.
            (None, false, 100, 0, 102),
            (Some(50), true, 100, 0, 102),
            (Some(50), false, 100, 9, 102),
            // All is well.
            (Some(200), true, 100, 0, 200 + 1800),
            // Failing: doubled, bounded.
            (Some(200), false, 100, 1, 205),
            (Some(200), false, 100, 2, 210),
            (Some(200), false, 100, 5, 280),
            (Some(200), false, 100, 7, 500),
            (Some(200), false, 100, 31, 500),
            (Some(200), false, 100, 32, 500),
            (Some(200), false, 100, u32::MAX, 500),
            // Since days.
            (Some(100_000), false, 100, 40, 100_900),
        ] {
            assert_eq!(next(last.map(at), fine, at(changed), failures, 0.5), at(due), "{last:?} {fine} {failures}");
        }
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let start = Instant::now();
        let due = |jitter| next(Some(start), true, start, 0, jitter).duration_since(start).as_secs();
        assert_eq!((due(0.0), due(0.5), due(1.0)), (1440, 1800, 2160));
        assert_eq!((due(-3.0), due(7.0)), (1440, 2160));
    }
}
