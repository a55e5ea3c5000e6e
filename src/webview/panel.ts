/** One webview panel's life: html shell, content security policy, messages, restore, end. */
import { randomBytes } from "node:crypto";
import * as v from "valibot";
import * as vscode from "vscode";
import type { Disposable } from "../dispose";
import { toDisposable } from "../dispose";
import type { Logger } from "../mail/index";
import { plainText } from "../mail/index";
import type { Handlers, Methods, Rpc } from "../rpc";
import { createRpc } from "../rpc";

/** What a panel shows. */
export interface Page {
  readonly viewType: string;
  readonly title: string;
  /** Name of the built script below `dist/pages`, without `.js`. */
  readonly script: string;
  /** Names of style sheets below `media`. */
  readonly styles: readonly string[];
  /** Directives of the content security policy that replace the shell's own. */
  readonly policy?: Readonly<Record<string, string>>;
}

/** What a page may ask, and the shape of each call's arguments (a tuple): everything else is dropped and logged. */
export interface PageHost<Local> {
  readonly handlers: Handlers<Local>;
  readonly accepts: { readonly [K in keyof Local]: v.GenericSchema };
}

/** An open panel. `Remote` is what its page can be asked, `Local` what the page may ask. */
export class Panel<Remote extends Methods<Remote>, Local extends Methods<Local>> implements Disposable {
  /** The way to ask the page. */
  readonly page: Rpc<Remote>;

  /** Fills `panel`, which VS Code made or restored, and answers its page until it is closed. */
  constructor(
    private readonly panel: vscode.WebviewPanel,
    extensionUri: vscode.Uri,
    page: Page,
    host: PageHost<Local>,
    logger: Logger,
  ) {
    const { webview } = panel;
    webview.options = webviewOptions(extensionUri);
    panel.iconPath = {
      light: vscode.Uri.joinPath(extensionUri, "media", "mail-light.svg"),
      dark: vscode.Uri.joinPath(extensionUri, "media", "mail-dark.svg"),
    };
    // The listener stands before the page is loaded: its first call must not be lost.
    this.page = createRpc<Remote, Local>(
      {
        postMessage: (message) => void webview.postMessage(message),
        onMessage: (listener) => {
          const registration = webview.onDidReceiveMessage(listener);
          return () => void registration.dispose();
        },
      },
      host.handlers,
      {
        accept: (method, args) => {
          const schemas: Readonly<Record<string, v.GenericSchema>> = host.accepts;
          const schema = schemas[method];
          return schema !== undefined && v.safeParse(schema, args).success;
        },
        onError: (message) => logger.warn(`Page ${page.script}: ${plainText(message)}`),
      },
    );
    panel.onDidDispose(() => this.page.dispose("The panel was closed."));
    webview.html = shell(webview, extensionUri, page);
  }

  /** Calls `listener` once, when the panel is gone. */
  onDidDispose(listener: () => void): Disposable {
    return this.panel.onDidDispose(listener);
  }

  /** Brings the panel to the front. */
  reveal(): void {
    this.panel.reveal();
  }

  dispose(): void {
    this.panel.dispose();
  }
}

/**
 * At most one panel of a kind: `open` shows it, a window reload restores it. `attach` fills a panel and returns its end.
 */
export function singlePanel(
  extensionUri: vscode.Uri,
  page: Page,
  attach: (panel: vscode.WebviewPanel) => Disposable,
): Disposable & { open(): void } {
  let current: { readonly panel: vscode.WebviewPanel; readonly end: Disposable } | undefined;
  const adopt = (panel: vscode.WebviewPanel): void => {
    current?.panel.dispose();
    const end = attach(panel);
    current = { panel, end };
    panel.onDidDispose(() => {
      if (current?.panel === panel) current = undefined;
      end.dispose();
    });
  };
  const serializer = vscode.window.registerWebviewPanelSerializer(page.viewType, {
    deserializeWebviewPanel: (panel) => {
      adopt(panel);
      return Promise.resolve();
    },
  });
  const end = toDisposable(() => {
    serializer.dispose();
    current?.panel.dispose();
  });
  return {
    open: () => {
      if (current !== undefined) current.panel.reveal();
      else
        adopt(
          vscode.window.createWebviewPanel(
            page.viewType,
            page.title,
            vscode.ViewColumn.Active,
            webviewOptions(extensionUri),
          ),
        );
    },
    dispose: () => end.dispose(),
  };
}

function webviewOptions(extensionUri: vscode.Uri): vscode.WebviewOptions {
  return {
    enableScripts: true,
    enableForms: false,
    enableCommandUris: false,
    localResourceRoots: [
      vscode.Uri.joinPath(extensionUri, "dist", "pages"),
      vscode.Uri.joinPath(extensionUri, "media"),
    ],
  };
}

function shell(webview: vscode.Webview, extensionUri: vscode.Uri, page: Page): string {
  const nonce = randomBytes(16).toString("base64url");
  // The toolkit tries out one rule in a style element of its own; this is how it finds the nonce for it. Scripts have another.
  const styleNonce = randomBytes(16).toString("base64url");
  const uri = (...path: readonly string[]): string =>
    attribute(webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, ...path)).toString());
  const policy: Readonly<Record<string, string>> = {
    "default-src": "'none'",
    "script-src": `'nonce-${nonce}'`,
    "style-src": `${webview.cspSource} 'nonce-${styleNonce}'`,
    "font-src": webview.cspSource,
    "img-src": webview.cspSource,
    "base-uri": "'none'",
    "form-action": "'none'",
    ...page.policy,
  };
  const csp = Object.entries(policy).map(([directive, sources]) => `${directive} ${sources}`);
  const styles = page.styles.map((style) => `<link rel="stylesheet" href="${uri("media", style)}">`);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${attribute(csp.join("; "))}">
<meta property="csp-nonce" content="${styleNonce}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${attribute(page.title)}</title>
${styles.join("\n")}
</head>
<body>
<main id="page"></main>
<script nonce="${nonce}" src="${uri("dist", "pages", `${page.script}.js`)}"></script>
</body>
</html>`;
}

function attribute(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
