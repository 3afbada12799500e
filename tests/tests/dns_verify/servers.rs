//! Servers that tell the truth, another one, or nothing.

use paquebot::dns::verify::{State, summary};

use super::{
    raw::{self, Raw},
    world::{World, carried, failing, ns, options, records, zone},
};

#[tokio::test]
async fn what_is_published_as_printed_is_verified() {
    let world = World::new(2, &[]).await;
    let _both = (world.serve(1, &carried(2)).await, world.serve(2, &carried(2)).await);
    let found = world.verify(records()).await;
    assert_eq!(failing(&found), []);
    assert!(found.holds() && found.records.len() == records().len());
    let own = found.records.iter().filter(|it| !it.elsewhere);
    assert!(own.clone().all(|it| it.servers.len() == 2 && it.zone.as_deref() == Some("example.com")));
    let said = summary(&found);
    assert_eq!(said.reason, "Verified");
    assert!(said.message.ends_with("by ns1.example.net, ns2.example.net"), "{}", said.message);
}

#[tokio::test]
async fn one_of_three_differs() {
    let world = World::new(3, &[]).await;
    let _good = (world.serve(1, &carried(3)).await, world.serve(3, &carried(3)).await);
    let old =
        carried(3).replace("p=reject", "p=none").replace(" MX   10 mail.example.com.", " MX   10 old.example.com.");
    let _old = world.serve(2, &old).await;
    let found = world.verify(records()).await;
    let failing = failing(&found);
    let states: Vec<_> = failing.iter().map(|(id, state, _)| (id.as_str(), *state)).collect();
    assert_eq!(states, [("mx/mail.example.com", State::Different), ("dmarc", State::Different)]);
    let place = format!("at ns2.example.net ({})", world.servers[1]);
    assert!(failing.iter().all(|(_, _, said)| said.contains(&place)), "{failing:?}");
    assert!(failing[0].2.contains("mail goes to old.example.com (preference 10) instead"), "{failing:?}");
    assert!(failing[1].2.ends_with("Make it v=DMARC1; p=reject; rua=mailto:d@reports.example"), "{failing:?}");
    assert_eq!(summary(&found).reason, "RecordDifferent");
}

#[tokio::test]
async fn lame_silent_and_dead_servers_are_named() {
    let world = World::new(4, &[]).await.impatient();
    let _good = world.serve(1, &carried(4)).await;
    let _lame = Raw::udp(world.servers[1], |query| vec![raw::coded(query, raw::REFUSED)]).await;
    let _silent = Raw::udp(world.servers[2], |_| Vec::new()).await;
    let found = world.verify(records()).await;
    assert!(found.records.iter().filter(|it| !it.elsewhere).all(|it| it.state == State::Lame), "{found:?}");
    let mx = &found.records[0];
    let states: Vec<State> = mx.servers.iter().map(|it| it.state).collect();
    assert_eq!(states, [State::Verified, State::Lame, State::Unreachable, State::Unreachable]);
    let details: Vec<&str> = mx.servers.iter().filter_map(|it| it.detail.as_deref()).collect();
    assert_eq!(details, ["it answered REFUSED", "no answer within 1 s", "nothing listens there"]);
    assert_eq!(summary(&found).reason, "ServersLame");
}

#[tokio::test]
async fn a_silent_server_is_left_alone_soon() {
    let world = World::new(1, &[]).await.impatient();
    let silent = Raw::udp(world.servers[0], |_| Vec::new()).await;
    let found = world.verify(records()).await;
    assert!(found.records.iter().filter(|it| !it.elsewhere).all(|it| it.state == State::Unreachable));
    assert_eq!(summary(&found).reason, "ServersUnreachable");
    assert_eq!(silent.asked(), 4, "two questions, each twice");
}

#[tokio::test]
async fn without_authority_an_answer_does_not_count() {
    let world = World::new(1, &[]).await;
    let _lame =
        Raw::udp(world.servers[0], |query| vec![raw::answered(query, raw::ANSWER, &[raw::txt("v=DMARC1; p=reject")])])
            .await;
    let found = world.one("dmarc").await;
    assert_eq!(found.state, State::Lame);
    assert!(found.reason.as_ref().unwrap().contains("it answers without authority"), "{found:?}");
}

#[tokio::test]
async fn aliases_are_followed_as_a_receiver_does() {
    let selector = "20261123-ed25519._domainkey";
    let wanted = records().iter().find(|it| it.id == "dkim/20261123-ed25519").unwrap();
    let provided = format!("k1 60 IN TXT \"{}\"\n", wanted.data.plain());
    let others: String =
        carried(1).lines().filter(|line| !line.starts_with(selector)).map(|it| format!("{it}\n")).collect();
    let alias = format!("{others}{selector} 60 IN CNAME k1.provider.example.\n");
    // The target lies elsewhere: the resolver knows it.
    let world = World::new(1, &[zone("provider.example", &provided)]).await;
    let server = world.serve(1, &alias).await;
    assert_eq!(failing(&world.verify(records()).await), []);
    // In the same zone: the server answers it itself.
    let inside = format!("{others}{selector} 60 IN CNAME k1.example.com.\n{provided}");
    server.replace(&[zone("example.com", &inside)]).unwrap();
    assert_eq!(failing(&world.verify(records()).await), []);
    // A target that is not there.
    server.replace(&[zone("example.com", &alias.replace("provider.example", "nobody.example"))]).unwrap();
    assert_eq!(world.one("dkim/20261123-ed25519").await.state, State::Missing);
    // A mail host must not be one.
    let host = others.lines().filter(|line| !line.starts_with("mail.")).map(|it| format!("{it}\n")).collect::<String>();
    server.replace(&[zone("example.com", &format!("{host}mail 60 IN CNAME host.provider.example.\n"))]).unwrap();
    let found = world.one("host/192.0.2.10").await;
    assert_eq!(found.state, State::Different);
    assert!(found.reason.as_ref().unwrap().contains("CNAME for host.provider.example"), "{found:?}");
}

#[tokio::test]
async fn a_delegated_name_is_asked_at_its_own_servers() {
    let host = records().iter().filter(|it| it.name == "mail.example.com").cloned().collect::<Vec<_>>();
    let text = format!(
        "@ 60 IN SOA ns2.example.net. a.example.net. 1 60 60 60 60\n@ 60 IN NS ns2.example.net.\n{}",
        paquebot::dns::zone_text(&host)
    );
    let world = World::new(2, &[zone("mail.example.com", &text), zone("example.com", &ns(1))]).await;
    let _parent = world.serve(1, &ns(1)).await;
    let _child = paquebot::local::nameserver::NameServer::start(
        (world.servers[1], super::world::PORT).into(),
        &[zone("mail.example.com", &text)],
    )
    .await
    .unwrap();
    let found = world.verify(&host).await;
    assert_eq!(failing(&found), []);
    assert!(found.records.iter().all(|it| it.zone.as_deref() == Some("mail.example.com") && it.servers.len() == 1));
}

#[tokio::test]
async fn no_zone_no_resolver_no_address() {
    let world = World::new(1, &[]).await;
    let mut foreign = records()[0].clone();
    foreign.name = "nobody-registered.example".to_owned();
    let found = world.verify(&[foreign]).await;
    assert_eq!(found.records[0].state, State::NoZone, "{found:?}");
    assert_eq!(summary(&found).reason, "ZoneNotFound");

    let silent = Raw::udp(paquebot_tests::system::own_address(), |_| Vec::new()).await;
    let found = paquebot::dns::verify::verify(records(), &[silent.address], &options()).await;
    assert_eq!(summary(&found).reason, "NotChecked");
    assert!(summary(&found).message.contains(&silent.address.to_string()), "{:?}", summary(&found));
    // The second resolver answers.
    let _server = world.serve(1, &carried(1)).await;
    let both = [silent.address, world.resolver()];
    assert!(paquebot::dns::verify::verify(&records()[..1], &both, &options()).await.holds());
    assert_eq!(summary(&paquebot::dns::verify::verify(records(), &[], &options()).await).reason, "NotChecked");

    let nameless = ns(1).replace("ns1.example.net.\n", "ns-empty.example.net.\n");
    let world = World::new(1, &[zone("example.com", &nameless)]).await;
    let found = world.one("dmarc").await;
    assert_eq!(found.state, State::Unreachable);
    assert!(found.reason.as_ref().unwrap().contains("its name has no address"), "{found:?}");
}
