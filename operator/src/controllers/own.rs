//! What is the operator's own: the authority, the key of the passwords' digests, the registration of the webhook. The
//! leader keeps them as they were, whoever deletes or edits them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use uuid::Uuid;

use super::{
    admission,
    apply::Applier,
    context::{Context, Fault, random},
    secrets::{self, create, read},
    table::Name,
};
use crate::names::{MANAGER, labels};

/// How often it is looked at although nothing was seen to move: certificates have their time.
const PERIOD: Duration = Duration::from_secs(3600);
/// The same after a fault.
const RETRY_PERIOD: Duration = Duration::from_secs(30);
/// Between two looks at least: somebody may write against us. Doubled while what we put right is edited again.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Whoever writes against us does it within this time after we may look again; later, it is something new.
const QUIET: Duration = Duration::from_secs(60);
/// The Secret with the key of the passwords' digests.
pub const DIGEST_SECRET: &str = "paquebot-password-digest";
/// Its key in there.
const KEY: &str = "key";
/// Octets of that key.
const KEY_OCTETS: usize = 32;

/// The key of the passwords' digests, made once.
///
/// # Errors
/// It can be neither read nor made.
pub async fn digest_key(applier: &Applier, namespace: &str) -> Result<Arc<[u8]>, Fault> {
    let name = Name::new(namespace, DIGEST_SECRET);
    let mut present = read(applier.client(), &name).await?;
    if present.is_none() {
        create(applier, &digest_secret(namespace, &random::<KEY_OCTETS>()?)).await?;
        // Of two that make it, one was first.
        present = read(applier.client(), &name).await?;
    }
    let octets = present.and_then(|it| it.data).and_then(|mut data| data.remove(KEY)).map(|it| it.0);
    octets.filter(|it| it.len() >= KEY_OCTETS).map(Arc::from).ok_or_else(|| Fault::NoKey(name.to_string()))
}

fn digest_secret(namespace: &str, key: &[u8]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(DIGEST_SECRET.to_owned());
    secret.metadata.namespace = Some(namespace.to_owned());
    secret.metadata.labels = Some(labels(MANAGER, "password-digest"));
    secret.data = Some([(KEY.to_owned(), ByteString(key.to_vec()))].into());
    secret
}

/// Keeps all of it, for as long as we lead.
pub async fn keep(context: Arc<Context>) {
    let mut may_register = true;
    let (mut pause, mut put) = (PAUSE, None);
    loop {
        let (mut fine, mut wrote) = (true, false);
        match authority(&context).await {
            Ok(restored) => wrote |= restored,
            Err(fault) => {
                tracing::warn!(%fault, "the admin API's certificates could not be renewed: trying again");
                fine = false;
            }
        }
        let digest = digest_secret(&context.settings.namespace, &context.digest_key);
        match secrets::keep(&context.applier, &digest).await {
            Ok(true) => {
                tracing::warn!(secret = DIGEST_SECRET, "it was deleted or edited: it is as it was again");
                wrote = true;
            }
            Ok(false) => {}
            Err(fault) => {
                tracing::warn!(%fault, "the key of the passwords' digests could not be looked at: trying again");
                fine = false;
            }
        }
        match admission::register(&context, &context.authorities.authority()).await {
            Ok(registered) => {
                may_register = true;
                wrote |= registered;
            }
            // With Roles only it cannot be: the operator says in the status what the webhook would have said.
            Err(Fault::Api(error)) if error.refusal().is_some_and(|it| it.is_of_rights()) => {
                if std::mem::take(&mut may_register) {
                    tracing::info!(%error, "the webhook is not used, because the API server may not be told of it");
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, "the API server could not be told of the webhook: trying again");
                fine = false;
            }
        }
        if wrote {
            pause = next_pause(pause, put.map(|it: Instant| it.elapsed()));
            put = Some(Instant::now());
        } else if put.is_none_or(|it| is_quiet(pause, it.elapsed())) {
            pause = PAUSE;
        }
        tokio::time::sleep(pause).await;
        let period = if fine { PERIOD } else { RETRY_PERIOD };
        let _ = tokio::time::timeout(period, context.world.own_moved.notified()).await;
    }
}

/// The pause after something was put right, `since` the last time that it was.
fn next_pause(pause: Duration, since: Option<Duration>) -> Duration {
    match since {
        Some(since) if !is_quiet(pause, since) => (pause * 2).min(LONGEST_PAUSE),
        _ => PAUSE,
    }
}

/// Whether nobody wrote against us for some time, with this pause between our looks.
fn is_quiet(pause: Duration, since: Duration) -> bool {
    since > pause + QUIET
}

/// Says whether the Secret was put back.
async fn authority(context: &Context) -> Result<bool, Fault> {
    let restored = context.authorities.restore().await?;
    let servers = context.world.servers.all().into_iter();
    // Those that have no name yet have no certificate either.
    let named = servers.filter(|(name, _)| context.state.server(name).is_some_and(|it| it.facts.is_some()));
    let servers: Vec<Uuid> = named.map(|(_, it)| crate::domain::ids::uid(&*it)).collect();
    if context.authorities.turn(&servers, context.now()).await? {
        context.world.all_servers();
    }
    Ok(restored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_somebody_writes_against_us() {
        for (pause, since, next) in [
            (2, None, 2),
            (2, Some(2), 4),
            (64, Some(100), 128),
            (256, Some(256), 300),
            (300, Some(301), 300),
            (300, Some(361), 2),
        ] {
            let found = next_pause(Duration::from_secs(pause), since.map(Duration::from_secs));
            assert_eq!(found, Duration::from_secs(next), "{pause} {since:?}");
        }
    }
}
