/** A message read back from its bytes as a mail program would, so that a preview shows what arrives and not what was meant. */

/** What a mail program shows of a message. */
export interface TakenApart {
  readonly subject: string;
  readonly from: string;
  readonly to: string;
  /** Inline images are `data:` URIs in it. */
  readonly html: string;
  readonly text: string;
  /** Without inline images. Size in bytes. */
  readonly attachments: readonly { readonly name: string; readonly size: number }[];
}

/** Parses the bytes of a message (RFC 5322, MIME). */
export async function takeApart(bytes: Buffer): Promise<TakenApart> {
  const { simpleParser } = await import("mailparser");
  const mail = await simpleParser(bytes, { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true });
  const to = mail.to === undefined ? [] : Array.isArray(mail.to) ? mail.to : [mail.to];
  return {
    subject: mail.subject ?? "",
    from: mail.from?.text ?? "",
    to: to.map((list) => list.text).join(", "),
    html: mail.html === false ? "" : (mail.html ?? ""),
    text: mail.text ?? "",
    attachments: mail.attachments
      .filter((part) => !part.related)
      .map((part) => ({ name: part.filename ?? part.contentType, size: part.size })),
  };
}
