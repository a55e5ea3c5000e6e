/** An account of the editor's workspace at a server whose authority only its CA file knows. */
import { copyFile } from "node:fs/promises";
import * as vscode from "vscode";
import type { Editor } from "./editor";
import { authorityFile, type MailServer } from "./mailServer";

/** The account's settings; the CA file is put beside the campaign. */
export async function accountAt(server: MailServer, editor: Editor): Promise<Readonly<Record<string, unknown>>> {
  const authority = editor.uri("ca.pem");
  await copyFile(authorityFile(), authority.fsPath);
  return {
    host: "127.0.0.1",
    port: server.port,
    user: "ada",
    from: "Ada <ada@example.com>",
    tls: { caFile: vscode.workspace.asRelativePath(authority), servername: "localhost" },
  };
}
