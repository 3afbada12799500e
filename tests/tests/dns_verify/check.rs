//! `paquebot dns check` as a person runs it, without a cluster.

use std::process::Output;

use paquebot_tests::program;

use super::world::{PORT, World, ns};

const YAML: &str = "
apiVersion: paquebot.dev/v1alpha1
kind: MailDomain
metadata: {name: example.com}
---
apiVersion: paquebot.dev/v1alpha1
kind: MailServer
metadata: {name: default}
spec: {egress: {publicAddresses: [192.0.2.10]}}
";

/// Runs it on this YAML, with the world's resolver.
async fn run(world: &World, yaml: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut command = tokio::process::Command::new(program("paquebot"));
    command.args(arguments).arg("-f").arg(&file);
    if arguments.contains(&"check") {
        let (resolver, port) = (world.resolver().to_string(), PORT.to_string());
        command.args(["--resolver", &resolver, "--authoritative-port", &port]);
    }
    command.output().await.unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[tokio::test]
async fn published_as_printed_ends_well_and_a_wrong_one_is_named() {
    let world = World::new(2, &[]).await;
    let printed = run(&world, YAML, &["dns"]).await;
    assert!(printed.status.success(), "{printed:?}");
    let carried = ns(2) + &text(&printed.stdout);
    let _first = world.serve(1, &carried).await;
    let second = world.serve(2, &carried).await;
    let fine = run(&world, YAML, &["dns", "check", "example.com"]).await;
    assert_eq!(fine.status.code(), Some(0), "{fine:?}");
    assert!(text(&fine.stdout).starts_with("STATE     TYPE  NAME"), "{fine:?}");
    assert!(text(&fine.stdout).contains("Verified  MX    example.com"), "{fine:?}");
    assert!(!text(&fine.stdout).contains("To mend"), "{fine:?}");
    assert!(text(&fine.stderr).contains("no DKIM record"), "{fine:?}");

    let wrong = carried.replace("p=none", "p=reject");
    second.replace(&[super::world::zone("example.com", &wrong)]).unwrap();
    let bad = run(&world, YAML, &["dns", "check"]).await;
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let said = text(&bad.stdout);
    assert!(said.contains("Different  TXT   _dmarc.example.com"), "{said}");
    assert!(said.contains("To mend:\n- TXT at _dmarc.example.com is not as wanted at ns2.example.net"), "{said}");
    assert!(text(&bad.stderr).contains("1 of "), "{bad:?}");

    let json = run(&world, YAML, &["dns", "check", "-o", "json"]).await;
    assert_eq!(json.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report[0]["domain"], &report[0]["verified"]), (&"example.com".into(), &false.into()));
    let records = report[0]["records"].as_array().unwrap();
    let dmarc = records.iter().find(|it| it["id"] == "dmarc").unwrap();
    assert_eq!((&dmarc["state"], &dmarc["servers"][1]["state"]), (&"Different".into(), &"Different".into()));
    assert_eq!(dmarc["servers"][1]["values"][0], "v=DMARC1; p=reject");
}

#[tokio::test]
async fn wrong_usage() {
    let world = World::new(0, &[]).await;
    for (arguments, yaml, word) in [
        (&["dns", "check", "example.net"][..], YAML, "not declared"),
        (&["dns", "check", "--resolver", "ns.example"], YAML, "ns.example"),
        (&["dns", "check"], "kind: Nothing", "problem"),
    ] {
        let ended = run(&world, yaml, arguments).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(text(&ended.stderr).contains(word), "{ended:?}");
    }
    // Neither YAML nor a cluster.
    for arguments in [&["dns", "check", "example.com"][..], &["dns"]] {
        let mut command = tokio::process::Command::new(program("paquebot"));
        let bare = command.args(arguments).env("KUBECONFIG", "/nowhere/kubeconfig").output().await.unwrap();
        assert!(bare.status.code() == Some(2) && text(&bare.stderr).contains("--file"), "{bare:?}");
    }
}
