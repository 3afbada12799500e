//! What is said in a small world, as a table; and the same over a real socket, to those who behave and those who don't.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use paquebot_mta_api::address::{Address, Domain};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    review::{Review, Verdict, World, review},
    serve::{PATH, serve},
};
use crate::api::{MailDomain, MailServer, Mailbox};

/// One MailServer `mail/main` that admits team shop, the domain `shop/example.com` on it with the mailbox `alice`.
struct Small {
    complete: bool,
    server: MailServer,
    domain: MailDomain,
    alice: Mailbox,
}

fn of<T: serde::de::DeserializeOwned>(kind: &str, namespace: &str, name: &str, spec: &str) -> T {
    let text = format!(
        "apiVersion: paquebot.dev/v1alpha1\nkind: {kind}\nmetadata: {{namespace: {namespace}, name: {name}}}\nspec: {spec}"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn domain(namespace: &str, name: &str, spec: &str) -> MailDomain {
    let main = "serverRef: {namespace: mail, name: main}";
    of("MailDomain", namespace, name, &format!("{{{main}, {spec}}}"))
}

fn mailbox(namespace: &str, name: &str, address: &str) -> Mailbox {
    of("Mailbox", namespace, name, &format!("{{address: '{address}'}}"))
}

const ALLOWED: &str = "allowedDomains: [{namespaceSelector: {matchLabels: {team: shop}}, domains: ['*']}]";

fn small() -> Small {
    let old = Some(Time(Timestamp::UNIX_EPOCH));
    let mut small = Small {
        complete: true,
        server: of("MailServer", "mail", "main", &format!("{{{ALLOWED}}}")),
        domain: domain("shop", "example.com", ""),
        alice: mailbox("shop", "alice", "alice@example.com"),
    };
    small.domain.metadata.uid = Some(Uuid::from_u128(1).to_string());
    small.alice.metadata.uid = Some(Uuid::from_u128(2).to_string());
    (small.domain.metadata.creation_timestamp, small.alice.metadata.creation_timestamp) = (old.clone(), old);
    small
}

impl World for Small {
    fn is_complete(&self) -> bool {
        self.complete
    }
    fn server(&self, namespace: &str, name: &str) -> Option<Arc<MailServer>> {
        ((namespace, name) == ("mail", "main")).then(|| Arc::new(self.server.clone()))
    }
    fn domains_of(&self, namespace: &str, name: &str) -> Vec<Arc<MailDomain>> {
        self.server(namespace, name).map(|_| Arc::new(self.domain.clone())).into_iter().collect()
    }
    fn domain(&self, namespace: &str, name: &str) -> Option<Arc<MailDomain>> {
        ((namespace, name) == ("shop", "example.com")).then(|| Arc::new(self.domain.clone()))
    }
    fn mailboxes(&self, namespace: &str, address: &Address) -> Vec<Arc<Mailbox>> {
        let alice = namespace == "shop" && address.folded().to_string() == "alice@example.com";
        alice.then(|| Arc::new(self.alice.clone())).into_iter().collect()
    }
    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        match namespace {
            "shop" | "twin" => Some(BTreeMap::from([("team".to_owned(), "shop".to_owned())])),
            "web" => Some(BTreeMap::new()),
            _ => None,
        }
    }
    fn holder(&self, _: &str, _: &str, _: &Domain) -> Option<Uuid> {
        None
    }
}

fn said(verdict: &Verdict) -> String {
    match (verdict.refusal.as_str(), verdict.warnings.join("; ")) {
        ("", warnings) if warnings.is_empty() => "allowed".to_owned(),
        ("", warnings) => format!("allowed, with a warning: {warnings}"),
        (refusal, _) => format!("refused: {refusal}"),
    }
}

#[test]
fn domains() {
    let world = small();
    let mut text = String::new();
    for (case, new) in [
        ("another one", domain("shop", "other.example", "")),
        ("of a namespace that is not admitted", domain("web", "other.example", "")),
        ("of a namespace that is not known yet", domain("new", "other.example", "")),
        ("a name that another namespace has", domain("twin", "example.com", "")),
        ("a wrong address in SPF", domain("shop", "other.example", "spf: {ip4: [300.0.0.1]}")),
        ("an alias with a Mailbox's name", {
            let mut new = domain("shop", "example.com", "aliases: [{name: Alice, to: [x@example.net]}]");
            new.metadata.uid = world.domain.metadata.uid.clone();
            new
        }),
        ("a server that is not there yet", of("MailDomain", "shop", "a.example", "{serverRef: {name: late}}")),
        ("the default server", of("MailDomain", "shop", "a.example", "{}")),
    ] {
        text.push_str(&format!("{case}: {}\n", said(&review(&Review::Domain(&new, None), &world))));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn edits() {
    let mut world = small();
    let old = world.domain.clone();
    let mut new = old.clone();
    new.spec.server_ref.name = "other".into();
    assert!(said(&review(&Review::Domain(&new, Some(&old)), &world)).contains("serverRef cannot be changed"));
    // Who was refused before can still label and mend.
    let twin = domain("twin", "example.com", "");
    assert_eq!(said(&review(&Review::Domain(&twin, Some(&twin)), &world)), "allowed");
    // Before all is read nothing is known of others, and the object itself is judged.
    world.complete = false;
    assert_eq!(said(&review(&Review::Domain(&twin, None), &world)), "allowed");
    let wrong = domain("shop", "other.example", "spf: {ip4: [300.0.0.1]}");
    assert!(said(&review(&Review::Domain(&wrong, None), &world)).starts_with("refused: spec.spf.ip4[0]"));
}

#[test]
fn servers_and_mailboxes() {
    let world = small();
    let mut text = String::new();
    let server = |spec: &str| of::<MailServer>("MailServer", "mail", "main", spec);
    for (case, new) in [
        ("admits nobody else", server("{}")),
        (
            "admits another domain",
            server(&ALLOWED.replace("'*'", "a.example").replace("allowed", "{allowed").replace("}]", "}]}")),
        ),
        ("another host name", server(&format!("{{hostname: mx.example.net, {ALLOWED}}}"))),
        ("two stores", server("{store: {sqlite: {}, postgres: {urlSecretRef: {name: a, key: b}}}}")),
        ("another store", server("{store: {postgres: {urlSecretRef: {name: a, key: b}}}}")),
    ] {
        text.push_str(&format!("{case}: {}\n", said(&review(&Review::Server(&new, Some(&world.server)), &world))));
    }
    for (case, new) in [
        ("another one", mailbox("shop", "bob", "bob@example.com")),
        ("an address that is taken", mailbox("shop", "alice-2", "ALICE@example.com")),
        ("in another namespace", mailbox("web", "eve", "eve@example.com")),
        ("a plus", mailbox("shop", "plus", "a+b@example.com")),
        ("no address", mailbox("shop", "none", "a b@example.com")),
    ] {
        text.push_str(&format!("{case}: {}\n", said(&review(&Review::Mailbox(&new, None), &world))));
    }
    insta::assert_snapshot!(text);
}

/// A webhook on a real socket.
struct Served {
    address: SocketAddr,
    client: Arc<rustls::ClientConfig>,
    certificates: watch::Sender<Arc<rustls::ServerConfig>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn certificate() -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

impl Served {
    async fn start() -> Self {
        let (server, client) = certificate();
        let (certificates, newest) = watch::channel(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let task = tokio::spawn(serve(listener, newest, Arc::new(small()), stop.clone()));
        Self { address, client, certificates, stop, task }
    }

    async fn connect(&self) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(self.client.clone()).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// Sends octets, reads to the end: status and body.
    async fn raw(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect().await.unwrap();
        let head = format!("{head}Host: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // Whoever refuses a body need not read it.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    async fn ask(&self, body: &Value) -> Value {
        let (status, answer) = self.raw(&format!("POST {PATH} HTTP/1.1\r\n"), body.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn asked(kind: &str, plural: &str, object: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "paquebot.dev", "version": "v1alpha1", "kind": kind},
            "resource": {"group": "paquebot.dev", "version": "v1alpha1", "resource": plural},
            "name": "x", "namespace": "twin", "operation": "CREATE", "userInfo": {"username": "alice"},
            "object": object, "oldObject": null, "dryRun": false,
        },
    })
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "paquebot.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn over_a_socket() {
    let served = Served::start().await;
    let main = json!({"serverRef": {"namespace": "mail", "name": "main"}});
    let answer =
        served.ask(&asked("MailDomain", "maildomains", object("MailDomain", "example.com", main.clone()))).await;
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    assert_eq!(answer["response"]["allowed"], false);
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains("another MailDomain, shop/example.com, has this name"), "{message}");
    let answer = served.ask(&asked("MailDomain", "maildomains", object("MailDomain", "b.example", main))).await;
    assert_eq!((&answer["response"]["allowed"], &answer["response"]["warnings"]), (&json!(true), &Value::Null));
    let late = object("Mailbox", "eve", json!({"address": "eve@example.com"}));
    let answer = served.ask(&asked("Mailbox", "mailboxes", late)).await;
    assert_eq!(answer["response"]["allowed"], true);
    assert!(
        answer["response"]["warnings"][0].as_str().unwrap().contains("no MailDomain example.com in namespace twin")
    );
    let mut gone = asked("MailDomain", "maildomains", Value::Null);
    gone["request"]["operation"] = json!("DELETE");
    assert_eq!(served.ask(&gone).await["response"]["allowed"], true);
    served.end().await;
}

#[tokio::test]
async fn garbage_gets_400() {
    let served = Served::start().await;
    let post = format!("POST {PATH} HTTP/1.1\r\n");
    let no_request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}).to_string();
    let pod = asked("Pod", "pods", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})).to_string();
    let no_spec = asked("Mailbox", "mailboxes", object("Mailbox", "x", json!({"address": 1}))).to_string();
    for body in ["", "{", "null", "[]", &no_request, &pod, &no_spec, &"[".repeat(100_000)] {
        let (status, answer) = served.raw(&post, body.as_bytes()).await;
        assert_eq!(status, 400, "{answer}");
        assert!(!answer.is_empty());
    }
    assert_eq!(served.raw("GET /validate HTTP/1.1\r\n", b"").await.0, 405);
    assert_eq!(served.raw("POST /mutate HTTP/1.1\r\n", b"").await.0, 404);
    let (status, _) = served.raw(&post, &vec![b' '; 9 * 1024 * 1024]).await;
    assert!(matches!(status, 413 | 0), "a body without end is cut off: {status}");
    let sound = asked("Mailbox", "mailboxes", object("Mailbox", "b", json!({"address": "b@example.com"})));
    assert_eq!(served.ask(&sound).await["response"]["allowed"], true, "and it still answers");
    served.end().await;
}

#[tokio::test]
async fn a_new_certificate_counts_at_the_next_connection() {
    let mut served = Served::start().await;
    let mut kept = served.connect().await.unwrap();
    let (server, client) = certificate();
    served.certificates.send(server).unwrap();
    assert!(served.connect().await.is_err(), "the old one is not served any more");
    served.client = client;
    served.connect().await.unwrap();
    // A connection that is open stays until the end, and the end does not wait for it.
    kept.write_all(b"POST ").await.unwrap();
    served.end().await;
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let served = Served::start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(format!("POST {PATH} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
    served.end().await;
}
