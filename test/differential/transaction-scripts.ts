import { lines, run, type Script } from "./steps.ts";

/** MULTI, EXEC and DISCARD, compared with Redis. */
export const TRANSACTION_SCRIPTS: readonly Script[] = [
  [
    "MULTI and EXEC",
    lines(`
      MULTI
      SET a 1
      INCR a
      GET a
      GET none
      PING
      ECHO hello
      MSET b 2 c 3
      DEL b none
      EXEC
      GET a
      EXISTS a b c
      MULTI
      EXEC
      MULTI
      PING
      EXEC
    `),
  ],
  [
    "a command that is refused when it is executed keeps the others from nothing",
    lines(`
      SET text abc
      MULTI
      INCR text
      SET after 1
      APPEND text d
      EXEC
      GET text
      GET after
    `),
  ],
  [
    "a command that is refused when it is queued keeps all from being executed",
    lines(`
      MULTI
      SET a 1
      NOSUCHCOMMAND
      SET b 1
      EXEC
      EXISTS a b
      MULTI
      SET a
      EXEC
      EXISTS a
      MULTI
      SET a 1 BOGUS
      EXEC
      EXEC
      SET a 2
      GET a
    `),
  ],
  [
    "DISCARD, nesting, and none to end",
    lines(`
      EXEC
      DISCARD
      MULTI
      MULTI
      SET a 1
      EXEC
      GET a
      MULTI
      SET a 2
      DISCARD
      GET a
      DISCARD
      MULTI a
      EXEC a
      MULTI
      EXEC a
      EXEC
      MULTI
      SET a 3
      DISCARD a
      EXEC
      GET a
    `),
  ],
  [
    "WATCH within a transaction, and commands of our own after it",
    lines(`
      MULTI
      SET a 1
      WATCH a
      ECHO said
      EXEC
      GET a
    `),
  ],
  [
    "RESET ends a transaction",
    [
      ...lines(`
        MULTI
        SET a 1
        RESET
        EXEC
        GET a
      `),
      run("PING"),
    ],
  ],
  [
    "WATCH and UNWATCH",
    lines(`
      SET k 1
      WATCH k
      MULTI
      SET k 2
      EXEC
      WATCH k
      SET k 3
      MULTI
      SET k 4
      EXEC
      GET k
      MULTI
      SET k 5
      EXEC
      WATCH k none
      SET none 1
      MULTI
      PING
      EXEC
      WATCH k
      DEL k
      SET k 6
      MULTI
      EXEC
      WATCH k
      SET k 7
      UNWATCH
      MULTI
      SET k 8
      EXEC
      WATCH k
      SET k 9
      MULTI
      DISCARD
      MULTI
      GET k
      EXEC
      WATCH k
      MULTI
      WATCH k
      UNWATCH
      GET k
      EXEC
      WATCH k
      SET k 10
      RESET
      MULTI
      GET k
      EXEC
      WATCH k
      SET k 11
      EXEC
      MULTI
      GET k
      EXEC
      WATCH
      WATCH k
      EXPIREAT k 1
      MULTI
      PING
      EXEC
      WATCH a b
      WATCH b c
      SET c 1
      MULTI
      PING
      EXEC
      WATCH a
      MULTI
      NOSUCH
      EXEC
      SET a 1
      MULTI
      GET a
      EXEC
    `),
  ],
];
