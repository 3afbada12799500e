//! The messages of SCRAM (RFC 5802 §5.1, §7) as the server reads and writes them.
//! Reads only what the grammar allows; keeps no state.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ScramKeys, server::NAME_BYTES_MAX};

/// Octets of a client's nonce at most; clients send 16 to 64.
const NONCE_BYTES_MAX: usize = 256;

/// client-first-message (RFC 5802 §7).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    /// gs2-header: repeated in the final message.
    pub gs2_header: String,
    /// client-first-message-bare: a part of the AuthMessage.
    pub bare: String,
    /// The name, unescaped.
    pub name: String,
    /// The client's nonce.
    pub nonce: String,
}

impl ClientFirst {
    /// `None`: not in the grammar, or asks for what is not offered.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let mut parts = text.splitn(3, ',');
        let (flag, authzid, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // RFC 5802 §6: "y" is right, as no -PLUS is offered; "p" needs channel binding.
        if !matches!(flag, "n" | "y") {
            return None;
        }
        let mut fields = bare.split(',');
        // RFC 5802 §5.1: "m=" before the name is a mandatory extension, and none is known.
        let name = unescape(fields.next()?.strip_prefix("n=")?)?;
        let nonce = fields.next()?.strip_prefix("r=")?;
        if !is_nonce(nonce) || !fields.all(is_extension) {
            return None;
        }
        // One may log in as oneself only. An empty "a=" is against the grammar and harmless: some programs send it.
        if !matches!(authzid, "" | "a=") && unescape(authzid.strip_prefix("a=")?)? != name {
            return None;
        }
        Some(Self { gs2_header: format!("{flag},{authzid},"), bare: bare.to_owned(), nonce: nonce.to_owned(), name })
    }
}

/// server-first-message (RFC 5802 §7).
pub(super) fn server_first(nonce: &str, keys: &ScramKeys) -> String {
    format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations)
}

/// client-final-message (RFC 5802 §7).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal {
    /// client-final-message-without-proof: a part of the AuthMessage.
    pub without_proof: String,
    /// The proof.
    pub proof: [u8; 32],
}

impl ClientFinal {
    /// `None`: not in the grammar, or not for this exchange.
    pub fn parse(message: &[u8], gs2_header: &str, nonce: &str) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = text.rsplit_once(",p=")?;
        let proof = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let mut fields = without_proof.split(',');
        let binding = STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
        let same_nonce = fields.next()?.strip_prefix("r=")? == nonce;
        if binding != gs2_header.as_bytes() || !same_nonce || !fields.all(is_extension) {
            return None;
        }
        Some(Self { without_proof: without_proof.to_owned(), proof })
    }
}

/// saslname: "," is sent as "=2C" and "=" as "=3D", and no other "=" may stand (RFC 5802 §5.1).
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("2C") {
            plain.push(',');
            plain.push_str(rest);
        } else {
            plain.push('=');
            plain.push_str(part.strip_prefix("3D")?);
        }
    }
    (!plain.is_empty() && plain.len() <= NAME_BYTES_MAX && !plain.contains(char::is_control)).then_some(plain)
}

/// printable: ASCII without the comma (RFC 5802 §7).
fn is_nonce(nonce: &str) -> bool {
    (1..=NONCE_BYTES_MAX).contains(&nonce.len()) && nonce.bytes().all(|octet| octet.is_ascii_graphic())
}

/// attr-val; unknown optional ones are ignored (RFC 5802 §5.1).
fn is_extension(field: &str) -> bool {
    let mut chars = field.chars();
    chars.next().is_some_and(|name| name.is_ascii_alphabetic() && name != 'm') && chars.next() == Some('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_first() {
        for (message, name) in [
            ("n,,n=user,r=abc", Some("user")),
            ("y,,n=user,r=abc", Some("user")),
            ("n,a=user,n=user,r=abc", Some("user")),
            ("n,a=,n=user,r=abc", Some("user")),
            ("n,,n=a=2Cb=3Dc,r=abc", Some("a,b=c")),
            ("n,,n=jörg,r=abc", Some("jörg")),
            ("n,,n=user,r=abc,x=ignored", Some("user")),
            ("n,a=other,n=user,r=abc", None),
            ("n,user,n=user,r=abc", None),
            ("p=tls-unique,,n=user,r=abc", None),
            ("n,,m=1,n=user,r=abc", None),
            ("n,,n=user,r=abc,m=1", None),
            ("n,,n=,r=abc", None),
            ("n,,n=a=2cb,r=abc", None),
            ("n,,n=a=b,r=abc", None),
            ("n,,n=a=,r=abc", None),
            ("n,,n=user,r=", None),
            ("n,,n=user,r=a b", None),
            ("n,,n=user", None),
            ("n,,r=abc,n=user", None),
            ("n,,n=us\0er,r=abc", None),
            ("n=user,r=abc", None),
            ("", None),
        ] {
            let parsed = ClientFirst::parse(message.as_bytes());
            assert_eq!(parsed.map(|first| first.name).as_deref(), name, "{message:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), None);
        assert_eq!(ClientFirst::parse(format!("n,,n=u,r={}", "a".repeat(257)).as_bytes()), None);
    }

    #[test]
    fn client_final() {
        let proof = STANDARD.encode([7; 32]);
        for (message, good) in [
            (format!("c=biws,r=abc,p={proof}"), true),
            (format!("c=biws,r=abc,x=1,p={proof}"), true),
            (format!("c=eSws,r=abc,p={proof}"), false),
            (format!("c=biws,r=abd,p={proof}"), false),
            (format!("c=biws,r=ab,p={proof}"), false),
            (format!("r=abc,c=biws,p={proof}"), false),
            (format!("c=biws,p={proof}"), false),
            (format!("c=biws,r=abc,p={proof},x=1"), false),
            ("c=biws,r=abc".into(), false),
            ("c=biws,r=abc,p=".into(), false),
            ("c=biws,r=abc,p=AAAA".into(), false),
        ] {
            assert_eq!(ClientFinal::parse(message.as_bytes(), "n,,", "abc").is_some(), good, "{message:?}");
        }
    }
}
