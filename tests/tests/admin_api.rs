//! The admin API over real sockets: how a server comes to its directory, who gets in, what is refused.

#[cfg(test)]
mod admin_api {
    mod attack;
    mod bench;
    mod clients;
    mod directory;
    mod drain;
    mod many;
}
