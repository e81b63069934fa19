// The typed client and the client of any object: create, lists with selectors and pages, replace, patches, apply, delete.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';
import { config, configMap, core, namespace, refused, until } from './session.mjs';

// Create, read back in types, and what is refused.
const made = await core.createNamespacedConfigMap({ ...configMap('a', { k: '1' }, { app: 'a' }), fieldManager: 'tester' });
assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date, 'in types');
assert.equal(made.metadata.managedFields[0].manager, 'tester');
assert.deepEqual(await core.readNamespacedConfigMap({ name: 'a', namespace }), made);
let status = await refused(409, 'AlreadyExists', () => core.createNamespacedConfigMap(configMap('a')));
assert.deepEqual(status.details, { name: 'a', kind: 'configmaps' });
status = await refused(404, 'NotFound', () => core.readNamespacedConfigMap({ name: 'nothing', namespace }));
assert.equal(status.message, 'configmaps "nothing" not found');
status = await refused(422, 'Invalid', () => core.createNamespacedConfigMap(configMap('Not A Name')));
assert.equal(status.details.causes[0].field, 'metadata.name');

// Pages of one snapshot.
for (let n = 0; n < 12; n += 1) await core.createNamespacedConfigMap(configMap(`page-${10 + n}`, {}, { paged: 'yes' }));
const names = [];
let next;
let pages = 0;
do {
    const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'paged=yes', limit: 5, _continue: next });
    names.push(...page.items.map((item) => item.metadata.name));
    next = page.metadata._continue;
    pages += 1;
    if (pages === 1) await core.createNamespacedConfigMap(configMap('page-99', {}, { paged: 'yes' }));
} while (next);
assert.equal(pages, 3);
assert.deepEqual(names, Array.from({ length: 12 }, (_, n) => `page-${10 + n}`));
const found = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=a' });
assert.deepEqual(found.items.map((item) => item.metadata.name), ['a']);

// A second writer with an old version conflicts.
const stale = await core.readNamespacedConfigMap({ name: 'a', namespace });
const fresh = await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: { ...stale, data: { k: '2' } } });
assert.notEqual(fresh.metadata.resourceVersion, stale.metadata.resourceVersion);
await refused(409, 'Conflict', () => core.replaceNamespacedConfigMap({ name: 'a', namespace, body: stale }));

// The four kinds of patch, chosen by content type.
const patch = (strategy, body, query = {}) =>
    core.patchNamespacedConfigMap(
        { name: 'a', namespace, body, ...query },
        k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy[strategy]),
    );
assert.deepEqual((await patch('JsonPatch', [{ op: 'add', path: '/data/m', value: '3' }])).data, { k: '2', m: '3' });
assert.deepEqual((await patch('MergePatch', { data: { k: null } })).data, { m: '3' });
assert.deepEqual((await patch('StrategicMergePatch', { data: { n: '4' } })).data, { m: '3', n: '4' });
const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { n: '5' } };
status = await refused(409, 'Conflict', () => patch('ServerSideApply', applied, { fieldManager: 'applier' }));
assert.equal(status.details.causes[0].reason, 'FieldManagerConflict');
assert.deepEqual((await patch('ServerSideApply', applied, { fieldManager: 'applier', force: true })).data, { m: '3', n: '5' });
await refused(422, 'Invalid', () => patch('JsonPatch', [{ op: 'remove', path: '/data/nothing' }]));

// Any object, its path found by discovery.
const any = k8s.KubernetesObjectApi.makeApiClient(config);
const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd', namespace },
    spec: {
        replicas: 0,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'busybox:1.36' }] } },
    },
};
const created = await any.create(deployment);
assert.equal(created.spec.strategy.type, 'RollingUpdate');
assert.equal((await any.read(deployment)).metadata.uid, created.metadata.uid);
const patched = await any.patch({ ...deployment, spec: { replicas: 1 } });
assert.equal(patched.spec.replicas, 1);
const forced = await any.patch(
    { ...deployment, spec: { ...deployment.spec, replicas: 0 } }, undefined, undefined, 'applier', true,
    k8s.PatchStrategy.ServerSideApply,
);
assert.ok(forced.metadata.managedFields.some((entry) => entry.manager === 'applier' && entry.operation === 'Apply'));
const listed = await any.list('apps/v1', 'Deployment', namespace);
assert.deepEqual(listed.items.map((item) => item.metadata.name), ['d']);
const apps = config.makeApiClient(k8s.AppsV1Api);
const scale = await apps.readNamespacedDeploymentScale({ name: 'd', namespace });
assert.equal(scale.kind, 'Scale');
await any.delete(deployment, undefined, undefined, undefined, undefined, 'Foreground');
await until('the deployment gone', async () => (await any.list('apps/v1', 'Deployment', namespace)).items.length === 0);

// A whole manifest in YAML, as the client's own loader reads it.
const [service, secret] = k8s.loadAllYaml(`
apiVersion: v1
kind: Service
metadata: {name: s, namespace: ${namespace}}
spec: {selector: {a: b}, ports: [{name: web, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: ${namespace}}
stringData: {k: v}
`);
assert.equal((await any.create(service)).spec.ports[0].targetPort, 'web');
assert.deepEqual((await any.create(secret)).data, { k: 'dg==' });

// Deletion with a precondition, and of a collection.
await refused(409, 'Conflict', () =>
    core.deleteNamespacedConfigMap({ name: 'a', namespace, body: { preconditions: { uid: 'someone-else' } } }));
assert.equal((await core.deleteNamespacedConfigMap({ name: 'a', namespace })).status, 'Success');
await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'paged=yes' });
assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'paged=yes' })).items.length, 0);

// What the server says of itself.
const health = new k8s.Health(config);
assert.ok((await health.readyz({})) && (await health.livez({})) && (await health.healthz({})));
assert.equal((await config.makeApiClient(k8s.VersionApi).getCode()).minor, '33');
const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
assert.ok(groups.groups.some((group) => group.name === 'apps' && group.preferredVersion.version === 'v1'));
const nodes = await core.listNode();
assert.ok(nodes.items[0].status.nodeInfo.kubeletVersion.startsWith('v1.33'), nodes.items[0].status.nodeInfo.kubeletVersion);
