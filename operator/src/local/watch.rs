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

use crate::load::is_read;

/// How often the files are looked at.
pub const LOOK_PERIOD: Duration = Duration::from_millis(250);
/// Files that are looked at, at most; as many as are loaded.
const FILES_MAX: usize = 10_000;

/// What tells one state of the files from another: no contents are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Vec<(PathBuf, u64, u64, i128)>);

/// The files as they are now, without those that are not loaded (an editor's own come and go). What cannot be seen
/// is marked: that is a change too, and loading says why.
pub fn stamp(paths: &[PathBuf]) -> Stamp {
    let mut seen = Vec::new();
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => {
                let read = entries.take(FILES_MAX).flatten().map(|entry| entry.path()).filter(|file| is_read(file));
                read.for_each(|file| look(&file, &mut seen));
            }
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
    if seen.len() < FILES_MAX {
        seen.push(look().unwrap_or_else(|_| (path.to_owned(), 0, 0, 0)));
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
        fs::write(folder.join(".x.yaml.swp"), "an editor's").unwrap();
        std::os::unix::fs::symlink("someone@host", folder.join(".#x.yaml")).unwrap();
        assert_eq!(stamp(&paths), before, "nothing that is loaded");
        std::os::unix::fs::symlink("nowhere", folder.join("link.yaml")).unwrap();
        assert_ne!(stamp(&paths), before, "a link that leads nowhere");
    }
}
