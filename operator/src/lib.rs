//! Paquebot: the resources, the operator and the command line.

pub mod cli;
pub mod local;
