//! When the next attempt comes, when the sender is told of a delay, when a message is given up.
//!
//! Pure: the clock and the dice are values. It never looks at replies: that is [`super::outcome`].

use std::time::Duration;

use paquebot_mta_api::config::Retry;

use crate::time::Micros;

/// How far jitter moves a pause, in percent of it, to either side: messages that failed together come back apart.
const JITTER_PERCENT: u64 = 20;
/// Doublings after which every pause is the longest one, whatever the configuration says.
const DOUBLINGS_MAX: u32 = 30;

/// A throw of the dice: any value gives a valid pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice(pub u16);

impl Dice {
    /// No jitter: the middle.
    pub const MIDDLE: Self = Self(u16::MAX / 2 + 1);

    /// Thrown.
    pub fn thrown() -> Self {
        Self(rand::random())
    }
}

/// The pause after the `failures`th failed attempt (1 is the first): doubled each time, never above the
/// longest (RFC 5321 §4.5.4.1).
pub fn pause(retry: &Retry, failures: u32, dice: Dice) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let plain_ms = retry.first_ms.saturating_mul(1_u64 << doublings).min(retry.longest_ms);
    // From 100 % - JITTER to 100 % + JITTER, in 1/65536 of a percent.
    let scaled = ((100 - JITTER_PERCENT) << 16) + 2 * JITTER_PERCENT * u64::from(dice.0);
    let spread_ms = u128::from(plain_ms) * u128::from(scaled) / (100 << 16);
    Duration::from_millis(u64::try_from(spread_ms).unwrap_or(u64::MAX).min(retry.longest_ms))
}

/// When the next attempt comes. The last one falls on the end of the message's time, so that nothing is
/// given up long before it.
pub fn next_attempt(retry: &Retry, accepted: Micros, failures: u32, now: Micros, dice: Dice) -> Micros {
    (now + pause(retry, failures, dice)).min(give_up_at(retry, accepted)).max(now)
}

/// Whether the message's time is over: what fails now is returned.
pub fn is_over(retry: &Retry, accepted: Micros, now: Micros) -> bool {
    now >= give_up_at(retry, accepted)
}

/// Whether the sender is to be told of the delay now; once a recipient (RFC 5321 §4.5.4.1, RFC 3464 §1.1).
pub fn is_warning_due(retry: &Retry, accepted: Micros, warned: bool, now: Micros) -> bool {
    !warned && now >= accepted + Duration::from_millis(retry.warn_after_ms)
}

fn give_up_at(retry: &Retry, accepted: Micros) -> Micros {
    accepted + Duration::from_millis(retry.give_up_after_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    fn at(seconds: u64) -> Micros {
        Micros(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry::default();
        for (failures, minutes) in
            [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 240), (8, 240), (u32::MAX, 240)]
        {
            let pause = pause(&retry, failures, Dice::MIDDLE);
            assert_eq!(pause, Duration::from_secs(minutes * MINUTE), "after {failures} failures");
        }
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let retry = Retry::default();
        assert_eq!(pause(&retry, 1, Dice(0)), Duration::from_secs(4 * MINUTE));
        let most = pause(&retry, 1, Dice(u16::MAX));
        assert!(most > Duration::from_secs(6 * MINUTE - 1) && most <= Duration::from_secs(6 * MINUTE), "{most:?}");
        assert_eq!(pause(&retry, 9, Dice(u16::MAX)), Duration::from_secs(4 * HOUR), "never above the longest");
    }

    #[test]
    fn absurd_configurations_do_not_overflow() {
        let retry =
            Retry { first_ms: u64::MAX, longest_ms: u64::MAX, warn_after_ms: u64::MAX, give_up_after_ms: u64::MAX };
        let _ = pause(&retry, u32::MAX, Dice(u16::MAX));
        assert!(!is_over(&retry, at(0), at(5 * DAY)));
        let retry = Retry { first_ms: 0, longest_ms: 0, warn_after_ms: 0, give_up_after_ms: 0 };
        assert_eq!(next_attempt(&retry, at(0), 1, at(7), Dice::MIDDLE), at(7), "never in the past");
    }

    #[test]
    fn the_last_attempt_falls_on_the_end() {
        let retry = Retry::default();
        let next = next_attempt(&retry, at(0), 40, at(5 * DAY - MINUTE), Dice::MIDDLE);
        assert_eq!(next, at(5 * DAY));
        assert!(is_over(&retry, at(0), next));
    }

    #[test]
    fn given_up_after_five_days_and_warned_once_after_four_hours() {
        let retry = Retry::default();
        for (age, warned, over, warn) in [
            (0, false, false, false),
            (4 * HOUR - 1, false, false, false),
            (4 * HOUR, false, false, true),
            (4 * HOUR, true, false, false),
            (5 * DAY - 1, true, false, false),
            (5 * DAY, true, true, false),
        ] {
            assert_eq!(is_over(&retry, at(100), at(100 + age)), over, "{age}");
            assert_eq!(is_warning_due(&retry, at(100), warned, at(100 + age)), warn, "{age}");
        }
    }
}
