"""Every list of the generated client is asked for and read into its types; these raise when a required field is missing."""

import inspect

from kubernetes import client

from session import NAMESPACE, core

served = {"v1"}
for group in client.ApisApi().get_api_versions().groups:
    served.update(version.group_version for version in group.versions)

asked, objects, absent = 0, 0, []
for name, kind in inspect.getmembers(client, inspect.isclass):
    if not name.endswith("Api"):
        continue
    # Classes of groups that answer a question about the group itself have no lists.
    lists = [m for m in dir(kind) if m.startswith("list_") and not m.endswith("_with_http_info")]
    api = kind()
    if not lists or not hasattr(api, "get_api_resources") or name == "CustomObjectsApi":
        continue
    try:
        resources = api.get_api_resources()
    except client.ApiException as error:
        assert error.status == 404, (name, error)
        absent.append(name)
        continue
    assert resources.group_version in served, resources.group_version
    for resource in resources.resources:
        assert resource.name and resource.kind and resource.verbs is not None, resource
    listable = {r.kind for r in resources.resources if "list" in r.verbs}
    for method in lists:
        call = getattr(api, method)
        try:
            answer = call(NAMESPACE) if "_namespaced_" in method else call()
        except client.ApiException as error:
            assert error.status == 404, (name, method, error.status, error.body)
            absent.append(f"{name}.{method}")
            continue
        except ValueError as error:
            # An event that was written in the core group has no eventTime, with upstream's server as with ours; the client's
            # type insists on one.
            assert name == "EventsV1Api" and "event_time" in str(error), (method, error)
            continue
        asked += 1
        objects += len(answer.items or [])
        # The parts of the control plane are looked at when somebody asks, and are of no revision.
        assert answer.metadata.resource_version or method == "list_component_status", method
        assert answer.kind.removesuffix("List") in listable, (method, answer.kind)
        assert answer.api_version == resources.group_version, (method, answer.api_version)

# Versions before v1 are not served, which the client's user learns from discovery as from real clusters.
served_but_absent = [entry for entry in absent if "V1beta" not in entry and "V1alpha" not in entry and "V2beta" not in entry]
assert not served_but_absent, served_but_absent
assert asked > 60 and objects > 100, (asked, objects)

# What else a client may ask of the server about itself.
version = client.VersionApi().get_code()
assert (version.major, version.minor) == ("1", "33") and version.git_version.startswith("v1.33"), version
assert core.get_api_resources().group_version == "v1"
assert client.CoreApi().get_api_versions().versions == ["v1"]
assert client.AppsApi().get_api_group().preferred_version.version == "v1"
assert "keys" in client.OpenidApi().get_service_account_issuer_open_id_keyset()
assert "issuer" in client.WellKnownApi().get_service_account_issuer_open_id_configuration()
review = client.V1SelfSubjectAccessReview(
    spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="delete", resource="nodes")
    )
)
assert client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed
who = client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview())
assert who.status.user_info.username == "kubernetes-admin", who
