//! Who gets in: the operator's certificate and no other; new files are taken up, bad ones refused.

use paquebot_mta::serve::{ServeError, Server};
use paquebot_tests::zones::Fault;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, EmailProtection, ServerAuth};
use tokio::time::timeout;

use super::bench::*;

#[tokio::test]
async fn only_the_operator_gets_in() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    assert_eq!(bench.operator().request("GET", "/v1/directory", b"").await?.0, 200);
    let (stranger, tls13) = (Authority::new(), &rustls::version::TLS13);
    let of = |wanted: &Wanted<'_>| bench.client_of(&bench.authority, wanted);
    let server = format!("urn:paquebot:mailserver:{SERVER}");
    for (who, client) in [
        ("nobody", Client::new(&bench, None, tls13)),
        ("another authority's operator", bench.client_of(&stranger, &OPERATOR)),
        ("a server", Client::new(&bench, Some(bench.authority.make_server()), tls13)),
        ("a server that is also a client", of(&Wanted { uri: &server, uses: &[ServerAuth, ClientAuth], ..OPERATOR })),
        ("an operator for servers only", of(&Wanted { uses: &[ServerAuth], ..OPERATOR })),
        ("an operator for mail only", of(&Wanted { uses: &[EmailProtection], ..OPERATOR })),
        ("an operator for nothing named", of(&Wanted { uses: &[], ..OPERATOR })),
        ("a client without a name", of(&Wanted { uri: "", ..OPERATOR })),
        ("a name that begins like it", of(&Wanted { uri: "urn:paquebot:operator2", ..OPERATOR })),
        ("a name in another case", of(&Wanted { uri: "urn:paquebot:OPERATOR", ..OPERATOR })),
        ("expired", of(&Wanted { expired: true, ..OPERATOR })),
        ("TLS 1.2", Client::new(&bench, Some(bench.authority.make(&OPERATOR)), &rustls::version::TLS12)),
    ] {
        let answer = client.request("GET", "/v1/directory", b"").await;
        assert!(answer.is_err(), "{who} got in: {answer:?}");
    }
    Ok(())
}

/// Until the files were read again.
async fn until(client: &Client, gets_in: bool) {
    let soon = async {
        while client.state().await.is_ok() != gets_in {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(WAIT_MAX, soon).await.expect("the files are read again");
}

#[tokio::test]
async fn authorities_are_replaced_while_it_runs() -> Result<(), Fault> {
    let (bench, next) = (Bench::start().await?, Authority::new());
    let (old, new) = (bench.operator(), bench.client_of(&next, &OPERATOR));
    assert!(old.state().await.is_ok() && new.state().await.is_err());
    let file = &bench.admin.client_authority;
    std::fs::write(file, bench.authority.pem() + &next.pem())?;
    until(&new, true).await;
    assert!(old.state().await.is_ok(), "both are trusted");
    // A bad one is refused: were it taken, the next good one would be told from it by nothing.
    std::fs::write(file, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")?;
    assert!(old.state().await.is_ok() && new.state().await.is_ok());
    std::fs::write(file, next.pem())?;
    until(&old, false).await;
    assert!(new.state().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn another_servers_certificate_is_not_served() -> Result<(), Fault> {
    let bench = Bench::start().await?;
    let mut config = bench.mta.config.clone();
    let admin = config.admin.as_mut().ok_or("no admin")?;
    admin.server = uuid::Uuid::from_u128(78);
    let folder = tempfile::tempdir()?;
    config.store = paquebot_mta_api::config::Store::Sqlite {
        directory: folder.path().join("store"),
        seal_key: folder.path().join("key"),
    };
    config.admin_socket = None;
    let Err(ServeError::AdminTls(error)) = Server::start(config).await else { return Err("it started".into()) };
    assert!(error.to_string().contains("does not name urn:paquebot:mailserver:"), "{error}");
    Ok(())
}
