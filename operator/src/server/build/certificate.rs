//! cert-manager's Certificate, as JSON: its definition is not ours, and may not be there.

use serde_json::{Value, json};

use super::{
    Inputs,
    meta::meta,
    names,
    tls::{TlsSource, tls},
};

/// The Certificate, where an issuer is named and cert-manager is there.
pub fn build(inputs: &Inputs) -> Option<Value> {
    let TlsSource::Issuer { issuer, secret } = tls(inputs.server, inputs.settings) else { return None };
    inputs.cert_manager.then(|| {
        json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": meta(inputs, &names(inputs.server).certificate),
            "spec": {
                "secretName": secret,
                "dnsNames": [inputs.facts.hostname],
                "issuerRef": {"group": "cert-manager.io", "kind": issuer.kind.name(), "name": issuer.name},
                // RSA, because mail still comes from servers that know nothing else.
                "privateKey": {"algorithm": "RSA", "size": 2048, "rotationPolicy": "Always"},
                "usages": ["digital signature", "key encipherment", "server auth"],
            },
        })
    })
}
