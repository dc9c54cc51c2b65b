/** What `import … from "trefoil"` gives. */

export { ERRORS, type ErrorCode, type ErrorSpec, type Outcome } from "../core/contract/errors.ts";
export type { Reply } from "../core/contract/reply.ts";
export { RespClient, RespClientError, type RespClientOptions } from "./resp-client.ts";
