//! Specs that the API server must refuse, each with what it must say: the field, and our words.

/// One of them.
pub struct Bad {
    /// The kind.
    pub kind: &'static str,
    /// `metadata.name`.
    pub name: &'static str,
    /// `spec`, as YAML.
    pub spec: &'static str,
    /// What the API server must say.
    pub says: &'static [&'static str],
}

const fn domain(spec: &'static str, says: &'static [&'static str]) -> Bad {
    Bad { kind: "MailDomain", name: "example.com", spec, says }
}

const fn named(name: &'static str, says: &'static [&'static str]) -> Bad {
    Bad { kind: "MailDomain", name, spec: "{}", says }
}

const fn server(spec: &'static str, says: &'static [&'static str]) -> Bad {
    Bad { kind: "MailServer", name: "default", spec, says }
}

const fn mailbox(spec: &'static str, says: &'static [&'static str]) -> Bad {
    Bad { kind: "Mailbox", name: "alice", spec, says }
}

/// A name of 226 characters.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.com";

/// The table.
pub const BAD: &[Bad] = &[
    named("localhost", &["metadata.name is the domain itself: write it as example.com"]),
    named("com", &["metadata.name is the domain itself"]),
    named("192.0.2.1", &["metadata.name is an address, not a domain: write it as example.com"]),
    named(LONG, &["metadata.name is too long", "use at most 225 characters"]),
    domain("{dmarc: {policy: reject}}", &["spec.dmarc.policy", "\"None\", \"Quarantine\", \"Reject\""]),
    domain(
        "{dmarc: {subdomainPolicy: Block}}",
        &["spec.dmarc.subdomainPolicy", "\"None\", \"Quarantine\", \"Reject\""],
    ),
    domain("{dmarc: {polcy: Reject}}", &["unknown field \"spec.dmarc.polcy\""]),
    domain("{policy: Reject}", &["unknown field \"spec.policy\""]),
    domain("{dmarc: {rua: dmarc@example.com}}", &["spec.dmarc.rua", "must be of type array"]),
    domain(
        "{dmarc: {rua: [dmarc@example.com]}}",
        &["spec.dmarc.rua[0]", "not where reports go: write it as mailto:dmarc@example.com"],
    ),
    domain(
        "{dmarc: {ruf: ['https://example.com/']}}",
        &["spec.dmarc.ruf[0]", "not where reports go: write it as mailto:"],
    ),
    domain("{dmarc: {rua: ['mailto:a@b@example.com']}}", &["spec.dmarc.rua[0]", "not where reports go"]),
    domain("{dmarc: {rua: ['mailto:dmarc@exa mple.com']}}", &["spec.dmarc.rua[0]", "not where reports go"]),
    domain(
        "{dmarc: {rua: ['mailto:a@example.com', 'mailto:a@example.com']}}",
        &["spec.dmarc.rua[1]", "Duplicate value"],
    ),
    domain("{dmarc: {fo: x}}", &["spec.dmarc.fo", "not a list of 0, 1, d and s: write it as \"1\" or \"d:s\""]),
    domain("{dmarc: {fo: '1:'}}", &["spec.dmarc.fo", "not a list of 0, 1, d and s"]),
    domain("{dmarc: {fo: 1}}", &["spec.dmarc.fo", "must be of type string"]),
    domain("{dmarc: Reject}", &["spec.dmarc", "must be of type object"]),
    domain("{dkim: {keys: [{algorithm: rsa}]}}", &["spec.dkim.keys[0].algorithm", "\"RSA\", \"Ed25519\""]),
    domain(
        "{dkim: {keys: [{algorithm: RSA, bits: 1024}]}}",
        &["spec.dkim.keys[0].bits", "supported values: \"2048\", \"3072\", \"4096\""],
    ),
    domain("{dkim: {keys: [{algorithm: RSA, bits: '2048'}]}}", &["spec.dkim.keys[0].bits", "must be of type integer"]),
    domain(
        "{dkim: {keys: [{algorithm: Ed25519, bits: 2048}]}}",
        &["spec.dkim.keys[0]", "bits is for RSA only: leave it out"],
    ),
    domain("{dkim: {keys: [{bits: 2048}]}}", &["spec.dkim.keys[0].algorithm", "Required value"]),
    domain(
        "{dkim: {keys: [{algorithm: RSA}, {algorithm: RSA, bits: 4096}]}}",
        &["spec.dkim.keys[1]", "Duplicate value"],
    ),
    domain("{dkim: {keys: {algorithm: RSA}}}", &["unknown field \"spec.dkim.keys.algorithm\""]),
    domain("{dkim: {rotationPeriod: 90d}}", &["spec.dkim.rotationPeriod", "not a length of time: write it as 2160h"]),
    domain(
        "{dkim: {rotationPeriod: 1h}}",
        &["spec.dkim.rotationPeriod", "too short, resolvers would miss keys: write 24h or more"],
    ),
    domain("{dkim: {rotationPeriod: 90}}", &["spec.dkim.rotationPeriod", "must be of type string"]),
    domain(
        "{dkim: {imported: [{selector: S1, secretRef: {name: old, key: tls.key}}]}}",
        &["spec.dkim.imported[0].selector", "not a selector: write it as s1"],
    ),
    domain("{dkim: {imported: [{selector: s1}]}}", &["spec.dkim.imported[0].secretRef", "Required value"]),
    domain(
        "{dkim: {imported: [{selector: s1, secretRef: {name: Old, key: k}}]}}",
        &["spec.dkim.imported[0].secretRef.name", "not a name of a Kubernetes object"],
    ),
    domain(
        "{dkim: {imported: [{selector: s1, secretRef: {name: old, key: 'a/b'}}]}}",
        &["spec.dkim.imported[0].secretRef.key", "not a key of a Secret: write it as password"],
    ),
    domain(
        "{spf: {ip4: [192.0.2.0/33]}}",
        &["spec.spf.ip4[0]", "not an IPv4 address or network: write it as 192.0.2.0/24"],
    ),
    domain("{spf: {ip4: [300.0.0.1]}}", &["spec.spf.ip4[0]", "not an IPv4 address or network"]),
    domain("{spf: {ip4: ['2001:db8::1']}}", &["spec.spf.ip4[0]", "not an IPv4 address or network"]),
    domain("{spf: {ip4: [0.0.0.0/0]}}", &["spec.spf.ip4[0]", "lets the whole Internet send: write your own networks"]),
    domain(
        "{spf: {ip6: ['2001:db8::/129']}}",
        &["spec.spf.ip6[0]", "not an IPv6 address or network: write it as 2001:db8::/32"],
    ),
    domain("{spf: {ip6: [':::']}}", &["spec.spf.ip6[0]", "not an IPv6 address or network"]),
    domain("{spf: {ip6: ['::/0']}}", &["spec.spf.ip6[0]", "lets the whole Internet send"]),
    domain(
        "{spf: {include: ['include:example.net']}}",
        &["spec.spf.include[0]", "not a domain name: write it as _spf.example.com"],
    ),
    domain("{spf: {include: [example.com]}}", &["spec.spf.include has the domain itself: leave it out"]),
    domain(
        "{spf: {include: [a.net, b.net, c.net, d.net, e.net, f.net, g.net, h.net, i.net, j.net, k.net]}}",
        &["spec.spf", "receivers look up at most 10 names for SPF (RFC 7208 §4.6.4): leave includes out"],
    ),
    domain("{spf: {all: -all}}", &["spec.spf.all", "\"HardFail\", \"SoftFail\""]),
    domain("{aliases: [{name: info}]}", &["spec.aliases[0].to", "Required value"]),
    domain("{aliases: [{name: info, to: []}]}", &["spec.aliases[0].to", "should have at least 1 items"]),
    domain(
        "{aliases: [{name: info@example.com, to: [a@example.net]}]}",
        &["spec.aliases[0].name", "not the part of an address before the @: write it as info"],
    ),
    domain("{aliases: [{name: info, to: [alice]}]}", &["spec.aliases[0].to[0]", "should match '^[^@\\s]+@[^@\\s]+$'"]),
    domain(
        "{aliases: [{name: a, to: [x@example.net]}, {name: a, to: [y@example.net]}]}",
        &["spec.aliases[1]", "Duplicate value"],
    ),
    domain("{catchAll: '@example.com'}", &["spec.catchAll", "not an address: write it as alice@example.com"]),
    domain("{catchAll: true}", &["spec.catchAll", "must be of type string"]),
    domain(
        "{senders: [{serviceAccount: {name: web}, from: [a@example.com]}]}",
        &["spec.senders[0].serviceAccount.namespace", "Required value"],
    ),
    domain(
        "{senders: [{serviceAccount: {namespace: shop, name: web}, from: [a@example.net]}]}",
        &["spec.senders has an address in another domain: declare it in the MailDomain of its own domain"],
    ),
    domain(
        "{senders: [{serviceAccount: {namespace: shop, name: web}, from: [example.com]}]}",
        &["spec.senders[0].from[0]", "not an address: write it as alice@example.com"],
    ),
    domain(
        "{serverRef: {name: Main}}",
        &["spec.serverRef.name", "not a name of a Kubernetes object: write it as main"],
    ),
    domain("{serverRef: main}", &["spec.serverRef", "must be of type object"]),
    domain("{dns: {zonefile: {}}}", &["unknown field \"spec.dns.zonefile\""]),
    domain("{dns: {zoneFile: true}}", &["spec.dns.zoneFile", "must be of type object"]),
    domain("{dns: {dnsEndpoint: {txtFormat: quoted}}}", &["spec.dns.dnsEndpoint.txtFormat", "\"Quoted\", \"Plain\""]),
    domain("{dns: {verification: {mode: Off}}}", &["spec.dns.verification.mode", "\"Enabled\", \"Disabled\""]),
    domain(
        "{dns: {verification: {resolvers: [ns.example.net]}}}",
        &["spec.dns.verification.resolvers[0]", "no address of a resolver: write it as 192.0.2.53"],
    ),
    domain("{deletionPolicy: Keep}", &["spec.deletionPolicy", "\"Retain\", \"Delete\""]),
    server(
        "{hostname: mail}",
        &["spec.hostname", "not a domain name: write it as example.com, in lower case and A-labels"],
    ),
    server("{hostname: 'Mail.Example.com'}", &["spec.hostname", "not a domain name"]),
    server(
        "{replicas: 3}",
        &["spec", "SQLite serves one replica: set replicas to 1, or use store.postgres to have more"],
    ),
    server("{replicas: -1}", &["spec.replicas", "should be greater than or equal to 0"]),
    server("{replicas: 101}", &["spec.replicas", "should be less than or equal to 100"]),
    server("{replicas: 1.5}", &["spec.replicas", "must be of type integer"]),
    server("{store: {}}", &["spec.store", "a store is either sqlite or postgres: set exactly one of them"]),
    server(
        "{store: {sqlite: {}, postgres: {urlSecretRef: {name: a, key: b}}}}",
        &["spec.store", "a store is either sqlite or postgres"],
    ),
    server("{store: {mysql: {}}}", &["unknown field \"spec.store.mysql\""]),
    server(
        "{store: {sqlite: {volume: {size: 10GB}}}}",
        &["spec.store.sqlite.volume.size", "not a quantity: write it as 5Gi"],
    ),
    server(
        "{store: {sqlite: {volume: {size: -1}}}}",
        &["spec.store.sqlite.volume.size", "not a quantity: write it as 5Gi"],
    ),
    server(
        "{store: {sqlite: {volume: {size: 900Ei}}}}",
        &["spec.store.sqlite.volume.size", "too small or too large: write 1Mi to 7Ei"],
    ),
    server(
        "{tls: {}}",
        &["spec.tls", "a certificate comes from one place: set exactly one of secretRef, issuerRef, selfSigned"],
    ),
    server("{tls: {selfSigned: {}, secretRef: {name: a}}}", &["spec.tls", "a certificate comes from one place"]),
    server("{service: {type: Loadbalancer}}", &["spec.service.type", "\"LoadBalancer\", \"NodePort\", \"ClusterIP\""]),
    server(
        "{service: {proxyProtocol: {trustedCIDRs: [198.51.100.1]}}}",
        &["spec.service.proxyProtocol.trustedCIDRs[0]", "not a network: write it as 198.51.100.0/24"],
    ),
    server(
        "{service: {proxyProtocol: {trustedCIDRs: [0.0.0.0/0]}}}",
        &[
            "spec.service.proxyProtocol.trustedCIDRs[0]",
            "trusts the whole Internet: write the load balancers' own networks",
        ],
    ),
    server("{service: {proxyProtocol: {}}}", &["spec.service.proxyProtocol.trustedCIDRs", "Required value"]),
    server("{service: {annotations: {a: 1}}}", &["spec.service.annotations.a", "must be of type string"]),
    server(
        "{egress: {publicAddresses: [mail.example.com]}}",
        &["spec.egress.publicAddresses[0]", "not an IP address: write it as 192.0.2.10"],
    ),
    server(
        "{egress: {publicAddresses: ['0.0.0.0']}}",
        &["spec.egress.publicAddresses[0]", "not an address from which mail can leave"],
    ),
    server(
        "{allowedDomains: [{domains: ['*example.com']}]}",
        &[
            "spec.allowedDomains[0].domains[0]",
            "not a domain or a pattern of domains: write it as example.com, *.example.com or *",
        ],
    ),
    server("{allowedDomains: [{namespaceSelector: {}}]}", &["spec.allowedDomains[0].domains", "Required value"]),
    mailbox("{}", &["spec.address", "Required value"]),
    mailbox("{address: alice}", &["spec.address", "not an address: write it as alice@example.com"]),
    mailbox("{address: 'a b@example.com'}", &["spec.address", "not an address"]),
    mailbox(
        "{address: alice+x@example.com}",
        &["spec.address", "would be hidden, what follows a + is left out when mail arrives: write it without"],
    ),
    mailbox("{address: alice@example.com, quota: lots}", &["spec.quota", "not a quantity: write it as 5Gi"]),
    mailbox("{address: alice@example.com, quota: 1k}", &["spec.quota", "too small or too large: write 1Mi to 7Ei"]),
    mailbox("{address: alice@example.com, quota: 5}", &["spec.quota", "too small or too large"]),
    mailbox("{address: alice@example.com, password: secret}", &["unknown field \"spec.password\""]),
    mailbox(
        "{address: alice@example.com, passwordSecretRef: {name: alice}}",
        &["spec.passwordSecretRef.key", "Required value"],
    ),
    mailbox("{adress: alice@example.com}", &["unknown field \"spec.adress\""]),
];
