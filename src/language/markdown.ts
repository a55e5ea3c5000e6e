/** Text as Markdown that shows just that text: cells and servers never write markup. */
import * as vscode from "vscode";

/** VS Code's own `appendText` would keep long lines from being wrapped. */
export function plainMarkdown(text: string): vscode.MarkdownString {
  return new vscode.MarkdownString(text.replace(/&/g, "&amp;").replace(/[\\`*_{}[\]()#+\-.!<>|~$:@]/g, "\\$&"));
}
