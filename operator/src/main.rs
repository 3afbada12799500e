//! `paquebot`: parses arguments and calls the command line. Decides nothing.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    paquebot::cli::main(std::env::args_os()).await
}
