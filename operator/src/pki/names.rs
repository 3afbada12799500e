//! What a certificate says of its holder, and how long it is good.

use uuid::Uuid;

const HOUR_SECONDS: i64 = 60 * 60;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
const YEAR_SECONDS: i64 = 365 * DAY_SECONDS;

/// How long an authority is good for.
pub const AUTHORITY_VALID_SECONDS: i64 = 10 * YEAR_SECONDS;
/// The age at which the next authority is made.
pub const AUTHORITY_ROTATE_SECONDS: i64 = 5 * YEAR_SECONDS;
/// How long a certificate is good for.
pub const LEAF_VALID_SECONDS: i64 = 90 * DAY_SECONDS;
/// The age at which it is renewed: a month is left to mend what keeps it from being renewed.
pub const LEAF_RENEW_SECONDS: i64 = 60 * DAY_SECONDS;
/// Clocks of peers may be behind.
pub const BACKDATE_SECONDS: i64 = DAY_SECONDS;
/// How long all must have had a step of a rotation before the next: a mounted Secret reaches a pod within two minutes,
/// and a process reads it again soon after.
pub const SETTLE_SECONDS: i64 = HOUR_SECONDS;

/// The operator, as its client certificate names it.
pub const OPERATOR_URI: &str = "urn:paquebot:operator";

/// The TLS name of a MailServer's admin API; in no DNS.
pub fn server_name(server: Uuid) -> String {
    format!("{server}.mailserver.paquebot.internal")
}

/// A MailServer, as its certificate names it.
pub fn server_uri(server: Uuid) -> String {
    format!("urn:paquebot:mailserver:{server}")
}

/// Who holds a certificate of the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The operator: clientAuth only.
    Operator,
    /// The admin API of the MailServer with this UID: serverAuth only.
    Server(Uuid),
    /// The operator's webhook, by its Service's names: serverAuth only.
    Webhook(Vec<String>),
}

impl Holder {
    /// DNS names; the first is what a client asks for.
    pub fn dns_names(&self) -> Vec<String> {
        match self {
            Self::Operator => Vec::new(),
            Self::Server(uid) => vec![server_name(*uid)],
            Self::Webhook(names) => names.clone(),
        }
    }

    /// The URI, where it has one.
    pub fn uri(&self) -> Option<String> {
        match self {
            Self::Operator => Some(OPERATOR_URI.to_owned()),
            Self::Server(uid) => Some(server_uri(*uid)),
            Self::Webhook(_) => None,
        }
    }

    /// For people who look at the certificate.
    pub fn common_name(&self) -> &'static str {
        match self {
            Self::Operator => "paquebot operator",
            Self::Server(_) => "paquebot mail server",
            Self::Webhook(_) => "paquebot webhook",
        }
    }
}

/// The names of a Service that the API server may ask for.
pub fn service_names(service: &str, namespace: &str) -> Vec<String> {
    vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")]
}
