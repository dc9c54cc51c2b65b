import type { LogPlace } from "../../contract/group.ts";
import type { Applier } from "./applier.ts";
import type { Raft } from "./raft.ts";

/**
 * Where the entries that a session has seen stand with a replica (LEAD7). `applied`: its state
 * holds them. `awaited`: they may come yet. `lost`: another entry has the index of one, or that one
 * is so old that nobody can tell any more.
 */
export type Standing = "applied" | "awaited" | "lost";

/** What a session's read is told whose entry is lost. */
export const PLACE_LOST =
  "An entry that this session has written or read was lost with its leader. TREFOIL.TOKEN RESET begins a new session.";

/** Judges by what is committed alone, so that `applied` and `lost` hold for ever. */
export function standingOf(places: readonly LogPlace[], raft: Raft, applier: Applier): Standing {
  let worst: Standing = "applied";
  for (const place of places) {
    const standing = standingOfOne(place, raft, applier);
    if (standing === "lost") return "lost";
    if (standing === "awaited") worst = "awaited";
  }
  return worst;
}

function standingOfOne(place: LogPlace, raft: Raft, applier: Applier): Standing {
  const { mutant } = raft.options;
  if (mutant === "L36") return "applied";
  if (place.index <= applier.appliedIndex) {
    const isSame = raft.log.termAt(place.index) === place.term || mutant === "L53";
    return isSame ? "applied" : "lost";
  }
  // Terms in a log never decrease: behind an entry of a later term none of an earlier one comes.
  return applier.appliedTerm > place.term && mutant !== "L53" ? "lost" : "awaited";
}
