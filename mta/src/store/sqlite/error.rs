//! What SQLite's errors mean in the store's one error type.

use rusqlite::{Error, ErrorCode};

use crate::store::types::StoreError;

/// The store's word for it.
pub(super) fn of(error: Error) -> StoreError {
    match &error {
        Error::SqliteFailure(inner, _) => match inner.code {
            ErrorCode::DiskFull => StoreError::Full(error.to_string()),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(error.to_string()),
            ErrorCode::ConstraintViolation => StoreError::Conflict(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        },
        Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
            StoreError::Corrupt(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// Whether the disk itself failed: what is in the page cache may then differ from what is on disk.
pub(super) fn is_io(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(inner, _) if inner.code == ErrorCode::SystemIoFailure)
}
