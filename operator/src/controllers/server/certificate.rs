//! The Secrets of a MailServer: the seal key, the admin API's certificate, the certificate for mail.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Resource, api::ObjectMeta};

use crate::{
    api::{MailServer, server::IssuerRef},
    controllers::{
        context::{Context, Fault, random},
        secrets::{Data, create, read},
        table::Name,
    },
    domain::ids,
    names::labels,
    pki::{
        CertificateProblem, Credentials, check,
        secret::{mail_certificate, pair_data, read_pair, tls},
    },
    server::{
        Facts,
        build::{self, TlsSource, names, seal_key},
        conditions::CertificateState,
    },
};

/// Makes what is missing, and renews what is ours.
pub(super) async fn ensure(context: &Context, server: &MailServer, name: &Name, facts: &Facts) -> Result<(), Fault> {
    let names = names(server);
    let at = |object: &str| Name::new(name.namespace.clone(), object);
    if context.world.owned("Secret", &at(&names.seal_key)).is_none() {
        create(&context.applier, &seal_key::build(server, &name.namespace, &random()?)).await?;
    }
    // Applied also where it stays: its labels and its owner may be gone. What is as it was left is not written.
    let present = lying(context, &at(&names.admin)).await?.and_then(|it| Credentials::read(&it));
    let new = context.authorities.server(ids::uid(server), present.as_ref(), context.now())?;
    if let Some(credentials) = new.or(present) {
        write(context, server, &names.admin, credentials.data()).await?;
    }
    if let TlsSource::SelfSigned { secret } = build::tls(server, &context.settings) {
        let present = lying(context, &at(&secret)).await?.and_then(|it| read_pair(&it));
        let hosts = [facts.hostname.to_string()];
        let new = mail_certificate(present.as_ref(), &hosts, context.now())?;
        if let Some(pair) = new.or(present) {
            write(context, server, &secret, pair_data(&pair)).await?;
        }
    }
    Ok(())
}

async fn data(context: &Context, name: &Name) -> Result<Option<Arc<Data>>, Fault> {
    Ok(context.data.get(name, |it| Arc::new(it.data.clone().unwrap_or_default())).await?)
}

/// What lies there, also where the watches have not brought it: one whose labels are edited goes from one watch to
/// another, and is not made anew for that.
async fn lying(context: &Context, name: &Name) -> Result<Option<Arc<Data>>, Fault> {
    match data(context, name).await? {
        Some(data) => Ok(Some(data)),
        None => Ok(read(context.client(), name).await?.map(|it| Arc::new(it.data.unwrap_or_default()))),
    }
}

async fn write(context: &Context, server: &MailServer, secret: &str, data: Data) -> Result<(), Fault> {
    let object: Secret = tls(
        ObjectMeta {
            name: Some(secret.to_owned()),
            namespace: server.metadata.namespace.clone(),
            labels: Some(labels(&names(server).base, "certificate")),
            owner_references: server.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data,
    );
    context.applier.apply(&serde_json::to_value(&object).unwrap_or_default()).await?;
    Ok(())
}

/// What is to be said of the certificate for mail.
pub(super) async fn state(
    context: &Context,
    server: &MailServer,
    name: &Name,
    facts: Option<&Facts>,
) -> Result<CertificateState, Fault> {
    let source = build::tls(server, &context.settings);
    let Some(facts) = facts else { return Ok(CertificateState::Pending) };
    let secret = source.secret().to_owned();
    let data = data(context, &Name::new(name.namespace.clone(), secret.clone())).await?;
    let Some(data) = data else {
        return Ok(match &source {
            TlsSource::SelfSigned { .. } => CertificateState::Pending,
            TlsSource::Secret { .. } => CertificateState::SecretMissing { secret },
            TlsSource::Issuer { .. } if !super::cert_manager(context) => CertificateState::NoCertManager,
            TlsSource::Issuer { issuer, .. } => issuing(context, server, name, issuer),
        });
    };
    let self_signed = matches!(source, TlsSource::SelfSigned { .. });
    let text = |key: &str| data.get(key).and_then(|it| String::from_utf8(it.0.clone()).ok()).unwrap_or_default();
    let (chain, key) = (text("tls.crt"), text("tls.key"));
    Ok(match check(&chain, &key, facts.hostname.as_str(), context.now()) {
        Ok(facts) => CertificateState::Good { expires: facts.not_after, self_signed },
        Err(CertificateProblem::KeyMismatch) => CertificateState::KeyMismatch { secret },
        Err(CertificateProblem::OtherName { names, .. }) => CertificateState::NotCovered { secret, names },
        Err(CertificateProblem::Expired(expired)) => CertificateState::Expired { secret, expired },
        Err(other) => CertificateState::Unreadable { secret, why: other.to_string() },
    })
}

fn issuing(context: &Context, server: &MailServer, name: &Name, issuer: &IssuerRef) -> CertificateState {
    let certificate = names(server).certificate;
    let at = Name::new(name.namespace.clone(), certificate.clone());
    let said = context.world.owned("Certificate", &at).and_then(|it| it.whole);
    let ready = said.as_ref().and_then(|it| it.pointer("/status/conditions")?.as_array().cloned()).unwrap_or_default();
    let of = |it: &serde_json::Value, field: &str| it.get(field).and_then(|it| it.as_str()).map(str::to_owned);
    let why = ready.iter().find(|it| of(it, "type").as_deref() == Some("Ready")).and_then(|it| of(it, "message"));
    CertificateState::Issuing { certificate, issuer: issuer.clone(), why }
}
