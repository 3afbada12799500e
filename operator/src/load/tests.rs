//! Bad input: each case with its exact messages in the snapshot, and the limits.

use std::{fs, path::Path};

use super::*;

const DOMAIN: &str = "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\n";
const SERVER: &str = "apiVersion: paquebot.dev/v1alpha1\nkind: MailServer\nmetadata: {name: default}\n";
const MAILBOX: &str = "apiVersion: paquebot.dev/v1alpha1\nkind: Mailbox\nmetadata: {name: alice}\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: alice}\n";

/// Specs of a MailDomain.
const DOMAIN_SPECS: &[&str] = &[
    "{dmarc: {policy: reject}}",
    "{dmarc: {policy: Block}}",
    "{dmarc: {polcy: Reject}}",
    "{policy: Reject}",
    "{dmarc: {rua: dmarc@example.com}}",
    "{dmarc: {rua: [dmarc@example.com]}}",
    "{dmarc: {rua: ['mailto:a@b@example.com']}}",
    "{dmarc: {rua: ['mailto:dmarc@exa mple.com']}}",
    "{dmarc: {fo: 1}}",
    "{dmarc: {fo: x}}",
    "{dmarc: Reject}",
    "{dmarc: {rua: ['mailto:a@example.com', 'mailto:a@example.com']}}",
    "{dkim: {keys: [{algorithm: rsa}]}}",
    "{dkim: {keys: [{algorithm: RSA, bits: 1024}]}}",
    "{dkim: {keys: [{algorithm: RSA, bits: '2048'}]}}",
    "{dkim: {keys: [{algorithm: Ed25519, bits: 2048}]}}",
    "{dkim: {keys: [{bits: 2048}]}}",
    "{dkim: {keys: [{algorithm: RSA}, {algorithm: RSA, bits: 4096}]}}",
    "{dkim: {keys: {algorithm: RSA}}}",
    "{dkim: {rotationPeriod: 90d}}",
    "{dkim: {rotationPeriod: 1h}}",
    "{dkim: {rotationPeriod: 90}}",
    "{dkim: {imported: [{selector: S1, secretRef: {name: old, key: tls.key}}]}}",
    "{dkim: {imported: [{selector: s1, secretRef: {name: old, key: tls.key}}]}}",
    "{dkim: {imported: [{selector: s1}]}}",
    "{spf: {ip4: [192.0.2.0/33]}}",
    "{spf: {ip4: [300.0.0.1]}}",
    "{spf: {ip4: [0.0.0.0/0]}}",
    "{spf: {ip4: ['2001:db8::1']}}",
    "{spf: {ip6: ['2001:db8::/129']}}",
    "{spf: {include: ['include:example.net']}}",
    "{spf: {include: [example.com]}}",
    "{spf: {include: [a.net, b.net, c.net, d.net, e.net, f.net, g.net, h.net, i.net, j.net, k.net]}}",
    "{spf: {all: -all}}",
    "{aliases: [{name: info}]}",
    "{aliases: [{name: info, to: []}]}",
    "{aliases: [{name: info@example.com, to: [a@example.net]}]}",
    "{aliases: [{name: info, to: [nobody@example.com]}]}",
    "{aliases: [{name: info, to: [postmastr@example.com]}]}",
    "{aliases: [{name: info, to: [alice]}]}",
    "{aliases: [{name: a, to: [b@example.com]}, {name: b, to: [a@example.com]}]}",
    "{aliases: [{name: a, to: [x@example.net]}, {name: A, to: [x@example.net]}]}",
    "{catchAll: nobody@example.com}",
    "{catchAll: '@example.com'}",
    "{catchAll: true}",
    "{senders: [{serviceAccount: {name: web}, from: [a@example.com]}]}",
    "{senders: [{serviceAccount: {namespace: shop, name: web}, from: [a@example.net]}]}",
    "{serverRef: {name: main}}",
    "{serverRef: {name: default, namespace: other}}",
    "{serverRef: {name: Main}}",
    "{serverRef: main}",
    "{dns: {zonefile: {}}}",
    "{dns: {zoneFile: true}}",
    "{dns: {zoneFile: {path: x}}}",
    "{dns: {verification: {resolvers: [ns.example.net]}}}",
    "{deletionPolicy: Keep}",
    "{\"a\\nb\\e[2J\": 1}",
    "[]",
    "'text'",
];

/// Specs of a MailServer.
const SERVER_SPECS: &[&str] = &[
    "{hostname: mail}",
    "{hostname: 'Mail.Example.com'}",
    "{replicas: 3}",
    "{replicas: -1}",
    "{replicas: 101}",
    "{replicas: 1.5}",
    "{replicas: many}",
    "{store: {}}",
    "{store: {sqlite: {}, postgres: {urlSecretRef: {name: a, key: b}}}}",
    "{store: {mysql: {}}}",
    "{store: {sqlite: {volume: {size: 10GB}}}}",
    "{store: {sqlite: {volume: {size: -1}}}}",
    "{tls: {}}",
    "{tls: {selfSigned: {}, secretRef: {name: a}}}",
    "{service: {type: Loadbalancer}}",
    "{service: {proxyProtocol: {trustedCIDRs: [198.51.100.1]}}}",
    "{service: {proxyProtocol: {trustedCIDRs: [0.0.0.0/0]}}}",
    "{service: {proxyProtocol: {}}}",
    "{service: {annotations: {a: 1}}}",
    "{service: {externalTrafficPolicy: local}}",
    "{service: {loadBalancerClass: 'a b'}}",
    "{service: {loadBalancerSourceRanges: [198.51.100.1]}}",
    "{service: {loadBalancerSourceRanges: [198.51.100.1/99]}}",
    "{service: {nodePorts: {smtp: 70000}}}",
    "{limits: {messageSize: 1k}}",
    "{limits: {recipients: 10}}",
    "{limits: {drain: 1h}}",
    "{pod: {image: 'a b'}}",
    "{pod: {resources: {requests: {memory: 1 GB}}}}",
    "{pod: {affinity: {nodeAffinty: {}}}}",
    "{pod: {tolerations: [{key: a, efect: NoSchedule}]}}",
    "{pod: {tolerations: {key: a}}}",
    "{pod: {topologySpreadConstraints: [{maxSkew: one}]}}",
    "{pod: {imagePullSecrets: [{name: a}, {name: a}]}}",
    "{pod: {nodeSelctor: {}}}",
    "{egress: {publicAddresses: [mail.example.com]}}",
    "{egress: {publicAddresses: ['0.0.0.0']}}",
    "{allowedDomains: [{domains: ['*example.com']}]}",
    "{allowedDomains: [{namespaceSelector: {}}]}",
    "{allowedDomains: [{domains: [example.net]}]}",
];

/// Specs of a Mailbox.
const MAILBOX_SPECS: &[&str] = &[
    "{}",
    "{address: alice}",
    "{address: alice@example.org}",
    "{address: alice@exmple.com}",
    "{address: 'a b@example.com'}",
    "{address: alice+x@example.com}",
    "{address: alice@example.com, quota: lots}",
    "{address: alice@example.com, quota: 1k}",
    "{address: alice@example.com, password: secret}",
    "{address: alice@example.com, passwordSecretRef: {name: alice}}",
    "{address: alice@example.com, passwordSecretRef: {name: alice, key: password}}",
    "{adress: alice@example.com}",
];

/// Whole files.
const FILES: &[&str] = &[
    "kind: MailDomain",
    "apiVersion: paquebot.dev/v1\nkind: MailDomain\nmetadata: {name: example.com}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: Maildomain\nmetadata: {name: example.com}",
    "apiVersion: apps/v1\nkind: Deployment",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: Example.com}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: bücher.example}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: localhost}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: 192.0.2.1}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example..com}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: -x.com}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com, namspace: mail}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com, namespace: a.b}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com, labels: {a: 1}}",
    "apiVersion: paquebot.dev/v1alpha1\nkind: MailDomain\nmetadata: {name: example.com}\nsepc: {}",
    "just text",
    "- a\n- b",
    "a: b: c",
    "a:\n\tb: c",
    "a: [1, 2",
    "a: 'x",
    "a: 1\na: 2",
    "1: 2",
    "a: !thing x",
    "a: .nan",
    "a: *nothing",
];

fn report(text: &str) -> String {
    match load_text(Path::new("mail.yaml"), text) {
        Ok(_) => "  (no problem)\n".to_owned(),
        Err(problems) => problems.iter().map(|problem| format!("  {problem}\n")).collect(),
    }
}

fn reports<'a>(cases: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = String::new();
    for (case, file) in cases {
        let report = report(&file);
        assert!(!report.contains("no problem"), "{case} was accepted");
        assert!(!report.contains('\x1b'), "{case} writes to the terminal");
        text.push_str(&format!("{}\n{report}", case.escape_debug()));
    }
    text
}

#[test]
fn bad_domains() {
    insta::assert_snapshot!(reports(DOMAIN_SPECS.iter().map(|spec| (*spec, format!("{DOMAIN}spec: {spec}\n")))));
}

#[test]
fn bad_servers() {
    let whole = |spec: &str| format!("{SERVER}spec: {spec}\n---\n{DOMAIN}");
    insta::assert_snapshot!(reports(SERVER_SPECS.iter().map(|spec| (*spec, whole(spec)))));
}

#[test]
fn bad_mailboxes() {
    let whole = |spec: &str| format!("{DOMAIN}---\n{MAILBOX}spec: {spec}\n");
    insta::assert_snapshot!(reports(MAILBOX_SPECS.iter().map(|spec| (*spec, whole(spec)))));
}

#[test]
fn bad_files() {
    insta::assert_snapshot!(reports(FILES.iter().map(|text| (*text, (*text).to_owned()))));
}

#[test]
fn bad_across_objects() {
    let alice =
        format!("{MAILBOX}spec: {{address: alice@example.com, passwordSecretRef: {{name: alice, key: password}}}}\n");
    let again = alice.replace("name: alice}\n", "name: other}\n").replace("alice@", "ALICE@");
    let cases = [
        ("domain twice", format!("{DOMAIN}---\n{DOMAIN}")),
        ("domain in two namespaces on one server", {
            let open = format!("{SERVER}spec: {{allowedDomains: [{{namespaceSelector: {{}}, domains: ['*']}}]}}\n");
            let there = DOMAIN.replace("example.com}", "example.com, namespace: other}");
            format!("{open}---\n{DOMAIN}---\n{there}spec: {{serverRef: {{name: default, namespace: default}}}}\n")
        }),
        ("secret twice", format!("{SECRET}---\n{SECRET}")),
        ("secret without the key", format!("{DOMAIN}---\n{SECRET}stringData: {{pasword: x}}\n---\n{alice}")),
        ("secret with an empty key", format!("{DOMAIN}---\n{SECRET}stringData: {{password: ''}}\n---\n{alice}")),
        (
            "secret in another namespace",
            format!(
                "{DOMAIN}---\n{}stringData: {{password: x}}\n---\n{alice}",
                SECRET.replace("alice}", "alice, namespace: other}")
            ),
        ),
        ("address twice", format!("{DOMAIN}---\n{SECRET}stringData: {{password: x}}\n---\n{alice}---\n{again}")),
        (
            "mailbox in another namespace",
            format!(
                "{DOMAIN}---\n{}spec: {{address: a@example.com}}\n",
                MAILBOX.replace("alice}", "alice, namespace: other}")
            ),
        ),
        (
            "mailbox and alias",
            format!(
                "{DOMAIN}spec: {{aliases: [{{name: Bob, to: [x@example.net]}}]}}\n---\n{MAILBOX}spec: {{address: bob@example.com}}\n"
            ),
        ),
        ("secret not base64", format!("{SECRET}data: {{password: 'hunter2!'}}\n")),
        ("secret not a text", format!("{SECRET}stringData: {{password: 31415926}}\n")),
        (
            "imported key that is none",
            format!(
                "{SECRET}stringData: {{key: x}}\n---\n{DOMAIN}spec: {{dkim: {{imported: [{{selector: s1, secretRef: {{name: alice, key: key}}}}]}}}}\n"
            ),
        ),
        (
            "two at once, in two documents",
            format!("{DOMAIN}spec: {{dmarc: {{policy: reject}}, spf: {{al: x}}}}\n---\n{MAILBOX}spec: {{}}\n"),
        ),
    ];
    let text = reports(cases.iter().map(|(name, text)| (*name, text.clone())));
    assert!(!text.contains("hunter2") && !text.contains("31415926"), "a secret's value is shown");
    insta::assert_snapshot!(text);
}

#[test]
fn lines_point_at_the_field() {
    let text =
        format!("# a comment\n{DOMAIN}---\n# another\n{MAILBOX}spec:\n  address: alice@example.com\n  quota: lots\n");
    let problems = load_text(Path::new("mail.yaml"), &text).unwrap_err();
    assert_eq!(problems[0].source.document, 2);
    assert_eq!(text.lines().nth(problems[0].source.line - 1), Some("  quota: lots"));
}

#[test]
fn what_is_written_in_other_ways() {
    for text in [
        DOMAIN.to_owned(),
        format!("\u{feff}---\n# only a comment\n---\n{DOMAIN}---\n"),
        format!("{DOMAIN}spec:\n"),
        format!("{DOMAIN}spec:\n  dmarc:\n  spf: {{}}\n"),
        format!("{DOMAIN}status: {{anything: goes}}\n"),
        DOMAIN.replace('\n', "\r\n"),
        "{\"apiVersion\": \"paquebot.dev/v1alpha1\", \"kind\": \"MailDomain\", \"metadata\": {\"name\": \"example.com\"}}".to_owned(),
        format!("{DOMAIN}spec: {{dmarc: &d {{policy: None}}, spf: {{}}}}\n"),
    ] {
        let resources = load_text(Path::new("mail.yaml"), &text).unwrap_or_else(|it| panic!("{text}: {it:?}"));
        assert_eq!(resources.domains.len(), 1, "{text}");
        assert_eq!(resources.domains[0].object.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(resources.servers.len(), 1, "the default server is made");
    }
}

#[test]
fn a_billion_laughs_end_at_a_limit() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (before, name) in
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["b", "c", "d", "e", "f", "g", "h", "i", "j"])
    {
        text.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", ")));
    }
    assert!(report(&text).contains("without aliases"), "{}", report(&text));
    // The same by long texts instead of many values.
    let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(", "));
    assert!(report(&long).contains("too many values"), "{}", report(&long));
    let deep = "[".repeat(10_000);
    assert!(report(&deep).contains("not YAML"));
    let deep_map = "{a: ".repeat(10_000);
    assert!(report(&deep_map).contains("not YAML"));
    let wide =
        format!("{DOMAIN}spec: {{{}}}\n", (0..60_000).map(|it| format!("f{it}: 1")).collect::<Vec<_>>().join(", "));
    assert!(report(&wide).contains("too many values"));
    assert!(report(&"---\na: 1\n".repeat(10_001)).contains("more than 10000 documents"));
}

#[test]
fn files_and_folders() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let said = |paths: &[PathBuf]| match load(paths) {
        Ok(resources) => format!("{} domains", resources.domains.len()),
        Err(problems) => problems[0].message.clone(),
    };
    assert!(said(&[at("absent")]).contains("name a file or a folder that exists"));
    assert!(said(&[base.path().to_owned()]).contains("has no .yaml"));
    fs::write(at("b.yaml"), DOMAIN).unwrap();
    fs::write(at(".hidden.yaml"), "a: [").unwrap();
    fs::write(at("note.txt"), "a: [").unwrap();
    fs::create_dir(at("sub")).unwrap();
    fs::write(at("sub/c.yaml"), "a: [").unwrap();
    assert_eq!(said(&[base.path().to_owned()]), "1 domains");
    assert_eq!(said(&[base.path().to_owned(), at("b.yaml")]), "1 domains", "named twice, read once");
    fs::write(at("b.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(said(&[at("b.yaml")]).contains("save it as UTF-8"));
    fs::File::create(at("b.yaml")).unwrap().set_len(5 * 1024 * 1024).unwrap();
    assert!(said(&[at("b.yaml")]).contains("split it into several files"));
    fs::create_dir(at("links")).unwrap();
    std::os::unix::fs::symlink(at("gone.yaml"), at("links/a.yaml")).unwrap();
    assert!(said(&[at("links")]).contains("cannot be read"), "a link that leads nowhere is no empty file");
    assert!(said(&["/dev/zero".into()]).contains("neither a file nor a folder"));
}

proptest::proptest! {
    /// Whatever is in the file: an answer, soon, and never a panic.
    #[test]
    fn any_text_gets_an_answer(text in "(?s).{0,200}") {
        let _ = load_text(Path::new("mail.yaml"), &text);
        let _ = load_text(Path::new("mail.yaml"), &format!("{DOMAIN}spec: {text}"));
    }
}
