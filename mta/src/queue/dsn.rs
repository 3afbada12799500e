//! Bounces and delay notices as octets: a `multipart/report` of RFC 3464, in plain English and for machines.
//!
//! Pure. It decides neither whether nor to whom: never called for a message from `<>`. Strangers' words
//! (replies, header fields) are bounded, stay on their line and cannot end a part.

use paquebot_mta_api::address::{Address, Domain};

use super::outcome::Failure;
use crate::{
    message::{Message, MessageId, date::rfc5322},
    time::Micros,
};

/// Octets of the original's header that are returned at most.
pub const RETURNED_HEADER_BYTES_MAX: usize = 16 * 1024;
/// Octets of a returned line (RFC 5322 §2.1.1); longer ones are left out.
const LINE_BYTES_MAX: usize = 998;
/// Octets of an address as the client wrote it (RFC 5321 §4.5.3.1: 64 and 255).
const ADDRESS_BYTES_MAX: usize = 320;
/// Recipients of one notice: its body always fits a row of the store.
pub const RECIPIENTS_MAX: usize = 50;

/// Which notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It failed for good.
    Failed,
    /// It is late; it is tried until then.
    Delayed {
        /// When it will be given up.
        until: Micros,
    },
}

/// A recipient that the notice is about.
#[derive(Debug, Clone, Copy)]
pub struct Reported<'a> {
    /// Where it went, aliases expanded: not shown, an alias may hide it (RFC 3464 §4.2).
    pub address: &'a Address,
    /// What the sender wrote.
    pub original: &'a str,
    /// Why.
    pub failure: &'a Failure,
}

/// What a notice says.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// Failure or delay.
    pub kind: Kind,
    /// The notice's own id.
    pub id: MessageId,
    /// The name of this server.
    pub reporter: &'a Domain,
    /// Who writes: postmaster of the sender's own domain.
    pub from: &'a Address,
    /// To whom: the reverse-path.
    pub to: &'a Address,
    /// The message that failed.
    pub message: &'a Message,
    /// When it was accepted.
    pub accepted: Micros,
    /// Now.
    pub now: Micros,
    /// At least one, at most [`RECIPIENTS_MAX`].
    pub recipients: &'a [Reported<'a>],
}

/// A notice, ready to be signed and queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// With the empty line that ends it.
    pub header: Vec<u8>,
    /// All parts.
    pub body: Vec<u8>,
    /// Without brackets.
    pub message_id: String,
}

/// Writes the notice.
pub fn compose(notice: &Notice<'_>) -> Composed {
    let boundary = format!("=_{}", notice.id);
    let message_id = format!("{}@{}", notice.id, notice.from.domain());
    // RFC 6533 §3: where an address is internationalised, the report is.
    let global = notice.recipients.iter().any(|it| !shown(it).is_ascii());
    let returned = returned_header(notice.message);
    let mut body = Vec::with_capacity(2048 + returned.len());
    let (status_type, returned_type) = (
        if global { "message/global-delivery-status" } else { "message/delivery-status" },
        if returned.is_ascii() { "text/rfc822-headers" } else { "message/global-headers" },
    );
    part(&mut body, &boundary, "text/plain; charset=utf-8", human(notice).as_bytes());
    part(&mut body, &boundary, status_type, machine(notice, global).as_bytes());
    part(&mut body, &boundary, returned_type, &returned);
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Composed { header: header(notice, &boundary, &message_id), body, message_id }
}

fn header(notice: &Notice<'_>, boundary: &str, message_id: &str) -> Vec<u8> {
    let subject = match notice.kind {
        Kind::Failed => "Your message could not be delivered",
        Kind::Delayed { .. } => "Your message is delayed",
    };
    let mut header = format!(
        "Date: {}\r\nFrom: Mail Delivery System <{}>\r\nTo: <{}>\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n",
        rfc5322(notice.now),
        notice.from,
        notice.to
    );
    let original = &notice.message.message_id;
    if is_plain_id(original) {
        header.push_str(&format!("In-Reply-To: <{original}>\r\nReferences: <{original}>\r\n"));
    }
    // RFC 3834 §5: so that no vacation program answers.
    header.push_str("Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    header.push_str(&format!(
        "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n"
    ));
    header.into_bytes()
}

fn part(body: &mut Vec<u8>, boundary: &str, content_type: &str, content: &[u8]) {
    let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
    body.extend_from_slice(
        format!("--{boundary}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n")
            .as_bytes(),
    );
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n");
}

fn human(notice: &Notice<'_>) -> String {
    let mut text = format!("This is the mail server {}.\r\n\r\n", notice.reporter);
    text.push_str(match notice.kind {
        Kind::Failed => "Your message could not be delivered to:\r\n\r\n",
        Kind::Delayed { .. } => "Your message has not been delivered yet to:\r\n\r\n",
    });
    for recipient in notice.recipients {
        let said = match &recipient.failure.host {
            Some(host) => format!("{host} said:\r\n    {}", diagnostic(recipient)),
            None => diagnostic(recipient),
        };
        text.push_str(&format!("  {}\r\n    {said}\r\n", shown(recipient)));
        if is_given_up(notice.kind, recipient.failure) {
            text.push_str(&format!("    It has been tried since {}.\r\n", rfc5322(notice.accepted)));
        }
        text.push_str("\r\n");
    }
    text.push_str(&match notice.kind {
        Kind::Failed => "It is not tried again. If you think that the address is right, show this\r\n\
                         report to the people who run the receiving server."
            .to_owned(),
        Kind::Delayed { until } => format!(
            "You need to do nothing: it is tried again until\r\n{},\r\nand you are told if it fails then.",
            rfc5322(until)
        ),
    });
    text.push_str("\r\n\r\nThe same for machines, and your message's header, follow.\r\n");
    text
}

/// RFC 3464 §2.2 and §2.3.
fn machine(notice: &Notice<'_>, global: bool) -> String {
    let mut text = format!("Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", notice.reporter, rfc5322(notice.accepted));
    let action = match notice.kind {
        Kind::Failed => "failed",
        Kind::Delayed { .. } => "delayed",
    };
    for recipient in notice.recipients {
        let address_type = if global { "utf-8" } else { "rfc822" };
        let failure = recipient.failure;
        text.push_str(&format!(
            "\r\nFinal-Recipient: {address_type}; {}\r\nAction: {action}\r\nStatus: {}\r\n",
            shown(recipient),
            status(notice.kind, failure)
        ));
        match &failure.host {
            Some(host) => text.push_str(&format!(
                "Remote-MTA: dns; {}\r\nDiagnostic-Code: smtp; {}\r\n",
                ascii(host),
                diagnostic(recipient)
            )),
            None => text.push_str(&format!("Diagnostic-Code: x-paquebot; {}\r\n", diagnostic(recipient))),
        }
        text.push_str(&format!("Last-Attempt-Date: {}\r\n", rfc5322(notice.now)));
        if let Kind::Delayed { until } = notice.kind {
            text.push_str(&format!("Will-Retry-Until: {}\r\n", rfc5322(until)));
        }
    }
    text
}

/// A failure for good has class 5, whatever the last fault's was: RFC 3463 §3.5, X.4.7, delivery time expired.
fn status(kind: Kind, failure: &Failure) -> String {
    if is_given_up(kind, failure) { "5.4.7".into() } else { failure.status.to_string() }
}

/// Nothing says that it can never work, but its time is over.
fn is_given_up(kind: Kind, failure: &Failure) -> bool {
    kind == Kind::Failed && !failure.is_permanent()
}

/// The recipient as its sender knows it.
fn shown(recipient: &Reported<'_>) -> String {
    let mut written: String = recipient.original.chars().filter(|c| !c.is_control()).collect();
    written.truncate(written.floor_char_boundary(ADDRESS_BYTES_MAX));
    if written.is_empty() { recipient.address.to_string() } else { written }
}

/// The words of the failure, in ASCII, on one line, without the address that an alias hides.
fn diagnostic(recipient: &Reported<'_>) -> String {
    let hidden = recipient.address.to_string();
    ascii(&recipient.failure.words.replace(&hidden, &shown(recipient)))
}

fn ascii(words: &str) -> String {
    words.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(LINE_BYTES_MAX / 2).collect()
}

/// The original's header, whole lines, as far as there is room.
fn returned_header(message: &Message) -> Vec<u8> {
    let mut returned = Vec::new();
    let lines = message.prefix.split_inclusive(|octet| *octet == b'\n');
    for line in lines.chain(message.header.split_inclusive(|octet| *octet == b'\n')) {
        if line == b"\r\n" || returned.len() + line.len() > RETURNED_HEADER_BYTES_MAX {
            break;
        }
        if line.len() <= LINE_BYTES_MAX + 2 {
            returned.extend_from_slice(line);
        }
    }
    returned
}

/// A Message-ID that may stand in a header field of ours.
fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 250 && id.chars().all(|c| c.is_ascii_graphic() && !"<>()\"\\".contains(c))
}

#[cfg(test)]
mod tests;
