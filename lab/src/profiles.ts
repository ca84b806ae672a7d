/** The profile of the rest of a cell: begun and ended by a click, and read when it has ended. */

import { VDomModel } from '@jupyterlab/ui-components';

import { ask } from './ask';
import type { Monitor } from './monitor';
import { type IProfile, profileOf } from './profile';
import type { IProfileState } from './protocol';

/** After which an answer is taken for lost. */
const LOST = 60_000;

export class Profiles extends VDomModel {
  constructor(private readonly monitor: Monitor) {
    super();
    monitor.stateChanged.connect(() => this.follow());
    monitor.processChanged.connect(() => this.forget());
  }

  /** The last one that was seen to go on. */
  get profile(): IProfile | null {
    return this._profile;
  }

  /** Why there is none, in the kernel's words. */
  get error(): string {
    return this._error;
  }

  /** Whether an answer is waited for. */
  get isAsked(): boolean {
    return this._isAsked;
  }

  /** Shows it no more. */
  close(): void {
    this._profile = null;
    this._error = '';
    this.stateChanged.emit();
  }

  begin(): void {
    void this.change('begin');
  }

  end(): void {
    void this.change('end');
  }

  private forget(): void {
    this._generation += 1;
    this._awaited = null;
    this._isAsked = false;
    this.close();
  }

  /** Reads a profile that has been seen to go on, when it has ended; and once more when Python can say what its lines are. */
  private follow(): void {
    const { snapshot } = this.monitor;
    const state = snapshot?.profile;
    if (!snapshot || !state || this._isAsked) {
      return;
    }
    if (state.until_ns === null) {
      this._awaited = state.number;
    } else if (state.number === this._awaited) {
      this._awaited = null;
      void this.read(state);
    } else if (this._profile?.number === state.number && !this._profile.hasText && !snapshot.cell && !this._wasReadAgain) {
      this._wasReadAgain = true;
      void this.read(state);
    }
  }

  private async change(action: 'begin' | 'end'): Promise<void> {
    if (action === 'begin') {
      this.close();
    }
    const content = await this.ask(action);
    const state: IProfileState | undefined = content?.profile;
    if (!state) {
      return;
    }
    this._wasReadAgain = false;
    if (state.until_ns === null) {
      this._awaited = state.number;
    } else {
      this._awaited = null;
      await this.read(state);
    }
  }

  private async read(state: IProfileState): Promise<void> {
    const content = await this.ask('read');
    const profile = content && profileOf(state, content.data);
    if (profile) {
      this._profile = profile;
      this.stateChanged.emit();
    }
  }

  /** Nothing where the kernel refuses, another one is looked at, or there is none. */
  private async ask(action: 'begin' | 'end' | 'read'): Promise<any> {
    const { kernel } = this.monitor;
    const generation = this._generation;
    if (!kernel) {
      return null;
    }
    this._isAsked = true;
    this._error = '';
    this.stateChanged.emit();
    const question = ask(kernel, 'profile_request', { action });
    const lost = setTimeout(() => question.dispose(), LOST);
    let content: any = null;
    try {
      content = await question.content;
    } catch (error) {
      if (generation === this._generation) {
        this._error = (error as Error).message;
      }
    } finally {
      clearTimeout(lost);
    }
    if (generation !== this._generation) {
      return null;
    }
    this._isAsked = false;
    this.stateChanged.emit();
    return content;
  }

  private _profile: IProfile | null = null;
  private _error = '';
  private _isAsked = false;
  /** The number of the profile that is to be read when it has ended. */
  private _awaited: number | null = null;
  private _wasReadAgain = false;
  /** Counts processes, as the monitor does. */
  private _generation = 0;
}
