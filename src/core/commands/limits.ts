/**
 * What a command may be at most (GEN5). Checked on the accepting node before anything is proposed,
 * so that no entry reaches the log that a replica could not hold. `docs/limits.md` states them to
 * users.
 */
export const LIMITS = {
  /**
   * Bytes of a key, and of a field or member: with group, table and collection in front, 17 bytes
   * in all, it has to fit a page of LMDB, which takes 1,978.
   */
  keyBytesMax: 1_900,
  /** Bytes of a value, and of any single argument; what CONFIG GET calls proto-max-bulk-len. */
  valueBytesMax: 8_388_608,
  /** Arguments of a command, its name among them. */
  argsMax: 131_072,
  /** Bytes of a command as it goes to the log, so that one entry stays far below a log segment. */
  commandBytesMax: 12_582_912,
  /**
   * Commands between MULTI and EXEC. Their bytes together are those of one command at most, and so
   * are the bytes that they change and those that they answer.
   */
  transactionCommandsMax: 1_024,
  /** Keys that a connection watches at once. */
  watchedKeysMax: 1_024,
  /** Keys, and ranges, that a transaction of a typed client has read. */
  readSetMax: 1_024,
  /** Bytes that one command holds at once: what MGET or HGETALL answer, BITOP's sources. */
  gatheredBytesMax: 33_554_432,
  /**
   * Fields that one command looks at, a quarter of a second's work on a slow machine; so many in a
   * transaction, beside those of its last command.
   */
  visitedFieldsMax: 250_000,
  /** Fields that one command changes without being given them: SUNIONSTORE, COPY, SPOP. */
  changedFieldsMax: 131_072,
  /** Keys or fields that one SCAN looks at, whatever COUNT asks: more would stall the node. */
  scanCountMax: 10_000,
  /** Bytes of fields and values after which a page of HSCAN or SSCAN ends. */
  scanBytesMax: 1_048_576,
  /** SCAN cursors that a node remembers; the least recently used goes first. */
  scanCursorsMax: 16_384,
  /** Bytes of a client's name, library name and library version. */
  clientTextBytesMax: 256,
  /** Bytes of a password, as in Redis. */
  passwordBytesMax: 512,
  /** Wrong passwords in a row, after which a connection is closed. */
  authFailuresMax: 10,
  /** Operations in one BITFIELD. */
  bitfieldOpsMax: 1_024,
  /** Keyspaces of a cluster: each is a group with a leader, a log and heartbeats of its own. */
  keyspacesMax: 256,
  /** A call's TIMEOUT and WAIT's timeout, ms: a day. */
  timeoutMsMax: 86_400_000,
} as const;
