/** What `import … from "trefoil"` gives: the client, and `open` for a node in the process. */

export * from "../client/index.ts";
export { type OpenOptions, type OpenPeer, open } from "./open.ts";
