// Exec with input, status, exit codes and a terminal; attach; files in and out; the log as a stream.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import * as k8s from '@kubernetes/client-node';
import { config, core, Kept, namespace, ready, startPod, until } from './session.mjs';

const exec = new k8s.Exec(config);

// Runs a command to its end: its output, and how it ended.
async function run(command, stdin = null, tty = false, stdout = new Kept()) {
    const stderr = tty ? null : new Kept();
    let socket;
    const status = await new Promise((resolve, reject) => {
        exec.exec(namespace, 'box', 'c', command, stdout, stderr, stdin, tty, resolve).then((opened) => {
            socket = opened;
            opened.onclose = () => reject(new Error('closed without a status'));
        }, reject);
    });
    // The library ends the streams; what was written last may still be on its way through them.
    await Promise.all([stdout, stderr].filter(Boolean).map((stream) => finished(stream)));
    return { stdout, stderr, status, protocol: socket?.protocol };
}

await Promise.all([
    startPod('box', 'exec sleep 3600'),
    startPod('reader', 'while read line; do echo "got $line"; done', { stdin: true }),
]);
await ready('box');

// Output, errors, exit codes, in the newest protocol.
const plain = await run(['sh', '-c', 'echo out; echo err >&2; exit 7']);
assert.deepEqual([plain.stdout.text, plain.stderr.text], ['out\n', 'err\n']);
assert.equal(plain.status.status, 'Failure');
assert.equal(plain.status.reason, 'NonZeroExitCode');
assert.deepEqual(plain.status.details.causes, [{ reason: 'ExitCode', message: '7' }]);
assert.equal(plain.protocol, 'v5.channel.k8s.io');
assert.equal((await run(['true'])).status.status, 'Success');
const missing = await run(['no-such-program']);
assert.equal(missing.status.status, 'Failure');
assert.match(missing.status.message, /no-such-program/);

// Input to its end: only half of the connection is closed, and everything comes back.
const data = crypto.randomBytes(3 << 20);
const echoed = await run(['cat'], Readable.from((function* () {
    for (let at = 0; at < data.length; at += 50_000) yield data.subarray(at, at + 50_000);
})()));
assert.equal(echoed.status.status, 'Success');
assert.ok(echoed.stdout.buffer.equals(data), `${echoed.stdout.buffer.length} of ${data.length} bytes`);

// A terminal, and its size.
const terminal = new Kept();
terminal.rows = 33;
terminal.columns = 99;
const typed = new PassThrough();
const ended = run(['sh'], typed, true, terminal);
const says = (text) => until(text, () => { typed.write('stty size\n'); return terminal.text.includes(text); }, 10_000);
await says('33 99');
terminal.rows = 44;
terminal.columns = 111;
terminal.emit('resize');
await says('44 111');
typed.write('exit 5\n');
assert.equal((await ended).status.details.causes[0].message, '5');

// Refused before it is a stream.
const nobody = await exec.exec(namespace, 'nobody', 'c', ['true'], new Kept(), null, null, false).catch((error) => error);
assert.match(nobody.message, /404/);

// Attach: twice, as what is written by one may be read by the other.
await ready('reader');
const attach = new k8s.Attach(config);
const [input, output] = [new PassThrough(), new Kept()];
const attached = await attach.attach(namespace, 'reader', 'c', output, new Kept(), input, false);
input.write('a line\n');
await until('an answer', () => output.text === 'got a line\n', 10_000);
attached.close();

// Files in and out, through the client's own tar. Its promises do not wait for the end, so we look.
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'keelson-cp-'));
try {
    fs.mkdirSync(path.join(dir, 'in'));
    fs.writeFileSync(path.join(dir, 'in', 'file'), data.subarray(0, 300_000));
    const cp = new k8s.Cp(config);
    await cp.cpToPod(namespace, 'box', 'c', path.join(dir, 'in'), '/tmp');
    const sum = crypto.createHash('sha256').update(data.subarray(0, 300_000)).digest('hex');
    await until('the file', async () => (await run(['sha256sum', '/tmp/file'])).stdout.text.startsWith(sum), 20_000);
} finally {
    fs.rmSync(dir, { recursive: true });
}

// The log: a part of it, and followed while it grows until it ends.
await startPod('talker', 'for i in 1 2 3; do echo line $i; sleep 0.3; done; exec sleep 3600');
await ready('talker');
const log = new k8s.Log(config);
const followed = new Kept();
const following = await log.log(namespace, 'talker', 'c', followed, { follow: true });
await until('three lines', () => followed.text === 'line 1\nline 2\nline 3\n', 20_000);
assert.ok(!followed.writableEnded, 'it goes on while the container does');
await core.deleteNamespacedPod({ name: 'talker', namespace });
await until('the end of the log', () => followed.writableEnded, 20_000);
following.abort();
const tail = new Kept();
await log.log(namespace, 'reader', 'c', tail, { tailLines: 1, timestamps: true });
await until('the tail', () => /^\d{4}-\d\d-\d\dT\S+Z got a line\n$/.test(tail.text), 10_000);
const code = await log.log(namespace, 'reader', 'other', new Kept()).catch((error) => error.code);
assert.equal(code, 400);
