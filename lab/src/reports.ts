/** What magics say on demand. Their requests have statuses, so that they are asked while no cell runs only. */

import type { Kernel } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';

import { ask } from './ask';

export type Section = 'libraries' | 'arrays' | 'findings';

/** Which magic answers for a section, and how it is written in a cell for the whole of it. */
export const MAGICS: { [section in Section]: { name: string; line: string; whole: string } } = {
  libraries: { name: 'loaded_libs', line: '--new', whole: '%loaded_libs --new' },
  arrays: { name: 'buffer_addr', line: '--sort size --top 20', whole: '%buffer_addr' },
  findings: { name: 'native_doctor', line: '', whole: '%native_doctor' }
};

/** After which a question is taken for lost. No magic takes as long. */
const LOST = 60_000;

export type Row = { [field: string]: any };

export interface IReport {
  rows: readonly Row[];
  /** The number of the cell after which it was asked. */
  cell: number | null;
}

export type State = { asked: boolean; report: IReport | null; error: string | null };

const NOTHING: State = { asked: false, report: null, error: null };

export class Reports extends VDomModel {
  of(section: Section): State {
    return this._states.get(section) ?? NOTHING;
  }

  /** Forgets what another process said. */
  forget(): void {
    this._generation += 1;
    this._states.clear();
    this.stateChanged.emit();
  }

  /** Asks one after the other: the kernel has one thread that can look at Python's objects. */
  ask(section: Section, kernel: Kernel.IKernelConnection, cell: number | null): void {
    const generation = this._generation;
    this.put(section, { ...this.of(section), asked: true });
    this._last = this._last.then(async () => {
      const state = generation === this._generation ? await answer(section, kernel, cell) : NOTHING;
      if (generation === this._generation) {
        this.put(section, state);
      }
    });
  }

  private put(section: Section, state: State): void {
    this._states.set(section, state);
    this.stateChanged.emit();
  }

  private readonly _states = new Map<Section, State>();
  private _generation = 0;
  private _last: Promise<void> = Promise.resolve();
}

async function answer(section: Section, kernel: Kernel.IKernelConnection, cell: number | null): Promise<State> {
  const { name, line } = MAGICS[section];
  const question = ask(kernel, 'magic_request', { name, line });
  const lost = setTimeout(() => question.dispose(), LOST);
  try {
    const { data } = await question.content;
    return { asked: false, report: { rows: rowsOf(data, name), cell }, error: null };
  } catch (error) {
    return { asked: false, report: null, error: (error as Error).message };
  } finally {
    clearTimeout(lost);
  }
}

function rowsOf(data: any, name: string): readonly Row[] {
  const rows = data?.[`application/vnd.diaphane.${name}+json`]?.rows;
  return Array.isArray(rows) ? rows.filter(row => row && typeof row === 'object') : [];
}
