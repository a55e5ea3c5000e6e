/** What a real server has delivered, and what it says of itself. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import * as path from "node:path";
import { createInterface } from "node:readline";

/** A mail in a mailbox, with the envelope that the server noted. */
export interface DeliveredMail {
  readonly from: string;
  readonly to: string;
  readonly source: string;
}

/** Every mail in a maildir whose server writes `Return-Path` and `Delivered-To`, by recipient. */
export async function readMaildir(folder: string): Promise<readonly DeliveredMail[]> {
  const box = path.join(folder, "new");
  const names = await readdir(box).catch(() => []);
  const sources = await Promise.all(names.map((name) => readFile(path.join(box, name), "utf8")));
  return sources
    .map((source) => ({
      from: /^Return-Path: <(.*)>$/im.exec(source)?.[1] ?? "",
      to: /^Delivered-To: (.*)$/im.exec(source)?.[1] ?? "",
      source,
    }))
    .sort((a, b) => a.to.localeCompare(b.to));
}

/** Everybody of `addresses` has one mail, nobody else has any, and each holds what was written for that row of the list. */
export function assertDelivered(
  mails: readonly DeliveredMail[],
  list: readonly string[],
  addresses: readonly string[] = list,
): void {
  assert.deepEqual(mails.map(({ to }) => to).sort(), [...addresses].sort());
  for (const { from, to, source } of mails) {
    assert.equal(from, "ada@example.com");
    const number = String(list.indexOf(to));
    assert.match(source, new RegExp(`^Subject: Number ${number}\\r?$`, "m"));
    // Both parts, without the soft line breaks, and whole: the multipart's end is there.
    const text = source.replaceAll(/=\r?\n/g, "");
    assert.equal(text.match(new RegExp(`this is number ${number}\\.`, "g"))?.length, 2, source);
    const boundary = /boundary="?([^"\r\n;]+)/.exec(source)?.[1] ?? "none";
    assert.ok(source.trimEnd().endsWith(`--${boundary}--`), source);
  }
}

/** The keywords that a server on 127.0.0.1 announces after EHLO (RFC 5321 §4.1.1.1), in its order. */
export async function announced(port: number): Promise<readonly string[]> {
  const socket = createConnection({ host: "127.0.0.1", port });
  const keywords: string[] = [];
  try {
    let greeted = false;
    for await (const line of createInterface({ input: socket })) {
      if (!greeted) {
        socket.write("EHLO [127.0.0.1]\r\n");
        greeted = true;
      } else {
        keywords.push(line.slice(4).trim().toUpperCase());
        if (!line.startsWith("250-")) break;
      }
    }
    socket.write("QUIT\r\n");
  } finally {
    socket.destroy();
  }
  // The first line names the server.
  return keywords.slice(1).filter((keyword) => keyword !== "");
}
