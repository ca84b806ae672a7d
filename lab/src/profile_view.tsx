/** The profile of the rest of a cell: the button that begins and ends it, and what it has found. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import * as React from 'react';

import * as format from './format';
import { nativeIcon } from './icon';
import { pictureOf } from './picture';
import type { ILine } from './profile';
import type { Profiles } from './profiles';
import type { ISnapshot } from './snapshot';
import type { Words } from './words';

/** By which a cell shows the whole report. */
const MAGIC = '%native_prof --last';

interface IProps {
  words: Words;
  profiles: Profiles;
}

/** One button for both, so that who has pressed it by a key presses it once more. */
export function ProfileButton({ now, words, profiles }: IProps & { now: ISnapshot }) {
  const isRunning = now.profiled !== null;
  return (
    <div className="dph-Profile-button">
      <button
        className="jp-Button jp-mod-styled"
        title={words.profileHelp}
        // One that cannot be pressed at all would lose the focus.
        aria-disabled={profiles.isAsked}
        onClick={() => profiles.isAsked || (isRunning ? profiles.end() : profiles.begin())}
      >
        {isRunning ? words.stopProfile : words.profileRest}
      </button>
      {isRunning && <span>{words.profiling(format.duration(now.profiled ?? 0))}</span>}
    </div>
  );
}

interface IReport extends IProps {
  open: (html: string) => void;
  insert: (code: string) => void;
}

/** Where the time went: a sentence, the lines that took most, the flame graph, and the ways to all of it. */
export function ProfileReport({ words, profiles, open, insert }: IReport) {
  const { profile, error } = profiles;
  const picture = React.useMemo(() => profile && pictureOf(profile.html), [profile]);
  if (!profile) {
    return error ? (
      <p className="dph-Error" role="alert">
        {words.profileRefused} {error}
      </p>
    ) : null;
  }
  return (
    <section className="dph-Profile">
      <header>
        <h3>{words.profileOf(profile.cell)}</h3>
        <button className="dph-Link" onClick={() => profiles.close()}>
          {words.close}
        </button>
      </header>
      {profile.sentences.map(sentence => (
        <p key={sentence}>{sentence}</p>
      ))}
      <Lines lines={profile.lines} words={words} />
      {picture && (
        // It scrolls by keys, too.
        <div
          className="dph-Flame"
          role="region"
          aria-label={words.flameGraph}
          tabIndex={0}
          dangerouslySetInnerHTML={{ __html: picture }}
        />
      )}
      <footer>
        <button className="dph-Link" onClick={() => open(profile.html)}>
          {words.openReport}
        </button>
        <button className="dph-Link" title={words.whole(MAGIC)} onClick={() => insert(MAGIC)}>
          <code>{MAGIC}</code>
        </button>
      </footer>
    </section>
  );
}

function Lines({ lines, words }: { lines: readonly ILine[]; words: Words }) {
  return (
    <ol className="dph-Lines">
      {lines.map((line, index) => (
        <li key={index}>
          <span>
            {line.share !== null && <b>{line.share.toFixed(0)} %</b>} {line.place || words.elsewhere}
          </span>
          {line.source && <code title={line.source}>{line.source}</code>}
          <small>{line.did}</small>
        </li>
      ))}
    </ol>
  );
}

/** Counts the tabs. */
let reports = 0;

/** The whole report in a tab of its own, as the notebook would show it. */
export function showReport(
  app: JupyterFrontEnd,
  rendermime: NotebookPanel['content']['rendermime'],
  html: string,
  title: string
): void {
  const type = 'text/html';
  const content = rendermime.createRenderer(type);
  // It comes from the kernel that has just run the user's code, as each output of a cell does.
  void content.renderModel(rendermime.createModel({ data: { [type]: html }, trusted: true }));
  content.addClass('dph-Report');
  const tab = new MainAreaWidget({ content });
  tab.id = `diaphane-report-${++reports}`;
  tab.title.label = title;
  tab.title.closable = true;
  tab.title.icon = nativeIcon;
  app.shell.add(tab, 'main');
  if (!tab.isAttached) {
    // Notebook 7 has one document in a window, and room below it.
    app.shell.add(tab, 'down');
  }
  app.shell.activateById(tab.id);
}
