//! BIND and PowerDNS (Debian: bind9, pdns-server) in place of two of the node's name servers, each with an empty zone
//! that others fill.

use std::{fs, path::Path};

use paquebot_tests::{
    cluster::{Cluster, NAME_SERVERS, Namespace, Place, Process, wait_for, wait_until, wait_within},
    operator::NEXT_LOOK,
    tool,
};

/// BIND's zone.
pub const BIND_ZONE: &str = "bind.example";
/// PowerDNS' zone.
pub const POWER_ZONE: &str = "power.example";
/// Where BIND answers: it is ns2.test.
pub const BIND: &str = NAME_SERVERS[1];
/// Where PowerDNS answers: it is ns3.test.
pub const POWER: &str = NAME_SERVERS[2];
/// PowerDNS' API.
pub const POWER_API: &str = "http://127.0.0.1:8081";
/// The word that opens it.
pub const POWER_KEY: &str = "of-the-tests";

/// Prints what a server answers.
const ANSWERS: &str = "import sys, dns.message, dns.query\n\
    question = dns.message.make_query(sys.argv[2], sys.argv[3])\n\
    answer = dns.query.tcp(question, sys.argv[1], timeout=5)\n\
    print('\\n'.join(str(it) for found in answer.answer for it in found))";

/// BIND; ns2 must be stopped.
pub fn bind(cluster: &Cluster, folder: &Path) -> Process {
    let path = folder.display();
    fs::write(folder.join("zone"), "$TTL 60\n@ IN SOA ns2.test. hostmaster.test. 1 60 60 60 60\n@ IN NS ns2.test.\n")
        .unwrap();
    let configuration = format!(
        "options {{ directory \"{path}\"; listen-on {{ {BIND}; }}; listen-on-v6 {{ none; }}; recursion no; \
         pid-file none; session-keyfile none; dnssec-validation no; }};\ncontrols {{ }};\n\
         zone \"{BIND_ZONE}\" {{ type primary; file \"zone\"; allow-update {{ any; }}; allow-transfer {{ any; }}; }};\n"
    );
    fs::write(folder.join("named.conf"), configuration).unwrap();
    let file = folder.join("named.conf").display().to_string();
    let named =
        cluster.spawn(Place::Node, "/usr/sbin/named", &["-g", "-n", "1", "-c", &file], &[], &folder.join("log"));
    serves(cluster, BIND, BIND_ZONE);
    named
}

/// PowerDNS; ns3 must be stopped.
pub fn power(cluster: &Cluster, folder: &Path) -> Process {
    let path = folder.display().to_string();
    let configuration = format!(
        "launch=lmdb\nlmdb-filename={path}/zones\nlmdb-shards=1\nlmdb-map-size=16\nlocal-address={POWER}\nsocket-dir={path}\nallow-axfr-ips=0.0.0.0/0\n\
         cache-ttl=0\nnegquery-cache-ttl=0\nquery-cache-ttl=0\n\
         api=yes\napi-key={POWER_KEY}\nwebserver-address=127.0.0.1\nwebserver-port=8081\n"
    );
    fs::write(folder.join("pdns.conf"), configuration).unwrap();
    let at = format!("--config-dir={path}");
    tool::must("pdnsutil", &[&at, "create-zone", POWER_ZONE, "ns3.test"], b"");
    let words = [at.as_str(), "--daemon=no", "--guardian=no", "--disable-syslog=yes", "--write-pid=no"];
    let power = cluster.spawn(Place::Node, "/usr/sbin/pdns_server", &words, &[], &folder.join("log"));
    serves(cluster, POWER, POWER_ZONE);
    power
}

fn serves(cluster: &Cluster, server: &str, zone: &str) {
    wait_until(&format!("{server} serves {zone}"), || {
        said_by(cluster, ANSWERS, &[server, zone, "SOA"]).is_some_and(|it| !it.is_empty())
    });
}

/// What a server answers to a question: the values, in order.
pub fn answers(cluster: &Cluster, server: &str, name: &str, kind: &str) -> Vec<String> {
    lines(cluster, ANSWERS, &[server, name, kind])
}

/// All names of a zone that have a record, by a zone transfer.
pub fn names(cluster: &Cluster, server: &str, zone: &str) -> Vec<String> {
    const SCRIPT: &str = "import sys, dns.query, dns.zone\n\
        zone = dns.zone.from_xfr(dns.query.xfr(sys.argv[1], sys.argv[2], timeout=5, relativize=False), \
        relativize=False, check_origin=False)\n\
        print('\\n'.join(str(name) for name in zone))";
    lines(cluster, SCRIPT, &[server, zone])
}

/// Removes one record by hand (RFC 2136 2.5.4).
pub fn remove(cluster: &Cluster, server: &str, zone: &str, name: &str, kind: &str, value: &str) {
    const SCRIPT: &str = "import sys, dns.query, dns.update\n\
        update = dns.update.Update(sys.argv[2])\n\
        update.delete(sys.argv[3] + '.', sys.argv[4], sys.argv[5])\n\
        print(dns.query.tcp(update, sys.argv[1], timeout=5).rcode())";
    assert_eq!(lines(cluster, SCRIPT, &[server, zone, name, kind, value]), ["0"]);
}

/// What a Python program prints, sorted; it is run until it succeeds.
fn lines(cluster: &Cluster, script: &str, words: &[&str]) -> Vec<String> {
    wait_for(&format!("an answer about {words:?}"), || said_by(cluster, script, words))
}

/// The same of one run; none where it fails.
fn said_by(cluster: &Cluster, script: &str, words: &[&str]) -> Option<Vec<String>> {
    let ran = cluster.exec(Place::Node, "/usr/bin/python3", &[&["-c", script][..], words].concat(), b"");
    let mut lines: Vec<String> = ran.text().lines().filter(|it| !it.is_empty()).map(str::to_owned).collect();
    lines.sort();
    (ran.code == 0).then_some(lines)
}

/// Waits until a condition of an object, which follows from a look at the name servers, says all of these words.
pub fn said(namespace: &Namespace<'_>, object: &str, condition: &str, words: &[&str]) {
    let path = format!("{{.status.conditions[?(@.type==\"{condition}\")].message}}");
    let mut last = String::new();
    wait_within(NEXT_LOOK, &format!("{object} {condition}: {words:?}"), || {
        let now = namespace.field(object, &path).unwrap_or_default();
        if now != last {
            println!("{object} {condition}: {now}");
            last = now;
        }
        words.iter().all(|word| last.contains(word)).then_some(())
    });
}
