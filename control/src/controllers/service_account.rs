//! Gives every namespace its `default` service account.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::Context;
use super::api::{Error, resources};
use super::informer::{Next, Queue};

const NAME: &str = "service-account-controller";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue: Arc<Queue<String>> = Queue::new();
    let adder = queue.clone();
    context.namespaces.on_change(move |_, new| {
        if let Some(namespace) = new {
            adder.add(namespace.metadata.name.clone());
        }
    });
    let adder = queue.clone();
    context.service_accounts.on_change(move |old, new| {
        if let (Some(old), None) = (old, new)
            && old.name == "default"
        {
            adder.add(old.namespace.clone());
        }
    });
    let (api, namespaces) = (context.api(NAME), context.namespaces.clone());
    let accounts = context.service_accounts.clone();
    tasks.spawn(async move {
        namespaces.synced().await;
        accounts.synced().await;
        queue
            .work(NAME, |name| {
                let (api, namespaces, accounts) = (api.clone(), namespaces.clone(), accounts.clone());
                async move {
                    let active = namespaces
                        .store()
                        .get("", &name)
                        .is_some_and(|n| n.status.phase != "Terminating");
                    if !active || accounts.store().get(&name, "default").is_some() {
                        return Ok(Next::Wait);
                    }
                    let body = json!({"metadata": {"name": "default", "namespace": name}});
                    match api.create(resources::service_accounts(), &name, body).await {
                        Err(error)
                            if !error.is_already_exists()
                                && !error.is_not_found()
                                && !error.is_namespace_terminating() =>
                        {
                            Err::<Next, Error>(error)
                        }
                        _ => Ok(Next::Wait),
                    }
                }
            })
            .await;
    });
}
