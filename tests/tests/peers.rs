//! Programs that other people wrote, from Debian, against running mail systems: each test on an address of its own.

#[cfg(test)]
mod peers {
    mod world;

    mod clients;
    mod load;
    mod next_host;
    mod pop3;
    mod sender;
    mod tls;
}
