//! Which server may take a new image now. Pure.
//!
//! One at a time: a bad image stops at the first server that does not become available with it.

use std::collections::BTreeSet;

/// A server, for the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its namespace and name.
    pub key: (String, String),
    /// The image in its workload; `None`: there is none yet.
    pub current: Option<String>,
    /// The image that it shall run.
    pub wanted: String,
    /// Its pods are all ready.
    pub available: bool,
    /// Its pods are being replaced: [`super::observed::rolling`]. Not so where it carries no MailDomain: its pods wait
    /// for a directory, which says nothing of the image, and would make all others wait.
    pub rolling: bool,
}

/// The servers that may have the image that they want. A new one has nothing to lose and may at once; of the others
/// one may, where none is being replaced. Those that serve come first: on one that is broken anyway a bad image would
/// not be noticed. One that hangs while it is replaced may have another image before all others: the mend of a bad one.
pub fn may_take(candidates: &[Candidate]) -> BTreeSet<(String, String)> {
    let settled = |it: &&Candidate| it.current.as_ref().is_none_or(|current| *current == it.wanted);
    let mut may: BTreeSet<_> = candidates.iter().filter(settled).map(|it| it.key.clone()).collect();
    if candidates.iter().any(|it| it.rolling && settled(&it)) {
        return may;
    }
    let rolls = candidates.iter().any(|it| it.rolling);
    let hangs = |it: &Candidate| it.rolling && !it.available;
    let waiting = candidates.iter().filter(|it| !settled(it) && (!rolls || hangs(it)));
    may.extend(waiting.min_by_key(|it| (!it.available, &it.key)).map(|it| it.key.clone()));
    may
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        // name, image, serves, rolls
        type Row = (&'static str, Option<&'static str>, bool, bool);
        let cases: &[(&[Row], &str)] = &[
            (&[("a", Some("1"), true, false), ("b", Some("1"), true, false)], "a"),
            (&[("a", Some("2"), true, false), ("b", Some("1"), true, false), ("c", Some("1"), true, false)], "a b"),
            // The first one rolls, or hangs: the others wait.
            (&[("a", Some("2"), false, true), ("b", Some("1"), true, false)], "a"),
            // A server that rolls for another reason lets nobody begin either.
            (&[("a", Some("1"), true, true), ("b", Some("1"), true, false)], ""),
            (&[("a", Some("1"), false, false), ("b", Some("1"), true, false)], "b"),
            // One hangs with an image that nobody wants any more.
            (&[("a", Some("1"), true, false), ("b", Some("0"), false, true)], "b"),
            (&[("a", Some("0"), false, true), ("b", Some("0"), false, true), ("c", Some("1"), true, false)], "a"),
            (&[("a", Some("2"), false, true), ("b", Some("0"), false, true)], "a"),
            (&[("a", Some("1"), false, false), ("b", Some("2"), true, false)], "a b"),
            // A new one begins with the new image, and one that waits for its volume stops nobody.
            (&[("a", None, false, false), ("b", Some("1"), true, false)], "a b"),
            (&[("a", Some("2"), false, false), ("b", Some("1"), true, false)], "a b"),
            (&[], ""),
        ];
        for (rows, expected) in cases {
            let candidates: Vec<Candidate> = rows
                .iter()
                .map(|(name, current, available, rolling)| Candidate {
                    key: ("mail".into(), (*name).into()),
                    current: current.map(str::to_owned),
                    wanted: "2".into(),
                    available: *available,
                    rolling: *rolling,
                })
                .collect();
            let may: Vec<String> = may_take(&candidates).into_iter().map(|(_, name)| name).collect();
            assert_eq!(may.join(" "), *expected, "{rows:?}");
        }
    }
}
