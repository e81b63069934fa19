// Watch, ListWatch and the informer: events, selectors, the cache, resumption after an end, and a version that is gone.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';
import { config, configMap, core, namespace, rootCertificates, until } from './session.mjs';

await rootCertificates();

const path = `/api/v1/namespaces/${namespace}/configmaps`;
const watch = new k8s.Watch(config);
const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);

// Events from a version on, until the server ends the watch because its time is over.
const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
await core.createNamespacedConfigMap(configMap('a', {}, { app: 'x' }));
await core.patchNamespacedConfigMap({ name: 'a', namespace, body: { data: { k: 'v' } } }, merge);
await core.patchNamespacedConfigMap({ name: 'a', namespace, body: { metadata: { labels: { app: 'y' } } } }, merge);
await core.deleteNamespacedConfigMap({ name: 'a', namespace });
async function events(query) {
    const seen = [];
    const error = await new Promise((resolve) => {
        const each = (type, object) => seen.push([type, object]);
        watch.watch(path, { timeoutSeconds: 1, ...query }, each, resolve).catch(resolve);
    });
    return { seen, error };
}
let { seen, error } = await events({ resourceVersion: start });
assert.equal(error, null);
assert.deepEqual(seen.map(([type]) => type), ['ADDED', 'MODIFIED', 'MODIFIED', 'DELETED']);
assert.equal(seen[1][1].data.k, 'v');
({ seen } = await events({ resourceVersion: start, labelSelector: 'app=x' }));
assert.deepEqual(seen.map(([type]) => type), ['ADDED', 'MODIFIED', 'DELETED']);
({ seen } = await events({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true }));
const bookmark = seen.find(([type]) => type === 'BOOKMARK');
assert.equal(bookmark[1].metadata.annotations['k8s.io/initial-events-end'], 'true');
({ error } = await events({ resourceVersion: 'nonsense' }));
assert.equal(error.statusCode, 400);

// The informer: first what there is, then what comes, with a cache that agrees, over several watches.
await core.createNamespacedConfigMap(configMap('first', { n: '0' }, { in: 'yes' }));
await core.createNamespacedConfigMap(configMap('hidden'));
const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'in=yes' });
const informer = k8s.makeInformer(config, path, list, 'in=yes');
const told = [];
let connects = 0;
for (const verb of ['add', 'update', 'delete']) informer.on(verb, (object) => told.push(`${verb} ${object.metadata.name}`));
informer.on('connect', () => { connects += 1; });
// The library tells of its own stop as of an error.
informer.on('error', (problem) => { if (problem.name !== 'AbortError') throw problem; });
await informer.start();
assert.deepEqual(told, ['add first']);
const heard = async (what) => until(what, () => told.includes(what), 10_000);
await core.createNamespacedConfigMap(configMap('second', {}, { in: 'yes' }));
await heard('add second');
await core.patchNamespacedConfigMap({ name: 'first', namespace, body: { data: { n: '1' } } }, merge);
await heard('update first');
assert.equal(informer.get('first', namespace).data.n, '1');
await core.patchNamespacedConfigMap({ name: 'hidden', namespace, body: { metadata: { labels: { in: 'yes' } } } }, merge);
await heard('add hidden');
await core.patchNamespacedConfigMap({ name: 'second', namespace, body: { metadata: { labels: { in: 'no' } } } }, merge);
await heard('delete second');
await core.deleteNamespacedConfigMap({ name: 'first', namespace });
await heard('delete first');
assert.deepEqual(informer.list(namespace).map((object) => object.metadata.name), ['hidden']);
assert.equal(connects, 1, 'one watch brought all of it');
assert.deepEqual(told, ['add first', 'add second', 'update first', 'add hidden', 'delete second', 'delete first']);
await informer.stop();

// Stopped and started again: it takes up the thread at its last version.
await core.createNamespacedConfigMap(configMap('third', {}, { in: 'yes' }));
await informer.start();
await heard('add third');
await informer.stop();
