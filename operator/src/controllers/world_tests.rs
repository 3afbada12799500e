//! Who hears of what; who left before our eyes.

use std::{collections::BTreeSet, sync::Arc};

use kube::runtime::watcher::Event;
use uuid::Uuid;

use super::{
    owned::Owned,
    queue::Done,
    table::{Name, Told},
    world::{Key, World},
};
use crate::{
    api::{MailDomain, MailDomainSpec, Mailbox, MailboxSpec},
    names,
};

fn domain(namespace: &str, name: &str, generation: i64) -> Arc<MailDomain> {
    let mut domain = MailDomain::new(name, MailDomainSpec::default());
    domain.metadata.namespace = Some(namespace.to_owned());
    domain.metadata.generation = Some(generation);
    Arc::new(domain)
}

#[tokio::test]
async fn who_hears_of_a_change() {
    let world = World::new(&[String::new()]);
    let name = Name::new("mail", "example.com");
    let one = domain("mail", "example.com", 1);
    world.domain_changed(Told { name: &name, before: None, after: Some(&one), listed: true });
    assert_eq!(world.queue.len(), 2, "itself and its server");
    assert!(world.domains_of_server.with(&Name::new("mail", "default")).contains(&name));
    let mut drained = BTreeSet::new();
    while !world.queue.is_empty() {
        let key = world.queue.next().await;
        world.queue.done(key.clone(), Done::Settled, 0.0);
        drained.insert(key);
    }
    assert!(drained.contains(&Key::Server(Name::new("mail", "default"))));
    world.domain_changed(Told { name: &name, before: Some(&one), after: Some(&one), listed: false });
    assert!(world.queue.is_empty(), "a status of our own is no reason");
    let object = Owned {
        uid: Uuid::nil(),
        owner: None,
        instance: Some(names::base("MailDomain", "example.com")),
        digest: Default::default(),
        whole: None,
    };
    let deleted =
        |name: &Name| world.owned_changed("Secret", Told { name, before: Some(&object), after: None, listed: false });
    deleted(&Name::new("mail", "x"));
    assert_eq!(world.queue.next().await, Key::Domain(name.clone()), "what it owns was deleted");
    deleted(&Name::new("other", "x"));
    assert_eq!(world.queue.len(), 1, "another namespace's object is not its own");
    world.queue.done(Key::Domain(name.clone()), Done::Settled, 0.0);
    assert!(world.queue.is_empty());
    let postmaster = crate::mailbox::password::postmaster_reference(&one).name;
    world.secret_changed(&Name::new("mail", postmaster));
    assert_eq!(world.queue.next().await, Key::Domain(name), "the password of its postmaster, made by somebody");
}

#[test]
fn what_leaves_before_our_eyes_is_explained_with_all_of_its_mailboxes() {
    let uid = |number: u128| Uuid::from_u128(number);
    let domain = |server: &str| {
        let mut domain = MailDomain::new("example.com", MailDomainSpec::default());
        (domain.metadata.namespace, domain.metadata.uid) = (Some("mail".to_owned()), Some(uid(3).to_string()));
        domain.spec.server_ref.name = server.to_owned();
        domain
    };
    let mailbox = |number: u128, address: &str| {
        let spec = MailboxSpec { address: address.to_owned(), quota: None, password_secret_ref: None };
        let mut mailbox = Mailbox::new(&format!("m{number}"), spec);
        (mailbox.metadata.namespace, mailbox.metadata.uid) = (Some("mail".to_owned()), Some(uid(number).to_string()));
        mailbox
    };
    let domains = |world: &World, event| {
        world.domains.take("", event, Arc::new, |told: Told<'_, Arc<MailDomain>>| world.domain_changed(told));
    };
    let mailboxes = |world: &World, event| {
        world.mailboxes.take("", event, Arc::new, |told: Told<'_, Arc<Mailbox>>| world.mailbox_changed(told));
    };
    let after = |change: &dyn Fn(&World)| {
        let world = World::new(&[String::new()]);
        domains(&world, Event::Apply(domain("main")));
        mailboxes(&world, Event::Apply(mailbox(1, "a@example.com")));
        mailboxes(&world, Event::Apply(mailbox(2, "b@example.org")));
        change(&world);
        let mut gone: Vec<u128> = world.gone().iter().map(Uuid::as_u128).collect();
        gone.sort_unstable();
        gone
    };
    assert_eq!(after(&|world| domains(world, Event::Delete(domain("main")))), [1, 3]);
    assert_eq!(after(&|world| domains(world, Event::Apply(domain("other")))), [1, 3], "to another server");
    assert_eq!(after(&|world| domains(world, Event::Apply(domain("main")))), []);
    assert_eq!(after(&|world| mailboxes(world, Event::Delete(mailbox(2, "b@example.org")))), [2]);
    assert_eq!(after(&|world| mailboxes(world, Event::Apply(mailbox(2, "b@example.net")))), [2], "elsewhere");
    let listed = |world: &World| {
        [Event::Init, Event::InitDone].into_iter().for_each(|event| domains(world, event));
        [Event::Init, Event::InitDone].into_iter().for_each(|event| mailboxes(world, event));
    };
    assert_eq!(after(&listed), [], "what a list lacks was perhaps never deleted");
}

#[test]
fn mailboxes_are_found_by_their_domain() {
    let world = World::new(&[String::new()]);
    let name = Name::new("mail", "alice");
    let spec = |address: &str| MailboxSpec { address: address.to_owned(), quota: None, password_secret_ref: None };
    let one = Arc::new(Mailbox::new("alice", spec("alice@example.com")));
    let other = Arc::new(Mailbox::new("alice", spec("alice@example.org")));
    world.mailbox_changed(Told { name: &name, before: None, after: Some(&one), listed: true });
    world.mailbox_changed(Told { name: &name, before: Some(&one), after: Some(&other), listed: false });
    assert!(world.mailboxes_of_domain.with(&Name::new("mail", "example.com")).is_empty());
    assert_eq!(world.mailboxes_of_domain.with(&Name::new("mail", "example.org")), [name]);
}
