"""A Deployment's life, its scale, logs and events, and a service account's token, all in types."""

import datetime

from kubernetes import client, utils

from session import NAMESPACE, core, refused, running, until

apps = client.AppsV1Api()
container = client.V1Container(
    name="c", image="busybox:1.36", command=["sh", "-c", "echo started as $HOSTNAME; exec sleep 3600"],
    resources=client.V1ResourceRequirements(requests={"cpu": "1m"}),
)
template = client.V1PodTemplateSpec(
    metadata=client.V1ObjectMeta(labels={"app": "web"}),
    spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
)
deployment = client.V1Deployment(
    metadata=client.V1ObjectMeta(name="web"),
    spec=client.V1DeploymentSpec(
        replicas=1, selector=client.V1LabelSelector(match_labels={"app": "web"}), template=template
    ),
)
made = apps.create_namespaced_deployment(NAMESPACE, deployment)
assert made.spec.strategy.rolling_update.max_surge == "25%" and made.spec.revision_history_limit == 10, made.spec


def replicas(wanted):
    def reached():
        status = apps.read_namespaced_deployment_status("web", NAMESPACE).status
        return status if (status.ready_replicas or 0) == wanted == (status.replicas or 0) else None

    return until(f"{wanted} replicas", reached)


replicas(1)
scale = apps.read_namespaced_deployment_scale("web", NAMESPACE)
assert scale.status.replicas == 1 and scale.status.selector == "app=web", scale
scale.spec.replicas = 2
assert apps.replace_namespaced_deployment_scale("web", NAMESPACE, scale).spec.replicas == 2
replicas(2)
apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 1}})
replicas(1)

name = core.list_namespaced_pod(NAMESPACE, label_selector="app=web", field_selector="status.phase=Running").items[0]
name = name.metadata.name
assert running(name).status.pod_ip and running(name).spec.node_name
assert core.read_namespaced_pod_log(name, NAMESPACE) == f"started as {name}\n"
assert core.read_namespaced_pod_log(name, NAMESPACE, limit_bytes=7) == "started"
refused(400, "BadRequest", core.read_namespaced_pod_log, name, NAMESPACE, container="other")
events = until(
    "events", lambda: core.list_namespaced_event(NAMESPACE, field_selector=f"involvedObject.name={name}").items
)
assert all(event.reason and event.involved_object.kind == "Pod" for event in events), events

# An immutable field, in upstream's words.
made = apps.read_namespaced_deployment("web", NAMESPACE)
made.spec.selector.match_labels = {"app": "other"}
made.spec.template.metadata.labels = {"app": "other"}
status = refused(422, "Invalid", apps.replace_namespaced_deployment, "web", NAMESPACE, made)
assert "field is immutable" in status["message"], status

# A token that is bound to a pod, used as a credential, reviewed, and worth nothing once the pod is gone.
core.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="sa")))
request = client.AuthenticationV1TokenRequest(
    spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
)
token = core.create_namespaced_service_account_token("sa", NAMESPACE, request)
assert token.status.expiration_timestamp > datetime.datetime.now(datetime.timezone.utc), token.status
settings = client.Configuration.get_default_copy()
settings.cert_file = settings.key_file = None
settings.api_key = {"authorization": f"Bearer {token.status.token}"}
as_account = client.ApiClient(settings)
who = client.AuthenticationV1Api(as_account).create_self_subject_review(client.V1SelfSubjectReview())
assert who.status.user_info.username == f"system:serviceaccount:{NAMESPACE}:sa", who
refused(403, "Forbidden", client.CoreV1Api(as_account).list_namespaced_secret, NAMESPACE)
rules = client.V1Role(
    metadata=client.V1ObjectMeta(name="reader"),
    rules=[client.V1PolicyRule(api_groups=[""], resources=["secrets"], verbs=["list"])],
)
rbac = client.RbacAuthorizationV1Api()
rbac.create_namespaced_role(NAMESPACE, rules)
rbac.create_namespaced_role_binding(
    NAMESPACE,
    client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="reader"),
        role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
        subjects=[client.RbacV1Subject(kind="ServiceAccount", name="sa", namespace=NAMESPACE)],
    ),
)


def allowed():
    try:
        return client.CoreV1Api(as_account).list_namespaced_secret(NAMESPACE)
    except client.ApiException as error:
        assert error.status == 403, error
        return None


until("the role to be in force", allowed, limit=5)

# A manifest through the client's own helper.
utils.create_from_dict(
    client.ApiClient(),
    {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    },
)
policy = client.PolicyV1Api()


def counted():
    status = policy.read_namespaced_pod_disruption_budget("web", NAMESPACE).status
    return status and status.current_healthy == 1


until("a budget", counted)
eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=NAMESPACE))
refused(429, "TooManyRequests", core.create_namespaced_pod_eviction, name, NAMESPACE, eviction)
policy.delete_namespaced_pod_disruption_budget("web", NAMESPACE)
core.create_namespaced_pod_eviction(name, NAMESPACE, eviction)
until("another pod", lambda: name not in [p.metadata.name for p in core.list_namespaced_pod(NAMESPACE).items])

# In the foreground: the Deployment outlives its pods.
apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
until("all gone", lambda: not apps.list_namespaced_deployment(NAMESPACE).items)
assert not core.list_namespaced_pod(NAMESPACE, label_selector="app=web").items
