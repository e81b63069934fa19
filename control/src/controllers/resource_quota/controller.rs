//! Calculates quotas and writes their status.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Interest;
use super::count::{Counter, scopes};
use super::interest::GATHER;
use crate::admission::resource_quota::{Amounts, amounts};
use crate::controllers::Context;
use crate::controllers::api::{Api, Error, resources};
use crate::controllers::informer::{Key, Next};

const NAME: &str = "resourcequota-controller";

/// Starts the controller.
pub fn start(context: &Context, tasks: &mut JoinSet<()>) {
    let interest = context.quota_interest.clone();
    let queue = interest.queue().clone();
    context.quotas.on_change(move |old, new| {
        if let Some(quota) = new
            && (old.is_none_or(|old| old.value["spec"] != quota.value["spec"]) || is_foreign(&quota.value))
        {
            queue.add(quota.metadata.key());
        }
    });
    let api = context.api(NAME);
    let counter = Arc::new(Counter::new(api.clone()));
    tasks.spawn(async move {
        interest.quotas().synced().await;
        let queue = interest.queue().clone();
        queue
            .work(NAME, |key| {
                let (api, counter, interest) = (api.clone(), counter.clone(), interest.clone());
                async move { calculate(&api, &counter, &interest, key).await }
            })
            .await;
    });
}

/// Whether somebody else has written the status: it is not of the limits that are set. (Upstream finds out every five minutes,
/// when it calculates everything again.)
fn is_foreign(quota: &Value) -> bool {
    amounts(&quota["status"]["hard"]) != amounts(&quota["spec"]["hard"])
}

async fn calculate(api: &Api, counter: &Counter, interest: &Interest, key: Key) -> Result<Next, Error> {
    interest.begins(&key);
    let Some(quota) = interest.quotas().store().get_key(&key) else {
        return Ok(Next::Wait);
    };
    if quota.metadata.deleted.is_some() {
        return Ok(Next::Wait);
    }
    let hard = quota.hard();
    let used = counter
        .used(&quota.metadata.namespace, &scopes(&quota.value), &hard)
        .await?;
    let Some(status) = status(&quota.value, &hard, used) else {
        return Ok(Next::Wait);
    };
    let mut object = quota.value.clone();
    object["status"] = status;
    match api.replace(resources::resource_quotas(), "status", &object).await {
        // It has changed meanwhile; a change that does not concern it is not told to it again.
        Err(error) if error.is_conflict() => Ok(Next::After(GATHER)),
        Err(error) if error.is_not_found() => Ok(Next::Wait),
        Err(error) => Err(error),
        Ok(_) => Ok(Next::Wait),
    }
}

/// The new status, or `None` if it says so already. What cannot be counted keeps the value that it had.
pub(super) fn status(quota: &Value, hard: &Amounts, used: Amounts) -> Option<Value> {
    let before = amounts(&quota["status"]["used"]);
    let mut now: Amounts = before
        .iter()
        .filter(|(key, _)| hard.contains_key(*key))
        .map(|(key, amount)| (key.clone(), *amount))
        .collect();
    now.extend(used);
    let written = |amounts: &Amounts| -> Value {
        amounts
            .iter()
            .map(|(key, amount)| (key.clone(), Value::from(amount.to_string())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let known = &quota["status"];
    let same = amounts(&known["hard"]) == *hard && before == now && known["used"].is_object();
    (!same).then(|| json!({"hard": written(hard), "used": written(&now)}))
}
