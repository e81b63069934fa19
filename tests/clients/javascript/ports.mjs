// A local server whose connections are forwarded into a pod: bytes both ways, several at once, and a port without a listener.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';
import { config, Kept, namespace, ready, startPod, until } from './session.mjs';

const files = 'mkdir /www; head -c 2000000 /dev/urandom > /www/data; sha256sum < /www/data > /www/sum';
await startPod('web', `${files}; exec httpd -f -p 8080 -h /www`);
await ready('web');
const forward = new k8s.PortForward(config);
const server = net.createServer((socket) => {
    forward.portForward(namespace, 'web', [8080], socket, null, socket).then((opened) => {
        opened.onclose = () => socket.end();
        socket.on('close', () => opened.close());
    });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const get = (file) => new Promise((resolve, reject) => {
    // No agent: a connection each, closed by the pod's server after its answer.
    const request = http.get({ host: '127.0.0.1', port: server.address().port, path: file, agent: false }, (response) => {
        const body = response.pipe(new Kept());
        body.on('end', () => resolve([response.statusCode, body.buffer]));
    });
    request.on('error', reject);
});
const wanted = await until('httpd', async () => {
    const [code, text] = await get('/sum').catch(() => [0]);
    return code === 200 && text.toString().split(' ')[0];
}, 20_000);
for (const [code, body] of await Promise.all([1, 2, 3, 4].map(() => get('/data')))) {
    assert.equal(code, 200);
    assert.equal(body.length, 2_000_000);
    assert.equal(crypto.createHash('sha256').update(body).digest('hex'), wanted);
}
assert.equal((await get('/nothing'))[0], 404);
server.close();

// Nobody listens: said on the port's error channel.
const [output, errors, input] = [new Kept(), new Kept(), new PassThrough()];
const refused = await forward.portForward(namespace, 'web', [9], output, errors, input);
input.write('anybody?');
await until('an error', () => /refused/.test(errors.text), 10_000);
refused.close();
