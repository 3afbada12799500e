//! Which files are read, within limits.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::Problem;

/// Octets of a file at most: what etcd takes as one object is 1.5 MB, and a file may have a few.
const FILE_OCTETS_MAX: u64 = 4 * 1024 * 1024;
/// Files at most: a folder with more is not one of resources.
const FILES_MAX: usize = 1000;

/// The files named, and those in the folders named, without repetition; sub-folders are left out.
pub fn find(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        match listed(path) {
            Ok(found) => found.into_iter().for_each(|file| {
                if !files.contains(&file) {
                    files.push(file);
                }
            }),
            Err(message) => problems.push(Problem::of_file(path, message)),
        }
        if files.len() > FILES_MAX {
            problems.push(Problem::of_file(path, format!("more than {FILES_MAX} files: name a folder with fewer")));
            return Vec::new();
        }
    }
    files
}

fn listed(path: &Path) -> Result<Vec<PathBuf>, String> {
    let about =
        fs::metadata(path).map_err(|fault| format!("cannot be read ({fault}): name a file or a folder that exists"))?;
    if about.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !about.is_dir() {
        return Err("is neither a file nor a folder: name one that is".to_owned());
    }
    let entries = fs::read_dir(path).map_err(|fault| format!("cannot be listed ({fault}): allow it to be read"))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        // A link that leads nowhere is kept, so that reading it says so.
        .filter(|file| is_read(file) && fs::metadata(file).map_or(true, |about| about.is_file()))
        .take(FILES_MAX + 1)
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(
            "has no .yaml, .yml or .json file: name the folder that has them (sub-folders are not read)".to_owned()
        );
    }
    Ok(files)
}

/// Whether a file of a folder is read, by its name. Hidden files are what editors leave behind.
pub fn is_read(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let known = file.extension().is_some_and(|it| ["yaml", "yml", "json"].iter().any(|known| it == *known));
    known && !hidden
}

/// The file's text.
pub fn read(file: &Path) -> Result<String, Problem> {
    let wrong = |message: String| Problem::of_file(file, message);
    let opened =
        fs::File::open(file).map_err(|fault| wrong(format!("cannot be read ({fault}): allow it to be read")))?;
    let mut octets = Vec::new();
    opened
        .take(FILE_OCTETS_MAX + 1)
        .read_to_end(&mut octets)
        .map_err(|fault| wrong(format!("cannot be read ({fault}): try again")))?;
    if octets.len() as u64 > FILE_OCTETS_MAX {
        return Err(wrong(format!("has more than {FILE_OCTETS_MAX} octets: split it into several files")));
    }
    String::from_utf8(octets).map_err(|_| wrong("is not UTF-8: save it as UTF-8".to_owned()))
}
