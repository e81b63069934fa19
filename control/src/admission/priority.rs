//! Priority: the number and the preemption policy behind a pod's priorityClassName.

use keelson_api::status::Status;
use serde_json::Value;

use super::fields::{map, text};
use super::{Context, Operation, Request};
use crate::auth::resources::PRIORITY_CLASSES;

const PREEMPT: &str = "PreemptLowerPriority";

pub fn admit(context: &Context, request: &mut Request<'_>) -> Result<(), Status> {
    if request.is("scheduling.k8s.io", "priorityclasses") {
        return one_default(context, request);
    }
    if !request.is("", "pods") {
        return Ok(());
    }
    match request.operation {
        Operation::Create => pod(context, request),
        Operation::Update => {
            keep(request);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a client that does not know the resolved fields leaves out on update stays as it was.
fn keep(request: &mut Request<'_>) {
    let Some(old) = request.old else { return };
    let Some(spec) = request.object.as_deref_mut().and_then(|pod| map(pod, "spec")) else {
        return;
    };
    for field in ["priority", "preemptionPolicy"] {
        let value = &old["spec"][field];
        if !value.is_null() && spec.get(field).is_none_or(Value::is_null) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
}

struct Class {
    name: String,
    value: i64,
    policy: String,
}

impl Class {
    fn read(name: &str, class: &Value) -> Self {
        let policy = text(class, "/preemptionPolicy");
        Self {
            name: name.to_owned(),
            value: class["value"].as_i64().unwrap_or_default(),
            policy: if policy.is_empty() { PREEMPT } else { policy }.to_owned(),
        }
    }
}

fn pod(context: &Context, request: &mut Request<'_>) -> Result<(), Status> {
    let pod = request.object();
    let name = text(pod, "/spec/priorityClassName");
    let class = if name.is_empty() {
        default_class(context)
    } else {
        let Some(found) = context.reader.get(&PRIORITY_CLASSES, "", name) else {
            return Err(request.forbidden(&format!("no PriorityClass with name {name} was found")));
        };
        Class::read(name, &context.decoded.of(&found))
    };
    if let Some(given) = pod["spec"]["priority"]
        .as_i64()
        .filter(|given| *given != class.value)
    {
        return Err(request.forbidden(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            class.value
        )));
    }
    // An empty text is another policy than the class's, too.
    if let Some(given) = pod["spec"]["preemptionPolicy"]
        .as_str()
        .filter(|given| *given != class.policy)
    {
        return Err(request.forbidden(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            class.policy
        )));
    }
    let Some(spec) = request.object.as_deref_mut().and_then(|pod| map(pod, "spec")) else {
        return Ok(());
    };
    if !class.name.is_empty() {
        spec.insert("priorityClassName".to_owned(), class.name.into());
    }
    spec.insert("priority".to_owned(), class.value.into());
    spec.insert("preemptionPolicy".to_owned(), class.policy.into());
    Ok(())
}

/// The class that is marked as default (of several, which only a race can make, the one with the lowest value), or
/// priority 0.
fn default_class(context: &Context) -> Class {
    let classes = context.reader.list(&PRIORITY_CLASSES, None);
    let defaults = classes
        .iter()
        .map(|class| (class, context.decoded.of(class)))
        .filter(|(_, value)| value["globalDefault"] == true);
    let class = defaults
        .map(|(class, value)| Class::read(&class.name, &value))
        .min_by_key(|class| class.value);
    class.unwrap_or_else(|| Class {
        name: String::new(),
        value: 0,
        policy: PREEMPT.to_owned(),
    })
}

fn one_default(context: &Context, request: &Request<'_>) -> Result<(), Status> {
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    if !writes || request.object()["globalDefault"] != true {
        return Ok(());
    }
    let own = text(request.object(), "/metadata/name");
    for class in context.reader.list(&PRIORITY_CLASSES, None) {
        if class.name != own && context.decoded.of(&class)["globalDefault"] == true {
            return Err(request.forbidden(&format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                class.name
            )));
        }
    }
    Ok(())
}
