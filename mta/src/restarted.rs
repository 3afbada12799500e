//! Tasks that live as long as the server: a panic in one is logged, and it begins again.
//!
//! Without that the task would end silently, and with it heartbeats, claims or sweeps until the next restart.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use tokio::time::sleep;

/// Before it begins again: what fails at each turn must not eat a core.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the task until it ends by itself.
pub async fn restarted<F: Future<Output = ()>>(name: &'static str, mut begin: impl FnMut() -> F) {
    while AssertUnwindSafe(async { begin().await }).catch_unwind().await.is_err() {
        tracing::error!(task = name, "a task of the server panicked; it begins again");
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn begins_again_until_it_ends_by_itself() {
        let mut begun = 0;
        restarted("test", || {
            begun += 1;
            let panics = begun < 3;
            async move { assert!(!panics, "as a fault would") }
        })
        .await;
        assert_eq!(begun, 3);
    }
}
