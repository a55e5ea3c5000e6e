/** What people read about failures, apart from the rules that choose among it: the editor needs a few of these and none of the table. */

/** Our sentences about replies: the cause and the next step. */
export const say = {
  appPassword:
    "The server wants an app password instead of the account's own. Create one in the provider's security settings and enter it in Bulk Mail: Accounts.",
  basicOff:
    "The server no longer lets this account sign in with a password. Choose to sign in with the browser in Bulk Mail: Accounts, or ask the administrator to allow SMTP sign-in.",
  browser:
    "The provider wants to see a sign-in in the browser first. Sign in there, or create an app password and enter it in Bulk Mail: Accounts.",
  renewal:
    "The server wants the password of this account renewed before it takes it. Change it with the provider, then enter it in Bulk Mail: Accounts.",
  encryption: "The server wants an encrypted connection first. Set security to STARTTLS or TLS in Bulk Mail: Accounts.",
  credentials: "The server refused the user name or the password. Check both in Bulk Mail: Accounts.",
  signIn: "The server wants a sign-in first. Set user and password in Bulk Mail: Accounts.",
  sender: "The server does not let this account send from this address. Use the account's own address in from.",
  senderLater:
    "The server cannot find the domain of the sender's address now. The run goes on by itself after a pause; if that does not help, check from.",
  relay:
    "The server does not pass on mail to other domains for this account. Sign in, or use the server of your own provider.",
  tooLarge: "The message is larger than the server takes. Use smaller attachments.",
  tooMany: "The server takes fewer addresses in one message. Use fewer in cc and bcc.",
  quota: "The account's allowance is used up for now. The run waits and goes on by itself; nobody is mailed twice.",
  tenantQuota:
    "The allowance of the whole organisation is used up, not only this account's. The run waits and goes on by itself; nobody is mailed twice.",
  slow: "The server asks to slow down. The run goes on by itself after a pause.",
  connections: "The server takes fewer connections at once. The run goes on by itself after a pause.",
  busy: "The server cannot take this message now. It is tried again later.",
  greylisted: "The recipient's server takes mail from strangers at a second try only. It is tried again later.",
  full: "The recipient's mailbox cannot take this message now. It is tried again later.",
  fullForGood: "The recipient's mailbox is full. Ask the recipient, or try again another day.",
  refused: "The server refuses this recipient. Check the address.",
  international: "The address needs a server that knows international addresses (SMTPUTF8), and this one does not.",
  content: "The server refuses this message for its content. Check links, attachments and the sender's domain.",
  domainPolicy:
    "The server refuses mail whose sender domain is not authenticated. Set up SPF, DKIM and DMARC for the domain in from.",
  blocked: "The server refuses this connection. Check with the provider whether this network or account is blocked.",
  closed: "The server takes no mail at present. Ask its owner, then resume: nothing that was sent is sent again.",
  turnedAway:
    "The provider puts off everything from this network or account until the cause is mended. Ask the provider before you resume.",
  dialogue: "The server lost the thread of the dialogue. It is tried again on a new connection.",
  configuration: "The server does not accept how we speak to it. Check port and security in Bulk Mail: Accounts.",
  starttls:
    "The server offers no encryption on this port. Nothing was sent; check port and security in Bulk Mail: Accounts.",
  starttlsLater:
    "The server cannot encrypt the connection at present. Nothing was sent; it is tried again on a new connection.",
  unverified:
    "The provider sends to and from confirmed addresses only. Confirm both with the provider, or ask it for full access.",
  unverifiedSender: "The provider has not confirmed the sender's address. Confirm it there, or use another from.",
  noBody: "The server refuses the message before its body. Check the campaign.",
  smtpOff:
    "Sending by SMTP is switched off for this mailbox or its whole organisation. Ask the administrator to allow authenticated SMTP (SMTP AUTH) for the mailbox, then resume.",
  token:
    "The server refused the sign-in: it has ended, or it belongs to another user. Sign in again as the account's user, then resume; nobody is mailed twice.",
  tokenBrowser:
    "The provider wants to see the account's owner in the browser first. Sign in again there, then resume; nobody is mailed twice.",
  tokenRules:
    "The organisation's rules refuse this sign-in for sending mail. Ask the administrator to allow it for this mailbox, then resume.",
} as const;
