//! What must hold of a MailDomain: the schema's CEL rules once more, and what CEL cannot say.
//!
//! Findings are pairs: the field's path, and what is wrong: what to write instead.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use paquebot_mta_api::address::{Address, DOMAIN_OCTETS_MAX, Domain};

use super::spf;
use crate::{
    api::{
        MailDomain,
        domain::{Algorithm, Spf},
        units::GoDuration,
    },
    load::schema::Finding,
};

/// The shortest rotation: a key must be seen by every resolver before it signs and long after.
const ROTATION_HOURS_MIN: u64 = 24;

/// Octets of `20261123-ed25519._domainkey.` before the domain: the longest name that is made.
const KEY_PREFIX_OCTETS: usize = 28;

/// What an edit may not do: the schema's transition rules once more.
pub fn change(old: &MailDomain, new: &MailDomain) -> Vec<Finding> {
    if old.spec.server_ref == new.spec.server_ref {
        return Vec::new();
    }
    let message = "serverRef cannot be changed, because the mail stays on its server: delete the MailDomain and make it again with the other serverRef";
    vec![("spec.serverRef".to_owned(), message.to_owned())]
}

/// What is wrong with it by itself.
pub fn validate(domain: &MailDomain) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |path: String, message: String| findings.push((path, message));
    let text = domain.metadata.name.as_deref().unwrap_or_default();
    let name = match text.parse::<Domain>() {
        Ok(name) if name.as_str() == text && text.contains('.') && !is_address(text) => name,
        Ok(name) if name.as_str() != text => {
            report("metadata.name".into(), format!("{text:?} is not in lower case and A-labels: write {name}"));
            return findings;
        }
        _ => {
            report("metadata.name".into(), format!("{text:?} is not a mail domain: write it as example.com"));
            return findings;
        }
    };
    for (path, message) in too_long(domain, &name) {
        report(path, message);
    }
    for (index, key) in domain.spec.dkim.keys.iter().enumerate() {
        if key.algorithm != Algorithm::Rsa && key.bits.is_some() {
            report(
                format!("spec.dkim.keys[{index}].bits"),
                "bits is for RSA only: leave it out, an Ed25519 key has one size".into(),
            );
        }
    }
    if let Some(message) = bad_rotation(&domain.spec.dkim.rotation_period) {
        report("spec.dkim.rotationPeriod".into(), message);
    }
    for (path, message) in bad_spf(&domain.spec.spf, &name) {
        report(path, message);
    }
    let mut locals = HashSet::new();
    for (index, alias) in domain.spec.aliases.iter().enumerate() {
        if !locals.insert(alias.name.to_lowercase()) {
            let message = format!("{:?} stands twice, case does not count: keep one", alias.name);
            report(format!("spec.aliases[{index}].name"), message);
        }
        if let Err(fault) = Address::new(&alias.name, name.clone()) {
            report(format!("spec.aliases[{index}].name"), fault.to_string());
        }
        for (target, text) in alias.to.iter().enumerate() {
            if let Err(fault) = text.parse::<Address>() {
                report(format!("spec.aliases[{index}].to[{target}]"), fault.to_string());
            }
        }
    }
    if let Some(Err(fault)) = domain.spec.catch_all.as_deref().map(str::parse::<Address>) {
        report("spec.catchAll".into(), fault.to_string());
    }
    for (path, uris) in [("rua", &domain.spec.dmarc.rua), ("ruf", &domain.spec.dmarc.ruf)] {
        for (index, uri) in uris.iter().enumerate() {
            if let Err(fault) = uri.trim_start_matches("mailto:").parse::<Address>() {
                report(format!("spec.dmarc.{path}[{index}]"), fault.to_string());
            }
        }
    }
    for (path, message) in bad_senders(domain, &name) {
        report(path, message);
    }
    for (index, resolver) in domain.spec.dns.verification.resolvers.iter().enumerate() {
        if let Err(fault) = crate::dns::resolver_address(resolver) {
            report(format!("spec.dns.verification.resolvers[{index}]"), fault.to_string());
        }
    }
    findings
}

/// Names of records that would not fit into the DNS (RFC 1035 §2.3.4).
fn too_long(domain: &MailDomain, name: &Domain) -> Vec<Finding> {
    let octets = name.as_str().len();
    let mut findings = Vec::new();
    if octets + KEY_PREFIX_OCTETS > DOMAIN_OCTETS_MAX {
        let most = DOMAIN_OCTETS_MAX - KEY_PREFIX_OCTETS;
        let message = format!(
            "has {octets} characters, and the names of its DKIM records would not fit into the DNS: use at most {most}"
        );
        findings.push(("metadata.name".to_owned(), message));
    }
    for (index, key) in domain.spec.dkim.imported.iter().enumerate() {
        if octets + key.selector.len() + "._domainkey.".len() > DOMAIN_OCTETS_MAX {
            let path = format!("spec.dkim.imported[{index}].selector");
            findings.push((path, "makes a name that does not fit into the DNS: use a shorter selector".to_owned()));
        }
    }
    for (tag, uris) in [("rua", &domain.spec.dmarc.rua), ("ruf", &domain.spec.dmarc.ruf)] {
        for (index, uri) in uris.iter().enumerate() {
            let target = uri.rsplit_once('@').map_or(0, |(_, target)| target.len());
            if octets + target + "._report._dmarc.".len() > DOMAIN_OCTETS_MAX {
                let path = format!("spec.dmarc.{tag}[{index}]");
                findings.push((
                    path,
                    "needs a permission whose name does not fit into the DNS: use a shorter domain".to_owned(),
                ));
            }
        }
    }
    findings
}

/// 192.0.2.1 has the form of a domain name, and is none.
fn is_address(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

fn bad_rotation(period: &GoDuration) -> Option<String> {
    match period.value() {
        None => Some(format!("{:?} is not a length of time: write it as 2160h", period.0)),
        Some(value) if value.as_secs() < ROTATION_HOURS_MIN * 3600 => {
            Some(format!("{} is too short, resolvers would miss keys: write {ROTATION_HOURS_MIN}h or more", period.0))
        }
        Some(_) => None,
    }
}

fn bad_spf(spf: &Spf, name: &Domain) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, text) in spf.ip4.iter().enumerate() {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let fits = bits.parse::<u8>().is_ok_and(|it| it <= 32);
        if address.parse::<Ipv4Addr>().is_err() || !fits {
            let message = format!("{text:?} is not an IPv4 address or network: write it as 192.0.2.0/24");
            findings.push((format!("spec.spf.ip4[{index}]"), message));
        } else if bits == "0" {
            findings.push((
                format!("spec.spf.ip4[{index}]"),
                format!("{text:?} lets the whole Internet send: write your own networks"),
            ));
        }
    }
    for (index, text) in spf.ip6.iter().enumerate() {
        let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
        let fits = bits.parse::<u8>().is_ok_and(|it| it <= 128);
        if address.parse::<Ipv6Addr>().is_err() || !fits {
            let message = format!("{text:?} is not an IPv6 address or network: write it as 2001:db8::/32");
            findings.push((format!("spec.spf.ip6[{index}]"), message));
        } else if bits == "0" {
            findings.push((
                format!("spec.spf.ip6[{index}]"),
                format!("{text:?} lets the whole Internet send: write your own networks"),
            ));
        }
    }
    for (index, text) in spf.include.iter().enumerate().filter(|(_, text)| *text == name.as_str()) {
        findings.push((format!("spec.spf.include[{index}]"), format!("{text} would include itself: leave it out")));
    }
    let lookups = spf::lookups(spf);
    if lookups > spf::LOOKUPS_MAX {
        let message = format!(
            "costs {lookups} look-ups, and receivers make at most {} (RFC 7208 §4.6.4): leave includes out, or replace them by their ip4 and ip6",
            spf::LOOKUPS_MAX
        );
        findings.push(("spec.spf.include".into(), message));
    }
    findings
}

fn bad_senders(domain: &MailDomain, name: &Domain) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (sender, from) in domain.spec.senders.iter().enumerate() {
        for (index, text) in from.from.iter().enumerate() {
            let path = format!("spec.senders[{sender}].from[{index}]");
            match text.parse::<Address>() {
                Ok(address) if address.domain() == name => {}
                Ok(_) => findings
                    .push((path, format!("{text} is not in {name}: declare it in the MailDomain of its own domain"))),
                Err(fault) => findings.push((path, fault.to_string())),
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::MailDomainSpec;

    #[test]
    fn a_server_is_for_life() {
        let old = MailDomain::new("example.com", MailDomainSpec::default());
        let mut new = old.clone();
        assert_eq!(change(&old, &new), []);
        new.spec.server_ref.name = "other".to_owned();
        assert!(change(&old, &new)[0].1.contains("cannot be changed"));
    }

    #[test]
    fn names_fit_into_the_dns() {
        let label = "x".repeat(56);
        let fits = format!("{label}.{label}.{label}.{}", "y".repeat(54));
        assert_eq!(fits.len(), DOMAIN_OCTETS_MAX - KEY_PREFIX_OCTETS);
        assert_eq!(validate(&MailDomain::new(&fits, MailDomainSpec::default())), []);
        let found = validate(&MailDomain::new(&format!("{fits}z"), MailDomainSpec::default()));
        assert!(found[0].1.contains("use at most 225"), "{found:?}");
        let mut reports = MailDomain::new(&fits, MailDomainSpec::default());
        reports.spec.dmarc.rua = vec!["mailto:d@reports.example".to_owned()];
        assert_eq!(validate(&reports)[0].0, "spec.dmarc.rua[0]");
    }
}
