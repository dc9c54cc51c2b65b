import { BINARY, LONG, lines, pairs, run, type Script, shape, sorted, UNICODE } from "./steps.ts";

function fields(count: number): string[] {
  return Array.from({ length: count }, (_, i) => [`f${i}`, `v${i}`]).flat();
}

/** Hashes, compared with Redis. Their order is nobody's promise there; here it is that of bytes. */
export const HASH_SCRIPTS: readonly Script[] = [
  [
    "HSET HGET HLEN HEXISTS HSTRLEN",
    lines(`
      HSET h a 1
      HSET h a 2 b 3 c 4
      HSET h a 2 a 5
      HGET h a
      HGET h none
      HGET none a
      HLEN h
      HLEN none
      HEXISTS h a
      HEXISTS h z
      HEXISTS none a
      HSTRLEN h b
      HSTRLEN h z
      HSTRLEN none z
      HSET h
      HSET h a
      HSET h a 1 b
      HSET h a 1 b 2 c
      HGET h
      HGET h a b
      HLEN
      HEXISTS h
      HSTRLEN h
      hset H A 1
      TYPE h
      TYPE H
      OBJECT ENCODING h
      OBJECT REFCOUNT h
      DBSIZE
    `),
  ],
  [
    "bytes of all values, and empty ones",
    [
      run("HSET", "h", BINARY, UNICODE, UNICODE, BINARY, "", ""),
      run("HGET", "h", BINARY),
      run("HGET", "h", UNICODE),
      run("HGET", "h", ""),
      run("HSTRLEN", "h", UNICODE),
      run("HEXISTS", "h", ""),
      pairs("HGETALL", "h"),
      run("HSET", "h", "long", LONG),
      run("HGET", "h", "long"),
      run("HSTRLEN", "h", "long"),
      run("OBJECT", "ENCODING", "h"),
      run("HSET", BINARY, "__proto__", "1", "constructor", "2", "0", "3"),
      run("HMGET", BINARY, "__proto__", "constructor", "0", "toString"),
      sorted("HKEYS", BINARY),
    ],
  ],
  [
    "HMSET HMGET HSETNX",
    lines(`
      HMSET h a 1 b 2
      HMSET h a
      HMSET h a 1 b
      HMGET h a z b a
      HMGET none a b
      HMGET h
      HSETNX h a 9
      HSETNX h n 9
      HSETNX new a 1
      HSETNX new b
      HMGET h a n
      HGET new a
    `),
  ],
  [
    "HGETALL HKEYS HVALS",
    [
      run("HGETALL", "none"),
      run("HKEYS", "none"),
      run("HVALS", "none"),
      run("HSET", "one", "f", "v"),
      run("HGETALL", "one"),
      run("HKEYS", "one"),
      run("HVALS", "one"),
      run("HSET", "many", ...fields(100)),
      pairs("HGETALL", "many"),
      sorted("HKEYS", "many"),
      sorted("HVALS", "many"),
      run("HGETALL"),
      run("HGETALL", "a", "b"),
      run("HKEYS"),
      run("HVALS"),
    ],
  ],
  [
    "HDEL",
    lines(`
      HSET h a 1 b 2 c 3
      HDEL h a
      HDEL h a z
      HDEL h b b c
      EXISTS h
      HDEL h a
      HDEL none a
      HDEL h
      HSET h a 1
      HLEN h
    `),
  ],
  [
    "HINCRBY",
    lines(`
      HINCRBY h n 5
      HINCRBY h n -7
      HINCRBY h n 9223372036854775807
      HINCRBY h n 9223372036854775807
      HGET h n
      HINCRBY h n -9223372036854775808
      HINCRBY h n x
      HINCRBY h n 1.5
      HINCRBY h n
      HSET h t text e 007 s 9223372036854775808
      HINCRBY h t 1
      HINCRBY h e 1
      HINCRBY h s 1
      HINCRBY h s x
      HINCRBY new n 0
      HGET new n
      HLEN h
    `),
  ],
  [
    "HINCRBYFLOAT",
    lines(`
      HINCRBYFLOAT h f 10.5
      HINCRBYFLOAT h f 0.25
      HINCRBYFLOAT h f -5
      HINCRBYFLOAT h f 5.0e3
      HINCRBYFLOAT h f abc
      HINCRBYFLOAT h f inf
      HINCRBYFLOAT h f nan
      HINCRBYFLOAT h f
      HSET h t text i inf w 3.0e3
      HINCRBYFLOAT h t 1
      HINCRBYFLOAT h i 1
      HINCRBYFLOAT h w 200
      HINCRBYFLOAT new f 0
      HGET new f
      HGET h f
    `),
  ],
  [
    "HRANDFIELD",
    [
      ...lines(`
        HRANDFIELD none
        HRANDFIELD none 3
        HRANDFIELD none -3 WITHVALUES
        HSET h a 1
        HRANDFIELD h
        HRANDFIELD h 1
        HRANDFIELD h 5
        HRANDFIELD h 0
        HRANDFIELD h -3
        HRANDFIELD h -3 WITHVALUES
        HRANDFIELD h 3 withvalues
        HRANDFIELD h 0 WITHVALUES
        HRANDFIELD h x
        HRANDFIELD h 1 BOGUS
        HRANDFIELD h 1 WITHVALUES more
        HRANDFIELD h -9223372036854775808
        HRANDFIELD h 9223372036854775807
        HRANDFIELD h 9223372036854775807 WITHVALUES
        HRANDFIELD h -9223372036854775807 WITHVALUES
        HRANDFIELD
        HSET h b 2 c 3
      `),
      sorted("HRANDFIELD", "h", "3"),
      sorted("HRANDFIELD", "h", "10"),
      pairs("HRANDFIELD", "h", "10", "WITHVALUES"),
      shape("HRANDFIELD", "h", "2"),
      shape("HRANDFIELD", "h", "-2"),
    ],
  ],
  [
    "HSCAN",
    [
      ...lines(`
        HSCAN none 0
        HSCAN none 0 BOGUS
        HSCAN none x
        HSET h a 1
        HSCAN h 0
        HSCAN h 0 COUNT 0
        HSCAN h 0 COUNT x
        HSCAN h 0 COUNT
        HSCAN h 0 TYPE string
        HSCAN h 0 BOGUS
        HSCAN h 0 MATCH b*
        HSCAN h 0 match * count 5
        HSCAN h
        HSCAN h x
      `),
      run("HSET", "many", ...fields(200)),
      pairs("HSCAN", "many", "0"),
      pairs("HSCAN", "many", "0", "MATCH", "f1?"),
      pairs("HSCAN", "many", "0", "MATCH", "*9", "COUNT", "3"),
    ],
  ],
  [
    "keys that hold a hash",
    [
      run("HSET", "h", "a", "1", "b", "2"),
      ...lines(`
        EXPIREAT h 33000000000
        HSET h c 3
        HINCRBY h n 1
        HDEL h a
        EXPIRETIME h
        COPY h c1
        EXPIRETIME c1
        COPY h c1
        COPY h c1 REPLACE
        HSET c1 b changed
        HMGET h b c n
        HMGET c1 b c n
        RENAME h r
        EXISTS h
        EXPIRETIME r
        HLEN r
        RENAMENX r c1
        RENAME r c1
        HGET c1 b
        PERSIST c1
        TOUCH c1
        SET c1 text
        GET c1
        DEL c1
        HSET c1 x y
        HLEN c1
        HGETALL c1
        UNLINK c1
        EXISTS c1
        HSET d a 1
        EXPIREAT d 1
        HLEN d
        HSET d b 2
        HGETALL d
        EXPIRETIME d
        FLUSHDB
        HLEN d
        DBSIZE
      `),
    ],
  ],
  [
    "values of another kind (hashes)",
    lines(`
      SET s text
      HSET h f v
      SADD m x
      HSET s f v
      HSETNX s f v
      HMSET s f v
      HGET s f
      HMGET s f g
      HGETALL s
      HDEL s f
      HEXISTS s f
      HLEN m
      HSTRLEN m f
      HKEYS m
      HVALS m
      HINCRBY m f 1
      HINCRBY m f x
      HINCRBYFLOAT m f 1
      HINCRBYFLOAT m f x
      HRANDFIELD m
      HRANDFIELD m 1
      HRANDFIELD m x
      HSCAN m 0
      HSCAN m 0 BOGUS
      HSET m f v g
      GET h
      GETSET h x
      GETDEL h
      GETEX h
      APPEND h x
      STRLEN h
      GETRANGE h 0 -1
      SETRANGE h 0 x
      INCR h
      DECRBY h 2
      INCRBYFLOAT h 1
      SETBIT h 0 1
      GETBIT h 0
      BITCOUNT h
      BITPOS h 1
      BITOP AND d h s
      BITFIELD h GET u8 0
      LCS h s
      SADD h x
      MGET s h m none
      SETNX h x
      SET h x NX
      SET h x GET
      SET h x XX
      TYPE h
      MSET h 1 m 2
      MGET h m
    `),
  ],
  [
    "encodings of hashes",
    [
      run("HSET", "fits", ...fields(512)),
      run("OBJECT", "ENCODING", "fits"),
      run("HSET", "large", ...fields(513)),
      run("OBJECT", "ENCODING", "large"),
      run("HSET", "short", "f".repeat(64), "v".repeat(64)),
      run("OBJECT", "ENCODING", "short"),
      run("HSET", "value", "f", "v".repeat(65)),
      run("OBJECT", "ENCODING", "value"),
      run("HSET", "field", "f".repeat(65), "v"),
      run("OBJECT", "ENCODING", "field"),
    ],
  ],
  [
    "SCAN TYPE with hashes and sets",
    [
      run("MSET", "a", "1", "b", "2"),
      run("HSET", "h", "f", "v"),
      run("SADD", "s", "m"),
      sorted("SCAN", "0", "TYPE", "hash"),
      sorted("SCAN", "0", "TYPE", "set"),
      sorted("SCAN", "0", "TYPE", "string"),
      sorted("SCAN", "0", "TYPE", "list"),
      sorted("KEYS", "*"),
    ],
  ],
  [
    "hashes in transactions",
    lines(`
      MULTI
      HSET h a 1 b 2
      HINCRBY h a 5
      HGET h a
      HDEL h b
      HGETALL h
      HSCAN h 0
      HSET h odd
      SADD h x
      COPY h g
      DEL h
      HLEN h
      HSET h z 1
      EXEC
      HGETALL h
      HGETALL g
      WATCH h
      HSET h z 2
      MULTI
      HGET h z
      EXEC
      WATCH h none
      HDEL h missing
      MULTI
      HGET h z
      EXEC
      WATCH h
      HSETNX h z 5
      SADD s a
      MULTI
      HGET h z
      EXEC
      MULTI
      HGET h
      EXEC
    `),
  ],
];
