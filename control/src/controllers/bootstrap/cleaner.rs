//! Deletes the Secrets of bootstrap tokens whose time is over.
//!
//! Source: `k8s.io/kubernetes/pkg/controller/bootstrap/tokencleaner.go`.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::super::Context;
use super::super::api::{Api, Error, resources};
use super::super::informer::{Informer, Key, Next, Queue};
use super::super::model::{Time, TokenSecret};
use crate::auth::bootstrap_token::Expiry;

const NAME: &str = "token-cleaner";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let queue = Queue::new();
    let adder = queue.clone();
    context.token_secrets.on_change(move |_, new| {
        if let Some(secret) = new {
            adder.add(secret.metadata.key());
        }
    });
    let (api, secrets) = (context.api(NAME), context.token_secrets.clone());
    tasks.spawn(async move {
        secrets.synced().await;
        queue.work(NAME, |key| look(&api, &secrets, key)).await;
    });
}

async fn look(api: &Api, secrets: &Informer<TokenSecret>, key: Key) -> Result<Next, Error> {
    let Some(secret) = secrets.store().get_key(&key) else {
        return Ok(Next::Wait);
    };
    match secret.data.expiry(Time::now().0) {
        Expiry::Never => Ok(Next::Wait),
        Expiry::In(seconds) => Ok(Next::After(Duration::from_secs(seconds))),
        Expiry::Past => {
            let meta = &secret.metadata;
            let options = json!({"preconditions": {"uid": meta.uid}});
            match api
                .delete(resources::secrets(), &meta.namespace, &meta.name, &options)
                .await
            {
                // Another one of the same name: it comes by itself.
                Err(error) if !error.is_conflict() => Err(error),
                _ => Ok(Next::Wait),
            }
        }
    }
}
