/** What the user has chosen in the settings editor. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type ISignal, Signal } from '@lumino/signaling';

import { type Words, words } from './words';

export const SECTIONS = ['memory', 'pools', 'threads', 'libraries', 'arrays', 'findings'] as const;

export class Settings {
  constructor(private readonly language: string | undefined) {
    this.words = words(language);
  }

  words: Words;
  interval = 1000;
  stack = true;
  statusBar: 'panel' | 'always' | 'never' = 'panel';
  sections: { [section in (typeof SECTIONS)[number]]: boolean } = {
    memory: true,
    pools: true,
    threads: true,
    libraries: true,
    arrays: true,
    findings: true
  };

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Takes them from the registry, now and whenever they change. */
  read(settings: ISettingRegistry.ISettings): void {
    const { interval, stack, statusBar, sections, language } = settings.composite as any;
    Object.assign(this, { interval, stack, statusBar });
    this.sections = { ...this.sections, ...sections };
    this.words = words(language === 'auto' ? this.language : language);
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}
