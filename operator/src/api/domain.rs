//! `MailDomain`: a domain whose mail Paquebot carries. Its owner's.

#![allow(clippy::duplicated_attributes, reason = "printer columns share their type")]

use kube::CustomResource;
use paquebot_mta_api::directory::KeyAlgorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    refs::{ADDRESS_PATTERN, Conditions, Empty, LOOKUP_PATTERN, NAME_PATTERN, SecretKeyRef, ServerRef},
    units::GoDuration,
};

/// A label of a DNS name.
pub const SELECTOR_PATTERN: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";
/// Where DMARC reports go: an address as a URI (RFC 7489 §6.2).
pub const MAILTO_PATTERN: &str = r"^mailto:[^@\s,;!]+@[^@\s,;!]+$";
/// When failure reports are wanted (RFC 7489 §6.3, `fo`).
pub const FAILURE_OPTIONS_PATTERN: &str = r"^[01ds](:[01ds])*$";
/// The part of an address before the @.
pub const LOCAL_PART_PATTERN: &str = r"^[^@\s]+$";
/// An IPv4 address or network.
pub const IP4_PATTERN: &str =
    r"^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}(/(3[0-2]|[12]?[0-9]))?$";
/// An IPv6 address or network.
pub const IP6_PATTERN: &str = r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$";

/// What the owner of a domain wants of its mail. All of it may be left out.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "paquebot.dev",
    version = "v1alpha1",
    kind = "MailDomain",
    namespaced,
    shortname = "md",
    category = "paquebot",
    status = "MailDomainStatus",
    derive = "PartialEq",
    doc = "A domain whose mail Paquebot carries. Its metadata.name is the domain, in A-labels: example.com.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Server", type_ = "string", json_path = ".status.server"),
    printcolumn(name = "DNS", type_ = "string", json_path = ".status.conditions[?(@.type==\"DNSVerified\")].status"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".status.zoneConfigMap", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MailDomainSpec {
    /// The MailServer that carries this domain's mail; cannot be changed. Left out: "default" in the same
    /// namespace, made if absent.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "self == oldSelf",
        "message": "serverRef cannot be changed, because the mail stays on its server: delete the MailDomain and make it again with the other serverRef"
    }]))]
    pub server_ref: ServerRef,
    /// The keys that sign this domain's mail.
    #[serde(default)]
    pub dkim: Dkim,
    /// Who may send mail in this domain's name (RFC 7208). The server's own addresses are always in it.
    #[serde(default)]
    pub spf: Spf,
    /// What receivers shall do with mail that is not from here (RFC 7489).
    #[serde(default)]
    pub dmarc: Dmarc,
    /// How the DNS records are published and checked.
    #[serde(default)]
    pub dns: Dns,
    /// Names that stand for other addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub aliases: Vec<Alias>,
    /// The address that gets mail for unknown names; left out: such mail is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN))]
    pub catch_all: Option<String>,
    /// Applications that may send in this domain's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub senders: Vec<Sender>,
    /// What becomes of the keys' Secrets when the resource is deleted. The mail stays for 30 days.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The keys that sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dkim {
    /// The keys that are made, one an algorithm.
    #[serde(default = "keys_default")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["algorithm"]))]
    pub keys: Vec<DkimKey>,
    /// How long a key signs before the next one takes over.
    #[serde(default = "rotation_default")]
    pub rotation_period: GoDuration,
    /// Keys from elsewhere, that are already published: they sign too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["selector"]))]
    pub imported: Vec<ImportedKey>,
}

impl Default for Dkim {
    fn default() -> Self {
        Self { keys: keys_default(), rotation_period: rotation_default(), imported: Vec::new() }
    }
}

fn keys_default() -> Vec<DkimKey> {
    vec![DkimKey { algorithm: Algorithm::Rsa, bits: Some(2048) }, DkimKey { algorithm: Algorithm::Ed25519, bits: None }]
}

fn rotation_default() -> GoDuration {
    GoDuration("2160h".to_owned())
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.algorithm == 'RSA' || !has(self.bits)",
    "message": "bits is for RSA only: leave it out, an Ed25519 key has one size"
}]))]
pub struct DkimKey {
    /// RSA is understood by everyone; Ed25519 (RFC 8463) is small and fast.
    pub algorithm: Algorithm,
    /// The size of an RSA key; left out: 2048.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [2048, 3072, 4096]))]
    pub bits: Option<u32>,
}

/// A signing algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// rsa-sha256
    #[serde(rename = "RSA")]
    Rsa,
    /// ed25519-sha256
    Ed25519,
}

impl From<Algorithm> for KeyAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rsa => Self::Rsa,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }
}

/// A key from elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportedKey {
    /// The selector under which its public key is published.
    #[schemars(length(min = 1, max = 63), regex(pattern = SELECTOR_PATTERN))]
    pub selector: String,
    /// The private key: PEM, PKCS#8.
    pub secret_ref: SecretKeyRef,
}

/// Who may send in the domain's name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.include) || self.include.size() <= 10",
    "message": "receivers look up at most 10 names for SPF (RFC 7208 §4.6.4): leave includes out, or replace them by their ip4 and ip6"
}]))]
pub struct Spf {
    /// IPv4 addresses and networks that send too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 18), regex(pattern = IP4_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub ip4: Vec<String>,
    /// IPv6 addresses and networks that send too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 49), regex(pattern = IP6_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub ip6: Vec<String>,
    /// Domains whose SPF records hold here too: other services that send for this domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 253), regex(pattern = LOOKUP_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub include: Vec<String>,
    /// What holds for everyone else.
    #[serde(default)]
    pub all: SpfAll,
}

/// What SPF says of everyone else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SpfAll {
    /// `-all`: not from here
    #[default]
    HardFail,
    /// `~all`: probably not from here
    SoftFail,
}

/// What receivers shall do with mail that fails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dmarc {
    /// What becomes of mail that is not from here (`p`).
    #[serde(default)]
    pub policy: DmarcPolicy,
    /// The same for subdomains (`sp`); left out: as for the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DmarcPolicy")]
    pub subdomain_policy: Option<DmarcPolicy>,
    /// Where daily reports go: mailto:dmarc@example.com.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(max = 330), regex(pattern = MAILTO_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub rua: Vec<String>,
    /// Where reports of single messages go: mailto:dmarc@example.com.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(max = 330), regex(pattern = MAILTO_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub ruf: Vec<String>,
    /// When single messages are reported: 0 all checks failed, 1 any, d DKIM, s SPF; several with colons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7), regex(pattern = FAILURE_OPTIONS_PATTERN))]
    pub fo: Option<String>,
}

/// A DMARC policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DmarcPolicy {
    /// `none`: only report
    #[default]
    None,
    /// `quarantine`: into Junk
    Quarantine,
    /// `reject`: refuse
    Reject,
}

/// How records are published and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// Writes the records as a zone file, to be copied or included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_file: Option<Empty>,
    /// Writes the records as a DNSEndpoint for external-dns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_endpoint: Option<DnsEndpoint>,
    /// Whether and where the published records are checked.
    #[serde(default)]
    pub verification: Verification,
}

impl Default for Dns {
    fn default() -> Self {
        Self { zone_file: Some(Empty {}), dns_endpoint: None, verification: Verification::default() }
    }
}

/// How external-dns is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsEndpoint {
    /// How the DNS provider wants TXT values.
    #[serde(default)]
    pub txt_format: TxtFormat,
}

/// How a DNS provider wants TXT values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TxtFormat {
    /// In quotes, split at 255 octets
    #[default]
    Quoted,
    /// As one text
    Plain,
}

/// Whether records are checked at the authoritative servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Enabled checks every record at every authoritative server.
    #[serde(default)]
    pub mode: VerificationMode,
    /// Addresses of resolvers to ask instead of the system's: 192.0.2.53, 192.0.2.53:5353, `[2001:db8::53]:5353`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 53)), extend("x-kubernetes-list-type" = "set"))]
    pub resolvers: Vec<String>,
}

/// Whether records are checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VerificationMode {
    /// They are checked
    #[default]
    Enabled,
    /// They are not
    Disabled,
}

/// A name that stands for other addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alias {
    /// The part before the @: info.
    #[schemars(length(min = 1, max = 64), regex(pattern = LOCAL_PART_PATTERN))]
    pub name: String,
    /// The addresses that get its mail.
    #[schemars(length(min = 1, max = 100), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub to: Vec<String>,
}

/// An application that may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// The ServiceAccount under which it runs.
    pub service_account: ServiceAccountRef,
    /// The addresses that it may use in From.
    #[schemars(length(min = 1, max = 100), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub from: Vec<String>,
}

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountRef {
    /// Its namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME_PATTERN))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// What becomes of the Secrets that a resource made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They stay
    #[default]
    Retain,
    /// They go
    Delete,
}

/// What is true of a MailDomain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailDomainStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Programmed, DNSVerified, Ready.
    #[serde(default)]
    pub conditions: Conditions,
    /// The DNS records and their state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub records: Vec<RecordStatus>,
    /// The DKIM keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["selector"]))]
    pub keys: Vec<KeyStatus>,
    /// The MailServer that carries the domain: namespace/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub server: Option<String>,
    /// The ConfigMap with the records as a zone file and as a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone_config_map: Option<String>,
}

/// A DKIM key of the domain, from its making to its end. Never the private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyStatus {
    /// Under which its public key is published: 20261123-rsa.
    #[schemars(length(min = 1, max = 63))]
    pub selector: String,
    /// RSA or Ed25519.
    pub algorithm: Algorithm,
    /// Generated, Published (not seen yet), Active (it signs), Retiring (for mail under way), Revoked.
    pub state: KeyState,
    /// The Secret that it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// Since when it is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub since: Option<String>,
    /// The public key as its record has it, so that the record stays even if the Secret is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub public_key: Option<String>,
}

/// Where a key stands between its making and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KeyState {
    /// Its Secret is there or being made; nothing is published
    Generated,
    /// Its record is among those to publish, and not seen yet; it does not sign
    Published,
    /// It signs
    Active,
    /// It signs no more; its record stays for mail that is under way
    Retiring,
    /// Its record is gone
    Revoked,
}

/// The state of one DNS record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// Which record: spf, dmarc, dkim/20261123-rsa.
    #[schemars(length(max = 253))]
    pub id: String,
    /// The record's type.
    #[serde(rename = "type")]
    #[schemars(length(max = 10))]
    pub kind: String,
    /// Verified, Missing, Different, Unknown.
    #[schemars(length(max = 32))]
    pub state: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub since: Option<String>,
    /// The value wanted; only of records that fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
}
