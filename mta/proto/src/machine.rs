//! What every protocol machine is.
//!
//! A machine owns no socket and reads no clock. One driver serves all of them: it feeds bytes, writes
//! the output, carries questions to the owner and answers back, and tells the time.

use std::time::Instant;

use crate::output::OutputQueue;

/// A protocol as a state machine.
///
/// The driver's duties:
/// - feed *all* unconsumed input each time, an empty slice when there is none: a machine may have
///   something to do without any;
/// - after [`Step::Ask`], call [`Machine::answer`] before the next [`Machine::feed`];
/// - after [`Step::Upgrade`], write the output, drop whatever input is left over (RFC 3207 §4.2),
///   do the handshake and call [`Machine::upgraded`];
/// - write the output before waiting for input, and whenever [`OutputQueue::is_full`];
/// - call [`Machine::timeout`] when [`Machine::deadline`] has passed.
pub trait Machine {
    /// A question that only the owner can answer: may this recipient? is this password right?
    type Ask;
    /// The owner's answer.
    type Answer;

    /// Takes input, as much as makes one step.
    fn feed<'a>(&mut self, now: Instant, input: &'a [u8]) -> Fed<'a, Self::Ask>;

    /// The answer to the last [`Step::Ask`].
    fn answer(&mut self, now: Instant, answer: Self::Answer);

    /// The transport is now what the last [`Step::Upgrade`] asked for.
    fn upgraded(&mut self, now: Instant);

    /// The peer will send no more.
    fn end_of_input(&mut self, now: Instant);

    /// The process is draining: finish what is under way, then say goodbye.
    fn shutdown(&mut self, now: Instant);

    /// When [`Machine::timeout`] is due, if the peer stays silent until then.
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has passed.
    fn timeout(&mut self, now: Instant);

    /// What is to be written.
    fn output(&mut self) -> &mut OutputQueue;
}

/// What became of the input given to [`Machine::feed`].
#[derive(Debug)]
pub struct Fed<'a, A> {
    /// Octets of the input that are done with; the rest is fed again.
    pub consumed: usize,
    /// What the machine wants next.
    pub step: Step<'a, A>,
}

/// What a machine wants next.
#[derive(Debug)]
pub enum Step<'a, A> {
    /// More input. Everything that the input allowed has been done.
    Read,
    /// Octets of a message that is being received, transparency removed. Feed on.
    Data(&'a [u8]),
    /// An answer from the owner. No input is consumed before it.
    Ask(A),
    /// Another transport underneath.
    Upgrade(Upgrade),
    /// The end: write the output, then close.
    Close,
}

/// A change of the transport below a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// TLS: as the server for a server machine, as the client for a client machine.
    Tls,
}

/// Where TLS stands when a server machine starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// There is no certificate: no upgrade, and so no login.
    Unavailable,
    /// The upgrade is offered: STARTTLS, STLS.
    Available,
    /// It is up.
    Active,
}
