/** Elements and the channel to the host. Text only ever goes in as text: nothing here parses markup. */
import type { Port } from "../../rpc";

/** What VS Code gives a page, once. `State` survives a reload of the window. */
interface VsCodeApi<State> {
  postMessage(message: unknown): void;
  getState(): State | undefined;
  setState(state: State): void;
}

declare function acquireVsCodeApi<State>(): VsCodeApi<State>;

/** The page's ways out: a port to its host, and state that survives a reload. Call it once. */
export function connect<State>(): { port: Port; state(): State | undefined; keep(state: State): void } {
  const api = acquireVsCodeApi<State>();
  return {
    port: {
      postMessage: (message) => api.postMessage(message),
      onMessage: (listener) => {
        const receive = (event: MessageEvent): void => listener(event.data);
        window.addEventListener("message", receive);
        return () => window.removeEventListener("message", receive);
      },
    },
    state: () => api.getState(),
    keep: (state) => api.setState(state),
  };
}

/** What an element can be given at birth. Attributes that are undefined are left out. */
export interface Properties {
  readonly class?: string;
  readonly id?: string;
  readonly text?: string;
  readonly hidden?: boolean;
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  readonly onClick?: (event: MouseEvent) => void;
}

/** Makes an element with its children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  apply(made, properties);
  made.append(...children);
  return made;
}

/** Gives an element what `properties` say. */
export function apply(target: HTMLElement, properties: Properties): void {
  if (properties.class !== undefined) target.className = properties.class;
  if (properties.id !== undefined) target.id = properties.id;
  if (properties.text !== undefined) target.textContent = properties.text;
  if (properties.hidden !== undefined) target.hidden = properties.hidden;
  for (const [name, value] of Object.entries(properties.attributes ?? {}))
    if (value !== undefined) target.setAttribute(name, value);
  if (properties.onClick !== undefined) target.addEventListener("click", properties.onClick);
}

/** The pictures that stand beside sentences; each is one path in a box of 16. */
const icons = {
  pass: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 5.1-4.1 5a.5.5 0 0 1-.74.04L4.4 8.8l.7-.7 1.97 1.96L10.8 5.5l.8.6Z",
  error:
    "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm2.85 9.15-.7.7L8 8.7l-2.15 2.15-.7-.7L7.3 8 5.15 5.85l.7-.7L8 7.3l2.15-2.15.7.7L8.7 8l2.15 2.15Z",
  warning:
    "M8.44 1.7a.5.5 0 0 0-.88 0l-6.5 12a.5.5 0 0 0 .44.74h13a.5.5 0 0 0 .44-.74l-6.5-12ZM7.5 5.5h1v4.5h-1V5.5Zm0 5.5h1v1.2h-1V11Z",
  information: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm.5 10.5h-1V7h1v4.5Zm0-5.75h-1v-1.2h1v1.2Z",
  chevron: "M5.7 13.7 5 13l4.6-5L5 3l.7-.7L10.95 8 5.7 13.7Z",
} as const;

/** The name of a picture. */
export type IconName = keyof typeof icons;

/** A picture in the colour of the text around it, unseen by screen readers: the sentence beside it says the same. */
export function icon(name: IconName): SVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  const path = document.createElementNS(namespace, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" }))
    svg.setAttribute(key, value);
  svg.classList.add("icon", `icon-${name}`);
  path.setAttribute("d", icons[name]);
  path.setAttribute("fill", "currentColor");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}
