//! BIND's `named` carries what we print, and behaves in ways that ours does not have (Debian: bind9).

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    process::{Child, Command, Stdio},
};

use paquebot::dns::verify::State;

use super::world::{World, carried, failing, records, zone};

/// It listens at addresses of interfaces only, which 127.0.0.1 is and its neighbours are not.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running `named`; ended when dropped.
struct Named {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Named {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free for UDP and TCP now.
fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((HOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind((HOST, port)).is_ok() {
            return port;
        }
    }
}

impl Named {
    /// Serves example.com.
    fn serve(text: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("paquebot-named-").tempdir().unwrap();
        let (path, port) = (folder.path().display().to_string(), free_port());
        fs::write(folder.path().join("zone"), format!("$TTL 60\n{text}")).unwrap();
        let configuration = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ {HOST}; }}; listen-on-v6 {{ none; }}; \
             recursion no; pid-file none; session-keyfile none; dnssec-validation no; }};\n\
             controls {{ }};\nzone \"example.com\" {{ type primary; file \"zone\"; }};\n"
        );
        fs::write(folder.path().join("named.conf"), configuration).unwrap();
        let process = Command::new("/usr/sbin/named")
            .args(["-g", "-n", "1", "-c"])
            .arg(folder.path().join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("named is missing: `make setup` installs it");
        let mut named = Self { process, port, folder };
        let began = std::time::Instant::now();
        while !named.log().contains("all zones loaded") {
            assert!(named.process.try_wait().unwrap().is_none(), "{}", named.log());
            assert!(began.elapsed().as_secs() < 30, "{}", named.log());
            paquebot_tests::pause();
        }
        named
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A resolver that names it as the only server of example.com.
    async fn world(&self) -> World {
        World::of(vec![HOST], self.port, &[]).await
    }
}

#[tokio::test]
async fn bind_serves_what_is_printed() {
    let named = Named::serve(&carried(1));
    let found = named.world().await.verify(records()).await;
    assert_eq!(failing(&found), []);
}

#[tokio::test]
async fn wildcards_answer_like_records() {
    let wild = carried(1).replace("_dmarc.example.com.", "*.example.com.");
    let named = Named::serve(&wild);
    assert_eq!(named.world().await.one("dmarc").await.state, State::Verified);
    // Also for names that should have something else.
    let without: String =
        wild.lines().filter(|it| !it.starts_with("20261123-ed25519.")).map(|it| format!("{it}\n")).collect();
    let named = Named::serve(&without);
    // *.example.com does not stand for what is below _domainkey, which is there by the other key.
    assert_eq!(named.world().await.one("dkim/20261123-ed25519").await.state, State::Missing);
    let named = Named::serve(&without.replace("*.example.com.", "*._domainkey.example.com."));
    let found = named.world().await.one("dkim/20261123-ed25519").await;
    assert_eq!(found.state, State::Different, "{found:?}");
}

#[tokio::test]
async fn bind_without_the_zone_is_lame() {
    let named = Named::serve(&carried(1));
    let mut other = records()[0].clone();
    other.name = "example.org".to_owned();
    let text = format!("@ 60 IN SOA ns1 a 1 60 60 60 60\n@ 60 IN NS ns1\nns1 60 IN A {HOST}\n");
    let found = World::of(vec![HOST], named.port, &[zone("example.org", &text)]).await.verify(&[other]).await;
    assert_eq!(found.records[0].state, State::Lame, "{found:?}");
    assert!(found.records[0].reason.as_ref().unwrap().contains("REFUSED"), "{found:?}");
}
