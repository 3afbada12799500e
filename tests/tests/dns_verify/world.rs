//! A domain's records, a resolver that knows where its servers are, and what the servers carry.

use std::{net::IpAddr, sync::OnceLock, time::Duration};

use paquebot::{
    api::domain::{Algorithm, DkimKey},
    dns::{
        self, Record,
        verify::{Checked, Options, State, Verification},
    },
    domain,
    local::nameserver::{NameServer, Zone},
    server,
};
use paquebot_tests::system::own_address;

/// Above 1023, so that nobody needs to be root; the addresses are the test's own.
pub const PORT: u16 = 2053;

/// When a server counts as silent; another one may have to answer in it.
const SOON: Duration = Duration::from_secs(1);

const YAML: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
spec: {dmarc: {policy: Reject, rua: ['mailto:d@reports.example']}, dkim: {keys: [{algorithm: RSA, bits: 4096}, {algorithm: Ed25519}]}}
---
apiVersion: paquebot.dev/v1alpha1
kind: MailServer
metadata: {name: default}
spec: {egress: {publicAddresses: [192.0.2.10, 192.0.2.11, '2001:db8::10']}}
";

/// The records of example.com: two keys, the long one above what a datagram carries with room to spare.
pub fn records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    RECORDS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mail.yaml"), YAML).unwrap();
        let resources = paquebot::load::load(&[folder.path().to_owned()]).unwrap();
        let domain = &resources.domains[0].object;
        let facts = server::facts(resources.server(domain).unwrap(), &domain::name(domain).unwrap()).unwrap();
        let key = |algorithm, bits, selector| domain::keys::generate(selector, &DkimKey { algorithm, bits }).unwrap();
        let keys = [key(Algorithm::Rsa, Some(4096), "20261123-rsa"), key(Algorithm::Ed25519, None, "20261123-ed25519")];
        let public: Vec<_> = keys.iter().map(domain::keys::KeyPair::public_key).collect();
        domain::records(domain, &facts, &public)
    })
}

pub fn zone(origin: &str, text: &str) -> Zone {
    Zone { origin: origin.to_owned(), text: text.to_owned() }
}

/// NS records for so many servers; their names lie in another zone.
pub fn ns(count: usize) -> String {
    let lines: String = (1..=count).map(|number| format!("@ 60 IN NS ns{number}.example.net.\n")).collect();
    format!("@ 60 IN SOA ns1.example.net. hostmaster.example.net. 1 60 60 60 60\n{lines}")
}

/// What an authoritative server carries when all is well.
pub fn carried(count: usize) -> String {
    ns(count) + &dns::zone_text(records())
}

/// A resolver for servers at these addresses, with more zones.
pub struct World {
    resolver: NameServer,
    /// The addresses of the servers: ns1, ns2 and so on.
    pub servers: Vec<IpAddr>,
    port: u16,
    wait: Duration,
}

impl World {
    /// A resolver that names so many servers, each at an address of its own.
    pub async fn new(count: usize, more: &[Zone]) -> Self {
        Self::of((0..count).map(|_| own_address()).collect(), PORT, more).await
    }

    /// A resolver that names these servers, all at one port.
    pub async fn of(servers: Vec<IpAddr>, port: u16, more: &[Zone]) -> Self {
        let count = servers.len();
        let addresses: String =
            servers.iter().zip(1..).map(|(address, number)| format!("ns{number} 60 IN A {address}\n")).collect();
        let permission = "example.com._report._dmarc 60 IN TXT \"v=DMARC1\"\n";
        let local = own_address();
        let reports = format!("@ 60 IN SOA ns a 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A {local}\n{permission}");
        let mut zones = vec![
            zone("example.com", &ns(count)),
            zone("example.net", &format!("{addresses}ns-empty 60 IN TXT x\n")),
            zone("reports.example", &reports),
        ];
        for it in more {
            zones.retain(|zone| zone.origin != it.origin);
            zones.push(it.clone());
        }
        // It is the authority of reports.example, too.
        let resolver = NameServer::start((local, port).into(), &zones).await.unwrap();
        Self { resolver, servers, port, wait: Duration::from_secs(5) }
    }

    /// Does not wait long: a server that is silent, or not heard, is expected.
    pub fn impatient(self) -> Self {
        Self { wait: SOON, ..self }
    }

    /// Starts server number `number`, from 1, with what it carries.
    pub async fn serve(&self, number: usize, text: &str) -> NameServer {
        NameServer::start((self.servers[number - 1], PORT).into(), &[zone("example.com", text)]).await.unwrap()
    }

    pub async fn verify(&self, records: &[Record]) -> Verification {
        let options = Options { authoritative_port: self.port, wait: self.wait, ..options() };
        dns::verify::verify(records, &[self.resolver.address()], &options).await
    }

    /// The same with nothing but one record.
    pub async fn one(&self, id: &str) -> Checked {
        let record = records().iter().find(|record| record.id == id).unwrap().clone();
        self.verify(&[record]).await.records.remove(0)
    }

    pub fn resolver(&self) -> std::net::SocketAddr {
        self.resolver.address()
    }
}

/// For a server that is silent, and others that are not.
pub fn options() -> Options {
    Options { authoritative_port: PORT, wait: SOON, deadline: Duration::from_secs(60) }
}

/// Those that are not verified: id, state, and what is said.
pub fn failing(verification: &Verification) -> Vec<(String, State, String)> {
    let failing = verification.records.iter().filter(|it| it.state != State::Verified);
    failing.map(|it| (it.id.clone(), it.state, it.reason.clone().unwrap_or_default())).collect()
}
