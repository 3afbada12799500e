//! Mail to the next host over real sockets: the engine, the client machine, and a scripted server.

mod next_host {
    mod bench;
    mod cases;
    mod server;
}
