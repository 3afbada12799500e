//! Starts all watches, and says who hears of what.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use k8s_openapi::api::{
    core::v1::{Namespace, Secret},
    storage::v1::StorageClass,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use serde::de::DeserializeOwned;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    apply::dynamic,
    client::Activity,
    owned::Owned,
    table::{Table, Told},
    watch::{Watch, follow},
    world::{DNS_ENDPOINT, OWNED_KINDS, WEBHOOK, World},
};
use crate::{
    api::{MailDomain, MailServer, Mailbox},
    names::{MANAGED_BY, MANAGER},
    webhook,
};

/// Groups of other projects, whose kinds a cluster may lack.
const FOREIGN: [&str; 2] = ["cert-manager.io", "externaldns.k8s.io"];

/// Starts watches.
pub struct Watches {
    /// The API server's client.
    pub client: Client,
    /// What they fill.
    pub world: Arc<World>,
    /// Shows that they live.
    pub activity: Activity,
    /// Ends them.
    pub closing: CancellationToken,
    /// Where they run.
    pub tasks: TaskTracker,
}

impl Watches {
    /// Starts all, in these namespaces; the empty one stands for all.
    pub fn start(&self, namespaces: &[String]) {
        for namespace in namespaces {
            self.resources(namespace);
            for (group, version, kind, keep) in OWNED_KINDS.iter().chain([&DNS_ENDPOINT]) {
                self.owned(namespace, GroupVersionKind::gvk(group, version, kind), kind, *keep);
            }
            self.secrets(namespace);
        }
        self.cluster();
    }

    /// Starts those of the operator's own objects, each by its name: Secrets of its namespace, and the webhook's
    /// registration. Whoever may not see them is not told that they moved.
    pub fn own(&self, namespace: &str, secrets: &[&str], has_webhook: bool) {
        for secret in secrets {
            let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(self.client.clone(), namespace);
            let listed = self.world.clone();
            let watch = Watch::new(api, "").named(secret).optional();
            let watch = watch.when_listed(move || listed.own_moved.notify_one());
            let (world, activity, closing) = (self.world.clone(), self.activity.clone(), self.closing.clone());
            self.tasks.spawn(async move {
                let table = Table::new(&[String::new()]);
                let version = |it: PartialObjectMeta<Secret>| it.metadata.resource_version.unwrap_or_default();
                follow(watch, &table, version, |told| own_moved(&world, &told), activity, closing).await;
            });
        }
        if has_webhook {
            let (group, version, kind) = WEBHOOK;
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let (world, activity, closing) = (self.world.clone(), self.activity.clone(), self.closing.clone());
            // Whoever may see it now may perhaps write it too.
            let granted = world.clone();
            let watch = Watch::new(dynamic(&self.client, &resource, ""), "").named(webhook::NAME).optional();
            let watch = watch.when_listed(move || granted.own_moved.notify_one());
            self.tasks.spawn(async move {
                let make = |object| Owned::of(object, false);
                let told = |told: Told<'_, Owned>| own_moved(&world, &told);
                follow_dynamic(watch, &world.webhook, make, told, activity, closing).await;
            });
        }
    }

    fn resources(&self, namespace: &str) {
        let world = self.world.clone();
        let domains = Watch::new(self.api::<MailDomain>(namespace), namespace).when_listed(look_again(world.clone()));
        self.spawn(domains, |world| &world.domains, pruned, move |told| world.domain_changed(told));
        let world = self.world.clone();
        let servers = Watch::new(self.api::<MailServer>(namespace), namespace).when_listed(look_again(world.clone()));
        self.spawn(servers, |world| &world.servers, pruned, move |told| world.server_changed(told));
        let world = self.world.clone();
        let mailboxes = Watch::new(self.api::<Mailbox>(namespace), namespace).when_listed(look_again(world.clone()));
        self.spawn(mailboxes, |world| &world.mailboxes, pruned, move |told| world.mailbox_changed(told));
    }

    fn owned(&self, namespace: &str, kind: GroupVersionKind, name: &'static str, keep: bool) {
        let Some(table) = self.world.owned.get(name).cloned() else { return };
        let foreign = FOREIGN.contains(&kind.group.as_str());
        let api = dynamic(&self.client, &ApiResource::from_gvk(&kind), namespace);
        let world = self.world.clone();
        let mut watch: Watch<DynamicObject> =
            Watch::new(api, namespace).labelled(&format!("{MANAGED_BY}={MANAGER}")).when_listed(look_again(world));
        if foreign {
            watch = watch.optional();
        }
        let (world, activity, closing) = (self.world.clone(), self.activity.clone(), self.closing.clone());
        self.tasks.spawn(async move {
            let told = |told: Told<'_, Owned>| world.owned_changed(name, told);
            follow_dynamic(watch, &table, move |object| Owned::of(object, keep), told, activity, closing).await;
        });
    }

    fn secrets(&self, namespace: &str) {
        let world = self.world.clone();
        let watch: Watch<PartialObjectMeta<Secret>> =
            Watch::new(self.api(namespace), namespace).labelled(&format!("{MANAGED_BY}!={MANAGER}"));
        let watch = watch.when_listed(look_again(world.clone()));
        let version = |it: PartialObjectMeta<Secret>| it.metadata.resource_version.unwrap_or_default();
        self.spawn(
            watch,
            |world| &world.secrets,
            version,
            move |told: Told<'_, String>| {
                if told.before != told.after {
                    world.secret_changed(told.name);
                }
            },
        );
    }

    /// What is not in a namespace. With Roles only it cannot be seen: selectors of namespaces admit nobody then.
    fn cluster(&self) {
        let world = self.world.clone();
        let watch: Watch<PartialObjectMeta<Namespace>> = Watch::new(Api::all(self.client.clone()), "").optional();
        let labels =
            |it: PartialObjectMeta<Namespace>| -> BTreeMap<String, String> { it.metadata.labels.unwrap_or_default() };
        self.spawn(
            watch,
            |world| &world.namespaces,
            labels,
            move |told: Told<'_, BTreeMap<String, String>>| {
                if told.before != told.after {
                    world.namespace_changed(told.name);
                }
            },
        );
        let world = self.world.clone();
        let watch: Watch<StorageClass> = Watch::new(Api::all(self.client.clone()), "").optional();
        self.spawn(
            watch,
            |world| &world.storage_classes,
            Arc::new,
            move |told: Told<'_, Arc<StorageClass>>| {
                if told.before != told.after {
                    world.all_servers();
                }
            },
        );
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespace {
            "" => Api::all(self.client.clone()),
            namespace => Api::namespaced(self.client.clone(), namespace),
        }
    }

    fn spawn<K, T>(
        &self,
        watch: Watch<K>,
        table: impl Fn(&World) -> &Table<T> + Send + 'static,
        make: impl Fn(K) -> T + Send + Sync + 'static,
        told: impl FnMut(Told<'_, T>) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        T: Clone + Send + Sync + 'static,
    {
        let (world, activity, closing) = (self.world.clone(), self.activity.clone(), self.closing.clone());
        self.tasks.spawn(async move { follow(watch, table(&world), make, told, activity, closing).await });
    }
}

/// What was written while nobody watched may be gone again, and a status may be older than it looked.
fn look_again(world: Arc<World>) -> impl Fn() + Send + Sync {
    move || {
        if world.is_synced() {
            world.everything();
        }
    }
}

fn own_moved<T: PartialEq>(world: &World, told: &Told<'_, T>) {
    if told.moved() {
        world.own_moved.notify_one();
    }
}

async fn follow_dynamic(
    watch: Watch<DynamicObject>,
    table: &Table<Owned>,
    make: impl Fn(DynamicObject) -> Owned,
    told: impl FnMut(Told<'_, Owned>),
    activity: Activity,
    closing: CancellationToken,
) {
    follow(watch, table, make, told, activity, closing).await;
}

/// Without the lists of who wrote which field, which are longer than the resources themselves.
fn pruned<K: Resource>(mut object: K) -> Arc<K> {
    object.meta_mut().managed_fields = None;
    Arc::new(object)
}
