//! The admin API's authority, in a Secret of the operator's namespace: made once, rotated, and what is issued from it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use uuid::Uuid;

use super::{
    apply::{Applier, within},
    context::Fault,
    secrets::{create, keep, read},
    table::Name,
};
use crate::{
    directory::client::Identity,
    names::{MANAGER, labels},
    pki::{Authority, Credentials, Holder, Step, rotation},
};

/// The Secret's name.
pub const SECRET: &str = "paquebot-authority";

/// The authority as the Secret has it; `None`: there is none yet.
///
/// # Errors
/// It cannot be read, or holds no authority.
pub async fn load(client: &Client, namespace: &str) -> Result<Option<Authority>, Fault> {
    let secret = read(client, &Name::new(namespace, SECRET)).await?;
    secret.map(|it| Authority::read(&it.data.unwrap_or_default())).transpose().map_err(Fault::from)
}

/// The authority and what was issued from it.
pub struct Authorities {
    applier: Arc<Applier>,
    name: Name,
    state: Mutex<State>,
    identity: Arc<Identity>,
}

struct State {
    authority: Authority,
    operator: Credentials,
    /// Whether each MailServer's Secret has what the authority says now.
    reached: HashMap<Uuid, bool>,
    all_since: Option<Timestamp>,
}

impl Authorities {
    /// Reads the authority, or makes the first one.
    ///
    /// # Errors
    /// The Secret can be neither read nor made, or holds no authority.
    pub async fn open(applier: Arc<Applier>, namespace: &str, now: Timestamp) -> Result<Self, Fault> {
        let name = Name::new(namespace, SECRET);
        let authority = match load(applier.client(), namespace).await? {
            Some(there) => there,
            None => {
                create(&applier, &secret(&name, &Authority::make(now)?, None)).await?;
                // Of two that make it, one was first.
                load(applier.client(), namespace).await?.ok_or(Fault::System("the authority was not kept"))?
            }
        };
        let operator = authority.credentials(&Holder::Operator, None, now)?;
        let operator = operator.ok_or(Fault::System("no certificate of our own was issued"))?;
        let identity = Arc::new(Identity::new(&operator)?);
        let state = State { authority, operator, reached: HashMap::new(), all_since: None };
        Ok(Self { applier, name, state: Mutex::new(state), identity })
    }

    /// With which we speak to pods.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.clone()
    }

    /// New credentials for a MailServer, where those that it has will not do.
    ///
    /// # Errors
    /// They cannot be issued.
    pub fn server(
        &self,
        uid: Uuid,
        present: Option<&Credentials>,
        now: Timestamp,
    ) -> Result<Option<Credentials>, Fault> {
        let mut state = self.lock();
        let holder = Holder::Server(uid);
        let new = state.authority.credentials(&holder, present, now)?;
        let reached = new.is_none() && present.is_some_and(|it| state.authority.has_reached(&holder, it, now));
        state.reached.insert(uid, reached);
        Ok(new)
    }

    /// The authority as it is now.
    pub fn authority(&self) -> Authority {
        self.lock().authority.clone()
    }

    /// Renews our own certificate, and goes on with a rotation where its time has come. `servers`: the MailServers that
    /// have a certificate. Says whether they need others now.
    ///
    /// # Errors
    /// It cannot be written or issued.
    pub async fn turn(&self, servers: &[Uuid], now: Timestamp) -> Result<bool, Fault> {
        let (step, next) = {
            let mut state = self.lock();
            state.reached.retain(|uid, _| servers.contains(uid));
            let all = servers.iter().all(|uid| state.reached.get(uid) == Some(&true));
            state.all_since = if all { state.all_since.or(Some(now)) } else { None };
            let step = rotation(now, &state.authority, state.all_since);
            (step, state.authority.clone())
        };
        if !matches!(step, Step::Keep) {
            let next = next.after(step, now)?;
            self.write(&next).await?;
            tracing::info!("the admin API's authority is rotated by a step");
            let mut state = self.lock();
            (state.authority, state.all_since) = (next, None);
            state.reached.values_mut().for_each(|it| *it = false);
        }
        let mut state = self.lock();
        if let Some(new) = state.authority.credentials(&Holder::Operator, Some(&state.operator), now)? {
            self.identity.replace(&new)?;
            state.operator = new;
        }
        Ok(!matches!(step, Step::Keep))
    }

    /// A Secret that somebody deleted or edited comes back as it was: another authority would be trusted by nobody. Says
    /// whether it was written.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub async fn restore(&self) -> Result<bool, Fault> {
        let restored = keep(&self.applier, &secret(&self.name, &self.authority(), None)).await?;
        if restored {
            tracing::warn!(secret = %self.name, "the authority's Secret was deleted or edited: it is as it was again");
        }
        Ok(restored)
    }

    async fn write(&self, authority: &Authority) -> Result<(), Fault> {
        self.applier.may_write()?;
        let present = read(self.applier.client(), &self.name).await?;
        let version = present.and_then(|it| it.metadata.resource_version);
        let api: Api<Secret> = Api::namespaced(self.applier.client().clone(), &self.name.namespace);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let secret = secret(&self.name, authority, version);
        within(format!("Secret {} could not be written", self.name), api.replace(SECRET, &params, &secret)).await?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn secret(name: &Name, authority: &Authority, version: Option<String>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            labels: Some(labels(MANAGER, "authority")),
            resource_version: version,
            ..ObjectMeta::default()
        },
        data: Some(authority.data()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}
