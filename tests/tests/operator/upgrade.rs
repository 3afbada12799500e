//! Another image: one MailServer at a time, so that a bad one stops one of them, and the next good one mends it.

use paquebot::names::base;
use paquebot_tests::{
    cluster::{wait_for, wait_until},
    operator::Operator,
};

use super::world::{World, find, text};

const SERVERS: [&str; 2] = ["one", "two"];
const BAD: &str = "localhost/there-is-none:1";

fn image(world: &World<'_>, server: &str) -> String {
    let set = world.get("StatefulSet", &base("MailServer", server)).unwrap();
    text(&set, "/spec/template/spec/containers/0/image")
}

fn available(world: &World<'_>, server: &str) -> Option<String> {
    let found = find(&world.get("MailServer", server)?, "Available")?;
    (found["status"] == "True").then(|| text(&found, "/message"))
}

fn run<'a>(world: &'a World<'_>, image: Option<&str>) -> Operator<'a> {
    let mut start = world.operator();
    if let Some(image) = image {
        image.clone_into(&mut start.settings.image);
    }
    let mut operator = start.run();
    operator.wait_to_lead();
    operator
}

#[test]
fn a_bad_image_stops_one_server_and_a_good_one_mends_it() {
    let world = World::new("upgrade");
    let mut first = run(&world, None);
    for server in SERVERS {
        world.declare("MailServer", server, &format!("{{hostname: {server}.upgrade.example}}"));
        world.declare(
            "MailDomain",
            &format!("{server}.upgrade.example"),
            &format!("{{serverRef: {{name: {server}}}}}"),
        );
    }
    for server in SERVERS {
        wait_until(&format!("{server} is available"), || available(&world, server).is_some());
    }
    let good = image(&world, "one");
    assert_eq!(first.process.end(), Some(0));

    let mut second = run(&world, Some(BAD));
    let broken = wait_for("one of them takes it", || SERVERS.into_iter().find(|it| image(&world, it) == BAD));
    wait_until("it says what is wrong", || {
        let found = find(&world.get("MailServer", broken).unwrap(), "Available").unwrap();
        found["status"] == "False" && text(&found, "/message").contains(BAD)
    });
    let other = SERVERS.into_iter().find(|it| *it != broken).unwrap();
    wait_until("the other one waits, and serves", || available(&world, other).is_some_and(|it| it.contains(BAD)));
    second.wait_to_settle(std::time::Duration::from_secs(2));
    assert_eq!(image(&world, other), good);
    assert!(available(&world, other).is_some());
    assert_eq!(second.process.end(), Some(0));

    let mut third = run(&world, None);
    for server in SERVERS {
        wait_until(&format!("{server} is available"), || {
            image(&world, server) == good && available(&world, server).is_some_and(|it| !it.contains(BAD))
        });
    }
    assert_eq!(third.process.end(), Some(0));
}
