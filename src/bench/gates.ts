/** A figure that a change must not make worse than a bound, as it came out in one run. */
export interface Gate {
  readonly what: string;
  readonly bound: { readonly kind: "at least" | "at most" | "below"; readonly value: number };
  /** Null where it was not measured. */
  readonly measured: number | null;
}

/** Whether the bound was kept; null where nothing was measured. */
export function isKept({ bound, measured }: Gate): boolean | null {
  if (measured === null) return null;
  switch (bound.kind) {
    case "at least":
      return measured >= bound.value;
    case "at most":
      return measured <= bound.value;
    case "below":
      return measured < bound.value;
  }
}

/** A line per gate. */
export function renderGates(gates: readonly Gate[]): string[] {
  return gates.map((gate) => {
    const { what, bound, measured } = gate;
    const kept = isKept(gate);
    const verdict = kept === null ? "not measured" : kept ? "kept" : "MISSED";
    const figure = measured === null ? "" : `${measured.toFixed(2)}, `;
    return `gate: ${what}: ${bound.kind} ${bound.value}; ${figure}${verdict}`;
  });
}
