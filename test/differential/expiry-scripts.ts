import { lines, type Script } from "./steps.ts";

/** Expiry, compared with Redis: deadlines that are named, since two servers' clocks differ. */
export const EXPIRY_SCRIPTS: readonly Script[] = [
  [
    "deadlines given and asked for",
    lines(`
      SET k v
      TTL k
      PTTL k
      EXPIRETIME k
      PEXPIRETIME k
      TTL none
      PTTL none
      EXPIRETIME none
      PEXPIRETIME none
      EXPIREAT k 33000000000
      EXPIRETIME k
      PEXPIRETIME k
      PEXPIREAT k 33000000000499
      EXPIRETIME k
      PEXPIREAT k 33000000000500
      EXPIRETIME k
      PEXPIRETIME k
      PERSIST k
      PERSIST k
      PERSIST none
      EXPIRETIME k
      GET k
    `),
  ],
  [
    "conditions of EXPIRE",
    lines(`
      SET k v
      EXPIREAT none 33000000000
      EXPIREAT k 33000000000 XX
      EXPIREAT k 33000000000 GT
      EXPIREAT k 33000000000 LT
      EXPIREAT k 32000000000 NX
      EXPIREAT k 34000000000 GT
      EXPIREAT k 34000000000 GT
      EXPIREAT k 34000000000 LT
      EXPIREAT k 31000000000 LT
      EXPIREAT k 30000000000 XX LT
      EXPIREAT k 35000000000 xx gt
      EXPIRETIME k
      EXPIREAT k 1 NX XX
      EXPIREAT k 1 NX GT
      EXPIREAT k 1 GT LT
      EXPIREAT k 1 SOON
      EXPIREAT k x SOON
      EXPIREAT k x
      EXPIRE k 9223372036854775807
      EXPIRE k -9223372036854775808
      PEXPIRE k 9223372036854775807
      EXPIREAT k 9223372036854775807
      EXPIRE k
      EXPIRETIME k
    `),
  ],
  [
    "a deadline that is over deletes",
    lines(`
      SET a 1
      SET b 1
      SET c 1
      SET d 1
      EXPIRE a 0
      EXPIRE b -1
      EXPIREAT c 1
      PEXPIREAT d -5
      EXISTS a b c d
      SET e 1 EXAT 1
      EXISTS e
      SET f 1
      GETEX f PXAT 1
      EXISTS f
      SET g 1
      SET g 2 PXAT 1 GET
      GET g
      DBSIZE
    `),
  ],
  [
    "SET and its options",
    lines(`
      SET k v EXAT 33000000000
      EXPIRETIME k
      SET k w KEEPTTL
      EXPIRETIME k
      GET k
      SET k x
      EXPIRETIME k
      SET k v PXAT 33000000000123 NX
      SET k v PXAT 33000000000123 XX GET
      PEXPIRETIME k
      SET k y KEEPTTL GET
      PEXPIRETIME k
      SET new v NX EXAT 33000000000
      EXPIRETIME new
      SET k v EX 0
      SET k v PX -1
      SET k v EX x
      SET k v EX
      SET k v EX 10 PX 10
      SET k v EX 10 KEEPTTL
      SET k v KEEPTTL EX 10
      SET k v PERSIST
      SET k v EXAT 33000000000 EXAT 34000000000
      EXPIRETIME k
      SET k v EX 9223372036854775807
      SETEX k 0 v
      SETEX k x v
      SETEX k 9223372036854775807 v
      PSETEX k 0 v
      SETEX k 100 v
      PSETEX k 100000 v
      GET k
      SETEX k 100
    `),
  ],
  [
    "GETEX",
    lines(`
      GETEX none EX 10
      GETEX none EX 0
      SET k v
      GETEX k
      EXPIRETIME k
      GETEX k EXAT 33000000000
      EXPIRETIME k
      GETEX k
      EXPIRETIME k
      GETEX k PERSIST
      EXPIRETIME k
      GETEX k PXAT 33000000000123
      PEXPIRETIME k
      GETEX k EX 0
      GETEX k EX x
      GETEX k EX
      GETEX k KEEPTTL
      GETEX k EX 10 PERSIST
      GETEX k BOGUS
      GETEX
    `),
  ],
  [
    "what keeps a deadline and what takes it away",
    lines(`
      SET n 1 EXAT 33000000000
      INCR n
      EXPIRETIME n
      INCRBYFLOAT n 0.5
      EXPIRETIME n
      APPEND n 1
      EXPIRETIME n
      SETRANGE n 0 9
      EXPIRETIME n
      SETBIT n 0 1
      EXPIRETIME n
      BITFIELD n SET u8 0 65
      EXPIRETIME n
      RENAME n m
      EXPIRETIME m
      COPY m c
      EXPIRETIME c
      SET plain 1
      RENAME plain m
      EXPIRETIME m
      GETSET c x
      EXPIRETIME c
      SET c y EXAT 33000000000
      MSET c z
      EXPIRETIME c
      SET c y EXAT 33000000000
      DEL c
      SETNX c new
      EXPIRETIME c
      SET c y EXAT 33000000000
      BITOP NOT c m
      EXPIRETIME c
    `),
  ],
  [
    "within a transaction",
    lines(`
      MULTI
      SET k v EXAT 33000000000
      EXPIRETIME k
      PERSIST k
      EXPIREAT k 1
      GET k
      SET k v EX 0
      EXEC
      EXISTS k
    `),
  ],
];
