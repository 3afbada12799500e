//! Runs the checks: SPF from MAIL on, DKIM and DMARC when the header is there, one deadline for all.
//! It decides nothing: [`mod@super::policy`] does.

use std::{net::IpAddr, time::Duration};

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::{Dmarc, Outcome, Spf, SpfIdentity, Verdict, dkim, dmarc, spf};
use crate::{
    dns::Resolver,
    identity::Identity,
    message::{canonical::BodyHashes, fields::author_domain},
    time::Micros,
};

/// SPF at most (RFC 7208 §4.6.4: at least 20 s), and all that is done after the message has come at most.
pub const VERIFY_TIMEOUT: Duration = Duration::from_secs(20);

/// Verifies messages. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    resolver: Resolver,
    identity: Identity,
    limit: Duration,
}

/// SPF, under way since MAIL. Dropped, it ends.
pub struct SpfCheck {
    task: JoinHandle<Spf>,
    late: Spf,
}

impl Drop for SpfCheck {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SpfCheck {
    /// The result; temperror when there is none by then.
    async fn result(mut self, deadline: Instant) -> Spf {
        match timeout_at(deadline, &mut self.task).await {
            Ok(Ok(spf)) => spf,
            _ => self.late.clone(),
        }
    }
}

/// Look-ups under way since the end of the header. Dropped, they end.
pub struct LookUps(JoinHandle<()>);

impl Drop for LookUps {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Verifier {
    /// A verifier that asks this resolver; our name is for SPF's macros.
    pub fn new(resolver: Resolver, identity: impl Into<Identity>) -> Self {
        Self { resolver, identity: identity.into(), limit: VERIFY_TIMEOUT }
    }

    /// The same with another limit of time.
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Starts SPF for this client, its EHLO name and its reverse-path (empty for `<>`).
    pub fn start_spf(&self, client: IpAddr, hello: &str, reverse_path: &str) -> SpfCheck {
        let (identity, name) = match reverse_path.rsplit_once('@') {
            Some((_, domain)) => (SpfIdentity::MailFrom, domain),
            None => (SpfIdentity::Helo, hello),
        };
        let late = Spf { outcome: Outcome::TempError, domain: name.parse().ok(), identity };
        let (this, hello, reverse_path) = (self.clone(), hello.to_owned(), reverse_path.to_owned());
        let in_time = late.clone();
        let task = tokio::spawn(async move {
            let hostname = &this.identity.current().hostname;
            let check = spf::check(&this.resolver, hostname, client, &hello, &reverse_path);
            tokio::time::timeout(this.limit, check).await.unwrap_or(in_time)
        });
        SpfCheck { task, late }
    }

    /// Starts to look up DKIM keys and the DMARC record when the header is there: the answers wait in the
    /// resolver's cache until the body has come.
    pub fn start_look_ups(&self, header: &[u8]) -> LookUps {
        let author = author_domain(header).ok().map(|author| format!("_dmarc.{author}"));
        let names: Vec<String> =
            dkim::signatures(header).filter_map(|field| dkim::key_name(&field)).chain(author).collect();
        let (resolver, limit) = (self.resolver.clone(), self.limit);
        LookUps(tokio::spawn(async move {
            let all = futures::future::join_all(names.iter().map(|name| resolver.txt(name)));
            let _ = tokio::time::timeout(limit, all).await;
        }))
    }

    /// The verdict on a message: its header as received, its body's hashes.
    pub async fn finish(&self, spf: SpfCheck, header: &[u8], hashes: &BodyHashes, now: Micros) -> Verdict {
        let deadline = Instant::now() + self.limit;
        let author = author_domain(header);
        let fields: Vec<_> = dkim::signatures(header).collect();
        let signatures = futures::future::join_all(fields.iter().map(async |field| {
            let verify = dkim::verify(&self.resolver, header, field, hashes, now);
            timeout_at(deadline, verify).await.unwrap_or_else(|_| dkim::late(field))
        }));
        let (spf, dkim) = tokio::join!(spf.result(deadline), signatures);
        let dmarc = match &author {
            Ok(author) => timeout_at(deadline, dmarc::check(&self.resolver, author, &spf, &dkim))
                .await
                .unwrap_or(Dmarc { outcome: Outcome::TempError, policy: None }),
            Err(_) => Dmarc { outcome: Outcome::None, policy: None },
        };
        Verdict { author, spf, dkim, dmarc }
    }
}
