//! The records of a domain, verified at real name servers on loopback: good ones, wrong ones, dead ones, hostile ones.

#[cfg(test)]
mod dns_verify {
    mod raw;
    mod world;

    mod attacks;
    mod bind;
    mod check;
    mod servers;
}
