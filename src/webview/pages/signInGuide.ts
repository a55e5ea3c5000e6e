/** How to make an OAuth client, click by click: the short form of the pages in `docs`. */
import type { SignInProvider } from "../protocol";
import { linkTo } from "./controls";
import { element, icon } from "./dom";

/** A piece of a step: our words, a page of the provider, or what stands there on a button or field. */
type Part = string | { readonly page: string; readonly url: string } | { readonly there: string };

const console = "https://console.cloud.google.com";

const steps: Readonly<Record<SignInProvider, readonly (readonly Part[])[]>> = {
  google: [
    ["Create a ", { page: "project in Google Cloud", url: `${console}/projectcreate` }, "; any name will do."],
    [
      "Switch on the ",
      { page: "Gmail API", url: `${console}/apis/library/gmail.googleapis.com` },
      " for it: ",
      { there: "Enable" },
      ".",
    ],
    [
      "Fill in the ",
      { page: "consent screen", url: `${console}/auth/overview` },
      ": ",
      { there: "Get started" },
      ", a name, your address, audience ",
      { there: "External" },
      " (",
      { there: "Internal" },
      " with Google Workspace).",
    ],
    [
      "Under ",
      { page: "Audience", url: `${console}/auth/audience` },
      " add your address as a test user. While the project is in testing, a sign-in ends after 7 days; ",
      { there: "Publish app" },
      " lifts that, and for your own mail Google verifies nothing.",
    ],
    [
      "Create a ",
      { page: "client", url: `${console}/auth/clients/create` },
      " of the type ",
      { there: "Desktop app" },
      " and download its JSON file.",
    ],
  ],
  microsoft: [
    [
      "Open ",
      {
        page: "App registrations",
        url: "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade",
      },
      " and choose ",
      { there: "New registration" },
      ".",
    ],
    [
      "Any name. As account types take ",
      { there: "Any Entra ID tenant + personal Microsoft accounts" },
      ", for a work address too: others are turned away when they sign in.",
    ],
    [
      "As redirect URI choose ",
      { there: "Public client/native" },
      " and enter ",
      { there: "http://localhost" },
      ". After ",
      { there: "Register" },
      ", add ",
      { there: "https://vscode.dev/redirect" },
      " beside it, under ",
      { there: "Authentication" },
      ".",
    ],
    [
      "For a work address, add under ",
      { there: "API permissions" },
      " the delegated permission ",
      { there: "SMTP.Send" },
      " of Office 365 Exchange Online; an administrator may have to agree.",
    ],
    ["Copy the ", { there: "Application (client) ID" }, " from the overview."],
  ],
};

const titles: Readonly<Record<SignInProvider, string>> = {
  google: "How to get this file from Google",
  microsoft: "How to get this ID from Microsoft",
};

/** The steps, closed until the person opens them; `more` stands below. */
export function signInGuide(provider: SignInProvider, more: HTMLElement): HTMLDetailsElement {
  return element(
    "details",
    { class: "guide" },
    element("summary", {}, icon("chevron"), element("span", { text: titles[provider] })),
    element(
      "ol",
      {},
      ...steps[provider].map((parts) =>
        element(
          "li",
          {},
          ...parts.map((part) => {
            if (typeof part === "string") return part;
            return "page" in part ? linkTo(part.page, part.url) : element("b", { text: part.there });
          }),
        ),
      ),
    ),
    more,
  );
}
