/** What the kernel answers to a `monitor_request`, and how much of an answer is believed. */

/** Whose a thread is. */
export type Kind = 'main' | 'user' | 'pool' | 'kernel';

/** A thread at one moment: its number, its state as Linux has it, its CPU time, and the system call or `GIL` that it waits in. */
export type ThreadRow = [tid: number, state: string, cpuNs: number, wait: string | null];

export interface IName {
  name: string;
  owner: string | null;
  package: string | null;
  kind: Kind;
}

export interface IPool {
  name: string;
  library: string | null;
  threads: number;
}

export interface IFrame {
  function: string | null;
  library: string | null;
  kind: 'native' | 'python';
  place: string | null;
}

/** The profile of the rest of a cell that was begun last; without an end it goes on. */
export interface IProfileState {
  number: number;
  cell: number | null;
  since_ns: number;
  until_ns: number | null;
}

export interface IReply {
  at_ns: number;
  epoch: number;
  /** The number is null where the cell has none. */
  cell: { count: number | null; since_ns: number } | null;
  rss: number;
  cpu_ns: number;
  usable_cpus: number;
  gil: number | null;
  threads: ThreadRow[];
  /** The next two stand in the first answer, and in those after a thread or a library came or went. */
  names?: { [tid: string]: IName };
  pools?: IPool[];
  stack?: IFrame[];
  why?: string;
  /** Null where there was none; missing from a kernel that cannot profile. */
  profile?: IProfileState | null;
}

export interface IRequest {
  epoch: number | null;
  stack: boolean;
  why: boolean;
}

/** By which a kernel announces in `kernel_info_reply` that it answers. */
export const FEATURE = 'diaphane monitor';

/** By which it announces that it profiles the rest of a cell. */
export const PROFILE = 'diaphane profile';

/** Whether it is an answer with all that is reckoned with here: a kernel of another version may say something else. */
export function isReply(content: any): content is IReply {
  const numbers = [content?.at_ns, content?.epoch, content?.rss, content?.cpu_ns, content?.usable_cpus];
  return (
    numbers.every(number => typeof number === 'number') &&
    Array.isArray(content.threads) &&
    content.threads.every((row: unknown) => Array.isArray(row) && typeof row[0] === 'number')
  );
}

/** Whether a kernelspec starts our kernel, by the rule of `diaphane install`: the program, or the module of a Python. */
export function startsOurs(argv: readonly string[] | undefined): boolean {
  const [program, option, module] = argv ?? [];
  return /(^|\/)diaphane$/.test(program ?? '') || (option === '-m' && module === 'diaphane');
}
