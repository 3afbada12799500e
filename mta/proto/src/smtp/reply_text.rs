//! Replies as octets (RFC 5321 §4.2.1, RFC 2034 §4).
//!
//! Whatever a reply's text holds, one reply stays one reply: control characters never reach the wire.

use std::fmt::Write;

use crate::{output::OutputQueue, reply::Reply};

/// Octets of a reply line, CRLF included (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_BYTES_MAX: usize = 512;

/// Puts a reply into the output.
pub fn push_reply(output: &mut OutputQueue, reply: &Reply) {
    let mut wire = String::with_capacity(80);
    let last = reply.lines.len().saturating_sub(1);
    let mut lines = reply.lines.iter().map(String::as_str).enumerate().peekable();
    let empty = lines.peek().is_none().then_some((last, ""));
    for (at, text) in lines.chain(empty) {
        let start = wire.len();
        // Writing to a String cannot fail.
        let _ = write!(wire, "{}{}", reply.code, if at == last { ' ' } else { '-' });
        if let Some(enhanced) = reply.enhanced {
            let _ = write!(wire, "{enhanced} ");
        }
        let left = (start + REPLY_LINE_BYTES_MAX - 2).saturating_sub(wire.len());
        wire.extend(text.chars().take(left).map(|c| if matches!(c, ' '..='~') { c } else { '?' }));
        wire.push_str("\r\n");
    }
    output.push(wire.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, reply::EnhancedCode};

    fn wire(reply: &Reply) -> String {
        let mut output = OutputQueue::default();
        push_reply(&mut output, reply);
        match output.pop() {
            Some(Output::Bytes(octets)) => String::from_utf8(octets).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lines() {
        let mut reply = Reply::new(250, EnhancedCode(2, 1, 5), "ok");
        assert_eq!(wire(&reply), "250 2.1.5 ok\r\n");
        reply.lines.push("more".into());
        assert_eq!(wire(&reply), "250-2.1.5 ok\r\n250 2.1.5 more\r\n");
        reply.lines.clear();
        assert_eq!(wire(&reply), "250 2.1.5 \r\n");
    }

    #[test]
    fn a_text_cannot_make_a_second_reply() {
        assert_eq!(wire(&Reply::plain(550, "a\r\n250 ok é")), "550 a??250 ok ?\r\n");
        assert_eq!(wire(&Reply::plain(550, "x".repeat(9999))).len(), REPLY_LINE_BYTES_MAX);
    }
}
