//! The operator's directory engine against real servers on 127.0.0.1: what it writes, what it never deletes, whom it
//! trusts.

mod directory_sync {
    mod faults;
    mod leader;
    mod trust;
    mod world;
    mod writes;
}
