import { BINARY, LONG, lines, run, type Script, shape, sorted, UNICODE } from "./steps.ts";

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i * 7 - 100));
}

function texts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `member-${i}`);
}

/** Sets, compared with Redis. */
export const SET_SCRIPTS: readonly Script[] = [
  [
    "SADD SREM SCARD SISMEMBER SMISMEMBER",
    lines(`
      SADD s a
      SADD s a b c a
      SADD s a
      SCARD s
      SCARD none
      SISMEMBER s a
      SISMEMBER s z
      SISMEMBER none a
      SMISMEMBER s a z b a
      SMISMEMBER none a z
      SREM s a z
      SREM s a
      SREM none a
      SREM s b c b
      EXISTS s
      SADD s 1
      TYPE s
      SADD s
      SREM s
      SCARD
      SISMEMBER s
      SISMEMBER s a b
      SMISMEMBER s
      SMEMBERS
      SMEMBERS s t
      sadd S A
      DBSIZE
    `),
  ],
  [
    "SMEMBERS, and members of all bytes",
    [
      run("SMEMBERS", "none"),
      run("SADD", "one", "m"),
      run("SMEMBERS", "one"),
      run("SADD", "s", BINARY, UNICODE, "", LONG.slice(0, 1900), "__proto__", "0"),
      sorted("SMEMBERS", "s"),
      run("SISMEMBER", "s", BINARY),
      run("SISMEMBER", "s", ""),
      run("SMISMEMBER", "s", "__proto__", "constructor", "0", "00", UNICODE),
      run("SREM", "s", BINARY, "", "0"),
      sorted("SMEMBERS", "s"),
      run("SADD", "i", ...numbers(300)),
      sorted("SMEMBERS", "i"),
      run("SADD", "t", ...texts(300)),
      sorted("SMEMBERS", "t"),
    ],
  ],
  [
    "SPOP",
    [
      ...lines(`
        SPOP none
        SPOP none 3
        SPOP none 0
        SPOP none -1
        SADD one m
        SPOP one
        EXISTS one
        SADD s a b c
        SPOP s 0
        SPOP s -1
        SPOP s x
        SPOP s 1 2
        SPOP s 9223372036854775808
        SPOP
        SCARD s
      `),
      sorted("SPOP", "s", "3"),
      run("EXISTS", "s"),
      run("SADD", "s", "a", "b", "c"),
      sorted("SPOP", "s", "100"),
      run("EXISTS", "s"),
      run("SADD", "s", ...texts(50)),
      shape("SPOP", "s"),
      run("SCARD", "s"),
      shape("SPOP", "s", "20"),
      run("SCARD", "s"),
      run("EXPIREAT", "s", "33000000000"),
      shape("SPOP", "s", "20"),
      run("EXPIRETIME", "s"),
      run("SCARD", "s"),
    ],
  ],
  [
    "SRANDMEMBER",
    [
      ...lines(`
        SRANDMEMBER none
        SRANDMEMBER none 2
        SRANDMEMBER none -2
        SADD s a
        SRANDMEMBER s
        SRANDMEMBER s 0
        SRANDMEMBER s 1
        SRANDMEMBER s 5
        SRANDMEMBER s -3
        SRANDMEMBER s x
        SRANDMEMBER s 1 2
        SRANDMEMBER s -9223372036854775808
        SRANDMEMBER s 9223372036854775807
        SRANDMEMBER
        SCARD s
        SADD s b c
      `),
      sorted("SRANDMEMBER", "s", "3"),
      sorted("SRANDMEMBER", "s", "7"),
      shape("SRANDMEMBER", "s", "2"),
      shape("SRANDMEMBER", "s", "-2"),
      run("SCARD", "s"),
    ],
  ],
  [
    "SMOVE",
    [
      ...lines(`
        SADD a 1 2 3
        SADD b 3
        SMOVE a b 1
        SMOVE a b 1
        SMOVE a b 3
        SMOVE none b 1
        SMOVE a new 2
        EXISTS a
        SADD a x
        SMOVE a a x
        SMOVE a a y
        SET t text
        SMOVE a t x
        SMOVE a t y
        SMOVE t a x
        SMOVE none t x
        SMOVE a t
        SMEMBERS a
      `),
      sorted("SMEMBERS", "b"),
      run("SMEMBERS", "new"),
    ],
  ],
  [
    "SINTER SUNION SDIFF",
    [
      run("SADD", "a", "1", "2", "3", "4", "x"),
      run("SADD", "b", "2", "3", "5"),
      run("SADD", "c", "3", "x", "y"),
      run("SADD", "big", ...texts(200), "x"),
      sorted("SINTER", "a", "b"),
      sorted("SINTER", "a", "b", "c"),
      sorted("SINTER", "a", "a"),
      sorted("SINTER", "a"),
      sorted("SINTER", "big", "c"),
      run("SINTER", "a", "none"),
      run("SINTER", "none"),
      sorted("SUNION", "a", "b", "c", "none"),
      sorted("SUNION", "big", "a"),
      run("SUNION", "none", "gone"),
      sorted("SDIFF", "a", "b"),
      sorted("SDIFF", "a", "b", "c"),
      sorted("SDIFF", "a", "none"),
      sorted("SDIFF", "big", "big"),
      run("SDIFF", "a", "a"),
      run("SDIFF", "none", "a"),
      run("SINTER"),
      run("SUNION"),
      run("SDIFF"),
    ],
  ],
  [
    "SINTERCARD",
    [
      run("SADD", "a", "1", "2", "3", "4"),
      run("SADD", "b", "2", "3", "4", "5"),
      run("SET", "t", "text"),
      ...lines(`
        SINTERCARD 2 a b
        SINTERCARD 1 a
        SINTERCARD 2 a none
        SINTERCARD 2 a b LIMIT 2
        SINTERCARD 2 a b limit 0
        SINTERCARD 2 a b LIMIT 100
        SINTERCARD 2 a b LIMIT 1 LIMIT 2
        SINTERCARD 2 a b LIMIT -1
        SINTERCARD 2 a b LIMIT x
        SINTERCARD 2 a b LIMIT
        SINTERCARD 2 a b BOGUS
        SINTERCARD 1 a b
        SINTERCARD 3 a b
        SINTERCARD 0 a
        SINTERCARD -1 a
        SINTERCARD x a
        SINTERCARD 9223372036854775807 a
        SINTERCARD 2 a t
        SINTERCARD 2 none t
        SINTERCARD 1
        COMMAND GETKEYS SINTERCARD 2 a b LIMIT 1
        COMMAND GETKEYS SINTERSTORE d a b
        COMMAND GETKEYS SMOVE a b m
      `),
    ],
  ],
  [
    "SINTERSTORE SUNIONSTORE SDIFFSTORE",
    [
      run("SADD", "a", "1", "2", "3", "4", "x"),
      run("SADD", "b", "2", "3", "5"),
      run("SET", "t", "text"),
      run("SINTERSTORE", "d", "a", "b"),
      sorted("SMEMBERS", "d"),
      run("SUNIONSTORE", "d", "a", "b", "none"),
      sorted("SMEMBERS", "d"),
      run("SDIFFSTORE", "d", "a", "b"),
      sorted("SMEMBERS", "d"),
      run("EXPIREAT", "d", "33000000000"),
      run("SUNIONSTORE", "d", "d", "b"),
      run("EXPIRETIME", "d"),
      sorted("SMEMBERS", "d"),
      run("SINTERSTORE", "d", "d", "d"),
      run("SDIFFSTORE", "a", "a", "b"),
      sorted("SMEMBERS", "a"),
      run("SINTERSTORE", "d", "a", "none"),
      run("EXISTS", "d"),
      run("SINTERSTORE", "gone", "none"),
      run("SDIFFSTORE", "t", "a", "a"),
      run("EXISTS", "t"),
      run("SET", "t", "text"),
      run("SUNIONSTORE", "t", "a"),
      run("TYPE", "t"),
      run("SUNIONSTORE", "t", "none"),
      run("EXISTS", "t"),
      run("SINTERSTORE", "d"),
      run("SUNIONSTORE", "d"),
      run("SDIFFSTORE", "d"),
    ],
  ],
  [
    "SSCAN",
    [
      ...lines(`
        SSCAN none 0
        SSCAN none 0 BOGUS
        SSCAN none x
        SADD s 1
        SSCAN s 0
        SSCAN s 0 COUNT 0
        SSCAN s 0 COUNT x
        SSCAN s 0 TYPE set
        SSCAN s 0 BOGUS
        SSCAN s 0 MATCH 2*
        SSCAN s
        SSCAN s x
      `),
      run("SADD", "i", ...numbers(500)),
      sorted("SSCAN", "i", "0"),
      sorted("SSCAN", "i", "0", "MATCH", "1*"),
      run("SADD", "t", ...texts(20)),
      sorted("SSCAN", "t", "0", "COUNT", "1000"),
      sorted("SSCAN", "t", "0", "COUNT", "1000", "MATCH", "*-1?"),
    ],
  ],
  [
    "keys that hold a set",
    [
      run("SADD", "s", "1", "2", "3"),
      run("OBJECT", "ENCODING", "s"),
      ...lines(`
        EXPIREAT s 33000000000
        SADD s 4
        SREM s 1
        SMOVE s other 2
        EXPIRETIME s
        EXPIRETIME other
        COPY s c
        EXPIRETIME c
        COPY s c
        COPY s c REPLACE
        SADD c 9
        SCARD s
        RENAME s r
        EXPIRETIME r
        SCARD r
        RENAMENX r c
        RENAME r c
        SMISMEMBER c 3 4 9
        SREM c 3 4
        EXISTS c
        SADD d a
        PEXPIREAT d 1
        SADD d b
        SMEMBERS d
        EXPIRETIME d
        GETSET d x
        SET d x
        SADD d x
        DEL d
        SADD d y
        SMEMBERS d
      `),
    ],
  ],
  [
    "values of another kind (sets)",
    lines(`
      SET t text
      HSET h f v
      SADD s m
      SADD t m
      SREM t m
      SISMEMBER t m
      SMISMEMBER h m n
      SMEMBERS h
      SCARD h
      SPOP h
      SPOP h 2
      SPOP h 0
      SPOP h x
      SRANDMEMBER h
      SRANDMEMBER h 2
      SRANDMEMBER h x
      SINTER s h
      SINTER none h
      SINTER h none
      SUNION s t
      SUNION none t
      SDIFF s t
      SDIFF none t
      SDIFF t s
      SINTERSTORE d s h
      SINTERSTORE d none h
      SUNIONSTORE d s t
      SDIFFSTORE d none t
      EXISTS d
      SSCAN h 0
      SSCAN h 0 BOGUS
      GET s
      INCR s
      APPEND s x
      HGET s f
      GETRANGE s 0 1
      SETBIT s 1 1
      MGET s t
    `),
  ],
  [
    "encodings of sets",
    [
      run("SADD", "i", ...numbers(512)),
      run("OBJECT", "ENCODING", "i"),
      run("SADD", "ii", ...numbers(513)),
      run("OBJECT", "ENCODING", "ii"),
      run("SADD", "max", "9223372036854775807", "-9223372036854775808"),
      run("OBJECT", "ENCODING", "max"),
      run("SADD", "t", ...texts(129)),
      run("OBJECT", "ENCODING", "t"),
      run("SADD", "long", "x".repeat(65)),
      run("OBJECT", "ENCODING", "long"),
    ],
  ],
  [
    "sets in transactions",
    lines(`
      MULTI
      SADD s a
      SADD s a
      SCARD s
      SPOP s
      SADD s b
      SMOVE s t b
      SUNIONSTORE u s t
      SMEMBERS u
      SPOP u 5
      SADD u 1
      DEL u
      SADD u 2
      HSET u f v
      EXEC
      SMEMBERS u
      SMEMBERS t
      EXISTS s
      WATCH t
      SADD t b
      MULTI
      SCARD t
      EXEC
      WATCH t
      SADD t c
      MULTI
      SCARD t
      EXEC
      SCARD t
    `),
  ],
];
