//! How many recipients one principal may send to: a stolen password must not empty a spammer's list.
//!
//! Pure but for its own table: `now` is a parameter.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use paquebot_proto::EnhancedCode;

use super::refusal::Refused;
use crate::{admin::metrics::refusal, store::AccountId};

/// Recipients that one principal may send to within [`WINDOW`].
pub const RECIPIENTS_PER_WINDOW: u32 = 10_000;
/// The window.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// Principals that are counted; the table is swept above.
const PRINCIPALS_MAX: usize = 100_000;

/// Counts of the principals that sent lately.
#[derive(Debug, Default)]
pub struct Rates {
    counts: HashMap<AccountId, (Instant, u32)>,
}

impl Rates {
    /// Counts one recipient, or refuses it.
    pub fn take(&mut self, now: Instant, principal: AccountId) -> Result<(), Refused> {
        if self.counts.len() >= PRINCIPALS_MAX {
            self.counts.retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
        }
        let (since, count) = self.counts.entry(principal).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        if *count >= RECIPIENTS_PER_WINDOW {
            return Err(Refused::new(
                refusal::LIMIT,
                450,
                EnhancedCode(4, 7, 1),
                format!("You have sent to {RECIPIENTS_PER_WINDOW} recipients within an hour: go on later"),
            ));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_has_its_own_window() {
        let (alice, bob) = (AccountId(uuid::Uuid::from_u128(1)), AccountId(uuid::Uuid::from_u128(2)));
        let start = Instant::now();
        let mut rates = Rates::default();
        for _ in 0..RECIPIENTS_PER_WINDOW {
            rates.take(start, alice).unwrap();
        }
        assert_eq!(rates.take(start, alice).unwrap_err().reply.code, 450);
        assert!(rates.take(start, bob).is_ok());
        assert!(rates.take(start + WINDOW - Duration::from_secs(1), alice).is_err());
        assert!(rates.take(start + WINDOW, alice).is_ok());
    }
}
