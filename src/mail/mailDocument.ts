/** The HTML document around a Markdown campaign: plain, readable, and what mail programs understand. */
import MarkdownIt from "markdown-it";

/**
 * Inlined by the CSS step. No colours of text or ground are set, so that dark mode stays the mail program's own; the few lines and
 * tints are translucent and work on both.
 */
const styleSheet = `
body { margin: 0; padding: 0; -webkit-text-size-adjust: 100%; }
.mail { max-width: 600px; margin: 0 auto; padding: 24px 16px;
  font-family: -apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif;
  font-size: 16px; line-height: 1.5; }
.mail p, .mail ul, .mail ol, .mail blockquote, .mail pre, .mail table { margin: 0 0 16px; }
.mail h1 { font-size: 26px; line-height: 1.25; margin: 0 0 16px; }
.mail h2 { font-size: 21px; line-height: 1.3; margin: 28px 0 12px; }
.mail h3 { font-size: 17px; line-height: 1.4; margin: 24px 0 8px; }
.mail ul, .mail ol { padding-left: 24px; }
.mail li { margin: 0 0 4px; }
.mail img { max-width: 100%; height: auto; border: 0; }
.mail blockquote { padding: 0 0 0 16px; border-left: 3px solid rgba(128, 128, 128, 0.4); }
.mail hr { border: 0; border-top: 1px solid rgba(128, 128, 128, 0.4); margin: 24px 0; }
.mail code { font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 14px; background-color: rgba(128, 128, 128, 0.15);
  padding: 2px 4px; border-radius: 3px; }
.mail pre { padding: 12px; background-color: rgba(128, 128, 128, 0.15); border-radius: 4px; white-space: pre-wrap; }
.mail pre code { padding: 0; background-color: transparent; }
.mail table { border-collapse: collapse; }
.mail th, .mail td { padding: 6px 12px; border: 1px solid rgba(128, 128, 128, 0.4); text-align: left; }
`;

// As in VS Code's own preview: HTML is allowed, whole URLs become links, quotes and dashes stay as typed.
const markdown = new MarkdownIt({ html: true, linkify: true, typographer: false });
markdown.linkify.set({ fuzzyLink: false });

/** Markdown as a whole HTML document, its style sheet not yet inlined. */
export function markdownDocument(text: string): string {
  // Outlook for Windows knows no max-width: it gets a table, which all others take for a comment.
  return `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>${styleSheet}</style>
</head>
<body>
<!--[if mso]><table role="presentation" width="600" align="center"><tr><td><![endif]-->
<div class="mail">
${markdown.render(text)}</div>
<!--[if mso]></td></tr></table><![endif]-->
</body>
</html>
`;
}
