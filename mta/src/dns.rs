//! The one resolver: every look-up of the server goes through it and shares its cache.
//!
//! Names are absolute always: no search domains, no hosts file. Every look-up has a deadline, every
//! answer says which of four things happened: records, no such name, no such records, a fault that may
//! pass. It decides nothing about mail.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::NetError,
    proto::rr::{Name, RData, RecordType},
    system_conf::read_system_conf,
};
use mail_auth::MessageAuthenticator;
use paquebot_mta_api::address::Domain;

/// A look-up in all, retries included: then it is a temporary fault.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// One question to one name server.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);
/// Questions sent again after a time-out.
const ATTEMPTS: usize = 2;
/// Questions to one name server by TCP at the same time; more wait.
const QUESTIONS_AT_ONCE_MAX: usize = 256;
/// Answers kept; the least used go first.
const CACHE_ENTRIES_MAX: u64 = 16_384;
/// The longest that an answer is kept, whatever its TTL says.
const CACHE_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest that a "there is none" is kept (RFC 2308 §5: one to three hours work well).
const CACHE_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(3600);
/// Records of one answer that are looked at.
pub const RECORDS_MAX: usize = 100;

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The system names no usable name server.
    #[error("no name server: {0}; name one in `resolvers` or in /etc/resolv.conf")]
    NoServers(String),
}

/// What a look-up found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// At least one record.
    Records(Vec<T>),
    /// NXDOMAIN: neither the name nor anything below it exists (RFC 8020).
    NoSuchName,
    /// The name exists or is said to, without records of this type.
    NoRecords,
    /// SERVFAIL, REFUSED, a time-out, no connection: it may succeed later. Why, in words.
    TemporaryFault(String),
}

impl<T> Answer<T> {
    /// The records; none in every other case.
    pub fn records(&self) -> &[T] {
        match self {
            Self::Records(records) => records,
            _ => &[],
        }
    }

    /// Whether it may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::TemporaryFault(_))
    }
}

impl<T: Record> fmt::Display for Answer<T> {
    /// In words, for a message's journey: `MX 10 mail.example.org, 20 backup.example.org`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(records) => {
                for (place, record) in records.iter().enumerate() {
                    let before = if place == 0 { T::TYPE } else { "," };
                    write!(f, "{before} {record}")?;
                }
                Ok(())
            }
            Self::NoSuchName => write!(f, "no such name (NXDOMAIN)"),
            Self::NoRecords => write!(f, "no {} records", T::TYPE),
            Self::TemporaryFault(why) => write!(f, "{} look-up failed: {why}", T::TYPE),
        }
    }
}

/// A kind of record that is asked for.
pub trait Record: fmt::Display {
    /// Its type as people write it.
    const TYPE: &'static str;
}

/// A mail exchanger (RFC 5321 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host, in lower case without trailing dot; empty for the root.
    pub exchange: String,
}

impl Mx {
    /// "No mail here" (RFC 7505): the exchange is the root.
    pub fn is_null(&self) -> bool {
        self.exchange.is_empty()
    }
}

impl fmt::Display for Mx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchange = if self.is_null() { "." } else { &self.exchange };
        write!(f, "{} {exchange}", self.preference)
    }
}

impl Record for Mx {
    const TYPE: &'static str = "MX";
}

impl Record for IpAddr {
    const TYPE: &'static str = "A/AAAA";
}

/// A TXT record, its strings joined (RFC 7208 §3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txt(pub Vec<u8>);

impl fmt::Display for Txt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Record for Txt {
    const TYPE: &'static str = "TXT";
}

/// A host name that an address points to, in lower case without trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub String);

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Record for Pointer {
    const TYPE: &'static str = "PTR";
}

/// The resolver. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct Resolver {
    authenticator: Arc<MessageAuthenticator>,
}

impl Resolver {
    /// A resolver that asks these name servers; empty: those of the system.
    pub fn new(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        let no_servers = |error: NetError| DnsError::NoServers(error.to_string());
        let (config, mut options) = if servers.is_empty() {
            let (system, options) = read_system_conf().map_err(no_servers)?;
            // The search list is left behind: a mail domain is never relative.
            (ResolverConfig::from_name_servers(system.name_servers().to_vec()), options)
        } else {
            let servers = servers.iter().copied().map(name_server).collect();
            (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
        };
        if config.name_servers().is_empty() {
            return Err(DnsError::NoServers("the list is empty".into()));
        }
        options.timeout = QUESTION_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.cache_size = CACHE_ENTRIES_MAX;
        options.positive_max_ttl = Some(CACHE_TTL_MAX);
        options.negative_max_ttl = Some(CACHE_NEGATIVE_TTL_MAX);
        options.use_hosts_file = ResolveHosts::Never;
        options.try_tcp_on_error = true;
        options.max_active_requests = QUESTIONS_AT_ONCE_MAX;
        let authenticator = MessageAuthenticator::new(config, options).map_err(no_servers)?;
        Ok(Self { authenticator: Arc::new(authenticator) })
    }

    /// What SPF and DMARC ask with: the same name servers, the same cache.
    pub fn authenticator(&self) -> &Arc<MessageAuthenticator> {
        &self.authenticator
    }

    /// The mail exchangers of a domain, by ascending preference.
    pub async fn mx(&self, domain: &Domain) -> Answer<Mx> {
        let mut answer = self
            .ask(domain.as_str(), RecordType::MX, |data| match data {
                RData::MX(mx) => Some(Mx { preference: mx.preference, exchange: plain(&mx.exchange) }),
                _ => None,
            })
            .await;
        if let Answer::Records(records) = &mut answer {
            records.sort_unstable();
        }
        answer
    }

    /// The addresses of a host: A and AAAA, asked at the same time. A fault of one is a fault only
    /// where the other found nothing.
    pub async fn addresses(&self, host: &str) -> Answer<IpAddr> {
        let (v4, v6) = tokio::join!(
            self.ask(host, RecordType::A, |data| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                _ => None,
            }),
            self.ask(host, RecordType::AAAA, |data| match data {
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            }),
        );
        match (v4, v6) {
            (Answer::Records(mut v4), Answer::Records(v6)) => {
                v4.extend(v6);
                Answer::Records(v4)
            }
            (Answer::Records(found), _) | (_, Answer::Records(found)) => Answer::Records(found),
            (fault @ Answer::TemporaryFault(_), _) | (_, fault @ Answer::TemporaryFault(_)) => fault,
            (Answer::NoSuchName, Answer::NoSuchName) => Answer::NoSuchName,
            _ => Answer::NoRecords,
        }
    }

    /// The TXT records of a name.
    pub async fn txt(&self, name: &str) -> Answer<Txt> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => Some(Txt(txt.txt_data.concat())),
            _ => None,
        })
        .await
    }

    /// The names that an address points to.
    pub async fn ptr(&self, address: IpAddr) -> Answer<Pointer> {
        let name = Name::from(address);
        self.ask_name(name, RecordType::PTR, |data| match data {
            RData::PTR(pointer) => Some(Pointer(plain(pointer))),
            _ => None,
        })
        .await
    }

    async fn ask<T>(&self, name: &str, kind: RecordType, take: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        match Name::from_ascii(name) {
            Ok(name) => self.ask_name(name, kind, take).await,
            // What cannot be asked cannot exist.
            Err(_) => Answer::NoSuchName,
        }
    }

    async fn ask_name<T>(&self, mut name: Name, kind: RecordType, take: impl Fn(&RData) -> Option<T>) -> Answer<T> {
        name.set_fqdn(true);
        let look_up = self.authenticator.resolver().lookup(name, kind);
        match tokio::time::timeout(LOOKUP_TIMEOUT, look_up).await {
            Ok(Ok(found)) => taken(&found, take),
            Ok(Err(error)) if error.is_nx_domain() => Answer::NoSuchName,
            Ok(Err(error)) if error.is_no_records_found() => Answer::NoRecords,
            Ok(Err(error)) => Answer::TemporaryFault(error.to_string()),
            Err(_) => Answer::TemporaryFault(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
        }
    }
}

fn taken<T>(found: &Lookup, take: impl Fn(&RData) -> Option<T>) -> Answer<T> {
    let records: Vec<T> = found.answers().iter().filter_map(|record| take(&record.data)).take(RECORDS_MAX).collect();
    if records.is_empty() { Answer::NoRecords } else { Answer::Records(records) }
}

/// One name server, by UDP and, for long answers, TCP.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .to_vec();
    NameServerConfig::new(address.ip(), true, connections)
}

/// Lower case, without the trailing dot.
fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}
