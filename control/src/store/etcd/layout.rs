//! Which key an object has in etcd: kube-apiserver's layout, so that what is written about it holds here.
//!
//! `PREFIX/RESOURCE/NAMESPACE/NAME` for built-in kinds (a few have other names, see [`RENAMED`]), and
//! `PREFIX/GROUP/RESOURCE/NAMESPACE/NAME` for custom resources and the two groups that upstream stores like them. A group
//! of the second form has a dot, which no resource has. Values are JSON with an empty resourceVersion.
//! What is not an object lies below `PREFIX/keelson/`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::object::GroupResource;

/// Names that upstream has kept from its early days.
const RENAMED: [(&str, &str, &str); 5] = [
    ("", "replicationcontrollers", "controllers"),
    ("", "endpoints", "services/endpoints"),
    ("", "nodes", "minions"),
    ("", "services", "services/specs"),
    ("networking.k8s.io", "ingresses", "ingress"),
];
/// Built-in groups whose objects are stored below the group's name.
const GROUPED: [&str; 2] = ["apiextensions.k8s.io", "apiregistration.k8s.io"];

/// From objects to keys and back.
#[derive(Debug)]
pub struct Layout {
    /// Ends in a slash.
    prefix: String,
    /// Directories of the built-in resources, without slashes around them.
    directories: HashMap<Arc<GroupResource>, String>,
    resources: HashMap<String, Arc<GroupResource>>,
}

impl Layout {
    /// For built-in resources that are stored as these.
    pub fn new(prefix: &str, builtin: &[GroupResource]) -> Self {
        let mut layout = Self {
            prefix: format!("/{}/", prefix.trim_matches('/')),
            directories: HashMap::new(),
            resources: HashMap::new(),
        };
        for resource in builtin {
            if GROUPED.contains(&resource.group.as_str()) {
                continue;
            }
            let renamed = RENAMED
                .iter()
                .find(|(group, name, _)| *group == resource.group && *name == resource.resource);
            let directory = renamed.map_or(resource.resource.as_str(), |(.., directory)| directory);
            let resource = Arc::new(resource.clone());
            layout
                .resources
                .insert(directory.to_owned(), Arc::clone(&resource));
            layout.directories.insert(resource, directory.to_owned());
        }
        layout
    }

    /// What all keys begin with.
    pub fn all(&self) -> Vec<u8> {
        self.prefix.clone().into_bytes()
    }

    /// The key after all of them.
    pub fn end(&self) -> Vec<u8> {
        let mut end = self.all();
        // The prefix ends in a slash, after which '0' comes.
        end.pop();
        end.push(b'/' + 1);
        end
    }

    /// Key of an object.
    pub fn key(&self, resource: &GroupResource, key: &str) -> Vec<u8> {
        let prefix = &self.prefix;
        match self.directories.get(resource) {
            Some(directory) => format!("{prefix}{directory}/{key}"),
            None => format!("{prefix}{}/{}/{key}", resource.group, resource.resource),
        }
        .into_bytes()
    }

    /// Key of something that is not an object.
    pub fn own(&self, name: &str) -> Vec<u8> {
        format!("{}keelson/{name}", self.prefix).into_bytes()
    }

    /// The object that a key is of; `None` if it is none of ours.
    pub fn parse<'a>(&self, key: &'a [u8]) -> Option<(Arc<GroupResource>, &'a str)> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        let (first, rest) = rest.split_once('/')?;
        if first.contains('.') {
            let (second, rest) = rest.split_once('/')?;
            return Some((Arc::new(GroupResource::new(first, second)), rest));
        }
        if let Some(resource) = self.resources.get(first) {
            return Some((Arc::clone(resource), rest));
        }
        let (second, rest) = rest.split_once('/')?;
        let resource = self.resources.get(&format!("{first}/{second}"))?;
        Some((Arc::clone(resource), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_upstreams_and_come_back() {
        let builtin = [
            GroupResource::new("", "pods"),
            GroupResource::new("", "nodes"),
            GroupResource::new("", "services"),
            GroupResource::new("", "endpoints"),
            GroupResource::new("apps", "deployments"),
            GroupResource::new("apiextensions.k8s.io", "customresourcedefinitions"),
        ];
        let layout = Layout::new("/registry", &builtin);
        for (group, resource, key, expected) in [
            ("", "pods", "default/a", "/registry/pods/default/a"),
            ("", "nodes", "n1", "/registry/minions/n1"),
            (
                "",
                "services",
                "default/kubernetes",
                "/registry/services/specs/default/kubernetes",
            ),
            ("", "endpoints", "a/b", "/registry/services/endpoints/a/b"),
            ("apps", "deployments", "a/b", "/registry/deployments/a/b"),
            (
                "apiextensions.k8s.io",
                "customresourcedefinitions",
                "x.example.com",
                "/registry/apiextensions.k8s.io/customresourcedefinitions/x.example.com",
            ),
            ("example.com", "pods", "a/b", "/registry/example.com/pods/a/b"),
        ] {
            let resource = GroupResource::new(group, resource);
            let text = layout.key(&resource, key);
            assert_eq!(String::from_utf8_lossy(&text), expected);
            let (back, name) = layout.parse(&text).unwrap();
            assert_eq!((&*back, name), (&resource, key));
        }
        // No two built-in resources share a place.
        let builtin = crate::server::builtin_resources();
        let layout = Layout::new("keelson/", &builtin);
        for resource in &builtin {
            let key = layout.key(resource, "a/b");
            assert!(key.starts_with(b"/keelson/"));
            assert_eq!(
                layout.parse(&key).map(|(back, _)| back).as_deref(),
                Some(resource)
            );
        }
    }

    #[test]
    fn other_keys_are_none_of_ours() {
        let layout = Layout::new("/registry", &[GroupResource::new("", "pods")]);
        for foreign in [
            "/registry/ranges/serviceips",
            "/registry/keelson/progress",
            "/other/pods/a/b",
        ] {
            assert!(layout.parse(foreign.as_bytes()).is_none(), "{foreign}");
        }
        assert_eq!(layout.end(), b"/registry0");
    }
}
