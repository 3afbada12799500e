//! One suite that every store passes: memory and SQLite run the same code.

mod store {
    mod bench;
    mod directory;
    mod mail;
    mod queue;
    mod retention;
}
