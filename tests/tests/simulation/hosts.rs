//! Next hosts that fail at every stage of a session.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use paquebot_mta::{
    deliver::{Remote, Routed},
    message::MessageId,
    queue::{
        lane::Lane,
        route::{Target, Unroutable},
    },
};
use paquebot_mta_api::address::Domain;
use paquebot_proto::{
    EnhancedCode, Reply,
    smtp::client_ask::{Capabilities, Outcome},
};

use super::unreliable::Chance;

/// All next hosts. They live on when our process dies.
pub struct Hosts {
    pub chance: Arc<Chance>,
    /// Percent of stages that fail.
    pub faults: u64,
    /// What arrived, and how many times.
    pub arrived: Mutex<BTreeMap<(MessageId, String), u32>>,
}

/// What a host does with one recipient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Takes,
    NotNow,
    Never,
}

impl Hosts {
    fn answer(&self, recipient: &str) -> Answer {
        match recipient {
            it if it.starts_with("unknown") => Answer::Never,
            it if it.starts_with("full") => Answer::NotNow,
            _ if self.chance.percent(self.faults) => Answer::NotNow,
            _ => Answer::Takes,
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(self.chance.range(1..300))).await;
    }

    async fn converse(&self, target: &Target, lane: &mut Lane) {
        self.pause().await;
        if target.host.starts_with("down") || self.chance.percent(self.faults) {
            return lane.failed("connection refused", None, &[]).await;
        }
        if self.chance.percent(self.faults) {
            let reply = Reply::plain([421, 554][usize::from(self.chance.percent(50))], "not now");
            return lane.failed("refused", Some(&reply), &[]).await;
        }
        let capabilities = Capabilities { smtputf8: true, eight_bit: true, ..Capabilities::default() };
        while let Some(transaction) = lane.next(&capabilities).await {
            let message = lane.message().expect("a transaction is under way").id;
            let hang_up = |command: &'static str| vec![Outcome { reply: None, command }; transaction.recipients.len()];
            self.pause().await;
            for command in ["MAIL FROM", "RCPT TO", "DATA"] {
                if self.chance.percent(self.faults / 3) {
                    return lane.failed("connection closed", None, &hang_up(command)).await;
                }
            }
            if self.chance.percent(self.faults / 3) {
                return; // the wire broke, and not even the machine knows
            }
            let answers: Vec<Answer> = transaction.recipients.iter().map(|to| self.answer(to)).collect();
            for (recipient, answer) in transaction.recipients.iter().zip(&answers) {
                if *answer == Answer::Takes {
                    *self.arrived.lock().unwrap().entry((message, recipient.clone())).or_default() += 1;
                }
            }
            self.pause().await;
            if self.chance.percent(self.faults / 3) {
                return lane.failed("connection closed", None, &hang_up("end of DATA")).await;
            }
            let outcomes: Vec<Outcome> = answers.into_iter().map(outcome).collect();
            if self.chance.percent(self.faults / 3) {
                return lane.failed("closing", Some(&Reply::plain(421, "bye")), &outcomes).await;
            }
            lane.done(&outcomes).await;
        }
    }
}

fn outcome(answer: Answer) -> Outcome {
    let (command, reply) = match answer {
        Answer::Takes => ("end of DATA", Reply::new(250, EnhancedCode(2, 0, 0), "ok")),
        Answer::NotNow => ("RCPT TO", Reply::new(450, EnhancedCode(4, 2, 1), "later")),
        Answer::Never => ("RCPT TO", Reply::new(550, EnhancedCode(5, 1, 1), "no such user")),
    };
    Outcome { reply: Some(reply), command }
}

impl Remote for Hosts {
    fn route<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Routed> {
        async move {
            self.pause().await;
            let none = |status, reason: &str| Err(Unroutable { status, reason: reason.into() });
            let targets = if domain.as_str().starts_with("nowhere") {
                none(EnhancedCode(5, 1, 2), "no such domain")
            } else if self.chance.percent(self.faults) {
                none(EnhancedCode(4, 4, 3), "SERVFAIL")
            } else {
                Ok((1..3)
                    .map(|n| Target {
                        host: format!("{domain}-{n}"),
                        address: format!("198.51.100.{n}").parse().unwrap(),
                    })
                    .collect())
            };
            Routed { words: format!("{domain}: simulated"), targets }
        }
        .boxed()
    }

    fn session<'a>(&'a self, target: &'a Target, lane: &'a mut Lane) -> BoxFuture<'a, ()> {
        self.converse(target, lane).boxed()
    }
}
