//! Many large keys are to be made: nobody else waits for them.

use super::world::{OURS, World};

/// Many more than are reconciled at once.
const MANY: usize = 40;
const LARGE: &str = "{dkim: {keys: [{algorithm: RSA, bits: 4096}]}, dns: {verification: {mode: Disabled}}}";
const SMALL: &str = "{dkim: {keys: [{algorithm: Ed25519}]}, dns: {zoneFile: {}, verification: {mode: Disabled}}}";

#[test]
fn keys_that_take_long_keep_nobody_back() {
    let world = World::without_pods("making");
    let mut operator = world.operator().run();
    operator.wait_to_lead();
    world.declare("MailServer", "default", "{hostname: mail.making.example}");
    world.reason("MailServer", "default", "Accepted", "Accepted");
    let names: Vec<String> = (0..MANY).map(|number| format!("d{number}.making.example")).collect();
    names.iter().for_each(|name| drop(world.declare("MailDomain", name, LARGE)));
    let made = || world.list("Secret", &format!("{OURS},app.kubernetes.io/component=dkim-key")).len();
    let before = made();
    world.declare("MailDomain", "late.making.example", SMALL);
    world.zone("late.making.example", "_domainkey");
    // Its own key not.
    let (meanwhile, waiting) = (made() - before - 1, MANY - before);
    assert!(meanwhile < waiting * 2 / 3, "the last waited for {meanwhile} of {waiting} that stood before it");
    // Those that go meanwhile keep nobody back either.
    names.iter().skip(3).for_each(|name| world.delete("MailDomain", name));
    for name in names.iter().take(3) {
        world.reason("MailDomain", name, "Programmed", "NotWritten");
        assert_eq!(world.keys(name).len(), 1);
    }
}

/// Somebody's Secret has the name that a key's would have: the key gets another.
#[test]
fn a_name_that_is_taken_is_left_alone() {
    let (first, second) = (World::without_pods("free"), World::without_pods("taken"));
    let mut operator = first.operator().watching(&[&second.space]).run();
    operator.wait_to_lead();
    first.declare("MailDomain", "taken.example", LARGE);
    first.reason("MailDomain", "taken.example", "Programmed", "NotWritten");
    let wanted = first.keys("taken.example");
    second.secret(wanted.first().unwrap(), &[("key", "somebody's")]);
    second.declare("MailDomain", "taken.example", LARGE);
    second.reason("MailDomain", "taken.example", "Programmed", "NotWritten");
    let made = second.keys("taken.example");
    assert_eq!(made, [format!("{}-2", wanted.first().unwrap())]);
    operator.wait_to_settle(std::time::Duration::from_secs(2));
}
