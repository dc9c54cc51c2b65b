import { BINARY, LONG, lines, run, type Script, UNICODE } from "./steps.ts";

/** Commands on the value of one key or of several. */
export const STRING_SCRIPTS: readonly Script[] = [
  [
    "SET and GET",
    [
      ...lines(`
        GET k
        SET k v
        GET k
        SET k w NX
        SET k w XX
        GET k
        SET other w XX
        SET other w NX
        SET k 2 GET
        SET fresh 1 GET
        SET fresh 2 NX GET
        SET new 2 NX GET
        SET new2 2 XX GET
        GET new2
        SET k v nx xx
        SET k v xx nx
        SET k v bogus
        SET k v get nx
        SET k v GET GET
        SET k
        SET
        GET
        GET a b
        set k V
        gEt k
      `),
      run("SET", "k", BINARY),
      run("GET", "k"),
      run("SET", UNICODE, UNICODE),
      run("GET", UNICODE),
      run("SET", "", ""),
      run("GET", ""),
      run("SET", BINARY, LONG),
      run("GET", BINARY),
    ],
  ],
  [
    "SETNX GETSET GETDEL GETEX",
    lines(`
      SETNX k 1
      SETNX k 2
      GETSET k 3
      GETSET none 4
      GETDEL k
      GETDEL k
      GETEX none
      GETEX gone
      GETEX none bogus
      SETNX k
      GETSET k
      GETDEL
      GETEX
    `),
  ],
  [
    "MGET MSET MSETNX",
    lines(`
      MSET a 1 b 2
      MGET a b c a
      MSET a 1 b
      MSET a
      MSETNX a 9 z 9
      GET z
      MSETNX y 9 z 9
      MGET y z
      MSETNX y
      MSETNX y 1 z
      MSET d 1 d 2
      GET d
      MGET
    `),
  ],
  [
    "APPEND STRLEN",
    [
      ...lines(`
        STRLEN k
        APPEND k abc
        APPEND k def
        STRLEN k
        GET k
        APPEND k
        STRLEN
      `),
      run("APPEND", "k", ""),
      run("APPEND", "k", BINARY),
      run("GET", "k"),
      run("APPEND", "empty", ""),
      run("EXISTS", "empty"),
      run("STRLEN", "empty"),
    ],
  ],
  [
    "GETRANGE SUBSTR",
    [
      run("SET", "k", "Hello World"),
      ...["0 4", "0 -1", "-5 -1", "-5 -7", "5 3", "100 200", "-100 2", "-1 100", "0 0"].flatMap(
        (range) => lines(`GETRANGE k ${range}\nSUBSTR k ${range}\nGETRANGE none ${range}`),
      ),
      ...lines(`
        GETRANGE k a 1
        GETRANGE k 1 a
        GETRANGE k 1
        GETRANGE k 9223372036854775807 1
        GETRANGE k -9223372036854775808 9223372036854775807
        GETRANGE k 9223372036854775808 1
        GETRANGE none a 1
        SUBSTR k 1
      `),
    ],
  ],
  [
    "SETRANGE",
    [
      ...lines(`
        SETRANGE k 5 abc
        GET k
        SETRANGE k 0 XY
        GET k
        SETRANGE k -1 a
        SETRANGE k a a
        SETRANGE k 8388606 abc
        SETRANGE k 9223372036854775807 abc
        SETRANGE k 1
        STRLEN k
      `),
      run("SETRANGE", "k", "20", ""),
      run("SETRANGE", "none", "20", ""),
      run("EXISTS", "none"),
      run("SETRANGE", "k", "-1", ""),
      run("SETRANGE", "bin", "3", BINARY),
      run("GET", "bin"),
    ],
  ],
  [
    "INCR DECR INCRBY DECRBY",
    [
      ...lines(`
        INCR n
        INCR n
        DECR n
        INCRBY n 40
        DECRBY n 2
        INCRBY n -5
        GET n
        DECR m
        INCRBY n a
        INCRBY n 1.5
        INCRBY n 9223372036854775808
        DECRBY n -9223372036854775808
        DECRBY n 9223372036854775807
        SET big 9223372036854775807
        INCR big
        GET big
        DECR big
        INCRBY big 1
        SET low -9223372036854775808
        DECR low
        INCR low
        DECRBY low 1
        DECRBY low 2
        SET near 9007199254740991
        INCR near
        INCR near
        INCRBY near 9007199254740993
        SET t abc
        INCR t
        DECR t
        INCRBY t 1
        SET z 007
        INCR z
        SET z -0
        INCR z
        SET z +1
        INCR z
        SET z 1.0
        INCR z
        INCRBY n
        INCR
        INCR a b
        DECRBY n
        INCRBY n 01
        INCRBY n +1
        INCRBY n -0
      `),
      run("SET", "sp", " 1"),
      run("INCR", "sp"),
      run("SET", "sp", "1 "),
      run("INCR", "sp"),
      run("SET", "sp", ""),
      run("INCR", "sp"),
      run("SET", "sp", Uint8Array.of(0x31, 0)),
      run("INCR", "sp"),
      run("INCRBY", "n", ""),
    ],
  ],
  [
    "INCRBYFLOAT",
    [
      ...lines(`
        INCRBYFLOAT f 10.5
        INCRBYFLOAT f 0.1
        INCRBYFLOAT f -5
        INCRBYFLOAT f 1e1
        INCRBYFLOAT f -1.0e1
        GET f
        INCRBYFLOAT f abc
        INCRBYFLOAT f
        INCRBYFLOAT f 1e
        INCRBYFLOAT f .5
        INCRBYFLOAT f 5.
        INCRBYFLOAT f +2
        INCRBYFLOAT f --2
        INCRBYFLOAT f inf
        INCRBYFLOAT f -inf
        INCRBYFLOAT f +Infinity
        INCRBYFLOAT f nan
        INCRBYFLOAT f 1e5000
        INCRBYFLOAT f 1e-5000
        SET t abc
        INCRBYFLOAT t 1
        SET z 0
        INCRBYFLOAT z -0
        INCRBYFLOAT z -0.5
        INCRBYFLOAT z 0.5
        SET i 3.0e3
        INCRBYFLOAT i 200
        SET i 17179869184
        INCRBYFLOAT i 0.5
        SET i 1
        INCRBYFLOAT i 1.123456789
        SET small 0.00000000000000001
        INCRBYFLOAT small 0
        SET tiny 1e-18
        INCRBYFLOAT tiny 0
        SET neg -1e-18
        INCRBYFLOAT neg 0
      `),
      run("INCRBYFLOAT", "f", ""),
      run("INCRBYFLOAT", "f", " 1"),
      run("INCRBYFLOAT", "f", "1 "),
      run("SET", "sp", " 1"),
      run("INCRBYFLOAT", "sp", "1"),
      run("SET", "sp", ""),
      run("INCRBYFLOAT", "sp", "1"),
    ],
  ],
  [
    "LCS",
    lines(`
      MSET a ohmytext b mynewtext
      LCS a b
      LCS a b LEN
      LCS a b IDX
      LCS a b IDX WITHMATCHLEN
      LCS a b IDX MINMATCHLEN 4
      LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN
      LCS a b IDX MINMATCHLEN -4
      LCS a b LEN IDX
      LCS a b MINMATCHLEN
      LCS a b MINMATCHLEN x
      LCS a b BOGUS
      LCS a none
      LCS none other LEN
      LCS none other IDX
      LCS a a
      LCS a a IDX
      LCS a
      MSET c AGGTABQWERTYUIOP d GXTXAYBQWRTUIPOP
      LCS c d
      LCS c d IDX WITHMATCHLEN
      LCS d c
      LCS d c IDX WITHMATCHLEN
    `),
  ],
  [
    "SETBIT GETBIT",
    lines(`
      SETBIT b 7 1
      SETBIT b 7 0
      GETBIT b 7
      SETBIT b 100 1
      STRLEN b
      GETBIT b 100
      GETBIT b 101
      GETBIT b 100000
      GETBIT none 5
      SETBIT b -1 1
      SETBIT b a 1
      SETBIT b 1 2
      SETBIT b 1 a
      SETBIT b 1 -1
      SETBIT b 67108863 0
      SETBIT b 67108864 1
      SETBIT b 99999999999 1
      GETBIT b -1
      GETBIT b 67108864
      GETBIT b 1 2
      SETBIT b 1
    `),
  ],
  [
    "BITCOUNT",
    [
      run("SET", "k", "foobar"),
      ...[
        "",
        " 0 0",
        " 1 1",
        " 0 -1",
        " 1 1 BYTE",
        " 5 30 BIT",
        " -2 -1",
        " -1 -2",
        " 3 1",
      ].flatMap((range) => lines(`BITCOUNT k${range}\nBITCOUNT none${range}`)),
      ...lines(`
        BITCOUNT k 5 -30 BIT
        BITCOUNT k -7 -1 bit
        BITCOUNT k 0 100
        BITCOUNT k 100 200
        BITCOUNT k 0
        BITCOUNT k a 1
        BITCOUNT k 1 a
        BITCOUNT k 0 1 HELLO
        BITCOUNT k 0 1 BIT x
        BITCOUNT none 0
        BITCOUNT
        BITCOUNT k 9 9 BIT
        BITCOUNT k 9 10 BIT
        BITCOUNT k 0 7 BIT
        BITCOUNT k 47 47 BIT
        BITCOUNT k 48 60 BIT
      `),
      run("SET", "e", ""),
      run("BITCOUNT", "e"),
      run("BITCOUNT", "e", "0", "-1"),
    ],
  ],
  [
    "BITPOS",
    [
      run("SET", "k", Uint8Array.of(0xff, 0xf0, 0x00)),
      run("SET", "ones", Uint8Array.of(0xff, 0xff)),
      run("SET", "zeros", Uint8Array.of(0, 0)),
      run("SET", "e", ""),
      ...["k", "ones", "zeros", "e", "none"].flatMap((key) =>
        [
          ...["0", "1", "0 0", "1 0", "0 1", "1 2", "0 0 -1", "1 0 -1", "0 1 1", "1 2 2"],
          ...["0 -1", "1 -1", "0 5", "1 5", "0 1 0", "0 12 15 BIT", "1 12 15 BIT", "1 2 -1 BYTE"],
          ...["0 3 9 BIT", "0 -3 -1 BIT", "2", "a", "0 a", "0 0 a", "0 0 1 x", "0 0 1 BIT y", "-1"],
        ].map((rest) => run(`BITPOS ${key} ${rest}`)),
      ),
      run("BITPOS k"),
    ],
  ],
  [
    "BITOP",
    [
      run("SET", "a", "foobar"),
      run("SET", "b", Uint8Array.of(0x0f, 0xf0, 0xaa)),
      run("SET", "e", ""),
      ...lines(`
        BITOP AND d a b
        GET d
        BITOP OR d a b
        GET d
        BITOP XOR d a b none
        GET d
        BITOP NOT d a
        GET d
        BITOP not d b
        BITOP NOT d a b
        BITOP BOGUS d a b
        BITOP AND d none
        EXISTS d
        BITOP AND a a e
        GET a
        BITOP OR d e none
        EXISTS d
        BITOP AND d
      `),
    ],
  ],
  [
    "BITFIELD",
    lines(`
      BITFIELD k SET u8 0 200
      BITFIELD k GET u8 0 GET i8 0
      BITFIELD k INCRBY u8 0 100
      BITFIELD k OVERFLOW SAT INCRBY u8 0 300
      BITFIELD k OVERFLOW SAT INCRBY u8 0 -300
      BITFIELD k OVERFLOW FAIL INCRBY u8 0 300
      BITFIELD k OVERFLOW FAIL INCRBY u8 0 -1
      BITFIELD k OVERFLOW WRAP INCRBY i8 8 100 INCRBY i8 8 100
      BITFIELD k SET i64 #1 9223372036854775807 INCRBY i64 #1 1
      BITFIELD k OVERFLOW SAT INCRBY i64 #1 -9223372036854775808 INCRBY i64 #1 -1
      BITFIELD k SET i5 13 -3 GET i5 13 GET u5 13
      BITFIELD k SET u4 3 -1
      BITFIELD k OVERFLOW SAT SET u4 3 -1 GET u4 3
      BITFIELD k OVERFLOW FAIL SET u4 3 99 GET u4 3
      BITFIELD k OVERFLOW SAT SET i4 3 99 GET i4 3 SET i4 3 -99 GET i4 3
      BITFIELD k SET u63 5 9223372036854775807 GET u63 5 INCRBY u63 5 1
      GET k
      BITFIELD k
      BITFIELD none GET u8 0
      EXISTS none
      BITFIELD grow OVERFLOW FAIL INCRBY u4 100 99
      STRLEN grow
      BITFIELD k GET u64 0
      BITFIELD k GET i65 0
      BITFIELD k GET u0 0
      BITFIELD k GET x8 0
      BITFIELD k GET u 0
      BITFIELD k GET u8 -1
      BITFIELD k GET u8 #a
      BITFIELD k GET u8 #
      BITFIELD k GET u8 67108864
      BITFIELD k GET u8 67108863
      BITFIELD k GET u8
      BITFIELD k SET u8 0
      BITFIELD k SET u8 0 a
      BITFIELD k OVERFLOW BOGUS
      BITFIELD k OVERFLOW
      BITFIELD k BOGUS u8 0
      BITFIELD_RO k GET u8 0 GET u8 #1
      BITFIELD_RO k SET u8 0 1
      BITFIELD_RO k INCRBY u8 0 1
      BITFIELD_RO k OVERFLOW SAT
      BITFIELD_RO none GET i8 0
      BITFIELD_RO k
      BITFIELD
    `),
  ],
];
