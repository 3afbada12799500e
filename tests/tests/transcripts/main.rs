//! Protocol transcripts: what a client says and what a server answers, one of them a machine, as files that read like a session.
//!
//! - `script`: a transcript file, read;
//! - `play`: plays one against a machine: block by block, octet by octet, pipelined;
//! - `smtp`: the SMTP server with an owner whose world is small and fixed;
//! - `pop3`: the POP3 server with an owner of the same kind;
//! - `smtp_client`: the SMTP client with an owner that sends what the transcript says.
//!
//! The files lie in `tests/transcripts/`, a folder a protocol; `README.md` there says how to write one.

mod play;
mod pop3;
mod script;
mod smtp;
mod smtp_client;

/// Plays every file of a folder in every way; all that fail are named.
fn play_folder<P: play::Player>(folder: &str, files_min: usize) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= files_min, "transcripts are missing in {}", path.display());
    let mut failures = Vec::new();
    for file in files {
        let script = script::Script::parse(&std::fs::read_to_string(&file).unwrap(), P::PEER);
        for way in script.ways() {
            if let Err(difference) = play::play::<P>(&script, way) {
                failures.push(format!("{} ({way:?}): {difference}", file.file_name().unwrap().display()));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn smtp_server() {
    play_folder::<smtp::Receiver>("smtp", 25);
}

#[test]
fn smtp_client() {
    play_folder::<smtp_client::Sender>("smtp_client", 10);
}

#[test]
fn pop3_server() {
    play_folder::<pop3::Keeper>("pop3", 15);
}
