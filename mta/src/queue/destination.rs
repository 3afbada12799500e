//! Which group of destinations a domain belongs to, for metrics: a bounded list, never a stranger's domain.

/// Local mailboxes.
pub const LOCAL: &str = "local";
/// All that is not named below.
pub const OTHER: &str = "other";

/// Large providers by the registered domain of their mail hosts, and the group's name.
const PROVIDERS: &[(&str, &str)] = &[
    ("google.com", "google"),
    ("googlemail.com", "google"),
    ("outlook.com", "microsoft"),
    ("yahoodns.net", "yahoo"),
    ("icloud.com", "apple"),
    ("gmx.net", "gmx"),
    ("kundenserver.de", "ionos"),
    ("web.de", "gmx"),
    ("t-online.de", "telekom"),
    ("mail.ru", "mailru"),
    ("yandex.ru", "yandex"),
    ("yandex.net", "yandex"),
    ("qq.com", "tencent"),
    ("protonmail.ch", "proton"),
    ("zoho.com", "zoho"),
    ("messagingengine.com", "fastmail"),
];

/// The group of a next host, by its name: the mail of a thousand domains goes to one provider.
pub fn group(host: &str) -> &'static str {
    let is_below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    PROVIDERS.iter().find(|(domain, _)| is_below(domain)).map_or(OTHER, |(_, group)| group)
}

/// The class of a reply: `2xx`, `4xx`, `5xx`, or `none` without a reply.
pub fn code_class(code: Option<u16>) -> &'static str {
    match code {
        Some(200..=299) => "2xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        for (host, wanted) in [
            ("aspmx.l.google.com", "google"),
            ("example-org.mail.protection.outlook.com", "microsoft"),
            ("notgoogle.com", OTHER),
            ("google.com.evil.example", OTHER),
            ("google.com", "google"),
            ("mx.example.org", OTHER),
        ] {
            assert_eq!(group(host), wanted, "{host}");
        }
    }

    #[test]
    fn classes() {
        for (code, wanted) in
            [(Some(250), "2xx"), (Some(421), "4xx"), (Some(554), "5xx"), (Some(999), "none"), (None, "none")]
        {
            assert_eq!(code_class(code), wanted);
        }
    }
}
