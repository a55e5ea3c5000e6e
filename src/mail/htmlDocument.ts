/** What is done to an HTML document so that mail programs read it as its author meant it. */
import render from "dom-serializer";
import type { ChildNode, Document, Element } from "domhandler";
import { ElementType, Parser, parseDocument } from "htmlparser2";
import juice from "juice/client";

/** Elements in elements, at most; real mails have a few dozen levels. */
const depthLimit = 256;

/** A document that the libraries, which walk it by recursion, could not read. */
export class NestedTooDeeply extends Error {
  constructor() {
    super("it is nested too deeply");
    this.name = "NestedTooDeeply";
  }
}

/** Throws `NestedTooDeeply` for HTML that would end the stack: V8 ends the whole process when that happens in a regular expression. */
export function assertShallow(html: string): void {
  let depth = 0;
  const parser = new Parser(
    {
      onopentagname: () => {
        depth += 1;
        if (depth > depthLimit) throw new NestedTooDeeply();
      },
      onclosetag: () => {
        depth -= 1;
      },
    },
    { decodeEntities: false },
  );
  parser.end(html);
}

/** Style sheets put into style attributes, the one place where all mail programs look. What has no such place stays: media queries. */
export function inlineStyles(html: string): string {
  // Braces are nothing special here: what Liquid left is text.
  Reflect.deleteProperty(juice.codeBlocks, "HBS");
  Reflect.deleteProperty(juice.codeBlocks, "EJS");
  return juice(html, {
    // “auto” is no number of pixels.
    applyHeightAttributes: false,
    preserveImportant: true,
    preserveMediaQueries: true,
    preserveFontFaces: true,
    preserveKeyFrames: true,
  });
}

/** The document as text; entities and quotes as written. */
export function serialize(document: Document): string {
  return render(document, { encodeEntities: false }).replace(/<!---->/g, "");
}

/** Style elements that CSS inlining left, for what cannot be inlined: mail programs look for them in the head only. */
export function moveStyles(document: Document): void {
  const found: Element[] = [];
  const collect = (nodes: ChildNode[]): ChildNode[] =>
    nodes.filter((node) => {
      if (!("attribs" in node)) return true;
      if (node.name === "head") return true;
      if (node.name === "style") found.push(node);
      node.children = collect(node.children);
      return node.name !== "style";
    });
  document.children = collect(document.children);
  const root = document.children.find((node): node is Element => "attribs" in node && node.name === "html");
  const head = root?.children.find((node): node is Element => "attribs" in node && node.name === "head");
  head?.children.push(...found);
}

/** Adds what a mail program needs and the author left out: doctype, head, character set. */
export function completeDocument(document: Document): void {
  const parse = (html: string): ChildNode[] => parseDocument(html, { decodeEntities: false }).children;
  const find = (name: string, nodes: readonly ChildNode[] = document.children): Element | undefined => {
    for (const node of nodes) {
      if (!("attribs" in node)) continue;
      if (node.name === name) return node;
      if (node.name === "html") return find(name, node.children);
    }
    return undefined;
  };
  const metas =
    find("head")?.children.filter((node): node is Element => "attribs" in node && node.name === "meta") ?? [];
  const declared = metas.find((meta) => meta.attribs.charset !== undefined);
  const typed = metas.find((meta) => meta.attribs["http-equiv"]?.toLowerCase() === "content-type");
  const meta = '<meta charset="utf-8">';
  // Bytes are always UTF-8, whatever the file said.
  if (typed !== undefined) typed.attribs.content = "text/html; charset=utf-8";
  if (declared !== undefined) declared.attribs.charset = "utf-8";
  else if (typed === undefined) {
    const head = find("head");
    const html = find("html");
    if (head !== undefined) prepend(head, parse(meta));
    else if (html !== undefined) prepend(html, parse(`<head>${meta}</head>`));
    else {
      const isDirective = (node: ChildNode): boolean => node.type === ElementType.Directive;
      const inner = document.children.filter((node) => !isDirective(node));
      const isWhole = find("body") !== undefined;
      const shell = parse(`<html><head>${meta}</head>${isWhole ? "" : "<body></body>"}</html>`);
      document.children = [...document.children.filter(isDirective), ...shell];
      find(isWhole ? "html" : "body")?.children.push(...inner);
    }
  }
  const hasDoctype = document.children.some(
    (node) => node.type === ElementType.Directive && /^!doctype/i.test(node.name),
  );
  if (!hasDoctype) document.children.unshift(...parse("<!DOCTYPE html>\n"));
}

function prepend(element: Element, nodes: readonly ChildNode[]): void {
  element.children.unshift(...nodes);
}
