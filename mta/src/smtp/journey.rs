//! The steps that receiving leaves for `trace`: in words, without bodies and passwords. Pure.

use std::net::IpAddr;

use paquebot_mta_api::journey::{Actor, Event, Step};

use super::transaction::Transaction;
use crate::{login::Authenticated, message::MessageId, time::Micros};

/// Octets of a detail at most: a stranger's words end up in it.
const DETAIL_BYTES_MAX: usize = 1000;

/// Builds the steps of one message.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// The message's id here.
    pub message: MessageId,
    /// Its Message-ID field, empty where there is none.
    pub message_id: &'a str,
    /// When.
    pub now: Micros,
}

impl Steps<'_> {
    /// One step.
    pub fn step(&self, actor: Actor, step: Step, recipient: Option<String>, detail: String) -> Event {
        Event {
            at_us: self.now.0,
            message: self.message.0,
            message_id: self.message_id.to_owned(),
            recipient,
            actor,
            step,
            detail: bounded(detail),
        }
    }
}

/// Where a message came from: `mail.example.com [192.0.2.1] by ESMTPS, MAIL FROM:<alice@example.com>`.
pub fn origin(transaction: &Transaction, client: IpAddr, principal: Option<&Authenticated>) -> String {
    let hello = transaction.mail.hello.as_deref().unwrap_or("unknown");
    let hello: String = hello.chars().filter(|c| !c.is_control()).take(255).collect();
    let with = transaction.mail.with;
    let login = principal.map(|principal| format!(", logged in as {}", principal.address())).unwrap_or_default();
    let reverse_path = transaction.reverse_path.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("from {hello} [{client}] by {with}{login}, MAIL FROM:<{reverse_path}>")
}

fn bounded(mut detail: String) -> String {
    if detail.len() > DETAIL_BYTES_MAX {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| detail.is_char_boundary(*end)).unwrap_or(0);
        detail.truncate(end);
    }
    detail
}
