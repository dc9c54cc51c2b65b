import { BINARY, lines, run, type Script, shape, sorted, UNICODE } from "./steps.ts";

/** Commands on keys, on the connection and on the server. */
export const KEY_AND_SERVER_SCRIPTS: readonly Script[] = [
  [
    "DEL UNLINK EXISTS TOUCH TYPE",
    lines(`
      MSET a 1 b 2 c 3 d 4
      EXISTS a b z a
      TOUCH a z
      TYPE a
      TYPE z
      DEL a z a
      UNLINK b c z
      EXISTS a b c d
      DBSIZE
      DEL
      UNLINK
      EXISTS
      TOUCH
      TYPE
      TYPE a b
      DBSIZE x
    `),
  ],
  [
    "KEYS",
    [
      run("MSET", "hello", 1, "hallo", 1, "hxllo", 1, "hllo", 1, "heello", 1, "a*b", 1, "a[b", 1),
      run("MSET", "a]b", 1, "a\\b", 1, "a-b", 1, "a^b", 1, BINARY, 1, UNICODE, 1),
      ...[
        ...["*", "h?llo", "h*llo", "h[ae]llo", "h[^e]llo", "h[a-b]llo", "h[z-a]llo", "a\\*b"],
        ...["a[[]b", "a[]b", "a[\\]]b", "a[", "a[^", "h[a-", "a[\\", "a\\", "**", "h**o", "?????"],
        ...["*l*l*", "x*", "*o", "a[*-^]b", "a[^-z]b", "h[^a-b^]llo", "[", "[^", "h[e-]*", "*[b]"],
        ...[
          "a[a-z\\-]b",
          "Gr*",
          "*世*",
          "",
          "h[a\\-x]llo",
          "[]",
          "[^]",
          "a[b",
          "hel*?",
          "*?*?*?*?*?*",
        ],
      ].map((pattern) => sorted("KEYS", pattern)),
      run("KEYS"),
      run("KEYS a b"),
    ],
  ],
  [
    "SCAN",
    [
      sorted("SCAN", "0", "COUNT", "1000"),
      ...lines("MSET a 1 b 2 c 3"),
      sorted("SCAN", "0", "COUNT", "1000"),
      sorted("SCAN", "0", "MATCH", "[ab]", "COUNT", "1000"),
      sorted("SCAN", "0", "TYPE", "string", "COUNT", "1000"),
      sorted("SCAN", "0", "TYPE", "list", "COUNT", "1000"),
      sorted("SCAN", "0", "TYPE", "STRING", "COUNT", "1000"),
      ...lines(`
        SCAN a
        SCAN 0 COUNT 0
        SCAN 0 COUNT -1
        SCAN 0 COUNT a
        SCAN 0 COUNT
        SCAN 0 BOGUS
        SCAN 0 BOGUS x
        SCAN 0 MATCH
        SCAN
      `),
      sorted("SCAN", "", "COUNT", "1000"),
      run("SCAN", "0 "),
    ],
  ],
  [
    "RENAME RENAMENX COPY",
    lines(`
      RENAME none x
      SET a 1
      RENAME a b
      GET a
      GET b
      SET c 3
      RENAME b c
      GET c
      RENAME c c
      RENAME none none
      RENAMENX none x
      SET d 4
      RENAMENX c d
      RENAMENX c e
      RENAMENX e e
      RENAMENX none none
      COPY e f
      COPY e f
      COPY d f REPLACE
      GET f
      COPY none g
      COPY f f
      COPY none none
      COPY f g BOGUS
      COPY f g DB
      COPY f g DB a
      COPY f
      RENAME a
      RENAMENX a
    `),
  ],
  [
    "RANDOMKEY FLUSHDB DBSIZE",
    lines(`
      RANDOMKEY
      SET only 1
      RANDOMKEY
      DBSIZE
      FLUSHDB
      DBSIZE
      FLUSHDB ASYNC
      FLUSHDB sync
      FLUSHDB BOGUS
      FLUSHDB SYNC ASYNC
      RANDOMKEY x
    `),
  ],
  [
    "OBJECT",
    [
      ...lines(`
        SET i 123
        SET s abc
        SET neg -9223372036854775808
        SET over 9223372036854775808
        SET lead 0123
        OBJECT ENCODING i
        OBJECT ENCODING s
        OBJECT ENCODING neg
        OBJECT ENCODING over
        OBJECT ENCODING lead
        OBJECT ENCODING none
        OBJECT REFCOUNT s
        OBJECT REFCOUNT none
        OBJECT FREQ s
        OBJECT FREQ none
        OBJECT IDLETIME none
        OBJECT encoding
        OBJECT ENCODING a b
        OBJECT BOGUS s
        OBJECT
      `),
      run("SET", "m", "x".repeat(44)),
      run("OBJECT", "ENCODING", "m"),
      run("SET", "l", "x".repeat(45)),
      run("OBJECT", "ENCODING", "l"),
      shape("OBJECT", "HELP"),
    ],
  ],
  [
    "TTL PTTL EXPIRETIME PEXPIRETIME PERSIST",
    lines(`
      SET k 1
      TTL k
      PTTL k
      EXPIRETIME k
      PEXPIRETIME k
      PERSIST k
      TTL none
      PTTL none
      EXPIRETIME none
      PEXPIRETIME none
      PERSIST none
      TTL
      PTTL a b
      PERSIST
    `),
  ],
  [
    "PING ECHO SELECT AUTH",
    [
      ...lines(`
        PING
        PING hello
        PING a b
        ping
        ECHO hello
        ECHO
        ECHO a b
        SELECT 0
        SELECT
        SELECT 0 1
        AUTH pass
        AUTH default whatever
        AUTH nobody whatever
        AUTH a b c
        AUTH
      `),
      run("PING", BINARY),
      run("ECHO", BINARY),
      run("ECHO", ""),
    ],
  ],
  [
    "HELLO",
    lines(`
      HELLO 1
      HELLO 4
      HELLO a
      HELLO 3 BOGUS
      HELLO 3 SETNAME
      HELLO 3 AUTH default
      HELLO 3 AUTH nobody pass
      HELLO 9223372036854775808
    `),
  ],
  [
    "CLIENT",
    [
      ...lines(`
        CLIENT GETNAME
        CLIENT SETNAME me
        CLIENT GETNAME
        CLIENT NO-EVICT on
        CLIENT NO-EVICT off
        CLIENT NO-EVICT maybe
        CLIENT REPLY ON
        CLIENT TRACKING off
        CLIENT BOGUS
        CLIENT
        CLIENT ID x
        CLIENT SETNAME
        CLIENT LIST TYPE bogus
        CLIENT LIST BOGUS
        CLIENT LIST ID a
      `),
      run("CLIENT", "SETNAME", "with blank"),
      run("CLIENT", "SETNAME", "line\nbreak"),
      run("CLIENT", "SETNAME", ""),
      run("CLIENT", "GETNAME"),
      shape("CLIENT", "ID"),
      shape("CLIENT", "INFO"),
      shape("CLIENT", "LIST"),
      shape("CLIENT", "LIST", "TYPE", "normal"),
      shape("CLIENT", "HELP"),
    ],
  ],
  [
    "COMMAND",
    [
      shape("COMMAND", "COUNT"),
      shape("COMMAND"),
      shape("COMMAND", "LIST"),
      shape("COMMAND", "DOCS", "get"),
      shape("COMMAND", "INFO", "get"),
      run("COMMAND", "INFO", "nosuchcommand"),
      run("COMMAND", "DOCS", "nosuchcommand"),
      ...lines(`
        COMMAND GETKEYS GET a
        COMMAND GETKEYS MSET a 1 b 2
        COMMAND GETKEYS BITOP AND d a b
        COMMAND GETKEYS RENAME a b
        COMMAND GETKEYS OBJECT ENCODING k
        COMMAND GETKEYS PING
        COMMAND GETKEYS bogus a
        COMMAND GETKEYS GET
        COMMAND GETKEYS
        COMMAND BOGUS
        COMMAND COUNT x
        COMMAND LIST FILTERBY BOGUS x
        COMMAND LIST FILTERBY MODULE none
        COMMAND LIST BOGUS
        COMMAND LIST FILTERBY PATTERN ge?
        COMMAND LIST FILTERBY PATTERN setn*
      `),
    ],
  ],
  [
    "CONFIG INFO TIME CLUSTER",
    [
      ...lines(`
        CONFIG GET maxmemory
        CONFIG GET MAXMEMORY
        CONFIG GET save
        CONFIG GET nosuchsetting
        CONFIG GET proto-max-bulk-len
        CONFIG GET timeout
        CONFIG GET
        CONFIG BOGUS
        CONFIG
        CONFIG SET maxmemory
        TIME x
        CLUSTER SLOTS
        CLUSTER
      `),
      sorted("CONFIG", "GET", "maxmemory-policy", "databases"),
      shape("INFO"),
      shape("INFO", "server"),
      shape("INFO", "server", "clients"),
      run("INFO", "nosuchsection"),
      shape("TIME"),
    ],
  ],
  [
    "WAIT's errors",
    lines(`
      WAIT a 0
      WAIT 1 a
      WAIT 1 -1
      WAIT 1
    `),
  ],
  [
    "unknown commands",
    [
      ...lines(`
        nosuchcommand
        NoSuchCommand a b c
      `),
      run(""),
      run("nosuch", ""),
      run("nosuch\r\ncommand", "a\r\nb"),
      run("nosuch", "x".repeat(100), "y".repeat(100), "z".repeat(100)),
      run("n".repeat(200), "a"),
      run("nosuch", ...Array.from({ length: 60 }, (_, i) => `arg${i}`)),
      run("nosuch", UNICODE),
      run("nosuch", Uint8Array.of(0x61, 0, 0x62), "c"),
    ],
  ],
];
