//! The API server with our definitions, and a namespace that is gone after the test.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::Request,
    runtime::{conditions::is_crd_established, wait::await_condition},
};
use paquebot_tests::cluster::Cluster;
use serde_json::{Value, json};
use tokio::time::timeout;

/// A definition is served within a second or so; this is for a machine that does much else.
const ESTABLISHED_TIMEOUT: Duration = Duration::from_secs(60);

/// A namespace of its own in a cluster that has our definitions.
pub struct World {
    /// The API server.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl World {
    /// In the cluster, with today's definitions.
    pub async fn new() -> Self {
        let client = client().await;
        for (_, definition) in paquebot::api::crd::crds() {
            define(&client, definition).await;
        }
        let made = json!({"metadata": {"generateName": "admit-"}});
        let api: Api<Namespace> = Api::all(client.clone());
        let made = api.create(&PostParams::default(), &serde_json::from_value(made).unwrap()).await.unwrap();
        Self { client, namespace: made.metadata.name.unwrap() }
    }

    /// Gives an object to the API server as `kubectl apply` does: unknown fields are refused. What it stored, or what
    /// it says.
    pub async fn create(&self, object: &Value, dry_run: bool) -> Result<Value, String> {
        let (path, body) = (self.path(object), serde_json::to_vec(object).unwrap());
        let params = PostParams { dry_run, ..PostParams::default() };
        let mut request = Request::new(path).create(&params, body).unwrap();
        let separator = if request.uri().query().is_some_and(|it| !it.is_empty()) { "&" } else { "" };
        let strict = format!("{}{separator}fieldValidation=Strict", request.uri());
        *request.uri_mut() = strict.parse().unwrap();
        said(self.client.request(request).await)
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, object: &Value, patch: Value) -> Result<Value, String> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let request =
            Request::new(self.path(object)).patch(name, &PatchParams::default(), &Patch::Merge(patch)).unwrap();
        said(self.client.request(request).await)
    }

    /// Reads an object.
    pub async fn get(&self, object: &Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap();
        let request = Request::new(self.path(object)).get(name, &Default::default()).unwrap();
        self.client.request(request).await.unwrap()
    }

    fn path(&self, object: &Value) -> String {
        let plural = match object["kind"].as_str().unwrap() {
            "Mailbox" => "mailboxes".to_owned(),
            other => format!("{}s", other.to_lowercase()),
        };
        format!("/apis/{}/namespaces/{}/{plural}", object["apiVersion"].as_str().unwrap(), self.namespace)
    }

    /// Deletes the namespace.
    pub async fn end(self) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(&self.namespace, &DeleteParams::background()).await.unwrap();
    }
}

async fn client() -> Client {
    // Starting a node waits for processes.
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Applies a definition and waits until it is served.
pub async fn define(client: &Client, definition: &Value) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = definition["metadata"]["name"].as_str().unwrap();
    if let Err(fault) = api.patch(name, &PatchParams::apply("admit").force(), &Patch::Apply(definition)).await {
        panic!("{name}: {fault}");
    }
    let served = await_condition(api, name, is_crd_established());
    timeout(ESTABLISHED_TIMEOUT, served).await.expect("the definition is not served").unwrap();
}

fn said(result: Result<Value, kube::Error>) -> Result<Value, String> {
    match result {
        Ok(value) => Ok(value),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(other) => panic!("the API server did not answer: {other}"),
    }
}
