//! The pods' ServiceAccount: it may do nothing, and no pod gets its token.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{Inputs, meta::meta, names};

/// The ServiceAccount.
pub fn build(inputs: &Inputs) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(inputs, &names(inputs.server).service_account),
        // The pods face the Internet: they hold no credentials of the API server.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
