/** Looks at one kernel again and again while somebody looks at what it says. */

import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { type IQuestion, Refusal, ask, connected } from './ask';
import { FEATURE, type IReply, type IRequest, PROFILE, isReply, startsOurs } from './protocol';
import { type ISnapshot, advance } from './snapshot';

/** After which silence a kernel is said not to answer. Its answer still counts when it comes. */
const SILENCE = 3_000;

/** After which a question is taken for lost, as when the server's connection to the kernel was made anew. */
const LOST = 60_000;

/** From when on a cell is worth a stack. */
export const LONG = 2;

/** How a question to the kernel in view stands. */
export type Standing =
  | 'nothing' // no notebook, console or editor with a kernel
  | 'foreign' // another kernel
  | 'old' // ours, of a version that has no monitor
  | 'waiting' // it starts, or is not connected, or has not answered yet
  | 'live'
  | 'silent' // it does not answer
  | 'refused' // it has more to do than to answer
  | 'dead';

/** While a kernel has one of these, its process changes or is gone, and a question would reach the next one. */
const CHANGING: readonly Kernel.Status[] = ['starting', 'restarting', 'autorestarting', 'terminating', 'dead'];

export class Monitor extends VDomModel {
  constructor() {
    super();
    this._poll = new Poll({
      name: 'diaphane:monitor',
      auto: false,
      factory: () => this.look(),
      frequency: { interval: 1000, backoff: true, max: 8000 },
      // Nothing is asked while nobody looks.
      standby: () => (this._watchers.size ? 'when-hidden' : true)
    });
  }

  dispose(): void {
    this.follow(null);
    this._poll.dispose();
    super.dispose();
  }

  /** Emitted when another process is looked at: what the one before said counts no more. */
  get processChanged(): ISignal<this, void> {
    return this._processChanged;
  }

  get standing(): Standing {
    return this._standing;
  }

  get snapshot(): ISnapshot | null {
    return this._snapshot;
  }

  /** The number of the cell that ran last, where this page has seen it. */
  get lastCell(): number | null {
    return this._lastCell;
  }

  /** Why the kernel does not answer, where it has said so. */
  get refusal(): string {
    return this._refusal;
  }

  /** Whether somebody looks, so that what is known is new. */
  get isWatched(): boolean {
    return this._watchers.size > 0;
  }

  /** Whether it can profile the rest of a cell: its answers say so before it has told on shell what it can. */
  get canProfile(): boolean {
    return this._features.includes(PROFILE) || this._snapshot?.reply.profile !== undefined;
  }

  get kernel(): Kernel.IKernelConnection | null {
    return this._context?.session?.kernel ?? null;
  }

  set interval(milliseconds: number) {
    this._poll.frequency = { interval: milliseconds, backoff: true, max: Math.max(8000, milliseconds) };
  }

  /** Whether the stack of a long cell is wanted. */
  wantsStack = true;

  /** Says who looks, and whether still. */
  watch(who: string, looks: boolean): void {
    const before = this._watchers.size;
    if (looks) {
      this._watchers.add(who);
    } else {
      this._watchers.delete(who);
    }
    if (!before && this._watchers.size) {
      void this._poll.start();
      void this._poll.refresh();
    } else if (!this._watchers.size) {
      void this._poll.stop();
      this.stateChanged.emit();
    }
  }

  /** Looks at the kernel of this session from now on. */
  follow(context: ISessionContext | null): void {
    if (context === this._context) {
      return;
    }
    this._context?.kernelChanged.disconnect(this.begin, this);
    this._context?.statusChanged.disconnect(this.onStatus, this);
    this._context?.connectionStatusChanged.disconnect(this.onConnection, this);
    this._context?.iopubMessage.disconnect(this.onPublished, this);
    this._context = context;
    context?.kernelChanged.connect(this.begin, this);
    context?.statusChanged.connect(this.onStatus, this);
    context?.connectionStatusChanged.connect(this.onConnection, this);
    context?.iopubMessage.connect(this.onPublished, this);
    this.begin();
  }

  /** Forgets the process before, and finds out what this kernel is. */
  private begin(): void {
    this._generation += 1;
    this._question?.dispose();
    this._question = null;
    this._snapshot = null;
    this._lastCell = null;
    this._processChanged.emit();
    const { kernel } = this;
    this.stand(!kernel ? 'nothing' : kernel.status === 'dead' ? 'dead' : 'waiting');
    this._answers = kernel !== null && kernel === this._known;
    if (kernel && !this._answers) {
      this._features = [];
      void this.recognise(kernel, this._generation);
    }
    this.lookSoon();
  }

  /** A kernel's spec is known at once, and what it says of itself when it has answered on shell: after its cell. */
  private async recognise(kernel: Kernel.IKernelConnection, generation: number): Promise<void> {
    const spec = await kernel.spec.catch(() => undefined);
    if (generation === this._generation && startsOurs(spec?.argv as string[])) {
      this._answers = true;
      this.lookSoon();
    } else if (spec?.language === 'python') {
      // There may be a guest in it. On the control channel it says so in the middle of a cell, too.
      void this.askWhatItIs(kernel, generation);
    }
    const info = await kernel.info.catch(() => null);
    if (info && generation === this._generation && !this._features.length) {
      this.learn(kernel, info);
    }
  }

  /** Asks a kernel what it can: a guest may have come into it, or gone. */
  private async askWhatItIs(kernel: Kernel.IKernelConnection, generation: number): Promise<void> {
    await connected(kernel);
    if (generation !== this._generation || kernel.status === 'dead') {
      return;
    }
    const question = ask(kernel, 'kernel_info_request', {});
    const lost = setTimeout(() => question.dispose(), LOST);
    const info = await question.content.catch(() => null);
    clearTimeout(lost);
    if (info && generation === this._generation) {
      this.learn(kernel, info);
    }
  }

  private learn(kernel: Kernel.IKernelConnection, info: { implementation?: string; supported_features?: string[] }): void {
    this._features = info.supported_features ?? [];
    this._answers = this._features.includes(FEATURE);
    if (this._answers) {
      this._known = kernel;
      this.lookSoon();
    } else {
      this._known = null;
      this._snapshot = null;
      this._question?.dispose();
      this.stand(info.implementation === 'diaphane' ? 'old' : 'foreign');
    }
  }

  private onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'dead' || status === 'restarting' || status === 'autorestarting') {
      this.begin();
    }
  }

  private onConnection(_: ISessionContext, status: Kernel.ConnectionStatus): void {
    if (status === 'connected') {
      this.lookSoon();
    } else {
      // Its answer went to a connection that is no more.
      this._question?.dispose();
    }
  }

  private onPublished(_: ISessionContext, message: KernelMessage.IMessage): void {
    if (message.header.msg_type === 'execute_input') {
      const { code, execution_count } = (message as KernelMessage.IExecuteInputMsg).content;
      this._lastCell = execution_count;
      this._wasNamed = code.includes('diaphane');
    } else if (this._wasNamed && message.header.msg_type === 'status' && isEndOfCell(message)) {
      this._wasNamed = false;
      const { kernel } = this;
      if (kernel) {
        void this.askWhatItIs(kernel, this._generation);
      }
    }
  }

  private lookSoon(): void {
    if (this._watchers.size) {
      void this._poll.refresh();
    }
  }

  /** One look. It is rejected where the kernel does not answer, so that it is asked less often. */
  private async look(): Promise<void> {
    const { kernel, _generation: generation } = this;
    if (!kernel || !this._answers || this._question) {
      return;
    }
    if (kernel.connectionStatus !== 'connected' || CHANGING.includes(kernel.status)) {
      return;
    }
    const question = (this._question = ask(kernel, 'monitor_request', this.request()));
    const silence = setTimeout(() => generation === this._generation && this.stand('silent'), SILENCE);
    const lost = setTimeout(() => question.dispose(), LOST);
    try {
      const content = await question.content;
      if (generation === this._generation && isReply(content)) {
        this.take(content);
      }
    } catch (error) {
      if (generation === this._generation) {
        if (error instanceof Refusal) {
          this._refusal = error.message;
          this.stand('refused');
        }
        throw error;
      }
    } finally {
      clearTimeout(silence);
      clearTimeout(lost);
      if (this._question === question) {
        this._question = null;
      }
    }
  }

  /** A stack is asked for every other time: it costs the kernel more than the rest. */
  private request(): IRequest {
    // So that it is there when the cell is long.
    const isLong = (this._snapshot?.cell?.seconds ?? 0) >= LONG / 2;
    const stack = this.wantsStack && isLong && !this._hadStack;
    this._hadStack = stack;
    return { epoch: this._snapshot?.reply.epoch ?? null, stack, why: stack };
  }

  private take(reply: IReply): void {
    this._snapshot = advance(this._snapshot, reply);
    this.stand('live');
  }

  private stand(standing: Standing): void {
    this._standing = standing;
    this.stateChanged.emit();
  }

  private readonly _poll: Poll;
  private readonly _watchers = new Set<string>();
  private readonly _processChanged = new Signal<this, void>(this);
  private _context: ISessionContext | null = null;
  private _standing: Standing = 'nothing';
  private _snapshot: ISnapshot | null = null;
  private _lastCell: number | null = null;
  private _refusal = '';
  private _question: IQuestion | null = null;
  /** Whether the kernel in view has the monitor, as far as is known. */
  private _answers = false;
  /** The kernel that has said that it has. */
  private _known: Kernel.IKernelConnection | null = null;
  /** Counts processes: an answer to a question from before a restart is nobody's. */
  private _generation = 0;
  private _hadStack = false;
  /** What the kernel in view has said that it can. */
  private _features: readonly string[] = [];
  /** Whether the cell that runs names us: behind `%load_ext diaphane` another kernel can answer. */
  private _wasNamed = false;
}

function isEndOfCell(message: KernelMessage.IMessage): boolean {
  const { execution_state } = message.content as { execution_state?: string };
  const parent = message.parent_header as KernelMessage.IHeader;
  return execution_state === 'idle' && parent.msg_type === 'execute_request';
}
