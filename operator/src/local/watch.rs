//! Notices edits of the YAML: by looking at the files, which works on every file system and with every editor.
//!
//! An edit is taken up when the files have stayed the same from one look to the next, so that nobody's half-written
//! file is applied.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often the files are looked at.
pub const LOOK_PERIOD: Duration = Duration::from_millis(250);
/// Files that are looked at, at most; as many as are loaded.
const FILES_MAX: usize = 10_000;

/// What tells one state of the files from another: no contents are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Vec<(PathBuf, u64, u64, i128)>);

/// The files as they are now. What cannot be seen is left out: that is a change too, and loading says why.
pub fn stamp(paths: &[PathBuf]) -> Stamp {
    let mut seen = Vec::new();
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => entries.take(FILES_MAX).flatten().for_each(|entry| look(&entry.path(), &mut seen)),
            Err(_) => look(path, &mut seen),
        }
    }
    seen.sort();
    Stamp(seen)
}

fn look(path: &Path, seen: &mut Vec<(PathBuf, u64, u64, i128)>) {
    let look = || -> io::Result<_> {
        let metadata = fs::metadata(path)?;
        let changed = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Ok((path.to_owned(), metadata.ino(), metadata.len(), changed))
    };
    if seen.len() < FILES_MAX
        && let Ok(stamp) = look()
    {
        seen.push(stamp);
    }
}

/// Decides when to apply. Pure: stamps in, yes or no out.
#[derive(Debug)]
pub struct Watch {
    applied: Stamp,
    last: Stamp,
}

impl Watch {
    /// The files as they were when they were applied.
    pub fn new(applied: Stamp) -> Self {
        Self { last: applied.clone(), applied }
    }

    /// Whether these files are to be applied: they differ from those applied, and have come to rest.
    /// A state is answered with yes once, whatever came of it.
    pub fn due(&mut self, now: Stamp) -> bool {
        let rests = now == self.last;
        self.last = now;
        let due = rests && self.last != self.applied;
        if due {
            self.applied = self.last.clone();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Stamp {
        Stamp(vec![("a.yaml".into(), 1, number, 0)])
    }

    #[test]
    fn once_and_only_at_rest() {
        let mut watch = Watch::new(at(0));
        for (now, due) in [(0, false), (1, false), (2, false), (2, true), (2, false), (3, false), (0, false), (0, true)]
        {
            assert_eq!(watch.due(at(now)), due, "{now}");
        }
    }

    #[test]
    fn sees_each_kind_of_edit() {
        let base = tempfile::tempdir().unwrap();
        let (folder, file) = (base.path().join("f"), base.path().join("one.yaml"));
        fs::create_dir(&folder).unwrap();
        fs::write(&file, "a").unwrap();
        let paths = [folder.clone(), file.clone(), base.path().join("absent")];
        let mut before = stamp(&paths);
        let mut edited = |what: &str, edit: &dyn Fn()| {
            edit();
            let now = stamp(&paths);
            assert_ne!(now, before, "{what}");
            before = now;
        };
        edited("a longer file", &|| fs::write(&file, "ab").unwrap());
        edited("a new file", &|| fs::write(folder.join("x.yaml"), "a").unwrap());
        edited("a replaced file of the same length", &|| {
            fs::write(base.path().join("draft"), "b").unwrap();
            fs::rename(base.path().join("draft"), folder.join("x.yaml")).unwrap();
        });
        edited("a removed file", &|| fs::remove_file(folder.join("x.yaml")).unwrap());
        assert_eq!(stamp(&paths), before);
    }
}
