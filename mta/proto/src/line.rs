//! Strict CRLF lines.
