/**
 * A shape: what a body looks like whatever the values are. Markdown, CSS inlining and the text part run once on it, with opaque words in
 * place of the values; then it is cut at these words, and each cut knows where in the document it lies.
 */
import { createHash } from "node:crypto";
import type { ChildNode, Comment, Document, Element } from "domhandler";
import { ElementType, parseDocument } from "htmlparser2";
import { assertShallow, completeDocument, inlineStyles, moveStyles, serialize } from "./htmlDocument";
import { markdownDocument } from "./mailDocument";
import { mailText } from "./mailText";
import { escapeHtml, landHtml, landPlain, wholeUrl } from "./slots";
import type { Landing } from "./slots";

/** One value's place. `slot` counts the outputs of the shape. */
type Place =
  | { readonly kind: "value"; readonly slot: number; readonly landing: Landing }
  /** The source of an image that only the values tell to be a local file or a link. */
  | { readonly kind: "image"; readonly literals: readonly string[]; readonly slots: readonly number[] };

/** A text cut at its places; `literals` has one entry more than `places`. */
interface Cut {
  readonly literals: readonly string[];
  readonly places: readonly Place[];
}

/** What is wrong with a shape itself. `slot` is the output that it is about. */
export type ShapeProblem =
  { readonly code: "html.script" } | { readonly code: "html.placeholderPosition"; readonly slot: number };

/** A local image and the content id that stands for it (RFC 2392). */
export interface LocalImage {
  /** As the body names it, decoded: relative to the file that holds the body. */
  readonly path: string;
  readonly cid: string;
}

/** A body ready for values. */
export interface Shape {
  readonly html: Cut;
  readonly text: Cut;
  /** Local images whose path has no placeholder. */
  readonly images: readonly LocalImage[];
  /** Where the outputs land, by slot. */
  readonly landings: readonly ReadonlySet<Landing | "image">[];
  readonly problems: readonly ShapeProblem[];
}

/** A value that cannot stand where its output lands. */
export interface Refusal {
  readonly code: "url.scheme" | "css.value";
  readonly slot: number;
  readonly text: string;
}

/** Both parts with values in place. */
export interface Filled {
  readonly html: string;
  readonly text: string;
  readonly images: readonly LocalImage[];
  readonly refusals: readonly Refusal[];
}

/**
 * Makes a shape of a body's literals, which stand around its outputs. Outputs with equal `identities` give equal values. Throws
 * `NestedTooDeeply`.
 */
export function makeShape(
  kind: "markdown" | "html",
  literals: readonly string[],
  identities: readonly number[],
): Shape {
  const source = literals.join(" ");
  const outputs = new Words(source, "o");
  let body = literals[0] ?? "";
  for (let slot = 1; slot < literals.length; slot++) body += outputs.word(slot - 1) + (literals[slot] ?? "");
  const whole = kind === "markdown" ? markdownDocument(body) : body;
  assertShallow(whole);
  const document = parseDocument(/<style[\s>]/i.test(whole) ? inlineStyles(whole) : whole, { decodeEntities: false });
  return new ShapeMaker(kind, outputs, new Words(source, "p"), identities).make(document);
}

/** Puts values into a shape; `values` has one entry a slot. A value that is refused is left out. */
export function fillShape(shape: Shape, values: readonly string[]): Filled {
  const refusals: Refusal[] = [];
  const images: LocalImage[] = [...shape.images];
  const fill = (cut: Cut, land: typeof landHtml): string => {
    let filled = cut.literals[0] ?? "";
    cut.places.forEach((place, index) => {
      if (place.kind === "image") {
        const source = imageSource(place, values, images);
        if (source === undefined)
          refusals.push({ code: "url.scheme", slot: place.slots[0] ?? 0, text: values[place.slots[0] ?? 0] ?? "" });
        filled += source ?? "";
      } else {
        const value = values[place.slot] ?? "";
        const landed = land(value, place.landing);
        if (landed.ok) filled += landed.text;
        else if (land === landHtml) refusals.push({ code: landed.code, slot: place.slot, text: value });
      }
      filled += cut.literals[index + 1] ?? "";
    });
    return filled;
  };
  const html = fill(shape.html, landHtml);
  return { html, text: fill(shape.text, landPlain), images, refusals };
}

/** The content id of a local image: the same for the same path in every message. */
function contentId(path: string): string {
  return `${createHash("sha256").update(path).digest("hex").slice(0, 24)}@bulk-mail`;
}

function imageSource(
  { literals, slots }: Extract<Place, { kind: "image" }>,
  values: readonly string[],
  images: LocalImage[],
): string | undefined {
  let path = literals[0] ?? "";
  slots.forEach((slot, index) => {
    path += (values[slot] ?? "") + (literals[index + 1] ?? "");
  });
  path = path.trim();
  if (/^https?:/i.test(path)) {
    const url = wholeUrl(path);
    return url === undefined ? undefined : escapeHtml(url);
  }
  if (path === "" || !isLocalPath(path)) return undefined;
  const cid = contentId(path);
  if (!images.some((image) => image.path === path)) images.push({ path, cid });
  return `cid:${cid}`;
}

function isLocalPath(source: string): boolean {
  return source !== "" && !/^(?:[a-z][a-z0-9+.-]+:|\/\/|#)/i.test(source);
}

/** Words that stand for values: lower-case letters and digits of one length, with a beginning that the source has nowhere. */
class Words {
  private readonly start: string;
  readonly pattern: RegExp;

  constructor(source: string, mark: string) {
    const lower = source.toLowerCase();
    let number = 0;
    while (lower.includes(`zq${mark}${number.toString(36)}x`)) number++;
    this.start = `zq${mark}${number.toString(36)}x`;
    this.pattern = new RegExp(`${this.start}([0-9a-z]{5})z`, "gi");
  }

  word(index: number): string {
    return `${this.start}${index.toString(36).padStart(5, "0")}z`;
  }

  /** Whether there is one in `text`. */
  in(text: string): boolean {
    return text.toLowerCase().includes(this.start);
  }

  /** What stands between the words, and their indexes. */
  split(text: string): { readonly literals: readonly string[]; readonly indexes: readonly number[] } {
    const parts = text.split(this.pattern);
    return {
      literals: parts.filter((_, index) => index % 2 === 0),
      indexes: parts.filter((_, index) => index % 2 === 1).map((digits) => Number.parseInt(digits, 36)),
    };
  }
}

/** Attributes that hold a URL (HTML Living Standard, attributes index). */
const urlAttributes = new Set([
  ...[
    "href",
    "src",
    "action",
    "formaction",
    "background",
    "cite",
    "poster",
    "longdesc",
    "data",
    "ping",
    "srcset",
    "xlink:href",
  ],
]);
/** Elements whose text is no text to an HTML parser, so that escaping does nothing in it. */
const rawElements = new Set(["script", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext", "template"]);
const lineElements = new Set(["title", "textarea", "option"]);

/** Walks a document, gives each value's place a word of its own and cuts at these. */
class ShapeMaker {
  private readonly places: Place[] = [];
  private readonly images = new Map<string, LocalImage>();
  private readonly problems: ShapeProblem[] = [];
  private readonly landings: Set<Landing | "image">[];

  constructor(
    private readonly kind: "markdown" | "html",
    private readonly outputs: Words,
    private readonly placeWords: Words,
    private readonly identities: readonly number[],
  ) {
    this.landings = identities.map(() => new Set());
  }

  make(document: Document): Shape {
    this.nodes(document.children, "");
    if (this.kind === "html") completeDocument(document);
    else moveStyles(document);
    let html = serialize(document);
    // Nothing that stands for a value may be left, wherever it hid.
    if (this.outputs.in(html)) {
      for (const slot of this.outputs.split(html).indexes) this.misplaced(slot);
      html = this.outputs.split(html).literals.join("");
    }
    // A word of a value twice in a link (its text and its target) is one value, though in two places.
    const slotOf = (text: string): string =>
      text.replace(this.placeWords.pattern, (_, digits: string) => this.nameOf(digits));
    return {
      html: this.cut(html),
      text: this.cut(mailText(html, this.kind, slotOf)),
      images: [...this.images.values()],
      landings: this.landings,
      problems: this.problems,
    };
  }

  private nameOf(digits: string): string {
    const place = this.places[Number.parseInt(digits, 36)];
    return place?.kind === "value" ? `\u0000${String(this.identities[place.slot])}\u0000` : "\u0000";
  }

  private cut(text: string): Cut {
    const { literals, indexes } = this.placeWords.split(text);
    const places = indexes.flatMap((index) => this.places[index] ?? []);
    return { literals, places };
  }

  private nodes(nodes: readonly ChildNode[], parent: string): void {
    for (const node of nodes) {
      if (node.type === ElementType.Text) node.data = this.text(node.data, parent);
      else if (node.type === ElementType.Comment) this.comment(node);
      else if (node.type === ElementType.Directive) node.data = this.refuse(node.data);
      else if (node.type === ElementType.CDATA) this.nodes(node.children, parent);
      else if ("attribs" in node) this.element(node);
    }
  }

  private element(element: Element): void {
    const name = element.name.toLowerCase();
    if (name === "script") this.problems.push({ code: "html.script" });
    element.name = this.refuse(element.name);
    const isRefresh = name === "meta" && element.attribs["http-equiv"] !== undefined;
    for (const [key, value] of Object.entries(element.attribs)) {
      if (this.outputs.in(key)) {
        this.refuse(key);
        Reflect.deleteProperty(element.attribs, key);
      } else if (name === "img" && key === "src") element.attribs[key] = this.imageSource(value);
      else if (!this.outputs.in(value)) continue;
      else if (urlAttributes.has(key)) element.attribs[key] = this.url(value);
      else if (key === "style") element.attribs[key] = this.mark(value, () => "css");
      else if (key.startsWith("on") || key === "srcdoc" || isRefresh) element.attribs[key] = this.refuse(value);
      else element.attribs[key] = this.mark(value, () => "attribute");
    }
    this.nodes(element.children, name);
  }

  private text(data: string, parent: string): string {
    if (!this.outputs.in(data)) return data;
    if (rawElements.has(parent)) return this.refuse(data);
    if (parent === "style") return this.mark(data, () => "css");
    return this.mark(data, () => (lineElements.has(parent) ? "attribute" : "text"));
  }

  /** Outlook reads what stands in conditional comments, such as buttons. Others are the author's notes and stay at home. */
  private comment(node: Comment): void {
    const [, start, inside, end] = /^(\[if [^\]]*\]>)([\s\S]*)(<!\[endif\])$/i.exec(node.data) ?? [];
    if (start !== undefined && inside !== undefined && end !== undefined) {
      if (!this.outputs.in(inside)) return;
      assertShallow(inside);
      const fragment = parseDocument(inside, { decodeEntities: false });
      this.nodes(fragment.children, "");
      node.data = start + serialize(fragment) + end;
      return;
    }
    const data = this.refuse(node.data);
    // <!--[if !mso]><!--> … <!--<![endif]--> opens and closes around markup that others read.
    node.data = /^\[if |\[endif\]$/i.test(data) ? data : "";
  }

  private imageSource(value: string): string {
    const { literals, indexes } = this.outputs.split(value);
    const start = (literals[0] ?? "").trim();
    const isOpen = indexes.length > 0 && start === "";
    if (!isOpen && !isLocalPath(start)) return this.url(value);
    if (indexes.length === 0) {
      const path = decodePath(start);
      const image = this.images.get(path) ?? { path, cid: contentId(path) };
      this.images.set(path, image);
      return `cid:${image.cid}`;
    }
    for (const slot of indexes) this.landings[slot]?.add("image");
    return this.place({ kind: "image", literals: literals.map(decodePath), slots: indexes });
  }

  private url(value: string): string {
    const start = this.outputs.split(value).literals[0] ?? "";
    const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(start)?.[1]?.toLowerCase();
    // A reference such as &#58; before the path could hide a scheme.
    const isHidden = scheme === undefined && /^[^/?#]*[&\u0000-\u001f]/.test(start.trim());
    if (isHidden || (scheme !== undefined && !["http", "https", "mailto", "tel", "sms"].includes(scheme)))
      return this.refuse(value);
    return this.mark(value, (before) => {
      if (before.trim() === "") return "urlStart";
      return scheme === "mailto" && !before.includes("?") ? "mailto" : "urlPart";
    });
  }

  /** Gives each output in `text` a place of its own; `landing` gets the text before it. */
  private mark(text: string, landing: (before: string) => Landing): string {
    return text.replace(this.outputs.pattern, (_, digits: string, offset: number) => {
      const slot = Number.parseInt(digits, 36);
      const place = { kind: "value", slot, landing: landing(text.slice(0, offset)) } as const;
      this.landings[slot]?.add(place.landing);
      return this.place(place);
    });
  }

  private place(place: Place): string {
    this.places.push(place);
    return this.placeWords.word(this.places.length - 1);
  }

  /** Takes the outputs out of a text that must not have any. */
  private refuse(text: string): string {
    const { literals, indexes } = this.outputs.split(text);
    for (const slot of indexes) this.misplaced(slot);
    return literals.join("");
  }

  private misplaced(slot: number): void {
    if (!this.problems.some((problem) => "slot" in problem && problem.slot === slot))
      this.problems.push({ code: "html.placeholderPosition", slot });
  }
}

/** The path that a URL in HTML names: percent-encoding and references undone, without query and fragment. */
function decodePath(source: string): string {
  const plain = source
    .replace(/&amp;/g, "&")
    .replace(/&#39;/g, "'")
    .replace(/&quot;/g, '"')
    .replace(/[?#].*$/s, "");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}
