/** One item, only while a run is active, paused or interrupted. */
import * as vscode from "vscode";
import { commands } from "./contributions";
import type { Disposable } from "./dispose";
import { unlinked } from "./notify";
import { settled, startText, waitingFor } from "./runView";
import type { RunView } from "./runView";

/** The item and what it says. */
export class StatusBar implements Disposable {
  private item: vscode.StatusBarItem | undefined;

  /** Shows the first of `views`, and that there are more; nothing when there is none. */
  show(views: readonly RunView[]): void {
    const [first, ...others] = views;
    if (first === undefined) {
      this.item?.dispose();
      this.item = undefined;
      return;
    }
    this.item ??= vscode.window.createStatusBarItem("run", vscode.StatusBarAlignment.Left);
    this.item.name = "Bulk Mail";
    this.item.text = statusText(first) + (others.length > 0 ? ` (+${String(others.length)})` : "");
    this.item.tooltip = first.sandbox ? "Bulk Mail, sandbox: nothing leaves this machine" : "Bulk Mail";
    this.item.accessibilityInformation = { label: `Bulk Mail, ${this.item.text.replace(/\$\([^)]*\)/g, "").trim()}` };
    this.item.command = {
      title: "Show what can be done",
      command:
        first.phase === "paused" ? (first.silent === true ? commands.takeOver : commands.resume).id : commands.pause.id,
      arguments: [vscode.Uri.file(first.file)],
    };
    this.item.show();
  }

  dispose(): void {
    this.item?.dispose();
  }
}

/** `$(sync~spin) spring: 37 of 500`, `$(debug-pause) spring: 312 of 500, 2 unknown · Resume`. */
export function statusText(view: RunView, now = Date.now()): string {
  const name = unlinked(view.name, 30);
  const numbers = [`${String(settled(view))} of ${String(view.total)}`];
  if (view.totals !== undefined && view.totals.failed > 0) numbers.push(`${String(view.totals.failed)} failed`);
  if (view.totals !== undefined && view.totals.unknown > 0) numbers.push(`${String(view.totals.unknown)} unknown`);
  switch (view.phase) {
    case "paused":
      if (view.silent === true) return `$(debug-pause) ${name}: held by a silent process · Take Over`;
      return `$(debug-pause) ${name}: ${startText(view, now) ?? numbers.join(", ")} · ${view.signIn === true ? "Sign In" : "Resume"}`;
    case "queued":
      return `$(clock) ${name}: ${waitingFor(view, now)}`;
    case "preparing":
      return `$(sync~spin) ${name}: preparing`;
    case "stopping":
      return `$(sync~spin) ${name}: ${numbers.join(", ")}, pausing`;
    case "waiting":
      // Minutes or hours: what it waits for says more than a wheel.
      return `$(clock) ${name}: ${numbers.join(", ")} · ${waitingFor(view, now)}`;
    case "sending":
      return `$(sync~spin) ${name}: ${numbers.join(", ")}`;
  }
}
