// A CustomResourceDefinition and its objects: typed definition, objects as plain data, by discovery, and under an informer.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';
import { config, namespace, refused, until } from './session.mjs';

const group = `${namespace}.example.com`;
const name = `gadgets.${group}`;
const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
const schema = {
    openAPIV3Schema: {
        type: 'object',
        properties: {
            spec: {
                type: 'object',
                required: ['size'],
                properties: {
                    size: { type: 'integer', minimum: 1 },
                    mode: { type: 'string', _default: 'quiet', _enum: ['quiet', 'loud'] },
                    port: { x_kubernetes_int_or_string: true },
                },
            },
            status: { type: 'object', properties: { size: { type: 'integer' } } },
        },
    },
};
const subresources = { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } };
const made = await extensions.createCustomResourceDefinition({
    body: {
        metadata: { name },
        spec: {
            group,
            scope: 'Namespaced',
            names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget' },
            versions: [
                { name: 'v1', served: true, storage: true, schema, subresources },
                { name: 'v1beta1', served: true, storage: false, schema, subresources },
            ],
        },
    },
});
assert.equal(made.spec.names.listKind, 'GadgetList');
const established = (found) => found.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True');
await until('established', async () => established(await extensions.readCustomResourceDefinition({ name })), 10_000);

// Plain data, in two versions of one object.
const objects = config.makeApiClient(k8s.CustomObjectsApi);
const where = { group, version: 'v1', namespace, plural: 'gadgets' };
const gadget = (id, spec, version = 'v1') => ({ apiVersion: `${group}/${version}`, kind: 'Gadget', metadata: { name: id }, spec });
const a = await objects.createNamespacedCustomObject({ ...where, body: gadget('a', { size: 1, extra: true, port: 'web' }) });
assert.deepEqual(a.spec, { size: 1, mode: 'quiet', port: 'web' });
const beta = await objects.getNamespacedCustomObject({ ...where, version: 'v1beta1', name: 'a' });
assert.deepEqual([beta.apiVersion, beta.metadata.uid], [`${group}/v1beta1`, a.metadata.uid]);
const status = await refused(422, 'Invalid', () =>
    objects.createNamespacedCustomObject({ ...where, body: gadget('b', { size: 0, mode: 'other' }) }));
assert.deepEqual(status.details.causes.map((cause) => cause.field).sort(), ['spec.mode', 'spec.size']);
const merge = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch);
const patched = await objects.patchNamespacedCustomObject({ ...where, name: 'a', body: { spec: { mode: 'loud' } } }, merge);
assert.equal(patched.spec.mode, 'loud');
const json = k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.JsonPatch);
const bigger = [{ op: 'replace', path: '/spec/size', value: 2 }];
assert.equal((await objects.patchNamespacedCustomObject({ ...where, name: 'a', body: bigger }, json)).spec.size, 2);
const stated = await objects.patchNamespacedCustomObjectStatus({ ...where, name: 'a', body: { status: { size: 2 } } }, merge);
assert.deepEqual(stated.status, { size: 2 });
const scale = await objects.getNamespacedCustomObjectScale({ ...where, name: 'a' });
assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.replicas], ['Scale', 2, 2]);

// By discovery, applied, and seen by an informer.
const any = k8s.KubernetesObjectApi.makeApiClient(config);
const list = () => objects.listNamespacedCustomObject(where);
const informer = k8s.makeInformer(config, `/apis/${group}/v1/namespaces/${namespace}/gadgets`, list);
const told = [];
informer.on('change', (object) => told.push(object.metadata.name));
// The library tells of its own stop as of an error.
informer.on('error', (problem) => { if (problem.name !== 'AbortError') throw problem; });
await informer.start();
const applied = await any.patch(
    { ...gadget('c', { size: 3 }), metadata: { name: 'c', namespace } }, undefined, undefined, 'applier', false,
    k8s.PatchStrategy.ServerSideApply,
);
assert.equal(applied.metadata.managedFields[0].operation, 'Apply');
await until('the informer', () => told.includes('c'), 10_000);
assert.equal(informer.get('c', namespace).spec.mode, 'quiet');
await any.delete({ ...gadget('c'), metadata: { name: 'c', namespace } });
await until('the informer', () => told.length === 3, 10_000);
assert.deepEqual(told, ['a', 'c', 'c']);
await informer.stop();

// The definition goes, and its objects with it.
await extensions.deleteCustomResourceDefinition({ name });
await until('the definition gone', async () =>
    extensions.readCustomResourceDefinition({ name }).then(() => false, (error) => error.code === 404), 20_000);
const code = await objects.listNamespacedCustomObject(where).then(() => 200, (error) => error.code);
assert.equal(code, 404);
