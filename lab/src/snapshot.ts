/** What is known of a process at one moment: an answer, and what the answers before it add to it. Pure functions. */

import type { IFrame, IName, IPool, IProfileState, IReply, Kind } from './protocol';

/** How many looks the charts reach back. */
export const POINTS = 60;

export interface IThread {
  tid: number;
  name: string;
  owner: string | null;
  package: string | null;
  kind: Kind;
  state: string;
  wait: string | null;
  /** Percent of one CPU since the look before; null where there was none. */
  cpu: number | null;
  hasGil: boolean;
}

/** Who had the GIL when somebody looked. */
export type Holder = 'nobody' | 'main' | 'other';

export interface IPoint {
  rss: number;
  cpu: number | null;
  holder: Holder;
}

export interface ISnapshot {
  reply: IReply;
  names: ReadonlyMap<number, IName>;
  pools: readonly IPool[];
  /** Percent of one CPU since the look before, of all threads together. */
  cpu: number | null;
  cell: { count: number | null; seconds: number } | null;
  /** The main thread first, then by number, so that a row never jumps. */
  threads: readonly IThread[];
  gil: IThread | null;
  stack: readonly IFrame[];
  why: string | null;
  points: readonly IPoint[];
  profile: IProfileState | null;
  /** For how many seconds the profile has been going on; null where none does. */
  profiled: number | null;
}

/** What is known when this answer has come. */
export function advance(before: ISnapshot | null, reply: IReply): ISnapshot {
  const last = isSameProcess(before, reply) ? before : null;
  const names = namesOf(last, reply);
  const threads = threadsOf(last, reply, names);
  const gil = threads.find(thread => thread.hasGil) ?? null;
  const cpu = last ? percent(reply.cpu_ns - last.reply.cpu_ns, reply.at_ns - last.reply.at_ns) : null;
  const cell = reply.cell && {
    count: reply.cell.count,
    seconds: Math.max(0, (reply.at_ns - reply.cell.since_ns) / 1e9)
  };
  const sameCell = reply.cell && last?.reply.cell?.since_ns === reply.cell.since_ns;
  const point: IPoint = {
    rss: reply.rss,
    cpu,
    holder: reply.gil === null ? 'nobody' : gil?.kind === 'main' ? 'main' : 'other'
  };
  return {
    reply,
    names,
    pools: reply.pools ?? last?.pools ?? [],
    cpu,
    cell,
    threads,
    gil,
    // They are asked for every other time, and stay until the cell ends.
    stack: reply.stack ? telling(reply.stack) : sameCell ? last.stack : [],
    why: reply.why ?? (sameCell ? last.why : null),
    points: [...(last?.points ?? []), point].slice(-POINTS),
    profile: reply.profile ?? null,
    profiled: reply.profile && reply.profile.until_ns === null ? Math.max(0, (reply.at_ns - reply.profile.since_ns) / 1e9) : null
  };
}

/** The CPU time and the clock of a process never run backwards. */
function isSameProcess(before: ISnapshot | null, reply: IReply): before is ISnapshot {
  return before !== null && reply.cpu_ns >= before.reply.cpu_ns && reply.at_ns >= before.reply.at_ns;
}

/** Names are asked for with the GIL where it is to be had; a name that was known before outlives one that is not. */
function namesOf(last: ISnapshot | null, reply: IReply): ReadonlyMap<number, IName> {
  if (!reply.names) {
    return last?.names ?? new Map();
  }
  return new Map(Object.entries(reply.names).map(([tid, name]) => [Number(tid), name]));
}

function threadsOf(last: ISnapshot | null, reply: IReply, names: ReadonlyMap<number, IName>): IThread[] {
  const before = new Map(last?.reply.threads.map(([tid, , cpu]) => [tid, cpu]));
  const elapsed = last ? reply.at_ns - last.reply.at_ns : 0;
  const threads = reply.threads.map(([tid, state, cpuNs, wait]): IThread => {
    const name = names.get(tid);
    const cpu = before.get(tid);
    return {
      tid,
      name: name?.name ?? String(tid),
      owner: name?.owner ?? null,
      package: name?.package ?? null,
      kind: name?.kind ?? 'user',
      state,
      wait: wait ?? null,
      cpu: cpu === undefined ? null : percent(cpuNs - cpu, elapsed),
      hasGil: tid === reply.gil
    };
  });
  return threads.sort((a, b) => Number(b.kind === 'main') - Number(a.kind === 'main') || a.tid - b.tid);
}

function percent(part: number, whole: number): number | null {
  return whole > 0 ? Math.max(0, (100 * part) / whole) : null;
}

/** The frames that say something: one without a name says nothing beside another one of its library. */
export function telling(frames: readonly IFrame[]): IFrame[] {
  const isBeside = (frame: IFrame, other?: IFrame) => other?.kind === 'native' && other.library === frame.library;
  const kept: IFrame[] = [];
  frames.forEach((frame, index) => {
    const isNameless = frame.kind === 'native' && frame.function === null;
    if (!isNameless || !(isBeside(frame, frames[index + 1]) || isBeside(frame, kept[kept.length - 1]))) {
      kept.push(frame);
    }
  });
  return kept;
}

/** Threads that are alike but for their number: those of one pool. */
export interface IGroup {
  key: string;
  threads: readonly IThread[];
}

/** How many threads of one pool are shown one by one. */
const ALONE = 3;

/** The rows of the table: a pool of many threads is one row. */
export function groups(threads: readonly IThread[]): IGroup[] {
  const found = new Map<string, IThread[]>();
  for (const thread of threads) {
    const key = thread.kind === 'pool' ? `${thread.name}/${thread.owner}` : String(thread.tid);
    found.set(key, [...(found.get(key) ?? []), thread]);
  }
  return [...found].flatMap(([key, members]) =>
    members.length > ALONE
      ? [{ key, threads: members }]
      : members.map(member => ({ key: String(member.tid), threads: [member] }))
  );
}

/** The sum of what is known; null where nothing is. */
export function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}
