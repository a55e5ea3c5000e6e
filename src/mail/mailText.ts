/** The plain text beside the HTML: for people and programs that show no HTML. */
import type { ChildNode } from "domhandler";
import { compile } from "html-to-text";
import type { FormatCallback } from "html-to-text";
import { ElementType } from "htmlparser2";

/** Maps a text to one that is equal for equal values. */
type Sameness = (text: string) => string;

/** The text of an HTML document. A link whose text is its own target, by `sameAs`, is shown once. */
export function mailText(html: string, kind: "markdown" | "html", sameAs: Sameness): string {
  return converters[kind](html, { sameAs });
}

const link: FormatCallback = (element, walk, builder) => {
  const { sameAs } = (builder as unknown as { readonly metadata: { readonly sameAs: Sameness } }).metadata;
  const nodes = element.children as unknown as ChildNode[];
  const href = (element.attribs as Record<string, string>).href?.trim() ?? "";
  // Of a mailto: link the address alone: its subject is nothing to read.
  const target = /^mailto:/i.test(href) ? href.slice(7).replace(/\?.*$/, "") : href.replace(/^tel:/i, "");
  if (target === "" || target.startsWith("#")) {
    walk(nodes as never, builder);
  } else if (sameAs(textOf(nodes).trim()) === sameAs(target)) {
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

const tableRow: FormatCallback = (element, walk, builder) => {
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

const headings = ["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({
  selector,
  options: { uppercase: false, leadingLineBreaks: 2 },
}));
// Lines for the list of mails only, and what mobile programs hide.
const hidden = ["head", "style", "script", "[style*='display:none']", "[style*='display: none']"];

// Built once: reading the selectors takes longer than a mail.
const converters = { markdown: converter(true), html: converter(false) };

/** `hasDataTables`: in Markdown a table holds data, in HTML it mostly makes a layout. */
function converter(hasDataTables: boolean): (html: string, metadata: { readonly sameAs: Sameness }) => string {
  return compile({
    wordwrap: false,
    limits: { maxInputLength: Number.MAX_SAFE_INTEGER },
    formatters: { mailLink: link, mailImage: image, mailTableRow: tableRow },
    selectors: [
      ...headings,
      { selector: "a", format: "mailLink" },
      { selector: "img", format: "mailImage" },
      { selector: "ul", options: { itemPrefix: "- " } },
      ...(hasDataTables ? [{ selector: "tr", format: "mailTableRow" }] : []),
      ...hidden.map((selector) => ({ selector, format: "skip" })),
    ],
  });
}

function textOf(nodes: readonly ChildNode[]): string {
  return nodes
    .map((node) => (node.type === ElementType.Text ? node.data : "children" in node ? textOf(node.children) : ""))
    .join("");
}
