//! Each plug-in over an in-memory Reader.

mod automount;
mod node_certificates;
mod nodes;
mod objects;
mod pods;
mod policy_parameters;
mod storage;

use std::sync::Arc;

use keelson_api::status::Status;
use serde_json::{Value, json};

use super::{Chain, Operation, Request};
use crate::Config;
use crate::auth::memory::Memory;
use crate::auth::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, SERVICE_ACCOUNTS};
use crate::auth::{Authorizer, UserInfo};
use crate::kinds::{Kind, Strategy};

#[derive(Debug)]
struct Plain;

impl Strategy for Plain {
    fn row(&self, _: &Value, _: i64) -> Vec<Value> {
        Vec::new()
    }
}

/// A kind of which plug-ins look at group and plural only.
pub fn kind(group: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: group.into(),
        version: "v1".into(),
        kind: "Kind".into(),
        plural: plural.into(),
        singular: "".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        verbs: &[],
        subresources: Vec::new(),
        storage: None,
        columns: Vec::new(),
        strategy: Box::new(Plain),
        custom: None,
    }
}

pub fn config() -> Config {
    Config {
        data_dir: "/nonexistent".into(),
        pki_dir: "/nonexistent".into(),
        listen: "127.0.0.1:6443".parse().unwrap(),
        advertise: "192.0.2.1:6443".parse().unwrap(),
        service_cidrs: vec!["10.43.0.0/16".to_owned()],
        cluster_cidrs: vec!["10.42.0.0/16".to_owned()],
        dns_ip: "10.43.0.10".parse().unwrap(),
        cluster_domain: "cluster.local".to_owned(),
        node_ports: (30000, 32767),
        etcd: None,
        encryption: crate::encryption::Settings::default(),
        admission_control_config_file: None,
        dials_loopback: false,
    }
}

pub fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..UserInfo::default()
    }
}

/// A chain over a namespace `a` with its default service account.
struct Fixture {
    memory: Arc<Memory>,
    chain: Chain,
}

/// What is asked of the chain.
#[derive(Clone, Copy)]
struct Ask<'a> {
    user: &'a UserInfo,
    operation: Operation,
    group: &'static str,
    plural: &'static str,
    subresource: &'a str,
    namespace: &'a str,
    name: &'a str,
    old: Option<&'a Value>,
}

impl Fixture {
    /// Gives a user, or another subject of this kind, these rights in the whole cluster.
    fn allow(&self, (kind, name): (&str, &str), rules: &Value) {
        let role = json!({"metadata": {"name": "r"}, "rules": rules});
        let binding = json!({"metadata": {"name": "x"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": kind, "name": name}]});
        self.memory.put(&CLUSTER_ROLES, &role);
        self.memory.put(&CLUSTER_ROLE_BINDINGS, &binding);
    }

    fn new() -> Self {
        let memory = Arc::new(Memory::default());
        memory.put(
            &NAMESPACES,
            &json!({"metadata": {"name": "a"}, "status": {"phase": "Active"}}),
        );
        memory.put(
            &SERVICE_ACCOUNTS,
            &json!({"metadata": {"namespace": "a", "name": "default", "uid": "u"}}),
        );
        let authorizer = Arc::new(Authorizer::new(memory.clone()));
        let chain = Chain::new(&config(), memory.clone(), authorizer).unwrap();
        Self { memory, chain }
    }

    /// Both phases; the object as it would be stored.
    fn ask(&self, ask: Ask<'_>, mut object: Option<Value>) -> Result<Value, Status> {
        let kind = kind(ask.group, ask.plural);
        let mut request = Request {
            user: ask.user,
            operation: ask.operation,
            kind: &kind,
            subresource: ask.subresource,
            namespace: ask.namespace,
            name: ask.name,
            old: ask.old,
            object: object.as_mut(),
            dry_run: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            self.chain.mutate(&mut request).await?;
            let result = self.chain.validate(&request).await;
            self.chain.settle(&request, result.is_ok());
            result
        })?;
        Ok(object.unwrap_or_default())
    }

    fn create(&self, group: &'static str, plural: &'static str, object: Value) -> Result<Value, Status> {
        let boss = user("boss", &["system:masters"]);
        self.ask(ask(&boss, Operation::Create, group, plural), Some(object))
    }
}

fn ask<'a>(user: &'a UserInfo, operation: Operation, group: &'static str, plural: &'static str) -> Ask<'a> {
    Ask {
        user,
        operation,
        group,
        plural,
        subresource: "",
        namespace: "a",
        name: "x",
        old: None,
    }
}
