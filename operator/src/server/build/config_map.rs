//! The ConfigMap with the MTA's file. Its name stays the same, so that a change comes into running pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use paquebot_mta_api::config::Config;

use super::{Inputs, meta::meta, names};
use crate::server::config::CONFIG_FILE;

/// The ConfigMap.
pub fn build(inputs: &Inputs, config: &Config) -> ConfigMap {
    let text = serde_yaml::to_string(config).unwrap_or_default();
    ConfigMap {
        metadata: meta(inputs, &names(inputs.server).config_map),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), text)])),
        ..ConfigMap::default()
    }
}
