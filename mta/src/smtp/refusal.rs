//! A refusal: the reply, and the reason as the metrics count it.

use paquebot_proto::{EnhancedCode, Reply};

use crate::{
    admin::metrics::refusal,
    message::{collect::CollectError, fields::FromError},
    store::StoreError,
};

/// Why a message or a recipient is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// One of [`refusal`]'s names.
    pub reason: &'static str,
    /// What the client is told.
    pub reply: Reply,
    /// More for the message's journey, such as the verdict; never for the client.
    pub detail: String,
}

impl Refused {
    /// A refusal with a reply of one line.
    pub fn new(reason: &'static str, code: u16, enhanced: EnhancedCode, text: impl Into<String>) -> Self {
        Self { reason, reply: Reply::new(code, enhanced, text), detail: String::new() }
    }
}

/// The one table from the store's faults to SMTP. Never 5xx: what the store cannot do now is no fault of the message's.
impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let (code, enhanced, text) = match error {
            StoreError::Unavailable(_) | StoreError::Fenced | StoreError::Conflict(_) => {
                (451, EnhancedCode(4, 3, 0), "The store cannot take it now, try again later")
            }
            // RFC 5321 §4.2.3: 452, insufficient system storage; RFC 3463 §3.4: X.3.1.
            StoreError::Full(_) => (452, EnhancedCode(4, 3, 1), "No space left, try again later"),
            StoreError::Corrupt(_) => (451, EnhancedCode(4, 3, 5), "The store is broken, try again later"),
        };
        Self::new(refusal::STORE, code, enhanced, text)
    }
}

impl From<CollectError> for Refused {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Header(error) => Self::new(refusal::MALFORMED, 554, EnhancedCode(5, 6, 0), error.to_string()),
            CollectError::Store(error) => error.into(),
        }
    }
}

impl From<FromError> for Refused {
    /// RFC 7489 §6.6.1: without one author domain no policy can be applied.
    fn from(error: FromError) -> Self {
        Self::new(refusal::POLICY, 550, EnhancedCode(5, 7, 1), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_store_is_always_temporary() {
        for (error, reply) in [
            (StoreError::Unavailable("x".into()), "451 4.3.0"),
            (StoreError::Full("x".into()), "452 4.3.1"),
            (StoreError::Fenced, "451 4.3.0"),
            (StoreError::Conflict("x".into()), "451 4.3.0"),
            (StoreError::Corrupt("secret path".into()), "451 4.3.5"),
        ] {
            let refused = Refused::from(error);
            assert!(refused.reply.to_string().starts_with(reply), "{}", refused.reply);
            assert!(!refused.reply.to_string().contains("secret"), "details are for the log");
        }
    }
}
