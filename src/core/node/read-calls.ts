import type { CallOptions } from "../commands/session.ts";
import type { GroupCall, LogPlace } from "../contract/group.ts";
import type { ConnectionId, GroupId, Instant } from "../contract/ids.ts";
import type { Slot } from "./connection.ts";

/** A read as its group is asked for it, by the concern that it was given. */
export function readCall(
  connection: ConnectionId,
  payload: Uint8Array,
  { r, prefer }: CallOptions,
  deadline: Instant,
): GroupCall {
  if (r === "linearizable" || r === "local") {
    return { kind: "read", connection, payload, concern: r, deadline };
  }
  const condition =
    r === "session"
      ? ({ kind: "session", places: [] } as const)
      : ({ kind: "bounded", staleMsMax: r } as const);
  return { kind: "replicaRead", connection, payload, condition, prefer, deadline };
}

/** Tells a session's read, when it goes, what it has to see: all before it is answered by then. */
export function inSession(call: GroupCall, { places, token }: Slot, group: GroupId): GroupCall {
  if (call.kind !== "replicaRead" || call.condition.kind !== "session") return call;
  const { connection, payload, deadline } = call;
  // What the session had no room to remember of the group, the leader knows.
  if (places.hasForgotten(group)) {
    return { kind: "read", connection, payload, concern: "linearizable", deadline };
  }
  const seen: LogPlace[] = [];
  const own = places.in(group);
  if (own !== null) seen.push(own);
  // Beside our own: that its entry was lost must not be hidden by what this connection saw later.
  for (const [of, place] of token) if (of === group && place.index > 0) seen.push(place);
  return { ...call, condition: { kind: "session", places: seen } };
}
