//! Invariant 5: a message is always in the queue, in a mailbox, handed over, returned or dead; never lost.
//!
//! The real engine and the memory store, with next hosts that fail at every stage, a store that fails, and a
//! process that dies between any two of its writes. Time is simulated. A failure prints its seed.

mod simulation {
    mod check;
    mod hosts;
    mod process;
    mod runs;
    mod unreliable;
}
