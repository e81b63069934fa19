// What every program here starts with: the administrator's client, its namespace, and a few ways of demanding things.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import * as k8s from '@kubernetes/client-node';

export const namespace = process.env.NAMESPACE;
export const config = new k8s.KubeConfig();
config.loadFromDefault();
export const core = config.makeApiClient(k8s.CoreV1Api);

// Demands a refusal; returns the decoded Status.
export async function refused(code, reason, call) {
    const error = await call().then((value) => assert.fail(`not refused: ${JSON.stringify(value)}`), (error) => error);
    assert.equal(error.code, code, error);
    const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
    assert.deepEqual([status.kind, status.code, status.reason], ['Status', code, reason]);
    return status;
}

// Looks again and again, as a script does that has no watch; returns the first true value.
export async function until(what, check, limit = 60_000) {
    const deadline = Date.now() + limit;
    for (;;) {
        const value = await check();
        if (value) return value;
        assert.ok(Date.now() < deadline, `not within ${limit} ms: ${what}`);
        await sleep(100);
    }
}

// Waits for the ConfigMap that every namespace gets by itself, so that it does not come in between.
export function rootCertificates() {
    return until('kube-root-ca.crt', () => core.readNamespacedConfigMap({ name: 'kube-root-ca.crt', namespace }).catch(() => null));
}

export function configMap(name, data = {}, labels = {}) {
    return { namespace, body: { metadata: { name, labels }, data } };
}

// Starts a pod of one busybox container that ends at once when told to.
export function startPod(name, script, container = {}) {
    const spec = {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', image: 'busybox:1.36', command: ['sh', '-c', script], ...container }],
    };
    return core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
}

export function ready(name) {
    return until(`pod ${name} ready`, async () => {
        const pod = await core.readNamespacedPod({ name, namespace });
        return pod.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') && pod;
    });
}

// A stream that remembers what went through it.
export class Kept extends PassThrough {
    bytes = [];
    constructor() {
        super();
        this.on('data', (chunk) => this.bytes.push(chunk));
    }
    get buffer() {
        return Buffer.concat(this.bytes);
    }
    get text() {
        return this.buffer.toString();
    }
}
