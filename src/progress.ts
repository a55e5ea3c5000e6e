/** Where a run shows how far it is: a notification first, then the status bar; never in both places. */
import * as vscode from "vscode";
import type { ProgressPlace } from "./contributions";
import { DisposableStore } from "./dispose";
import type { Disposable } from "./dispose";
import { unlinked } from "./notify";
import { progressText, settled, waitingFor } from "./runView";
import type { RunView } from "./runView";
import type { SendTask } from "./sendTask";
import type { StatusBar } from "./statusBar";

/** After so many milliseconds a notification gives way to the status bar. */
const handOverMs = 10_000;

interface Shown {
  report(view: RunView): void;
  close(): void;
}

/** Shows every active run. */
export class RunProgress implements Disposable {
  private readonly owned = new DisposableStore();
  /** Open notifications by campaign path. */
  private readonly shown = new Map<string, Shown>();
  /** Campaign paths of runs that are in the status bar already. */
  private readonly handedOver = new Set<string>();

  constructor(
    private readonly task: SendTask,
    private readonly statusBar: StatusBar,
    private readonly place: () => ProgressPlace,
  ) {
    this.owned.add(task.onDidChange((view) => this.update(view)));
  }

  dispose(): void {
    this.owned.dispose();
    for (const shown of this.shown.values()) shown.close();
  }

  private update(view: RunView): void {
    const { file } = view;
    if (!this.task.isActive(file)) {
      this.shown.get(file)?.close();
      this.shown.delete(file);
      this.handedOver.delete(file);
    } else if (!this.shown.has(file) && !this.handedOver.has(file)) {
      if (this.place() === "notification") this.shown.set(file, this.open(view));
      else this.handedOver.add(file);
    }
    this.shown.get(file)?.report(view);
    this.refreshStatusBar();
  }

  private refreshStatusBar(): void {
    this.statusBar.show(this.task.views.filter(({ file }) => !this.shown.has(file)));
  }

  private handOver(file: string): void {
    this.handedOver.add(file);
    this.shown.get(file)?.close();
    this.shown.delete(file);
    this.refreshStatusBar();
  }

  private open(first: RunView): Shown {
    let close: () => void = () => undefined;
    let report: (view: RunView) => void = () => undefined;
    let percent = 0;
    const title = `${first.sandbox ? "Rehearsing" : "Sending"} ${unlinked(first.name, 60)}`;
    void vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title, cancellable: true },
      (progress, token) => {
        token.onCancellationRequested(() => this.task.pause(first.file));
        report = (view) => {
          const now = view.total === 0 ? 0 : (settled(view) / view.total) * 100;
          progress.report({ message: phaseText(view), increment: Math.max(0, now - percent) });
          percent = Math.max(percent, now);
        };
        return new Promise<void>((resolve) => (close = resolve));
      },
    );
    const timer = setTimeout(() => this.handOver(first.file), handOverMs);
    return {
      report: (view) => report(view),
      close: () => {
        clearTimeout(timer);
        close();
      },
    };
  }
}

/** What a run does, in a few words: numbers and our own words only. */
export function phaseText(view: RunView): string {
  switch (view.phase) {
    case "queued":
      return waitingFor(view, Date.now());
    case "preparing":
      return "preparing";
    case "sending":
      return progressText(view);
    case "waiting":
      return `${progressText(view)} · ${waitingFor(view, Date.now())}`;
    case "stopping":
      return `${progressText(view)} · awaiting the last replies`;
    case "paused":
      return `${progressText(view)} · paused`;
  }
}
