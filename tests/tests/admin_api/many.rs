//! Ten thousand entries, and a writer that was replaced in the middle of them.

use std::time::Instant;

use paquebot_mta_api::{
    admin::{self, CHANGE_ENTRIES_MAX, Change, Listed},
    directory::{AliasEntry, Entry, Value},
};
use paquebot_tests::zones::Fault;
use uuid::Uuid;

use super::bench::*;

const ENTRIES: usize = 10_000;

fn entries() -> Vec<Entry> {
    let entry = |number| {
        let address = format!("name{number}@example.org").parse().unwrap();
        let value = Value::Alias(AliasEntry { address, to: vec!["bob@example.org".parse().unwrap()] });
        Entry::new(Uuid::from_u128(number as u128), value)
    };
    (0..ENTRIES).map(entry).collect()
}

#[tokio::test]
async fn a_leader_that_was_replaced_in_the_middle_writes_nothing_more() -> Result<(), Fault> {
    let (bench, entries) = (Bench::start().await?, entries());
    let operator = bench.operator();
    let mut chunks = entries.chunks(CHANGE_ENTRIES_MAX).map(<[_]>::to_vec).zip(0..);
    let began = Instant::now();
    for (chunk, base) in chunks.by_ref().take(5) {
        assert_eq!(operator.change(&put(1, base, chunk)).await?, Ok(base + 1));
    }
    // Another leads now; what the old one still sends is refused, whatever its base.
    let (chunk, base) = chunks.next().unwrap();
    assert_eq!(operator.change(&put(2, base, chunk.clone())).await?, Ok(base + 1));
    for base in [base, base + 1] {
        assert_eq!(operator.change(&put(1, base, chunk.clone())).await?, Err((409, "Fenced".to_owned())));
    }
    for (chunk, base) in chunks {
        let complete = base + 1 == (ENTRIES / CHANGE_ENTRIES_MAX) as u64;
        assert_eq!(operator.change(&Change { complete, ..put(2, base, chunk) }).await?, Ok(base + 1));
    }
    let (written, asked) = (began.elapsed(), Instant::now());
    let state = operator.state().await?;
    println!("{ENTRIES} entries written in {written:?}, the state told in {:?}", asked.elapsed());
    let listed = entries.iter().map(|it| Listed { key: it.value.key(), owner: it.owner, digest: it.digest });
    let root = admin::root(&admin::bucket_digests(listed));
    assert_eq!((state.complete, state.root, state.served_root), (true, root, root));
    Ok(())
}
