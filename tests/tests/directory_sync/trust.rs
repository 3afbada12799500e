//! Whom it trusts, and who trusts it: certificates of one side only, of one server only, and a rotation on the way.

use std::{sync::Arc, time::Duration};

use paquebot::{
    directory::client::{Client, ClientError, Identity},
    pki::{Authority, Credentials, Holder, Step},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::world::*;

fn client(credentials: &Credentials, server: Uuid) -> Client {
    Client::new(Arc::new(Identity::new(credentials).unwrap()), server)
}

fn credentials(authority: &Authority, holder: &Holder) -> Credentials {
    authority.credentials(holder, None, now()).unwrap().unwrap()
}

async fn ask(client: &Client, pod: &Served) -> Result<u64, ClientError> {
    client.open(pod.address()).await?.state().await.map(|state| state.revision)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_servers_certificate_is_no_clients_and_no_other_servers() {
    let world = World::new();
    let pod = world.pod().await;
    let own = credentials(&world.authority, &Holder::Operator);
    assert_eq!(ask(&client(&own, SERVER), &pod).await.unwrap(), 0);

    let refused = |what: &'static str, answer: Result<u64, ClientError>| {
        assert!(matches!(answer, Err(ClientError::Trust { .. })), "{what}: {answer:?}");
    };
    let servers = credentials(&world.authority, &Holder::Server(SERVER));
    refused("a server's as a client's", ask(&client(&servers, SERVER), &pod).await);
    let webhook = credentials(&world.authority, &Holder::Webhook(vec!["paquebot.mail.svc".to_owned()]));
    refused("the webhook's as a client's", ask(&client(&webhook, SERVER), &pod).await);
    let stranger = Authority::make(now()).unwrap();
    let theirs = Credentials { bundle: own.bundle.clone(), ..credentials(&stranger, &Holder::Operator) };
    refused("another authority's", ask(&client(&theirs, SERVER), &pod).await);

    let other = Uuid::from_u128(0xb);
    refused("another server", ask(&client(&own, other), &pod).await);
    let unknown = Credentials { bundle: stranger.bundle(), ..own };
    refused("a server of another authority", ask(&client(&unknown, SERVER), &pod).await);

    // The engine says it so.
    let mut target = target(vec![pod.pod(true)], desired(vec![domain(1, "a.example")]));
    target.server = other;
    let mut running = world.engine(1, target);
    let report = running.until("said", |report| report.problem.is_some()).await;
    assert!(report.problem.unwrap().message.contains("is not trusted"));
    assert!(pod.keys().await.is_empty());
}

/// Until the pod answers this client: it has read its files again.
async fn taken_up(client: &Client, pod: &Served) {
    let wait = async {
        while ask(client, pod).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(WAIT_MAX, wait).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_while_entries_are_written() {
    let world = World::new();
    let pod = world.pod().await;
    let mut authority = world.authority.clone();
    let mut operators = credentials(&authority, &Holder::Operator);
    let mut servers = credentials(&authority, &Holder::Server(SERVER));
    write(pod.folder.path(), &servers);
    let mut running = world.engine(1, target(vec![pod.pod(true)], desired(vec![domain(1, "d0.example")])));
    running.programmed("before", &[1]).await;
    let mut all = vec![domain(1, "d0.example")];
    for (number, step) in [Step::AddNext, Step::Switch, Step::DropPrevious].into_iter().enumerate() {
        authority = authority.after(step, now()).unwrap();
        let holder = Holder::Server(SERVER);
        let renewed = authority.credentials(&holder, Some(&servers), now()).unwrap().unwrap();
        assert_eq!(renewed.pair != servers.pair, step == Step::Switch);
        servers = renewed;
        write(pod.folder.path(), &servers);
        // The operator's side changes first, the pod's when it reads its files: in between both states meet.
        operators = authority.credentials(&Holder::Operator, Some(&operators), now()).unwrap().unwrap();
        world.identity.replace(&operators).unwrap();
        let owner = number as u128 + 2;
        all.push(domain(owner, &format!("d{owner}.example")));
        running.targets.send_modify(|target| target.desired = Arc::new(desired(all.clone())));
        running.programmed("while the step is taken", &(1..=owner).collect::<Vec<_>>()).await;
        // The next step waits until the pod has taken this one.
        let probe = match step {
            Step::AddNext => {
                let ahead = authority.clone().after(Step::Switch, now()).unwrap();
                credentials(&ahead, &Holder::Operator)
            }
            _ => {
                let alone = authority.clone().after(Step::DropPrevious, now()).unwrap();
                Credentials { bundle: alone.bundle(), ..operators.clone() }
            }
        };
        taken_up(&client(&probe, SERVER), &pod).await;
    }
    let before = credentials(&world.authority, &Holder::Operator);
    let old = Credentials { bundle: authority.bundle(), ..before };
    let client = client(&old, SERVER);
    let wait = async { while ask(&client, &pod).await.is_ok() {} };
    timeout(WAIT_MAX, wait).await.unwrap();
    running.programmed("and the new one goes on", &[1, 2, 3, 4]).await;
}
