//! Amounts of resources: what pods request and nodes have.

use keelson_api::quantity::Quantity;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::controllers::model::{ContainerPort, nullable};

/// CPU, memory, ephemeral storage and extended resources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub storage: i64,
    /// Extended resources and huge pages, by name.
    pub other: Vec<(String, i64)>,
}

impl Amounts {
    /// Reads a resource list. Malformed quantities count as nothing; the API server does not let them in.
    pub fn parse(list: &Value) -> Self {
        let mut amounts = Self::default();
        for (name, value) in list.as_object().into_iter().flatten() {
            let Ok(quantity) = Quantity::from_json(value) else {
                continue;
            };
            match name.as_str() {
                "cpu" => amounts.cpu = quantity.millis(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.storage = quantity.value(),
                "pods" => {}
                other => amounts.other.push((other.to_owned(), quantity.value())),
            }
        }
        amounts
    }

    /// Amount of an extended resource.
    pub fn other(&self, name: &str) -> i64 {
        self.other
            .iter()
            .find(|(have, _)| have == name)
            .map_or(0, |(_, amount)| *amount)
    }

    fn merge(&mut self, other: &Self, combine: impl Fn(i64, i64) -> i64) {
        self.cpu = combine(self.cpu, other.cpu);
        self.memory = combine(self.memory, other.memory);
        self.storage = combine(self.storage, other.storage);
        for (name, amount) in &other.other {
            if let Some((_, have)) = self.other.iter_mut().find(|(have, _)| have == name) {
                *have = combine(*have, *amount);
            } else {
                self.other.push((name.clone(), combine(0, *amount)));
            }
        }
    }

    /// Adds.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, i64::saturating_add);
    }

    /// Takes away.
    pub fn subtract(&mut self, other: &Self) {
        self.merge(other, i64::saturating_sub);
    }

    /// Raises to at least the other's.
    pub fn raise(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }
}

/// Decodes a resource list.
pub fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amounts, D::Error> {
    Value::deserialize(deserializer).map(|list| Amounts::parse(&list))
}

/// A container's part.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// `Always` for sidecars.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy: String,
    /// Resources.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
    /// Ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<ContainerPort>,
}

/// `resources` of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What it is promised.
    #[serde(deserialize_with = "amounts")]
    pub requests: Amounts,
}

/// What a pod takes: the sum of its containers and sidecars, or what starting takes if that is more, plus overhead.
///
/// Source: `k8s.io/component-helpers/resource` `PodRequests`.
pub fn pod_request(containers: &[Container], init_containers: &[Container], overhead: &Amounts) -> Amounts {
    let mut total = Amounts::default();
    for container in containers {
        total.add(&container.resources.requests);
    }
    let (mut sidecars, mut peak) = (Amounts::default(), Amounts::default());
    for container in init_containers {
        let mut needed = container.resources.requests.clone();
        if container.restart_policy == "Always" {
            sidecars.add(&needed);
            needed = sidecars.clone();
        } else {
            needed.add(&sidecars);
        }
        peak.raise(&needed);
    }
    total.add(&sidecars);
    total.raise(&peak);
    total.add(overhead);
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(cpu: &str, memory: &str) -> Container {
        serde_json::from_value(json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}})).unwrap()
    }

    #[test]
    fn requests_of_a_pod() {
        let mut sidecar = container("100m", "10Mi");
        sidecar.restart_policy = "Always".to_owned();
        let request = pod_request(
            &[container("200m", "64Mi"), container("0.3", "64Mi")],
            &[sidecar, container("1", "1Mi")],
            &Amounts::parse(&json!({"cpu": "10m", "example.com/gpu": "2"})),
        );
        assert_eq!(request.cpu, 1100 + 10, "starting takes more CPU than running");
        assert_eq!(request.memory, (64 + 64 + 10) << 20);
        assert_eq!(request.other("example.com/gpu"), 2);
    }

    #[test]
    fn adding_and_taking_away_cancel_out() {
        let a = Amounts::parse(&json!({"cpu": "1", "memory": "1Gi", "example.com/x": 3}));
        let mut sum = a.clone();
        sum.add(&a);
        sum.subtract(&a);
        assert_eq!(sum, a);
        assert_eq!(Amounts::parse(&json!({"cpu": "lots"})), Amounts::default());
    }
}
