//! The owner of an SMTP server machine: one a session. Carries questions to the decisions, and acts on them.
//!
//! Decides nothing itself, holds no octet of a message longer than [`crate::message::collect`] does.

use std::{
    net::{IpAddr, SocketAddr},
    ops::Range,
    time::Instant,
};

use bytes::Bytes;
use paquebot_mta_api::{address::Address, config::Protocol};
use paquebot_proto::{
    EnhancedCode, Machine, Reply,
    smtp::ask::{Answer, Ask, Cause, MailFrom},
};

use super::{accept, context::Shared, recipient, refusal::Refused, submission, transaction::Transaction};
use crate::{
    admin::metrics::refusal,
    login::{Authenticated, LoginSession},
    message::collect::Incoming,
    net::owner::Owner,
    store::AccountId,
};

/// One session's owner.
pub struct Session {
    shared: Shared,
    client: IpAddr,
    protocol: Protocol,
    login: LoginSession,
    tls: Option<String>,
    transaction: Option<Transaction>,
}

impl Session {
    /// A session with this client.
    pub fn new(shared: Shared, peer: SocketAddr, protocol: Protocol) -> Self {
        Self {
            shared,
            client: peer.ip().to_canonical(),
            protocol,
            login: LoginSession::new(protocol.name()),
            tls: None,
            transaction: None,
        }
    }

    fn principal(&self) -> Option<&Authenticated> {
        self.login.authenticated()
    }

    fn mail(&mut self, mail: MailFrom) -> Reply {
        match self.open(mail) {
            Ok(transaction) => {
                self.transaction = Some(transaction);
                Reply::new(250, EnhancedCode(2, 1, 0), "Sender ok")
            }
            Err(refused) => self.refuse(refused),
        }
    }

    fn open(&self, mail: MailFrom) -> Result<Transaction, Refused> {
        let reverse_path = match mail.reverse_path.as_str() {
            "" => None,
            text => Some(text.parse::<Address>().map_err(|_| {
                // RFC 3463 §3.2: X.1.7, bad sender's mailbox address syntax.
                let text = "Not an address that could be answered: write it as name@example.com";
                Refused::new(refusal::SENDER, 553, EnhancedCode(5, 1, 7), text)
            })?),
        };
        if self.protocol != Protocol::Smtp {
            // RFC 4954 §6: 530, authentication required.
            let principal = self
                .principal()
                .ok_or_else(|| Refused::new(refusal::RELAY, 530, EnhancedCode(5, 7, 0), "Log in first (AUTH)"))?;
            submission::check_reverse_path(&self.shared.directory.current(), principal, reverse_path.as_ref())?;
        }
        let mut transaction = Transaction::new(mail, reverse_path);
        if self.protocol == Protocol::Smtp {
            // RFC 7208 §2.1: the check may start as soon as MAIL is known; the answers come while the message does.
            let mail = &transaction.mail;
            let hello = mail.hello.as_deref().unwrap_or_default();
            transaction.spf = Some(self.shared.verifier.start_spf(self.client, hello, &mail.reverse_path));
        }
        Ok(transaction)
    }

    async fn recipient(&mut self, text: String) -> Reply {
        match self.take_recipient(&text).await {
            Ok(()) => recipient::ok(),
            Err(refused) => self.refuse(refused),
        }
    }

    async fn take_recipient(&mut self, text: &str) -> Result<(), Refused> {
        let directory = self.shared.directory.current();
        let settings = self.shared.settings();
        let taken = recipient::judge(&directory, &settings.hostname, text, self.login.authenticated())?;
        let Some(transaction) = &mut self.transaction else { return Err(out_of_order()) };
        if !transaction.has_room(&taken) {
            return Err(recipient::too_many());
        }
        if let Some(principal) = self.login.authenticated() {
            self.shared.rates().take(Instant::now(), principal.account())?;
        }
        if is_full(&self.shared, &taken).await? {
            return Err(recipient::over_quota());
        }
        if transaction.first_domain.is_none() {
            let of = taken.original().parse::<Address>().ok();
            transaction.first_domain = of.and_then(|address| directory.domain(address.domain()).map(|it| it.id));
        }
        transaction.add(&taken);
        Ok(())
    }

    fn data_begins(&mut self) -> Reply {
        match &mut self.transaction {
            Some(transaction) if !transaction.recipients().is_empty() => {
                transaction.incoming = Some(Incoming::new(self.shared.store.clone(), transaction.id));
                Reply::plain(354, "Go ahead, end with <CRLF>.<CRLF>")
            }
            _ => self.refuse(out_of_order()),
        }
    }

    async fn commit(&mut self) -> Reply {
        let Some(mut transaction) = self.transaction.take() else { return self.refuse(out_of_order()) };
        let Some(incoming) = transaction.incoming.take() else { return self.refuse(out_of_order()) };
        let protocol = [self.protocol.name()];
        self.shared.metrics.received.with_label_values(&protocol).inc();
        let from = accept::Source { client: self.client, principal: self.principal(), tls: self.tls.as_deref() };
        match accept::accept(&self.shared, &from, transaction, incoming).await {
            Ok(id) => {
                self.shared.metrics.accepted.with_label_values(&protocol).inc();
                Reply::new(250, EnhancedCode(2, 0, 0), format!("queued as {id}"))
            }
            Err(refused) => self.refuse(refused),
        }
    }

    fn abandoned(&self, cause: Cause) {
        let Some(reason) = reason(cause) else { return };
        self.shared.metrics.refused.with_label_values(&[reason]).inc();
        tracing::info!(client = %self.client, protocol = self.protocol.name(), reason, "refused");
    }

    fn refuse(&self, refused: Refused) -> Reply {
        self.shared.metrics.refused.with_label_values(&[refused.reason]).inc();
        tracing::info!(client = %self.client, protocol = self.protocol.name(), reply = %refused.reply, "refused");
        refused.reply
    }
}

/// What the machine refused by itself is counted as the rest is.
fn reason(cause: Cause) -> Option<&'static str> {
    match cause {
        Cause::Left => None,
        Cause::TooLarge => Some(refusal::SIZE),
        Cause::LineEnds => Some(refusal::MALFORMED),
    }
}

/// Whether all that the recipient became are mailboxes without room; asks only for those that have a quota.
async fn is_full(shared: &Shared, taken: &recipient::Taken) -> Result<bool, Refused> {
    for target in taken.targets() {
        let Some(mailbox) = &target.mailbox else { return Ok(false) };
        let Some(_) = mailbox.quota_bytes else { return Ok(false) };
        let used = shared.store.usage(AccountId(mailbox.account)).await?;
        if !recipient::is_over_quota(mailbox.quota_bytes, used) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn out_of_order() -> Refused {
    Refused::new(refusal::MALFORMED, 503, EnhancedCode(5, 5, 1), "Out of order: MAIL, RCPT, DATA")
}

impl<M> Owner<M> for Session
where
    M: Machine<Ask = Ask, Answer = Answer>,
{
    async fn ask(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Login(ask) => Answer::Login(self.shared.logins.answer(ask, self.client, &mut self.login).await),
            Ask::Mail(mail) => Answer::Reply(self.mail(mail)),
            Ask::Recipient(text) => Answer::Reply(self.recipient(text).await),
            Ask::Data => Answer::Reply(self.data_begins()),
            Ask::Commit { .. } => Answer::Reply(self.commit().await),
            Ask::Abandon(cause) => {
                self.abandoned(cause);
                self.transaction = None;
                Answer::Done
            }
        }
    }

    async fn data(&mut self, octets: &[u8]) {
        let Some(transaction) = &mut self.transaction else { return };
        let Some(incoming) = &mut transaction.incoming else { return };
        incoming.data(octets).await;
        // The answers come while the body does.
        if transaction.spf.is_some()
            && transaction.look_ups.is_none()
            && let Some(header) = incoming.header()
        {
            transaction.look_ups = Some(self.shared.verifier.start_look_ups(header));
        }
    }

    fn secured(&mut self, tls: String) {
        self.tls = Some(tls);
    }

    async fn bulk(&mut self, _handle: u64, _range: Range<u64>) -> std::io::Result<Bytes> {
        Ok(Bytes::new())
    }
}
