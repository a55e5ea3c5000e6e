/** The plain text beside the HTML: for people and programs that show no HTML. */
import type { FormatCallback } from "html-to-text";
import { convert } from "html-to-text";
import { ElementType } from "htmlparser2";
import type { ChildNode } from "domhandler";

/**
 * The text of an HTML document. `sameAs` maps a text to one that is equal for equal values: a link whose text is its own target is
 * shown once.
 */
export function mailText(html: string, kind: "markdown" | "html", sameAs: (text: string) => string): string {
  const link: FormatCallback = (element, walk, builder) => {
    const nodes = element.children as unknown as ChildNode[];
    const href = (element.attribs as Record<string, string>).href?.trim() ?? "";
    // Of a mailto: link the address alone: its subject is nothing to read.
    const target = /^mailto:/i.test(href) ? href.slice(7).replace(/\?.*$/, "") : href.replace(/^tel:/i, "");
    const text = textOf(nodes).trim();
    if (target === "" || target.startsWith("#")) {
      walk(nodes as never, builder);
    } else if (sameAs(text) === sameAs(target)) {
      builder.addInline(target);
    } else {
      walk(nodes as never, builder);
      // RFC 3986 appendix C: angle brackets tell a URL from the text around it.
      builder.addInline(` <${target}>`, { noWordTransform: true });
    }
  };
  const image: FormatCallback = (element, _walk, builder) => {
    const alt = (element.attribs as Record<string, string>).alt ?? "";
    if (alt !== "") builder.addInline(alt);
  };
  const row: FormatCallback = (element, walk, builder) => {
    builder.openBlock({ leadingLineBreaks: 1 });
    let isFirst = true;
    for (const cell of element.children as unknown as ChildNode[]) {
      if (!("attribs" in cell)) continue;
      if (!isFirst) builder.addInline(" | ");
      isFirst = false;
      walk(cell.children as never, builder);
    }
    builder.closeBlock({ trailingLineBreaks: 1 });
  };
  return convert(html, {
    wordwrap: false,
    limits: { maxInputLength: Number.MAX_SAFE_INTEGER },
    formatters: { mailLink: link, mailImage: image, mailRow: row },
    selectors: [
      ...["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({ selector, options: { uppercase: false } })),
      { selector: "a", format: "mailLink" },
      { selector: "img", format: "mailImage" },
      { selector: "ul", options: { itemPrefix: "- " } },
      // In Markdown a table holds data; in HTML it mostly makes a layout.
      ...(kind === "markdown" ? [{ selector: "tr", format: "mailRow" }] : []),
      { selector: "head", format: "skip" },
      { selector: "style", format: "skip" },
      { selector: "script", format: "skip" },
      // Lines for the list of mails only, and what mobile programs hide.
      { selector: "[style*='display:none']", format: "skip" },
      { selector: "[style*='display: none']", format: "skip" },
    ],
  });
}

function textOf(nodes: readonly ChildNode[]): string {
  return nodes
    .map((node) => (node.type === ElementType.Text ? node.data : "children" in node ? textOf(node.children) : ""))
    .join("");
}
