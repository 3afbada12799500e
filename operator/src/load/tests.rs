use super::*;

#[test]
fn smoke() {
    println!("{}", crate::api::crd::files().iter().map(|(_, t)| t.clone()).collect::<String>());
    println!("{:#?}", load(&[concat!(env!("CARGO_MANIFEST_DIR"), "/../examples").into()]));
}
