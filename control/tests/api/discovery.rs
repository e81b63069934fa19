//! Discovery, as the conformance suite's rows describe it.

use serde_json::Value;

use crate::cluster::Cluster;

fn items<'a>(list: &'a Value, field: &str) -> &'a [Value] {
    let items = list[field]
        .as_array()
        .unwrap_or_else(|| panic!("{field}: {list}"));
    assert!(!items.is_empty(), "{field}: {list}");
    items
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

/// Should validate PreferredVersion for each APIGroup; and: should locate the groupVersion and a resource within each APIGroup.
#[test]
fn every_group_prefers_one_of_its_versions_and_each_has_resources() {
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    let groups = items(&groups, "groups");
    assert!(groups.len() > 15, "{groups:?}");
    for group in groups {
        let name = group["name"].as_str().unwrap();
        let (code, own) = cluster.get(&format!("/apis/{name}"));
        assert_eq!((code, &own["name"]), (200, &group["name"]), "{own}");
        let preferred = &own["preferredVersion"];
        assert_eq!(preferred, &group["preferredVersion"], "{name}");
        let versions = items(&own, "versions");
        assert_eq!(versions, items(group, "versions"), "{name}");
        assert!(
            versions.contains(preferred),
            "{name}: {preferred} of {versions:?}"
        );
        for version in versions {
            let path = format!("{name}/{}", version["version"].as_str().unwrap());
            assert_eq!(version["groupVersion"], path);
            let (code, list) = cluster.get(&format!("/apis/{path}"));
            assert_eq!((code, &list["groupVersion"]), (200, &version["groupVersion"]));
            for resource in items(&list, "resources") {
                assert!(
                    is_text(&resource["name"]) && is_text(&resource["kind"]),
                    "{path}: {resource}"
                );
                assert!(items(resource, "verbs").iter().all(is_text), "{path}: {resource}");
            }
        }
    }
}

/// AdmissionWebhook should include webhook resources in discovery documents.
#[test]
fn webhook_configurations_are_found_in_discovery() {
    const GROUP: &str = "admissionregistration.k8s.io";
    let cluster = Cluster::start();
    let (_, groups) = cluster.get("/apis");
    let listed = items(&groups, "groups")
        .iter()
        .find(|group| group["name"] == GROUP);
    let (_, own) = cluster.get(&format!("/apis/{GROUP}"));
    for group in [listed.expect("the group is listed"), &own] {
        let found = items(group, "versions")
            .iter()
            .find(|version| version["version"] == "v1");
        let found = found.unwrap_or_else(|| panic!("no v1: {group}"));
        assert_eq!(found["groupVersion"], format!("{GROUP}/v1"));
    }
    let (_, list) = cluster.get(&format!("/apis/{GROUP}/v1"));
    for (name, kind) in [
        ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
        (
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
        ),
    ] {
        let found = items(&list, "resources").iter().find(|one| one["name"] == name);
        let found = found.unwrap_or_else(|| panic!("no {name}: {list}"));
        assert_eq!(
            (&found["kind"], &found["namespaced"]),
            (&kind.into(), &false.into())
        );
    }
}
