/** What is known about mail providers. Facts only that a person needs to fill in an account; limits are what they publish. */
import { sesHosts } from "./sesRegions";

/** A way to reach a server: the port decides how encryption starts (RFC 8314 §3). */
export interface ServerPort {
  readonly port: number;
  readonly security: "starttls" | "tls";
}

/** One of the servers of a provider that has several, such as one in every region. */
export interface ProviderHost {
  readonly label: string;
  readonly host: string;
}

/** How a provider lets people in. `oauth2` is sign-in in the browser. */
export type ProviderAuth = "password" | "oauth2";

/** Who signs people in with OAuth (`oauthProviders.ts`). */
export type OAuthProviderId = "google" | "microsoft";

/** What a provider publishes about its smallest usual account; the server's own answers always win. */
export interface PublishedLimits {
  readonly perMinute?: number;
  /** Messages in 24 hours; where the provider counts recipients, that many messages to one each. */
  readonly perDay?: number;
  /** Connections at the same time. */
  readonly connections?: number;
  /** Bytes of a whole message, attachments as they are encoded. */
  readonly maxSize?: number;
  /** Recipients of one message. */
  readonly recipients?: number;
  /** Messages over one connection; then a new one is made. */
  readonly messagesPerConnection?: number;
}

/** A provider. Texts are plain sentences for people. */
export interface Provider {
  /** As in an account's `provider`. */
  readonly id: string;
  readonly label: string;
  /** Empty where only the account's owner knows it. */
  readonly host: string;
  /** All of its servers, where the account decides which one counts; `host` is among them. */
  readonly hosts?: readonly ProviderHost[];
  /** The recommended one first. */
  readonly ports: readonly ServerPort[];
  /** What to enter as user, and as password. */
  readonly userHint: string;
  readonly passwordHint: string;
  /** The user name that is the same for everybody. */
  readonly user?: string;
  /** The recommended one first. */
  readonly auths: readonly ProviderAuth[];
  /** Who signs in where `auths` holds `oauth2`. */
  readonly oauth?: OAuthProviderId;
  /** Where the provider makes the password for sending: an app password, a token or a key. */
  readonly appPasswordUrl?: string;
  /** Where the provider explains all of this. */
  readonly helpUrl?: string;
  /** Set when the provider takes no password any more: since when, and what can be used instead. */
  readonly retired?: string;
  /** Limits and habits worth knowing before the first campaign. */
  readonly note?: string;
  /** Milliseconds between two messages and connections at most, where the provider's own limits ask for it. */
  readonly limits?: { readonly delay?: number; readonly connections?: number };
  readonly published?: PublishedLimits;
  /** Mail in the name of an address that the provider does not know as the user's leaves all the same, in the user's own name. */
  readonly replacesSender?: true;
  /** What holds on top of that for messages that go through the provider's API. */
  readonly api?: Pick<PublishedLimits, "perMinute">;
  /** Mail domains whose addresses live here. */
  readonly domains?: readonly string[];
}

const submission: ServerPort = { port: 587, security: "starttls" };
const implicit: ServerPort = { port: 465, security: "tls" };
const fullAddress = "Your full e-mail address.";
const megabytes = (count: number): number => count * 1024 * 1024;

/** The data centres of Zoho. */
const zohoHosts: readonly ProviderHost[] = [
  { label: "United States: zoho.com", host: "smtp.zoho.com" },
  { label: "Europe: zoho.eu", host: "smtp.zoho.eu" },
  { label: "India: zoho.in", host: "smtp.zoho.in" },
  { label: "Australia: zoho.com.au", host: "smtp.zoho.com.au" },
  { label: "Japan: zoho.jp", host: "smtp.zoho.jp" },
];

/** Every provider, in the order in which they are offered. */
export const providers: readonly Provider[] = [
  {
    id: "gmail",
    label: "Gmail",
    host: "smtp.gmail.com",
    ports: [submission, implicit],
    userHint: "Your full Gmail or Workspace address.",
    passwordHint:
      "An app password of 16 letters, not the password of your Google account. It needs 2-Step Verification.",
    auths: ["password", "oauth2"],
    oauth: "google",
    appPasswordUrl: "https://myaccount.google.com/apppasswords",
    helpUrl: "https://support.google.com/accounts/answer/185833",
    note: "Gmail sends about 500 messages in 24 hours, Google Workspace about 2,000; who sends more is locked out for up to a day.",
    published: { perDay: 500, recipients: 100, maxSize: megabytes(25) },
    // https://support.google.com/mail/answer/22370
    replacesSender: true,
    // 15,000 units a minute and user, of which a message takes 100.
    api: { perMinute: 150 },
    domains: ["gmail.com", "googlemail.com"],
  },
  {
    id: "outlook",
    label: "Outlook.com, Hotmail, Live",
    host: "smtp-mail.outlook.com",
    ports: [submission],
    userHint: fullAddress,
    passwordHint: "Outlook.com takes no password for sending any more.",
    auths: ["oauth2"],
    oauth: "microsoft",
    helpUrl:
      "https://support.microsoft.com/office/pop-imap-and-smtp-settings-for-outlook-com-d088b986-291d-42b8-9564-9c414e2aa040",
    retired:
      "Outlook.com takes no password for sending since September 2024: sign in with Microsoft in the browser instead. That needs an app registration of your own, made once and for nothing.",
    note: "Outlook.com sends to about 300 recipients a day, 5,000 with a Microsoft 365 subscription.",
    limits: { delay: 2000 },
    published: { perDay: 300, recipients: 500 },
    domains: ["outlook.com", "hotmail.com", "live.com", "msn.com", "hotmail.co.uk", "outlook.de", "hotmail.fr"],
  },
  {
    id: "microsoft365",
    label: "Microsoft 365 (work or school)",
    host: "smtp.office365.com",
    ports: [submission],
    userHint: "Your work or school address.",
    passwordHint: "The account's password, or an app password; an administrator must allow SMTP AUTH for the mailbox.",
    auths: ["password", "oauth2"],
    oauth: "microsoft",
    appPasswordUrl: "https://mysignins.microsoft.com/security-info",
    helpUrl:
      "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission",
    note: "Exchange Online takes 30 messages a minute over at most 3 connections, and 10,000 recipients a day. Microsoft has announced that sign-in with a password (SMTP AUTH) is off by default from the end of December 2026; an administrator can switch it on again.",
    limits: { delay: 2000, connections: 1 },
    published: { perMinute: 30, perDay: 10_000, connections: 3, recipients: 500, maxSize: megabytes(35) },
  },
  {
    id: "yahoo",
    label: "Yahoo",
    host: "smtp.mail.yahoo.com",
    ports: [implicit, submission],
    userHint: "Your full Yahoo address.",
    passwordHint: "An app password, not the password of your Yahoo account.",
    auths: ["password"],
    appPasswordUrl: "https://login.yahoo.com/account/security",
    helpUrl: "https://help.yahoo.com/kb/SLN15241.html",
    note: "Yahoo sends about 500 messages a day.",
    published: { perDay: 500, recipients: 100, maxSize: megabytes(25), messagesPerConnection: 20 },
    domains: ["yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yahoo.co.in", "ymail.com", "rocketmail.com"],
  },
  {
    id: "icloud",
    label: "iCloud Mail",
    host: "smtp.mail.me.com",
    ports: [submission],
    userHint: "Your full iCloud Mail address.",
    passwordHint: "An app-specific password from your Apple Account, not the password of the account.",
    auths: ["password"],
    appPasswordUrl: "https://account.apple.com/account/manage",
    helpUrl: "https://support.apple.com/102654",
    note: "iCloud sends 1,000 messages a day, each of at most 20 MB.",
    published: { perDay: 1000, recipients: 500, maxSize: megabytes(20) },
    domains: ["icloud.com", "me.com", "mac.com"],
  },
  {
    id: "fastmail",
    label: "Fastmail",
    host: "smtp.fastmail.com",
    ports: [implicit, submission],
    userHint: "Your Fastmail login address, also when you send from a domain of your own.",
    passwordHint: "An app password with access to mail.",
    auths: ["password", "oauth2"],
    appPasswordUrl: "https://app.fastmail.com/settings/security",
    helpUrl: "https://www.fastmail.help/hc/en-us/articles/360058752854-App-passwords",
    domains: ["fastmail.com", "fastmail.fm"],
  },
  {
    id: "zoho",
    label: "Zoho Mail",
    host: "smtp.zoho.com",
    hosts: zohoHosts,
    ports: [implicit, submission],
    userHint: fullAddress,
    passwordHint: "The account's password, or an app-specific one when two-factor authentication is on.",
    auths: ["password", "oauth2"],
    appPasswordUrl: "https://accounts.zoho.com/home#security/app_password",
    helpUrl: "https://www.zoho.com/mail/help/zoho-smtp.html",
    note: "An account lives in one data centre of Zoho: choose yours. Domains of your own on a paid plan use smtppro in place of smtp.",
    domains: ["zoho.com", "zohomail.com"],
  },
  {
    id: "gmx",
    label: "GMX",
    host: "mail.gmx.com",
    ports: [submission, implicit],
    userHint: fullAddress,
    passwordHint: "Your GMX password. POP3 and IMAP access must be switched on in the GMX settings.",
    auths: ["password"],
    helpUrl: "https://support.gmx.com/pop-imap/imap/imap.html",
    note: "Addresses at gmx.net and gmx.de use the host mail.gmx.net.",
    domains: ["gmx.com", "gmx.us", "gmx.co.uk"],
  },
  {
    id: "gmxnet",
    label: "GMX (gmx.net, gmx.de)",
    host: "mail.gmx.net",
    ports: [submission, implicit],
    userHint: fullAddress,
    passwordHint: "Your GMX password. POP3 and IMAP access must be switched on in the GMX settings.",
    auths: ["password"],
    helpUrl: "https://hilfe.gmx.net/email/einstellungen.html",
    domains: ["gmx.net", "gmx.de", "gmx.at", "gmx.ch"],
  },
  {
    id: "proton",
    label: "Proton Mail",
    host: "smtp.protonmail.ch",
    ports: [submission],
    userHint: "The address on your own domain for which the token was made.",
    passwordHint: "An SMTP token, made in the Proton settings; it needs a paid plan and a custom domain.",
    auths: ["password"],
    appPasswordUrl: "https://account.proton.me/mail/imap-smtp",
    helpUrl: "https://proton.me/support/smtp-submission",
  },
  {
    id: "ses",
    label: "Amazon SES",
    host: "email-smtp.us-east-1.amazonaws.com",
    hosts: sesHosts,
    ports: [submission, implicit],
    userHint: "The SMTP user name that SES made, not an access key.",
    passwordHint: "The SMTP password that SES made, not a secret access key.",
    auths: ["password"],
    appPasswordUrl: "https://console.aws.amazon.com/ses/home#/smtp",
    helpUrl: "https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html",
    note: "Password, rate and daily quota belong to one region of your SES account. A new account sends to verified addresses only, until AWS lifts that.",
    published: { recipients: 50, maxSize: megabytes(40) },
  },
  {
    id: "sendgrid",
    label: "SendGrid",
    host: "smtp.sendgrid.net",
    ports: [submission, implicit],
    user: "apikey",
    userHint: "The word apikey, for everybody.",
    passwordHint: "An API key with access to mail sending.",
    auths: ["password"],
    appPasswordUrl: "https://app.sendgrid.com/settings/api_keys",
    helpUrl: "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
    published: { recipients: 1000, maxSize: megabytes(30) },
  },
  {
    id: "mailgun",
    label: "Mailgun (US)",
    host: "smtp.mailgun.org",
    ports: [submission, implicit],
    userHint: "The SMTP login of your domain, such as postmaster@mg.example.com.",
    passwordHint: "The SMTP password of that login, not an API key.",
    auths: ["password"],
    appPasswordUrl: "https://app.mailgun.com/mg/sending/domains",
    helpUrl: "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    published: { recipients: 1000, maxSize: megabytes(25) },
  },
  {
    id: "mailguneu",
    label: "Mailgun (EU)",
    host: "smtp.eu.mailgun.org",
    ports: [submission, implicit],
    userHint: "The SMTP login of your domain, such as postmaster@mg.example.com.",
    passwordHint: "The SMTP password of that login, not an API key.",
    auths: ["password"],
    appPasswordUrl: "https://app.eu.mailgun.com/mg/sending/domains",
    helpUrl: "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
    published: { recipients: 1000, maxSize: megabytes(25) },
  },
  {
    id: "postmark",
    label: "Postmark (broadcast)",
    host: "smtp-broadcasts.postmarkapp.com",
    ports: [submission, { port: 2525, security: "starttls" }],
    userHint: "The access key of a broadcast stream, or the server's API token.",
    passwordHint: "The secret key of the stream, or the same API token again.",
    auths: ["password"],
    appPasswordUrl: "https://account.postmarkapp.com/servers",
    helpUrl: "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
    note: "Postmark takes mail to many people on broadcast streams only, and there is no port 465.",
    published: { recipients: 50, maxSize: megabytes(10) },
  },
  {
    id: "brevo",
    label: "Brevo",
    host: "smtp-relay.brevo.com",
    ports: [submission, implicit],
    userHint: "The SMTP login shown in Brevo under SMTP & API.",
    passwordHint: "An SMTP key, not an API key.",
    auths: ["password"],
    appPasswordUrl: "https://app.brevo.com/settings/keys/smtp",
    helpUrl: "https://developers.brevo.com/docs/smtp-integration",
    note: "Brevo's free plan sends 300 messages a day.",
    published: { perDay: 300 },
  },
  {
    id: "enterprise",
    label: "Company server (port 465, own certificate authority)",
    host: "",
    ports: [implicit],
    userHint: "Your user name at the company's mail server.",
    passwordHint: "The password of that user.",
    auths: ["password"],
    note: "When the server's certificate comes from the company's own authority, name its file under Security.",
  },
  {
    id: "custom",
    label: "Another server",
    host: "",
    ports: [submission],
    userHint: "Often your full e-mail address.",
    passwordHint: "The password of that user, or an app password.",
    auths: ["password"],
  },
];

/** The provider of this id. */
export function providerById(id: string): Provider | undefined {
  return providers.find((provider) => provider.id === id);
}

/** The provider where an address lives, told by its domain; undefined when the domain says nothing. */
export function suggestProvider(address: string): Provider | undefined {
  const domain = /@([^@\s>]+)>?\s*$/.exec(address)?.[1]?.toLowerCase();
  return domain === undefined ? undefined : providers.find((provider) => provider.domains?.includes(domain) === true);
}
