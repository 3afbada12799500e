//! What a machine's owner does for it: answers, takes data, gives bulk output.

use std::{future::Future, ops::Range};

use bytes::Bytes;
use paquebot_proto::Machine;

/// The owner of one machine: decides what the machine asks. One a session; dropped at its end, whatever the end was.
pub trait Owner<M: Machine>: Send {
    /// Answers a question. Cancelled when the process ends hard: it must leave nothing half done.
    fn ask(&mut self, ask: M::Ask) -> impl Future<Output = M::Answer> + Send;

    /// Takes octets of a message that is being received. A fault is kept and told at the next question.
    fn data(&mut self, octets: &[u8]) -> impl Future<Output = ()> + Send;

    /// Octets of bulk output, cut to what there is: empty means its end. `Err` breaks the connection:
    /// half a message must not look like a whole one.
    fn bulk(&mut self, handle: u64, range: Range<u64>) -> impl Future<Output = std::io::Result<Bytes>> + Send;

    /// The session runs over TLS from now on: its version and cipher, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`.
    fn secured(&mut self, _tls: String) {}
}
