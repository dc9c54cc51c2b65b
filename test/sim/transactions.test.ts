import { expect, test } from "vitest";
import { Scenario } from "../../src/testing/sim/scenario.ts";

test.each([
  ["EXEC", "all"],
  ["EXEC", "3"],
  ["TREFOIL.COMMIT", "all"],
])("%s by W %s that finds its reads changed says so, and not that it was applied", (form, w) => {
  const sim = new Scenario();
  const leader = sim.leader();
  const [follower, other] = sim.others(leader);
  const client = sim.talk(follower!);
  expect(client.ask("SET", "account", "10")).toBe("OK");
  const [[, version]] = client.ask("TREFOIL.READ", "1", "account") as [[string, number]];
  client.ask("WATCH", "account");
  expect(sim.talk(leader).ask("SET", "account", "20")).toBe("OK");

  // One of the three is down: what is committed now can not be durable on all of them in time.
  other!.crash();
  const options = ["TREFOIL.WITH", "W", w, "TIMEOUT", "300", "--"];
  if (form === "EXEC") {
    client.ask("MULTI");
    client.ask("SET", "account", "11");
    expect(client.ask(...options, "EXEC")).toBeNull();
  } else {
    const reads = ["READS", "1", "account", String(version)];
    const commands = ["COMMANDS", "1", "3", "SET", "account", "11"];
    expect(client.ask(...options, "TREFOIL.COMMIT", ...reads, ...commands)).toBeNull();
  }
  expect(client.ask("GET", "account")).toBe("20");

  // What was carried out is still told to be short.
  expect(client.ask(...options, "SET", "account", "30")).toMatch(/^CONCERN_UNMET .* applied$/);
});
