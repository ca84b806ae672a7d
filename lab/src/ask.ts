/** One question to a kernel on its control channel, which it answers also while a cell runs. */

import { type Kernel, KernelMessage } from '@jupyterlab/services';

/** A reply with the status `error`. */
export class Refusal extends Error {}

export interface IQuestion {
  /** What the kernel answered. It is rejected when the kernel refuses, goes, or `dispose` was called. */
  readonly content: Promise<any>;
  /** Waits no longer. */
  dispose(): void;
}

/** Comes when there is a connection: JupyterLab sends a question for what a kernel is at once, or refuses it. */
export function connected(kernel: Kernel.IKernelConnection): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (kernel.connectionStatus === 'connected') {
        kernel.connectionStatusChanged.disconnect(look);
        resolve();
      }
    };
    kernel.connectionStatusChanged.connect(look);
    look();
  });
}

export function ask(kernel: Kernel.IKernelConnection, type: string, content: object): IQuestion {
  // The types know the messages of the protocol only; a kernel may have others.
  const message = KernelMessage.createMessage<any>({
    msgType: type,
    channel: 'control',
    session: kernel.clientId,
    username: kernel.username,
    content
  } as any) as unknown as KernelMessage.IControlMessage;
  const future = kernel.sendControlMessage(message, true, true);
  const answer = new Promise((resolve, reject) => {
    future.onReply = reply => {
      const { status, ename, evalue } = reply.content as any;
      if (status === 'ok') {
        resolve(reply.content);
      } else {
        reject(new Refusal(evalue || ename || status));
      }
      // No idle follows a monitor_reply, so the future would never end by itself.
      future.dispose();
    };
    future.done.then(
      () => reject(new Error('no reply')),
      () => reject(new Error('cancelled'))
    );
  });
  return { content: answer, dispose: () => future.dispose() };
}
