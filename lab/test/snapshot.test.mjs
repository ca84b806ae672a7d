// What the panel reckons from the kernel's answers, without a browser.

import assert from 'node:assert/strict';
import test from 'node:test';

import * as format from '../lib/format.js';
import { profileOf } from '../lib/profile.js';
import { isReply, startsOurs } from '../lib/protocol.js';
import { POINTS, advance, groups, sum, telling } from '../lib/snapshot.js';
import { words } from '../lib/words.js';

const SECOND = 1e9;
const MAIN = { name: 'MainThread', owner: null, package: null, kind: 'main' };
const pool = { name: 'python', owner: 'libopenblas.so', package: 'numpy', kind: 'pool' };

/** An answer at this second, with these threads. */
function reply(seconds, more = {}) {
  return {
    at_ns: seconds * SECOND,
    epoch: 1,
    cell: null,
    rss: 1000,
    cpu_ns: 0,
    usable_cpus: 2,
    gil: null,
    threads: [[7, 'S', 0, null]],
    ...more
  };
}

test('CPU time is a share of the kernel’s own clock', () => {
  const first = advance(null, reply(1, { names: { 7: MAIN } }));
  assert.equal(first.cpu, null);
  assert.equal(first.threads[0].cpu, null);
  const second = advance(first, reply(3, { cpu_ns: SECOND, threads: [[7, 'R', SECOND / 2, null]] }));
  assert.equal(second.cpu, 50);
  assert.equal(second.threads[0].cpu, 25);
});

test('names stay until the kernel says others', () => {
  const first = advance(null, reply(1, { names: { 7: MAIN } }));
  assert.equal(advance(first, reply(2)).threads[0].name, 'MainThread');
  const renamed = advance(first, reply(2, { epoch: 2, names: { 7: { ...MAIN, name: 'other' } } }));
  assert.equal(renamed.threads[0].name, 'other');
});

test('the main thread is first, and the others never jump', () => {
  const threads = [
    [9, 'R', 0, null],
    [3, 'S', 0, null],
    [7, 'S', 0, null]
  ];
  const names = { 7: MAIN, 3: pool, 9: pool };
  const now = advance(null, reply(1, { threads, names, gil: 9 }));
  assert.deepEqual(now.threads.map(thread => thread.tid), [7, 3, 9]);
  assert.equal(now.gil.tid, 9);
  assert.equal(now.points[0].holder, 'other');
});

test('a process whose clock runs backwards is another one', () => {
  const first = advance(null, reply(5, { names: { 7: MAIN }, cpu_ns: SECOND }));
  const second = advance(first, reply(6, { cpu_ns: 1 }));
  assert.equal(second.cpu, null);
  assert.equal(second.points.length, 1);
  assert.equal(second.names.size, 0);
});

test('a stack stays while its cell runs', () => {
  const cell = { count: 4, since_ns: 1 * SECOND };
  const stack = [{ function: 'nap', library: null, kind: 'python', place: 'In[4]:2' }];
  const first = advance(null, reply(4, { cell, stack, why: 'It sleeps.' }));
  assert.equal(first.cell.seconds, 3);
  assert.equal(advance(first, reply(5, { cell })).why, 'It sleeps.');
  const next = advance(first, reply(5, { cell: { count: 5, since_ns: 5 * SECOND } }));
  assert.deepEqual([next.stack, next.why], [[], null]);
  assert.equal(advance(next, reply(6)).cell, null);
});

test('charts reach back so many looks and no further', () => {
  let now = null;
  for (let second = 0; second < POINTS + 5; second += 1) {
    now = advance(now, reply(second));
  }
  assert.equal(now.points.length, POINTS);
});

test('many threads of one pool are one row', () => {
  const threads = [7, 10, 11, 12, 13].map(tid => [tid, 'S', 0, null]);
  const names = { 7: MAIN, 10: pool, 11: pool, 12: pool, 13: pool };
  const now = advance(null, reply(1, { threads, names }));
  assert.deepEqual(groups(now.threads).map(group => group.threads.length), [1, 4]);
  assert.equal(groups(now.threads.slice(0, 3)).length, 3);
});

test('a frame without a name says nothing beside its library', () => {
  const frame = (name, library, kind = 'native') => ({ function: name, library, kind, place: null });
  const [nameless, named] = [frame(null, 'libffi.so'), frame('ffi_call', 'libffi.so')];
  const [other, python] = [frame(null, 'libx.so'), frame('nap', null, 'python')];
  assert.deepEqual(telling([nameless, nameless, named, nameless, python]), [named, python]);
  assert.deepEqual(telling([other, other, python, other]), [other, python, other]);
});

test('a profile goes on until it has an end', () => {
  const began = { number: 3, cell: 5, since_ns: 2 * SECOND, until_ns: null };
  assert.equal(advance(null, reply(1)).profiled, null);
  assert.equal(advance(null, reply(6, { profile: began })).profiled, 4);
  const ended = advance(null, reply(6, { profile: { ...began, until_ns: 5 * SECOND } }));
  assert.equal(ended.profiled, null);
  assert.equal(ended.profile.number, 3);
});

test('of a profile the first lines are shown, and whether their text is known', () => {
  const line = { place: 'line 4', line: 4, self_pct: 61.5, source: 'a @ b', did: 'matmul (numpy)' };
  const elsewhere = { place: '-', line: null, self_pct: null, source: '(thread x)', did: 'sleeps' };
  const report = lines => ({
    'text/html': '<p>all</p>',
    'application/vnd.diaphane.native_prof+json': { diagnoses: [{ title: 'It is so.' }], cell_lines: lines }
  });
  const state = { number: 1, cell: 2 };
  const found = profileOf(state, report([line, elsewhere]));
  assert.deepEqual(found.sentences, ['It is so.']);
  assert.deepEqual(found.lines[0], { place: 'line 4', share: 61.5, source: 'a @ b', did: 'matmul (numpy)' });
  assert.deepEqual([found.lines[1].place, found.lines[1].share], ['', null]);
  assert.ok(found.hasText);
  assert.ok(!profileOf(state, report([{ ...line, source: '' }])).hasText);
  assert.ok(profileOf(state, report(Array(9).fill(line))).lines.length < 9);
  assert.equal(profileOf(state, {}), null);
});

test('a sum is of what is known', () => {
  assert.equal(sum([1, null, 2]), 3);
  assert.equal(sum([null]), null);
});

test('what is no answer is not taken for one', () => {
  assert.ok(isReply(reply(1)));
  assert.ok(!isReply({}));
  assert.ok(!isReply(null));
  assert.ok(!isReply(reply(1, { rss: '1' })));
  assert.ok(!isReply(reply(1, { threads: [{}] })));
});

test('kernels of ours are known by what starts them', () => {
  assert.ok(startsOurs(['/x/kernels/diaphane/diaphane', 'kernel', '-f']));
  assert.ok(startsOurs(['/venv/bin/python', '-m', 'diaphane', 'kernel']));
  assert.ok(!startsOurs(['/venv/bin/python', '-m', 'ipykernel_launcher']));
  assert.ok(!startsOurs(undefined));
});

test('numbers are written as the magics write them', () => {
  assert.deepEqual([0, 999, 1000, 103_400_000, 2_500_000_000].map(format.size), [
    '0 B',
    '999 B',
    '1.0 kB',
    '103 MB',
    '2.5 GB'
  ]);
  assert.deepEqual([0, 59.9, 60, 3725].map(format.duration), ['0 s', '59 s', '1 min 0 s', '1 h 2 min']);
  assert.deepEqual(
    ['libscipy_openblas64_-32a4b2a6.so', 'libc.so.6', '_ctypes.cpython-311-x86_64-linux-gnu.so', 'numpy'].map(
      format.library
    ),
    ['libscipy_openblas64_', 'libc', '_ctypes', 'numpy']
  );
});

test('French has every word that English has', () => {
  const [english, french] = [words('en'), words('fr_FR')];
  assert.deepEqual(Object.keys(french), Object.keys(english));
  assert.equal(words(undefined), english);
  for (const key of ['states', 'severity']) {
    assert.deepEqual(Object.keys(french[key]), Object.keys(english[key]));
  }
});
