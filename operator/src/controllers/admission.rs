//! The admission webhook in this process: its certificate, its view of the world, and how the API server finds it.
//!
//! Every replica answers, leader or not: a view that is not complete says nothing of other objects.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use paquebot_mta_api::address::{Address, Domain};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    authority,
    context::{Context, Fault},
    table::Name,
    world::World,
};
use crate::{
    api::{MailDomain, MailServer, Mailbox},
    pki::{Authority, Credentials, Holder, names::service_names},
    settings::{Settings, WebhookSettings},
    webhook,
};

/// Between two looks at the authority.
const RENEW_PERIOD: Duration = Duration::from_secs(3600);
/// Between two looks while there is none yet: the leader makes it.
const WAIT_PERIOD: Duration = Duration::from_secs(2);

/// What the webhook knows.
pub struct Admission {
    world: Arc<World>,
    /// While this process leads: who holds a name.
    leading: RwLock<Weak<Context>>,
}

impl Admission {
    /// Of this world.
    pub fn new(world: Arc<World>) -> Self {
        Self { world, leading: RwLock::default() }
    }

    /// This process leads with this context.
    pub fn leads(&self, context: &Arc<Context>) {
        *self.leading.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(context);
    }
}

impl webhook::World for Admission {
    fn is_complete(&self) -> bool {
        self.world.is_synced()
    }

    fn server(&self, namespace: &str, name: &str) -> Option<Arc<MailServer>> {
        self.world.servers.get(&Name::new(namespace, name))
    }

    fn domains_of(&self, namespace: &str, name: &str) -> Vec<Arc<MailDomain>> {
        let domains = self.world.domains_of_server.with(&Name::new(namespace, name));
        domains.iter().filter_map(|it| self.world.domains.get(it)).collect()
    }

    fn domain(&self, namespace: &str, name: &str) -> Option<Arc<MailDomain>> {
        self.world.domains.get(&Name::new(namespace, name))
    }

    fn mailboxes(&self, namespace: &str, address: &Address) -> Vec<Arc<Mailbox>> {
        let domain = Name::new(namespace, address.domain().as_str());
        let same = |it: &Arc<Mailbox>| {
            it.spec.address.parse::<Address>().is_ok_and(|other| other.folded() == address.folded())
        };
        let names = self.world.mailboxes_of_domain.with(&domain);
        names.iter().filter_map(|it| self.world.mailboxes.get(it)).filter(same).collect()
    }

    fn labels(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.world.namespaces.get(&Name::new("", namespace))
    }

    fn holder(&self, namespace: &str, name: &str, domain: &Domain) -> Option<Uuid> {
        let context = self.leading.read().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        context.directories.report(&Name::new(namespace, name)).holders.get(domain).copied()
    }
}

/// Where the API server finds it.
fn client(settings: &Settings, webhook: &WebhookSettings) -> webhook::Client {
    match &webhook.url {
        Some(url) => webhook::Client::Url(url.clone()),
        None => webhook::Client::Service {
            namespace: settings.namespace.clone(),
            name: webhook.service.clone(),
            port: webhook.port,
        },
    }
}

/// The names of its certificate.
fn certificate_names(settings: &Settings, webhook: &WebhookSettings) -> Vec<String> {
    let host = |url: &String| {
        let rest = url.strip_prefix("https://").unwrap_or(url);
        rest.split(['/', ':']).next().unwrap_or(rest).to_owned()
    };
    webhook.url.as_ref().map_or_else(|| service_names(&webhook.service, &settings.namespace), |url| vec![host(url)])
}

/// Serves until `closing`.
pub async fn serve(
    listener: TcpListener,
    admission: Arc<Admission>,
    client: Client,
    settings: Settings,
    closing: CancellationToken,
) {
    let Some(webhook) = settings.webhook.clone() else { return };
    let names = certificate_names(&settings, &webhook);
    let first = closing.clone().run_until_cancelled_owned(first(&client, &settings, &names)).await;
    let Some((mut present, config)) = first else { return };
    let (sender, tls) = watch::channel(config);
    let renewing = async {
        loop {
            tokio::time::sleep(RENEW_PERIOD).await;
            match issued(&client, &settings, &names, Some(&present)).await {
                Ok(Some((new, config))) => {
                    present = new;
                    sender.send_replace(config);
                }
                Ok(None) => {}
                Err(fault) => tracing::warn!(%fault, "the webhook's certificate could not be renewed: trying again"),
            }
        }
    };
    tokio::select! {
        served = webhook::serve(listener, tls, admission, closing.clone()) => {
            if let Err(error) = served {
                tracing::error!(%error, "the webhook is not served any more");
            }
        }
        () = renewing => {}
    }
}

async fn first(client: &Client, settings: &Settings, names: &[String]) -> (Credentials, Arc<ServerConfig>) {
    loop {
        match issued(client, settings, names, None).await {
            Ok(Some(issued)) => return issued,
            Ok(None) => {}
            Err(fault) => tracing::debug!(%fault, "the webhook waits for its certificate"),
        }
        tokio::time::sleep(WAIT_PERIOD).await;
    }
}

/// A certificate for the webhook, where the present one will not do.
async fn issued(
    client: &Client,
    settings: &Settings,
    names: &[String],
    present: Option<&Credentials>,
) -> Result<Option<(Credentials, Arc<ServerConfig>)>, Fault> {
    let Some(authority) = authority::load(client, &settings.namespace).await? else { return Ok(None) };
    let new = authority.credentials(&Holder::Webhook(names.to_vec()), present, Timestamp::now())?;
    new.map(|new| tls(&new).map(|config| (new, config))).transpose()
}

fn tls(credentials: &Credentials) -> Result<Arc<ServerConfig>, Fault> {
    const FAULT: Fault = Fault::System("the webhook's certificate cannot be used");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(credentials.pair.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(credentials.pair.key.as_bytes()).map_err(|_| FAULT)?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain.map_err(|_| FAULT)?, key);
    config.map(Arc::new).map_err(|_| FAULT)
}

/// Tells the API server of the webhook, while we lead. Says whether it had to be told.
///
/// # Errors
/// It could not be told.
pub async fn register(context: &Context, authority: &Authority) -> Result<bool, Fault> {
    let Some(webhook) = &context.settings.webhook else { return Ok(false) };
    let bundle = authority.bundle();
    let object = webhook::configuration(
        &client(&context.settings, webhook),
        bundle.as_bytes(),
        &context.settings.watch_namespaces,
    );
    Ok(context.applier.apply(&serde_json::to_value(object).unwrap_or_default()).await?)
}
