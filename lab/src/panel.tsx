/** The panel: what is known of the kernel in view, or what it lacks. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { Asked } from './asked';
import { nativeIcon } from './icon';
import { Gil, LongCell, Pools, Threads, Usage } from './live';
import { LONG, type Monitor } from './monitor';
import { ProfileButton, ProfileReport, showReport } from './profile_view';
import type { Profiles } from './profiles';
import type { Reports, Section } from './reports';
import type { Settings } from './settings';
import type { Subject } from './subject';

export class NativePanel extends ReactWidget {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly monitor: Monitor,
    private readonly reports: Reports,
    private readonly profiles: Profiles,
    private readonly subject: Subject,
    private readonly settings: Settings
  ) {
    super();
    this.id = 'diaphane-native';
    this.addClass('dph-Panel');
    this.title.icon = nativeIcon;
    this.node.setAttribute('role', 'region');
    // Where the focus goes when the button that had it is there no more.
    this.node.tabIndex = -1;
    this.tell();
    const update = () => this.update();
    monitor.stateChanged.connect(update);
    reports.stateChanged.connect(update);
    profiles.stateChanged.connect(update);
    settings.changed.connect(() => {
      this.tell();
      this.update();
    });
  }

  /** Asks a magic, unless a cell runs. */
  ask(section: Section): void {
    const { kernel, snapshot } = this.monitor;
    if (kernel && snapshot && !snapshot.cell) {
      this.reports.ask(section, kernel, this.monitor.lastCell);
    }
  }

  /** Opens or closes a section; one that is open and has no answer yet is asked. */
  unfold(section: Section, isOpen: boolean): void {
    if (isOpen !== this._open.has(section)) {
      if (isOpen) {
        this._open.add(section);
      } else {
        this._open.delete(section);
      }
      this.update();
    }
  }

  protected onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.monitor.watch(this.id, true);
    this.update();
  }

  protected onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this.monitor.watch(this.id, false);
  }

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.monitor.watch(this.id, this.isVisible);
  }

  protected onBeforeDetach(message: Message): void {
    this.monitor.watch(this.id, false);
    super.onBeforeDetach(message);
  }

  protected onUpdateRequest(message: Message): void {
    const had = this.node.contains(document.activeElement);
    super.onUpdateRequest(message);
    void this.renderPromise?.then(() => {
      if (had && document.activeElement === document.body) {
        this.node.focus();
      }
    });
  }

  protected render(): React.ReactElement {
    const { words } = this.settings;
    const { standing, snapshot } = this.monitor;
    return (
      <>
        <p className="dph-Said" role="status">
          {this.said()}
        </p>
        <div className="dph-Title">
          <h2>{words.native}</h2>
          <span title={this.subject.name}>{this.subject.name}</span>
        </div>
        {this.notice()}
        {snapshot && standing !== 'dead' && (
          <div className={standing === 'live' ? 'dph-Content' : 'dph-Content dph-mod-stale'}>{this.content()}</div>
        )}
      </>
    );
  }

  private content(): React.ReactElement | null {
    const { words, sections } = this.settings;
    const now = this.monitor.snapshot;
    if (!now) {
      return null;
    }
    const interrupt = () => void this.monitor.kernel?.interrupt();
    const asked = (['libraries', 'arrays', 'findings'] as const).filter(section => sections[section]);
    return (
      <>
        <Gil now={now} words={words} />
        <LongCell now={now} words={words} interrupt={interrupt}>
          {this.monitor.canProfile && <ProfileButton now={now} words={words} profiles={this.profiles} />}
        </LongCell>
        <ProfileReport
          words={words}
          profiles={this.profiles}
          open={html => this.openReport(html)}
          insert={code => void this.subject.insert(code)}
        />
        {sections.memory && <Usage now={now} words={words} />}
        {sections.pools && <Pools now={now} words={words} />}
        {sections.threads && <Threads now={now} words={words} />}
        {asked.map(section => (
          <Asked
            key={section}
            section={section}
            state={this.reports.of(section)}
            isOpen={this._open.has(section)}
            setOpen={isOpen => this.unfold(section, isOpen)}
            isIdle={now.cell === null}
            words={words}
            ask={each => this.ask(each)}
            insert={code => void this.subject.insert(code)}
          />
        ))}
      </>
    );
  }

  /** What a screen reader says by itself: what has happened, and no number that changes all the time. */
  private said(): string {
    const { words } = this.settings;
    const { snapshot } = this.monitor;
    if (snapshot?.profiled != null) {
      return words.saysProfiling;
    }
    if (this.profiles.profile) {
      return words.saysProfiled;
    }
    return snapshot?.cell && snapshot.cell.seconds >= LONG ? words.saysLong(snapshot.cell.count) : '';
  }

  private openReport(html: string): void {
    const { profile } = this.profiles;
    const { rendermime } = this.subject;
    if (profile && rendermime) {
      showReport(this.app, rendermime, html, this.settings.words.profileOf(profile.cell));
    }
  }

  /** What keeps the panel from showing what is so now. */
  private notice(): React.ReactElement | null {
    const { words } = this.settings;
    const { standing, snapshot, refusal } = this.monitor;
    switch (standing) {
      case 'live':
        return null;
      case 'foreign':
        return this.foreign();
      case 'silent':
        return <Notice>{snapshot ? words.silent : words.silentNew}</Notice>;
      case 'refused':
        return (
          <Notice>
            {words.refused} {refusal}
          </Notice>
        );
      default:
        return <Notice>{words[standing]}</Notice>;
    }
  }

  /** What another kernel needs. */
  private foreign(): React.ReactElement {
    const { words } = this.settings;
    const load = '%load_ext diaphane';
    return (
      <Notice>
        <p>{words.foreign(this.subject.kernelName || words.thisKernel)}</p>
        <pre>pip install diaphane-*.whl</pre>
        <p>{words.foreignMagics}</p>
        <pre>{load}</pre>
        <button className="dph-Link" onClick={() => void this.subject.insert(load)}>
          {words.insert(load)}
        </button>
      </Notice>
    );
  }

  private tell(): void {
    const { words } = this.settings;
    this.title.caption = words.caption;
    this.node.setAttribute('aria-label', words.caption);
    this.node.lang = words.lang;
  }

  private readonly _open = new Set<Section>();
}

function Notice(props: { children: React.ReactNode }) {
  return (
    <div className="dph-Notice" role="status">
      {props.children}
    </div>
  );
}
