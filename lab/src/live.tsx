/** The part of the panel that changes by itself: the GIL, a long cell, CPU and memory, pools, threads. */

import * as React from 'react';

import { Line, Strip } from './charts';
import * as format from './format';
import { LONG } from './monitor';
import type { IFrame } from './protocol';
import { type IGroup, type ISnapshot, type IThread, groups, sum } from './snapshot';
import type { Words } from './words';

interface IProps {
  now: ISnapshot;
  words: Words;
}

/** Who has the GIL, and who had it at the last looks. */
export function Gil({ now, words }: IProps) {
  const holders = now.points.map(point => point.holder);
  const held = holders.filter(holder => holder !== 'nobody').length;
  const isHeld = now.reply.gil !== null;
  const kind = !isHeld ? 'nobody' : now.gil?.kind === 'main' ? 'main' : 'other';
  return (
    <div className="dph-Gil">
      <span className={`dph-Gil-holder dph-mod-${kind}`} title={words.gilHelp}>
        {isHeld ? words.gilHeld(now.gil?.name ?? String(now.reply.gil)) : words.gilFree}
      </span>
      <Strip holders={holders} label={words.gilPast(held, holders.length)} />
    </div>
  );
}

/** What a cell does that has been running for so long that one wants to know. */
export function LongCell({ now, words, interrupt, children }: IProps & { interrupt: () => void; children: React.ReactNode }) {
  if (!now.cell || now.cell.seconds < LONG) {
    return null;
  }
  const isNative = now.stack[0]?.kind === 'native';
  return (
    <section className={`dph-Cell dph-mod-${isNative ? 'native' : 'python'}`}>
      <header>
        <h3>{words.cellRuns(now.cell.count, format.duration(now.cell.seconds))}</h3>
        <button className="jp-Button jp-mod-styled jp-mod-warn dph-Cell-interrupt" onClick={interrupt}>
          {words.interrupt}
        </button>
      </header>
      {now.why && <p>{now.why}</p>}
      {children}
      <Stack frames={now.stack} words={words} />
    </section>
  );
}

/** How many frames are shown at first. */
const FRAMES = 8;

function Stack({ frames, words }: { frames: readonly IFrame[]; words: Words }) {
  const [isWhole, setWhole] = React.useState(false);
  const shown = isWhole ? frames : frames.slice(0, FRAMES);
  const left = frames.length - FRAMES;
  return (
    <>
      <ol className="dph-Stack" aria-label={words.stack}>
        {shown.map((frame, index) => (
          <li key={index} className={`dph-mod-${frame.kind}`} title={titleOf(frame)}>
            <code>{frame.function ?? words.unknownFunction}</code>
            <span>{frame.kind === 'native' && frame.library ? format.library(frame.library) : frame.place}</span>
          </li>
        ))}
      </ol>
      {left > 0 && (
        <button className="dph-Link" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? words.lessFrames : words.moreFrames(left)}
        </button>
      )}
    </>
  );
}

function titleOf(frame: IFrame): string {
  return [frame.function, frame.library, frame.place].filter(Boolean).join('  ');
}

/** CPU time and memory, now and at the last looks. */
export function Usage({ now, words }: IProps) {
  const cpus = now.reply.usable_cpus;
  const memory = now.points.map(point => point.rss);
  const most = Math.max(...memory);
  const least = Math.min(...memory);
  // A change of less than a twentieth is drawn as small as it is.
  const span = Math.max(most - least, most / 20);
  const cpu = format.percent(now.cpu);
  const rss = format.size(now.reply.rss);
  return (
    <div className="dph-Usage">
      <div>
        <h3>{words.cpu}</h3>
        <b>{cpu} %</b> <small>{words.ofCpus(cpus)}</small>
        <Line
          kind="cpu"
          values={now.points.map(point => point.cpu)}
          from={0}
          to={100 * cpus}
          label={words.cpuChart(cpu)}
        />
      </div>
      <div>
        <h3>{words.memory}</h3>
        <b>{rss}</b>
        <Line
          kind="memory"
          values={memory}
          from={Math.max(0, most - span * 1.15)}
          to={most + span * 0.05}
          label={words.memoryChart(rss, format.size(most))}
        />
      </div>
    </div>
  );
}

export function Pools({ now, words }: IProps) {
  const cpus = now.reply.usable_cpus;
  if (!now.pools.length) {
    return null;
  }
  return (
    <section className="dph-Pools">
      <h3>{words.pools}</h3>
      <ul>
        {now.pools.map((pool, index) => (
          <li key={index} title={pool.library ?? undefined}>
            <span>{pool.name}</span>
            <b className={pool.threads > cpus ? 'dph-mod-tooMany' : ''}>{words.poolThreads(pool.threads)}</b>
            <small>{pool.library && format.library(pool.library)}</small>
            {pool.threads > cpus && <p>{words.tooMany(pool.threads, cpus)}</p>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** All threads: the user's and those of pools one by one or as a group, the kernel's own folded below. */
export function Threads({ now, words }: IProps) {
  const [isOpen, setOpen] = React.useState(false);
  const own = now.threads.filter(thread => thread.kind === 'kernel');
  const others = now.threads.filter(thread => thread.kind !== 'kernel');
  const ownCpu = format.percent(sum(own.map(thread => thread.cpu)));
  return (
    <table className="dph-Threads">
      <caption>{words.threads}</caption>
      <thead>
        <tr>
          <th scope="col">{words.thread}</th>
          <th scope="col">{words.cpuPercent}</th>
          <th scope="col">{words.state}</th>
        </tr>
      </thead>
      <tbody>
        {groups(others).map(group =>
          group.threads.length > 1 ? (
            <Group key={group.key} group={group} words={words} />
          ) : (
            <Thread key={group.key} thread={group.threads[0]} words={words} />
          )
        )}
      </tbody>
      {own.length > 0 && (
        <tbody className="dph-mod-own">
          <tr>
            <td colSpan={3}>
              <Fold isOpen={isOpen} toggle={() => setOpen(!isOpen)}>
                {words.own(own.length, ownCpu)}
              </Fold>
            </td>
          </tr>
          {isOpen && own.map(thread => <Thread key={thread.tid} thread={thread} words={words} />)}
        </tbody>
      )}
    </table>
  );
}

function Thread({ thread, words }: { thread: IThread; words: Words }) {
  const owner = thread.kind === 'main' ? words.mainThread : (thread.package ?? thread.owner);
  const state = words.states[thread.state] ?? thread.state;
  return (
    <tr className={thread.hasGil ? 'dph-mod-gil' : ''} title={`TID ${thread.tid}`}>
      <th scope="row">
        <span className="dph-Name">{thread.name}</span>
        <small>
          {thread.hasGil && (
            <abbr className="dph-Badge" title={words.hasGil}>
              GIL
            </abbr>
          )}
          {owner && format.library(owner)}
        </small>
      </th>
      <Cpu value={thread.cpu} />
      <td>
        {state}
        {thread.wait && <small title={thread.wait}>{thread.wait === 'GIL' ? words.waitsForGil : thread.wait}</small>}
      </td>
    </tr>
  );
}

function Group({ group, words }: { group: IGroup; words: Words }) {
  const [isOpen, setOpen] = React.useState(false);
  const [first] = group.threads;
  const running = group.threads.filter(thread => thread.state === 'R').length;
  const owner = first.package ?? first.owner;
  return (
    <>
      <tr>
        <th scope="row">
          <Fold isOpen={isOpen} toggle={() => setOpen(!isOpen)}>
            {words.threadsOf(group.threads.length, first.name)}
          </Fold>
          <small>{owner && format.library(owner)}</small>
        </th>
        <Cpu value={sum(group.threads.map(thread => thread.cpu))} most={100 * group.threads.length} />
        <td>{running ? words.ofWhichRun(running) : (words.states[first.state] ?? first.state)}</td>
      </tr>
      {isOpen && group.threads.map(thread => <Thread key={thread.tid} thread={thread} words={words} />)}
    </>
  );
}

function Cpu({ value, most = 100 }: { value: number | null; most?: number }) {
  const part = Math.min(1, (value ?? 0) / most);
  return (
    <td className="dph-Cpu">
      {format.percent(value)}
      <span className="dph-Bar" aria-hidden="true">
        <i style={{ transform: `scaleX(${part.toFixed(3)})` }} />
      </span>
    </td>
  );
}

function Fold(props: { isOpen: boolean; toggle: () => void; children: React.ReactNode }) {
  return (
    <button className="dph-Fold" aria-expanded={props.isOpen} onClick={props.toggle}>
      {props.children}
    </button>
  );
}
