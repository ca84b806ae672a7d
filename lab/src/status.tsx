/** The item of the status bar: how busy the process is and who has the GIL. It opens the panel. */

import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import * as format from './format';
import { nativeIcon } from './icon';
import type { Monitor } from './monitor';
import type { Settings } from './settings';

export class NativeStatus extends ReactWidget {
  constructor(
    private readonly monitor: Monitor,
    private readonly settings: Settings,
    private readonly open: () => void
  ) {
    super();
    this.addClass('dph-Status');
    monitor.stateChanged.connect(() => this.update());
    settings.changed.connect(() => this.update());
  }

  protected render(): React.ReactElement {
    const { words } = this.settings;
    const { standing, snapshot, isWatched } = this.monitor;
    const isLive = isWatched && standing === 'live' && snapshot;
    const holder = isLive && snapshot.gil;
    return (
      <button title={words.caption} aria-label={words.open} onClick={this.open}>
        <nativeIcon.react tag="span" height="14px" width="14px" />
        <span>{isLive ? `${words.cpu} ${format.percent(snapshot.cpu)} %` : words.native}</span>
        {holder && <b>GIL</b>}
      </button>
    );
  }
}
