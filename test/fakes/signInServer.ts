/** Google's or Microsoft's sign-in on loopback: oauth2-mock-server behind the providers' real names, as strict as they are. */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { MutableRedirectUri, MutableResponse, MutableToken } from "oauth2-mock-server";
import type { OAuthProviderId } from "../../src/mail/providers";
import { answerJson, bodyOf, type Interceptor, type RequestHandler } from "./interceptor";

/** The client that the server knows. */
export const knownClient = {
  google: { clientId: "1234-abc.apps.googleusercontent.com", clientSecret: "GOCSPX-the-secret-of-the-client" },
  microsoft: { clientId: "11111111-2222-3333-4444-555555555555", clientSecret: "" },
} as const;

/** The JSON file of Google's console for that client. */
export const googleClientFile = JSON.stringify({
  installed: {
    client_id: knownClient.google.clientId,
    project_id: "newsletter",
    auth_uri: "https://accounts.google.com/o/oauth2/auth",
    token_uri: "https://oauth2.googleapis.com/token",
    auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs",
    client_secret: knownClient.google.clientSecret,
    redirect_uris: ["http://localhost"],
  },
});

const places = {
  google: {
    authorize: ["accounts.google.com", "/o/oauth2/v2/auth"],
    token: ["oauth2.googleapis.com", "/token"],
  },
  microsoft: {
    authorize: ["login.microsoftonline.com", "/common/oauth2/v2.0/authorize"],
    token: ["login.microsoftonline.com", "/common/oauth2/v2.0/token"],
  },
} as const;

type Form = Readonly<Record<string, string | undefined>>;

/** The provider. PKCE, client, codes and refresh tokens are checked; its fields say how it behaves from now on. */
export class SignInServer {
  /** Who signs in; undefined: the ID token names nobody. */
  email: string | undefined = "ada@gmail.com";
  /** The name that the person signs in with at Microsoft, told with the scope `profile` only. */
  principal: string | undefined;
  /** Boxes that the person leaves unticked. */
  withheld: readonly string[] = [];
  /** What the person says in the browser instead of yes: an `error` of RFC 6749. */
  refusal: string | undefined;
  /** Whether a first sign-in gives a refresh token. */
  isLasting = true;
  expiresInSeconds = 3600;
  /** Answers token requests in the server's place while it is set. */
  instead: RequestHandler | undefined;
  /** Forms of token requests that came so far, answered `instead` ones aside. */
  readonly tokenRequests: Form[] = [];
  /** Access tokens that are good now, the newest last; take one out to have it refused by whoever looks. */
  readonly accessTokens: string[] = [];
  /** Refresh tokens that are good now. */
  readonly refreshTokens = new Set<string>();
  /** How many token requests came, answered `instead` ones included. */
  asked = 0;
  private readonly scopes = new Map<string, string>();
  /** Whether the last sign-in was asked for the scope `profile`. */
  private hasProfile = false;

  private constructor(
    readonly provider: OAuthProviderId,
    private readonly browserSide: Server,
  ) {}

  /** Plays the provider's hosts on the interceptor. */
  static async start(interceptor: Interceptor, provider: OAuthProviderId): Promise<SignInServer> {
    const { OAuth2Issuer, OAuth2Service } = await import("oauth2-mock-server");
    const place = places[provider];
    const issuer = new OAuth2Issuer();
    issuer.url = `https://${place.authorize[0]}`;
    await issuer.keys.generate("ES256");
    const endpoints = { authorize: place.authorize[1], token: place.token[1] };
    const service = new OAuth2Service(issuer, endpoints);
    const browserSide = createServer(service.requestHandler);
    await new Promise<void>((resolve) => browserSide.listen(0, "127.0.0.1", resolve));
    const server = new SignInServer(provider, browserSide);
    service.on("beforeAuthorizeRedirect", ({ url }: MutableRedirectUri, request: IncomingMessage) =>
      server.decide(url, new URL(request.url ?? "", issuer.url).searchParams),
    );
    service.on("beforeTokenSigning", ({ payload }: MutableToken) => {
      payload.jti = randomUUID();
      if (payload.aud === undefined) return;
      if (server.email !== undefined) payload.email = server.email;
      if (server.principal !== undefined && server.hasProfile) payload.preferred_username = server.principal;
    });
    service.on("beforeResponse", (response: MutableResponse, request: IncomingMessage & { readonly body: Form }) =>
      server.answer(response, request.body),
    );
    const handler = (request: IncomingMessage, response: ServerResponse): unknown => {
      const isToken = request.method === "POST" && request.url === place.token[1];
      if (isToken) server.asked++;
      if (provider === "google" && request.url === "/revoke") return server.forget(request, response);
      if (isToken && server.instead !== undefined) return server.instead(request, response);
      service.requestHandler(request, response);
      return undefined;
    };
    for (const host of new Set([place.authorize[0], place.token[0]])) interceptor.play(host, handler);
    return server;
  }

  /** The browser and the person in front of it: where the browser ends for an authorization address, without going there. */
  async consent(authorizationUrl: string): Promise<string> {
    const url = new URL(authorizationUrl);
    if (url.host !== places[this.provider].authorize[0]) throw new Error(`Nobody signs in at ${url.host}.`);
    const { port } = this.browserSide.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${String(port)}${url.pathname}${url.search}`, {
      redirect: "manual",
    });
    const location = response.headers.get("location");
    if (location === null) throw new Error(await response.text());
    return location;
  }

  /** A refresh token as if somebody had signed in. */
  grant(): string {
    const token = randomUUID();
    this.refreshTokens.add(token);
    return token;
  }

  /** The person takes the sign-in back: no token is good any more. */
  revokeAll(): void {
    this.refreshTokens.clear();
    this.accessTokens.length = 0;
  }

  close(): Promise<void> {
    this.browserSide.closeAllConnections();
    return new Promise((resolve) => this.browserSide.close(() => resolve()));
  }

  private decide(redirect: URL, asked: URLSearchParams): void {
    const { searchParams } = redirect;
    if (this.refusal !== undefined) {
      searchParams.delete("code");
      searchParams.set("error", this.refusal);
      return;
    }
    const granted = (asked.get("scope") ?? "").split(" ").filter((scope) => !this.withheld.includes(scope));
    this.scopes.set(searchParams.get("code") ?? "", granted.join(" "));
    this.hasProfile = granted.includes("profile");
    if (this.provider === "google") searchParams.set("scope", granted.join(" "));
  }

  private answer(response: MutableResponse, form: Form): void {
    this.tokenRequests.push(form);
    const refuse = (statusCode: number, error: string, error_description: string): void => {
      response.statusCode = statusCode;
      response.body = { error, error_description };
    };
    const { clientId, clientSecret } = knownClient[this.provider];
    if (form.client_id !== clientId || (form.client_secret ?? "") !== clientSecret)
      return refuse(401, "invalid_client", `The OAuth client was not found: ${form.client_secret ?? ""}`);
    const body = response.body as Record<string, unknown>;
    body.expires_in = this.expiresInSeconds;
    if (form.grant_type === "authorization_code") {
      const scope = this.scopes.get(form.code ?? "");
      if (scope === undefined || form.code_verifier === undefined)
        return refuse(400, "invalid_grant", `Malformed auth code ${form.code ?? ""}.`);
      this.scopes.delete(form.code ?? "");
      body.scope = scope;
      if (!this.isLasting) delete body.refresh_token;
      else this.refreshTokens.add(String(body.refresh_token));
    } else {
      const used = form.refresh_token ?? "";
      if (!this.refreshTokens.has(used))
        return refuse(400, "invalid_grant", `Token has been expired or revoked: ${used}`);
      delete body.scope;
      // Google keeps the refresh token, Microsoft replaces it.
      if (this.provider === "google") delete body.refresh_token;
      else {
        this.refreshTokens.delete(used);
        this.refreshTokens.add(String(body.refresh_token));
      }
    }
    this.accessTokens.push(String(body.access_token));
  }

  /** In the mock's place, which reads no form here. */
  private async forget(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = new URLSearchParams((await bodyOf(request)).toString()).get("token") ?? "";
    if (this.refreshTokens.delete(token)) answerJson(response, 200, {});
    else answerJson(response, 400, { error: "invalid_token", error_description: "Token expired or revoked" });
  }
}
