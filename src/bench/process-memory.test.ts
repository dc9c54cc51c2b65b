import { expect, test } from "vitest";
import { MemoryWatch, parseProcessStatus, processMemory } from "./process-memory.ts";

const STATUS = `Name:\tnode
VmHWM:\t   70000 kB
VmRSS:\t   60000 kB
RssAnon:\t   40000 kB
RssFile:\t   20000 kB
RssShmem:\t       0 kB
`;

test("the kernel's kilobytes are bytes here", () => {
  expect(parseProcessStatus(STATUS)).toEqual({
    rss: 60_000 * 1024,
    anonymous: 40_000 * 1024,
    file: 20_000 * 1024,
  });
  expect(() => parseProcessStatus("Name:\tkthreadd\n")).toThrow(/does not say VmRSS/);
});

test.runIf(process.platform === "linux")("this process, and one that is none", () => {
  const { rss, anonymous, file } = processMemory(process.pid);
  expect(rss).toBeGreaterThanOrEqual(anonymous + file);
  expect(() => processMemory(2 ** 30)).toThrow(/has ended/);
});

test.runIf(process.platform === "linux")("a watch looks at the beginning and at the end", () => {
  const samples = new MemoryWatch([process.pid], 60_000).stop();
  expect(samples).toHaveLength(2);
  expect(() => new MemoryWatch([2 ** 30], 60_000).stop()).toThrow(/has ended/);
});
