/** The plugin: it puts the panel, its commands and its item of the status bar in their places. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IConsoleTracker } from '@jupyterlab/console';
import { IMainMenu } from '@jupyterlab/mainmenu';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator } from '@jupyterlab/translation';

import { nativeIcon } from './icon';
import { Monitor } from './monitor';
import { NativePanel } from './panel';
import { Profiles } from './profiles';
import { MAGICS, Reports } from './reports';
import { Settings } from './settings';
import { NativeStatus } from './status';
import { Subject } from './subject';

const ID = '@diaphane/lab:panel';

const COMMANDS = {
  open: 'diaphane:open-panel',
  check: 'diaphane:check-kernel',
  insert: 'diaphane:insert-magic'
};

/** What can be inserted from the palette. */
const INSERTED = ['%threads', '%stack', '%memory', ...Object.values(MAGICS).map(magic => magic.whole)];

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'A panel that shows what native code does in a kernel of diaphane.',
  autoStart: true,
  requires: [INotebookTracker, ITranslator],
  optional: [IConsoleTracker, ICommandPalette, IMainMenu, ILayoutRestorer, ISettingRegistry, IStatusBar],
  activate
};

export default plugin;

async function activate(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker,
  translator: ITranslator,
  consoles: IConsoleTracker | null,
  palette: ICommandPalette | null,
  menu: IMainMenu | null,
  restorer: ILayoutRestorer | null,
  registry: ISettingRegistry | null,
  statusBar: IStatusBar | null
): Promise<void> {
  const settings = new Settings((translator as { languageCode?: string }).languageCode);
  const monitor = new Monitor();
  const reports = new Reports();
  const profiles = new Profiles(monitor);
  const subject = new Subject(app, notebooks, consoles);
  monitor.processChanged.connect(() => reports.forget());
  subject.changed.connect((_, context) => monitor.follow(context));

  const panel = new NativePanel(app, monitor, reports, profiles, subject, settings);
  restorer?.add(panel, panel.id);
  app.shell.add(panel, 'right', { rank: 300, type: 'Native' });

  addCommands(app, panel, subject, settings);
  if (statusBar) {
    addToStatusBar(statusBar, app, monitor, settings);
  }
  settings.changed.connect(() => {
    monitor.interval = settings.interval;
    monitor.wantsStack = settings.stack;
  });
  const stored = await registry?.load(ID);
  if (stored) {
    settings.read(stored);
    stored.changed.connect(() => settings.read(stored));
  }
  // A palette keeps the language in which it was filled.
  addToMenus(palette, menu, settings);
}

function addCommands(app: JupyterFrontEnd, panel: NativePanel, subject: Subject, settings: Settings): void {
  const open = () => app.shell.activateById(panel.id);
  app.commands.addCommand(COMMANDS.open, {
    label: () => settings.words.open,
    caption: () => settings.words.caption,
    icon: nativeIcon,
    execute: open
  });
  app.commands.addCommand(COMMANDS.check, {
    label: () => settings.words.checkKernel,
    isEnabled: () => subject.context !== null,
    execute: () => {
      open();
      panel.unfold('findings', true);
      panel.ask('findings');
    }
  });
  app.commands.addCommand(COMMANDS.insert, {
    label: args => settings.words.insert(String(args.magic ?? '%diaphane')),
    isEnabled: () => subject.context !== null,
    execute: args => subject.insert(String(args.magic ?? '%diaphane'))
  });
}

function addToMenus(palette: ICommandPalette | null, menu: IMainMenu | null, settings: Settings): void {
  const { category } = settings.words;
  palette?.addItem({ command: COMMANDS.open, category });
  palette?.addItem({ command: COMMANDS.check, category });
  for (const magic of INSERTED) {
    palette?.addItem({ command: COMMANDS.insert, args: { magic }, category });
  }
  // Next to the debugger's.
  menu?.viewMenu.addGroup([{ command: COMMANDS.open }], 6);
  menu?.kernelMenu.addGroup([{ command: COMMANDS.open }, { command: COMMANDS.check }], 60);
}

function addToStatusBar(statusBar: IStatusBar, app: JupyterFrontEnd, monitor: Monitor, settings: Settings): void {
  const item = new NativeStatus(monitor, settings, () => void app.commands.execute(COMMANDS.open));
  statusBar.registerStatusItem(`${ID}-status`, {
    item,
    align: 'left',
    rank: 4,
    isActive: () => settings.statusBar !== 'never' && monitor.standing !== 'nothing',
    activeStateChanged: monitor.stateChanged as any
  });
  settings.changed.connect(() => monitor.watch('status', settings.statusBar === 'always'));
}
