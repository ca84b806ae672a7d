/** What the user works in: the notebook, the console, or the editor with a console, that was looked at last. */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { ConsolePanel, IConsoleTracker } from '@jupyterlab/console';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { type ISignal, Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

export class Subject {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly notebooks: INotebookTracker,
    private readonly consoles: IConsoleTracker | null
  ) {
    const look = () => this.look();
    app.shell.currentChanged?.connect(look);
    // A notebook is current before its tracker knows it, and an editor before it has a console.
    notebooks.currentChanged.connect(look);
    consoles?.currentChanged.connect(look);
    consoles?.widgetAdded.connect(look);
    void app.restored.then(look);
  }

  get changed(): ISignal<this, ISessionContext | null> {
    return this._changed;
  }

  get context(): ISessionContext | null {
    return this._widget?.sessionContext ?? null;
  }

  /** Its name on its tab. */
  get name(): string {
    return this._widget?.title.label ?? '';
  }

  /** What its kernel is called. */
  get kernelName(): string {
    return this.context?.kernelDisplayName ?? '';
  }

  /** By which it shows outputs. */
  get rendermime(): NotebookPanel['content']['rendermime'] | null {
    const widget = this._widget;
    if (!widget) {
      return null;
    }
    return this.notebooks.has(widget) ? (widget as NotebookPanel).content.rendermime : (widget as ConsolePanel).console.rendermime;
  }

  /** Puts code where the user can run it: into a new cell below the active one, or into the console's. */
  async insert(code: string): Promise<void> {
    const widget = this._widget;
    if (!widget) {
      return;
    }
    this.app.shell.activateById(widget.id);
    if (this.notebooks.has(widget)) {
      await this.app.commands.execute('notebook:insert-cell-below');
      (widget as NotebookPanel).content.activeCell?.model.sharedModel.setSource(code);
    } else {
      (widget as ConsolePanel).console.promptCell?.model.sharedModel.setSource(code);
    }
  }

  private look(): void {
    const found = this.of(this.app.shell.currentWidget);
    // Where nothing of the kind is looked at, as in the settings, the one before stays while it lives.
    const next = found ?? (this._widget?.isDisposed === false ? this._widget : null);
    if (next !== this._widget) {
      this._widget = next;
      next?.disposed.connect(() => this.look());
      this._changed.emit(this.context);
    }
  }

  private of(widget: Widget | null): NotebookPanel | ConsolePanel | null {
    if (!widget || widget.isDisposed) {
      return null;
    }
    if (this.notebooks.has(widget)) {
      return widget as NotebookPanel;
    }
    if (this.consoles?.has(widget)) {
      return widget as ConsolePanel;
    }
    // The console of an editor has a session with the path of its file.
    const path = (widget as any).context?.path;
    return (path && this.consoles?.find(each => each.sessionContext.session?.path === path)) || null;
  }

  private _widget: NotebookPanel | ConsolePanel | null = null;
  private readonly _changed = new Signal<this, ISessionContext | null>(this);
}
