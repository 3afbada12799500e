//! The configuration file: read, and read again when it changes.

use std::path::{Path, PathBuf};

use paquebot_mta_api::config::Config;

/// Octets of the file at most.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}: {error}: name a file that this process may read with --config", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is not what a configuration is; names field, line and what is expected.
    #[error("{path}: {error}", path = path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What is wrong where.
        error: serde_yaml::Error,
    },
}

/// Reads the file's octets.
pub fn read(path: &Path) -> Result<String, FileError> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| FileError::Read { path: path.to_owned(), error })?;
    Ok(text)
}

/// The configuration that the text is.
pub fn parse(path: &Path, text: &str) -> Result<Config, FileError> {
    serde_yaml::from_str(text).map_err(|error| FileError::Form { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_file_field_and_line() {
        let text = "version: 1\nhostname: mail.example.com\nlisteners:\n- {protocol: smpt, address: '127.0.0.1:25'}\n";
        let said = parse(Path::new("mta.yaml"), text).unwrap_err().to_string();
        for part in ["mta.yaml", "listeners[0].protocol", "line 4", "smtp"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let said = parse(Path::new("mta.yaml"), "version: 1\nhostnam: x\n").unwrap_err().to_string();
        assert!(said.contains("hostnam") && said.contains("hostname"), "{said}");
    }
}
