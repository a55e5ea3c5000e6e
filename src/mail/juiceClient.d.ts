/** juice without its half that fetches and reads files; its types describe both. */
declare module "juice/client" {
  import juice = require("juice");
  export = juice;
}
