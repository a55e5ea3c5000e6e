/** nodemailer's protocol engine where its types say nothing: its errors, and what it knows of a server. */
import type { Socket } from "node:net";
import type SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Stage } from "../classify";

/** nodemailer's error, as far as we look at it: its `code` alone cannot tell what happened. */
export interface EngineError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly command?: string;
  readonly response?: string;
  readonly timeoutType?: string;
}

/** Its listeners, and what it knows of the server. */
export interface EngineParts {
  readonly _socket: Socket;
  readonly _onSocketData: (chunk: Buffer) => void;
  readonly _onSocketError: (error: Error) => void;
  readonly _onSocketClose: () => void;
  readonly _onSocketEnd: () => void;
  readonly _onSocketTimeout: () => void;
  readonly _responseQueue: readonly string[];
  readonly _remainder: string;
  readonly _supportedExtensions: readonly string[];
  readonly _maxAllowedSize: number;
  readonly _supportedAuth: readonly string[];
  readonly allowsAuth: boolean;
}

/** The engine with what is not in its types. */
export function partsOf(engine: SMTPConnection): EngineParts {
  return engine as unknown as EngineParts;
}

/** Where the dialogue was, from the command that failed. */
export function stageOf(error: EngineError, reached: Stage): Stage {
  if (error.timeoutType === "GREETING_TIMEOUT") return "greeting";
  if (error.timeoutType === "UPGRADE_TIMEOUT") return "starttls";
  const command = error.command ?? "";
  if (command.startsWith("AUTH")) return "auth";
  if (command.startsWith("STARTTLS") || error.code === "ETLS") return "starttls";
  if (/^(?:EHLO|HELO)/.test(command)) return "ehlo";
  if (error.code === "EPROTOCOL" && reached === "connect") return "greeting";
  return reached;
}
