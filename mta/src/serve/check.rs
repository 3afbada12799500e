//! What is wrong with a configuration, before anything of it is done. Pure.

use std::collections::HashSet;

use paquebot_mta_api::config::{CONFIG_VERSION, Config};

use super::ServeError;
use crate::net::listener::implicit_tls;

/// Whether this configuration can be served.
pub fn check(config: &Config) -> Result<(), ServeError> {
    let wrong = |field: &str, advice: String| Err(ServeError::Config { field: field.to_owned(), advice });
    if config.version != CONFIG_VERSION {
        return wrong(
            "version",
            format!("this program reads version {CONFIG_VERSION}: write version: {CONFIG_VERSION}"),
        );
    }
    let mut addresses = HashSet::new();
    for (place, listener) in config.listeners.iter().enumerate() {
        if implicit_tls(listener.protocol) && config.tls.is_none() {
            let what = listener.protocol.name();
            return wrong("tls", format!("{what} begins with TLS: write tls.certificate and tls.key, PEM files"));
        }
        if listener.address.port() != 0 && !addresses.insert(listener.address) {
            let field = format!("listeners[{place}].address");
            return wrong(&field, format!("{} stands there twice: give each listener its own", listener.address));
        }
    }
    if config.admin.as_ref().is_some_and(|admin| admin.server.is_nil()) {
        return wrong("admin.server", "write the MailServer's UID: its certificate names it".into());
    }
    let limits = &config.limits;
    let at_least: [(&str, u64, u64); 5] = [
        ("messageBytes", limits.message_bytes, 64 * 1024),
        // RFC 5321 §4.5.3.1.8.
        ("recipients", limits.recipients.into(), 100),
        ("sessions", limits.sessions.into(), 1),
        ("sessionsPerAddress", limits.sessions_per_address.into(), 1),
        ("failedLogins", limits.failed_logins.into(), 1),
    ];
    for (field, value, least) in at_least {
        if value < least {
            return wrong(&format!("limits.{field}"), format!("{value} is too little: write {least} or more"));
        }
    }
    Ok(())
}

/// What a reload cannot change: its field, if there is one.
pub fn needs_restart(running: &Config, wanted: &Config) -> Option<&'static str> {
    [
        ("store", running.store != wanted.store),
        ("resolvers", running.resolvers != wanted.resolvers),
        ("delivery", running.delivery != wanted.delivery),
        ("metrics", running.metrics != wanted.metrics),
        ("admin", running.admin != wanted.admin),
        ("adminSocket", running.admin_socket != wanted.admin_socket),
        ("limits.failedLogins", running.limits.failed_logins != wanted.limits.failed_logins),
        ("limits.firstAttempts", running.limits.first_attempts != wanted.limits.first_attempts),
    ]
    .into_iter()
    .find_map(|(field, differs)| differs.then_some(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let head = "version: 1\nhostname: mail.example.com\nstore: {kind: sqlite, directory: /d, sealKey: /k}\n";
        serde_yaml::from_str(&format!("{head}{text}")).unwrap()
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        for (text, field) in [
            ("listeners: [{protocol: submissions, address: '127.0.0.1:0'}]", "tls"),
            (
                "listeners: [{protocol: smtp, address: '127.0.0.1:25'}, {protocol: pop3, address: '127.0.0.1:25'}]",
                "listeners[1].address",
            ),
            (
                "listeners: []\nadmin: {address: '127.0.0.1:0', certificate: /c, key: /k, clientAuthority: /a, \
                server: 00000000-0000-0000-0000-000000000000}",
                "admin.server",
            ),
            ("listeners: []\nlimits: {recipients: 5}", "limits.recipients"),
            ("listeners: []\nlimits: {messageBytes: 1}", "limits.messageBytes"),
            ("listeners: []\nlimits: {sessions: 0}", "limits.sessions"),
        ] {
            match check(&config(text)) {
                Err(ServeError::Config { field: found, .. }) => assert_eq!(found, field, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(check(&Config { version: 2, ..config("listeners: []") }).is_err());
        let two = "listeners: [{protocol: smtp, address: '127.0.0.1:0'}, {protocol: pop3, address: '127.0.0.1:0'}]";
        assert!(check(&config(two)).is_ok());
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let running = config("listeners: []");
        assert_eq!(needs_restart(&running, &running), None);
        let mut wanted = running.clone();
        wanted.limits.sessions = 7;
        wanted.hostname = "other.example.com".parse().unwrap();
        assert_eq!(needs_restart(&running, &wanted), None);
        wanted.delivery.port = 2525;
        assert_eq!(needs_restart(&running, &wanted), Some("delivery"));
    }
}
