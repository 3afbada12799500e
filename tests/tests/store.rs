//! One suite that every store passes: memory and SQLite run the same code.

#[cfg(test)]
mod store {
    mod bench;
    mod directory;
    mod mail;
    mod queue;
    mod retention;
    mod sqlite;
    mod writer;
}
