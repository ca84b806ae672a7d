/** The part of the panel that is asked on demand: libraries, arrays, findings. */

import * as React from 'react';

import * as format from './format';
import { MAGICS, type Row, type Section, type State } from './reports';
import type { Words } from './words';

interface IProps {
  section: Section;
  state: State;
  isOpen: boolean;
  setOpen: (isOpen: boolean) => void;
  /** Whether the kernel can be asked: no cell runs. */
  isIdle: boolean;
  words: Words;
  ask: (section: Section) => void;
  insert: (code: string) => void;
}

/** A folded section. Who opens it for the first time asks. */
export function Asked(props: IProps) {
  const { section, state, isOpen, setOpen, isIdle, words, ask, insert } = props;
  const { report } = state;
  React.useEffect(() => {
    if (isOpen && isIdle && !report && !state.asked && !state.error) {
      ask(section);
    }
  });
  return (
    <details className="dph-Asked" open={isOpen} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        {words[section]}
        {report && <span className="dph-Count">{report.rows.length}</span>}
      </summary>
      <div aria-live="polite" aria-busy={state.asked}>
        {state.asked && !report && <p>{words.asking}</p>}
        {state.error && <p className="dph-Error">{state.error}</p>}
        {report && <Rows {...props} rows={report.rows} />}
      </div>
      <div className="dph-Foot">
        <button className="dph-Link" disabled={!isIdle || state.asked} title={isIdle ? '' : words.whenIdle} onClick={() => ask(section)}>
          {report ? words.askAgain : words.ask}
        </button>
        <button className="dph-Link" title={words.whole(MAGICS[section].whole)} onClick={() => insert(MAGICS[section].whole)}>
          <code>{MAGICS[section].whole}</code>
        </button>
        {report?.cell != null && <small>{words.asOf(report.cell)}</small>}
      </div>
    </details>
  );
}

function Rows(props: IProps & { rows: readonly Row[] }) {
  switch (props.section) {
    case 'libraries':
      return <Libraries {...props} />;
    case 'arrays':
      return <Arrays {...props} />;
    case 'findings':
      return <Findings {...props} />;
  }
}

interface IRows {
  rows: readonly Row[];
  words: Words;
}

/** What one package brought, together. */
function Libraries({ rows, words }: IRows) {
  const packages = new Map<string, Row[]>();
  for (const row of rows) {
    const name = row.package ?? words.noPackage;
    packages.set(name, [...(packages.get(name) ?? []), row]);
  }
  const sizes = [...packages]
    .map(([name, libraries]) => ({ name, libraries, size: libraries.reduce((all, row) => all + (row.size ?? 0), 0) }))
    .sort((a, b) => b.size - a.size);
  if (!sizes.length) {
    return <p>{words.noLibraries}</p>;
  }
  return (
    <ul className="dph-Sizes">
      {sizes.map(({ name, libraries, size }) => (
        <li key={name} title={libraries.map(row => row.name).join('\n')}>
          <span>
            {name}
            <small>{words.librariesOf(libraries.length)}</small>
          </span>
          <Size bytes={size} most={sizes[0].size} />
        </li>
      ))}
    </ul>
  );
}

function Arrays({ rows, words }: IRows) {
  const sizeOf = (row: Row) => row.total_bytes ?? row.nbytes ?? 0;
  const arrays = [...rows].sort((a, b) => sizeOf(b) - sizeOf(a));
  if (!arrays.length) {
    return <p>{words.noArrays}</p>;
  }
  return (
    <ul className="dph-Sizes">
      {arrays.map(row => (
        <li key={row.name}>
          <span>
            <code>{row.name}</code>
            <small>
              {row.shares_with?.length > 0 && (
                <span className="dph-Badge" title={words.sharedWith(row.shares_with.join(', '))}>
                  {words.shared}
                </span>
              )}
              {[row.dtype, shapeOf(row)].filter(Boolean).join(' ')}
            </small>
          </span>
          <Size bytes={sizeOf(row)} most={sizeOf(arrays[0])} />
        </li>
      ))}
    </ul>
  );
}

function shapeOf(row: Row): string {
  return Array.isArray(row.shape) ? row.shape.join(' × ') : '';
}

function Size({ bytes, most }: { bytes: number; most: number }) {
  return (
    <span className="dph-Size">
      {format.size(bytes)}
      <span className="dph-Bar" aria-hidden="true">
        <i style={{ transform: `scaleX(${(bytes / (most || 1)).toFixed(3)})` }} />
      </span>
    </span>
  );
}

function Findings({ rows, words, insert }: IProps & IRows) {
  if (!rows.length) {
    return <p>{words.noFindings}</p>;
  }
  return (
    <ul className="dph-Findings">
      {rows.map((row, index) => (
        <li key={index} className={`dph-mod-${row.severity}`}>
          <button className="dph-Link" title={words.page(row.code)} onClick={() => insert(`%diaphane ${row.code}`)}>
            {row.code}
          </button>
          <small>{words.severity[row.severity] ?? row.severity}</small>
          <p>{row.title}</p>
          {row.severity !== 'info' && row.fix && <p className="dph-Fix">{row.fix}</p>}
        </li>
      ))}
    </ul>
  );
}
