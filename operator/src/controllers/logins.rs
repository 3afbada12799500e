//! The digests of passwords: read out of Secrets, which are made where nobody named another.

use std::{collections::BTreeMap, fmt::Debug};

use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use paquebot_mta_api::{address::Address, directory::LoginKeys};

use super::{
    context::{Context, Fault, random},
    secrets::{create, read},
    state::Login,
    table::Name,
};
use crate::{
    api::refs::SecretKeyRef,
    domain::ids,
    mailbox::password::{self, Password, PasswordFault},
};

/// Whose password it is.
pub struct Wanted<'a, R> {
    /// The resource.
    pub owner: &'a R,
    /// The address; `None`: it is none.
    pub address: Option<Address>,
    /// Where the password lies.
    pub reference: SecretKeyRef,
    /// The Secret of a generated one; `None`: a person makes it.
    pub generated: Option<&'a (dyn Fn(&Password) -> Secret + Send + Sync)>,
}

/// The digest of a password, or what keeps people from logging in with it.
///
/// # Errors
/// The Secret cannot be read now: what is known of it stays.
pub async fn digest<R>(context: &Context, wanted: &Wanted<'_, R>) -> Result<Result<String, PasswordFault>, Fault>
where
    R: Resource<DynamicType = ()> + Debug + Sync,
{
    let reference = &wanted.reference;
    let namespace = wanted.owner.meta().namespace.clone().unwrap_or_default();
    let name = Name::new(namespace.clone(), reference.name.clone());
    if let Some(address) = &wanted.address {
        let login = Login { namespace, reference: reference.clone() };
        context.state.set_logins(ids::uid(wanted.owner), BTreeMap::from([(address.folded(), login)]));
    }
    let digest = |secret: Option<&Secret>| {
        let read = password::read(reference, secret.and_then(|it| it.data.as_ref()));
        read.map(|it| LoginKeys::digest(it.reveal(), &context.digest_key))
    };
    if let Some(known) = context.passwords.get_part(&name, &reference.key, |secret| digest(Some(secret))).await? {
        return Ok(known);
    }
    let Some(generated) = wanted.generated else { return Ok(digest(None)) };
    let made = password::generate(&random()?);
    match create(&context.applier, &generated(&made)).await.map_err(Fault::from) {
        Ok(true) => {
            let whose = wanted.address.as_ref().map(ToString::to_string).unwrap_or_default();
            let note = format!("made a password for {whose}, in the Secret {}", name.name);
            context.events.tell(wanted.owner, false, "PasswordGenerated", &note).await;
        }
        Ok(false) => {}
        Err(fault) => return Ok(Err(PasswordFault::Refused(fault.refused()?))),
    }
    // Where it was there already, the watch is late, and what lies there counts.
    Ok(digest(read(context.client(), &name).await?.as_ref()))
}
