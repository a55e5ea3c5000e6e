/** juice without its half that fetches and reads files; its types describe both. */
declare module "juice/client" {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- the types say `export =`
  import juice = require("juice");
  export = juice;
}
