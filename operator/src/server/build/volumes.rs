//! What the pods have in their file system: everything else is read-only.

use k8s_openapi::{
    api::core::v1::{ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount},
    apimachinery::pkg::api::resource::Quantity,
};

use super::{
    Inputs,
    names::{DATA, names},
    pod::Kind,
    tls::tls,
};
use crate::server::config::{ADMIN_FOLDER, CONFIG_FOLDER, DATA_FOLDER, RUN_FOLDER, SEAL_FOLDER, SEAL_KEY, TLS_FOLDER};

/// Where the database's URL is mounted.
const STORE_FOLDER: &str = "/etc/paquebot/store";
/// The name of the file with the database's URL.
const STORE_FILE: &str = "url";
/// Secrets are read by the owner and the pod's group.
const SECRET_MODE: i32 = 0o440;
/// Sockets need no room.
const RUN_SIZE: &str = "1Mi";
/// SQLite sorts there what does not fit into memory.
const TEMPORARY_SIZE: &str = "256Mi";

/// The volumes; the StatefulSet adds the one with the mail.
pub fn volumes(inputs: &Inputs, kind: Kind) -> Vec<Volume> {
    let names = names(inputs.server);
    let config = Volume {
        name: "config".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: names.config_map, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    };
    let postgres = inputs.server.spec.store.postgres.as_ref().filter(|_| kind == Kind::Shared);
    let url = postgres.map(|it| {
        let file = item(&it.url_secret_ref.key, STORE_FILE);
        secret("store", &it.url_secret_ref.name, vec![file])
    });
    let pair = || vec![item("tls.crt", "tls.crt"), item("tls.key", "tls.key")];
    let mut admin = pair();
    admin.push(item("ca.crt", "ca.crt"));
    let mut all = vec![
        config,
        secret("tls", tls(inputs.server, inputs.settings).secret(), pair()),
        secret("admin", &names.admin, admin),
        secret("seal", &names.seal_key, vec![item(SEAL_KEY, SEAL_KEY)]),
        empty("run", Some("Memory"), RUN_SIZE),
        empty("tmp", None, TEMPORARY_SIZE),
    ];
    all.extend(url);
    all
}

/// Where they are mounted. Whole folders, never single files: those would keep what was there when the pod began.
pub fn mounts(kind: Kind) -> Vec<VolumeMount> {
    let read_only = |name: &str, folder: &str| VolumeMount { read_only: Some(true), ..mount(name, folder) };
    let mut all = vec![
        read_only("config", CONFIG_FOLDER),
        read_only("tls", TLS_FOLDER),
        read_only("admin", ADMIN_FOLDER),
        read_only("seal", SEAL_FOLDER),
        mount("run", RUN_FOLDER),
        mount("tmp", "/tmp"),
    ];
    all.push(match kind {
        Kind::Embedded => mount(DATA, DATA_FOLDER),
        Kind::Shared => read_only("store", STORE_FOLDER),
    });
    all
}

fn mount(name: &str, folder: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: folder.to_owned(), ..VolumeMount::default() }
}

fn item(key: &str, path: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: path.to_owned(), mode: None }
}

/// Only what is named of it: a user's Secret may hold more.
fn secret(name: &str, secret: &str, items: Vec<KeyToPath>) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(SECRET_MODE),
            items: Some(items),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn empty(name: &str, medium: Option<&str>, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(str::to_owned),
            size_limit: Some(Quantity(size.to_owned())),
        }),
        ..Volume::default()
    }
}
