//! DKIM keys in the data directory: `dkim/<domain>/<selector>.pem`, PKCS#8, made once.
//!
//! A key that is there is never overwritten: what it signed must stay verifiable.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use kube::ResourceExt;
use paquebot_mta_api::address::Domain;

use super::data::{self, DataDir, DataError};
use crate::{
    api::{MailDomain, domain::DkimKey},
    domain::keys::{self, KeyPair},
    load::Resources,
};

/// Keys of one domain that are read at most.
const KEYS_MAX: usize = 100;

/// The keys of a domain: those that it wants made, made where they are not there, and those that it imports.
/// `now_us` names new ones; microseconds since 1970 UTC.
pub fn ensure(
    data: &DataDir,
    domain: &MailDomain,
    resources: &Resources,
    now_us: i64,
) -> Result<Vec<KeyPair>, DataError> {
    let Some(name) = crate::domain::name(domain) else { return Ok(Vec::new()) };
    let folder = folder(data.root(), &name);
    let mut have = read_all(&folder)?;
    let mut taken: HashSet<String> = have.iter().map(|key| key.selector.clone()).collect();
    let mut wanted = Vec::new();
    for key in &domain.spec.dkim.keys {
        wanted.push(match pick(key, &mut have) {
            Some(key) => key,
            None => {
                let selector = keys::free(&keys::selector(now_us, key.algorithm), &|it| taken.contains(it));
                taken.insert(selector.clone());
                make(&folder, &selector, key)?
            }
        });
    }
    wanted.extend(imported(domain, resources));
    Ok(wanted)
}

/// The keys of a domain as far as they are there: for those who only look. `root`: the data directory, if any.
pub fn known(root: Option<&Path>, domain: &MailDomain, resources: &Resources) -> Result<Vec<KeyPair>, DataError> {
    let Some(name) = crate::domain::name(domain) else { return Ok(Vec::new()) };
    let mut have = match root {
        Some(root) => read_all(&folder(root, &name))?,
        None => Vec::new(),
    };
    let mut wanted: Vec<KeyPair> = domain.spec.dkim.keys.iter().filter_map(|key| pick(key, &mut have)).collect();
    wanted.extend(imported(domain, resources));
    Ok(wanted)
}

fn folder(root: &Path, domain: &Domain) -> PathBuf {
    root.join("dkim").join(domain.as_str())
}

/// All keys of a folder, by name: by age, as they are named by date.
fn read_all(folder: &Path) -> Result<Vec<KeyPair>, DataError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DataError::io(folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries.take(KEYS_MAX) {
        let path = entry.map_err(DataError::io(folder))?.path();
        if path.extension().is_some_and(|it| it == "pem") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let selector = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let pem = data::read(&path)?.unwrap_or_default();
        KeyPair::from_pem(&selector, &pem).map_err(|error| DataError::broken(&path, error))
    };
    paths.into_iter().map(read).collect()
}

/// The newest of those that are as wanted, taken out.
fn pick(wanted: &DkimKey, have: &mut Vec<KeyPair>) -> Option<KeyPair> {
    have.iter().rposition(|key| key.fits(wanted)).map(|at| have.remove(at))
}

fn make(folder: &Path, selector: &str, key: &DkimKey) -> Result<KeyPair, DataError> {
    let path = folder.join(format!("{selector}.pem"));
    let made = keys::generate(selector, key).map_err(|error| DataError::broken(&path, error))?;
    data::write(&path, made.private_pem().as_bytes())?;
    Ok(made)
}

/// Keys from Secrets; that they are there and are keys was validated when they were loaded.
fn imported(domain: &MailDomain, resources: &Resources) -> Vec<KeyPair> {
    let namespace = domain.namespace().unwrap_or_default();
    let read = |key: &crate::api::domain::ImportedKey| {
        KeyPair::from_pem(&key.selector, resources.secret(&namespace, &key.secret_ref)?).ok()
    };
    domain.spec.dkim.imported.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MailDomainSpec, domain::Algorithm};

    const NOW_US: i64 = 1_800_000_000_000_000;

    fn domain(keys: Vec<DkimKey>) -> MailDomain {
        let mut spec = MailDomainSpec::default();
        spec.dkim.keys = keys;
        MailDomain::new("example.com", spec)
    }

    fn rsa(bits: u32) -> DkimKey {
        DkimKey { algorithm: Algorithm::Rsa, bits: Some(bits) }
    }

    const ED: DkimKey = DkimKey { algorithm: Algorithm::Ed25519, bits: None };

    #[test]
    fn made_once_and_read_by_those_who_look() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let (none, domain) = (Resources::default(), domain(vec![rsa(2048), ED]));
        assert_eq!(known(Some(data.root()), &domain, &none).unwrap(), []);
        let made = ensure(&data, &domain, &none, NOW_US).unwrap();
        let selectors: Vec<_> = made.iter().map(|key| key.selector.as_str()).collect();
        assert_eq!(selectors, ["20270115-rsa", "20270115-ed25519"]);
        assert_eq!(ensure(&data, &domain, &none, NOW_US * 2).unwrap(), made);
        assert_eq!(known(Some(data.root()), &domain, &none).unwrap(), made);
    }

    #[test]
    fn another_size_is_another_key_beside_the_old_one() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let none = Resources::default();
        let first = ensure(&data, &domain(vec![rsa(2048)]), &none, NOW_US).unwrap();
        let second = ensure(&data, &domain(vec![rsa(3072)]), &none, NOW_US).unwrap();
        assert_eq!(second[0].selector, "20270115-rsa-2");
        assert_eq!(ensure(&data, &domain(vec![rsa(2048)]), &none, NOW_US).unwrap(), first);
    }

    #[test]
    fn a_broken_key_is_not_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let data = DataDir::open(base.path()).unwrap();
        let path = data.root().join("dkim/example.com/20270115-ed25519.pem");
        data::write(&path, b"half a k").unwrap();
        let fault = ensure(&data, &domain(vec![ED]), &Resources::default(), NOW_US).unwrap_err();
        assert!(matches!(fault, DataError::Broken { .. }));
        assert_eq!(std::fs::read(path).unwrap(), b"half a k");
    }
}
