/** Why one transaction is ordered before another (Elle, §4.1.4 and §5.1). */
export type DependencyKind = "ww" | "wr" | "rw" | "process" | "realtime";

/** `to` comes after `from` in every order that explains what was seen. */
export interface Dependency {
  readonly from: number;
  readonly to: number;
  readonly kind: DependencyKind;
  /** A sentence for people. */
  readonly why: string;
}

/** Which kinds of dependencies a search looks at. */
export type Kinds = ReadonlySet<DependencyKind>;

/** Cycles to choose the shortest of, where there is no lack of them. */
const TRIES_MAX = 100;

/** Transactions, and what orders them. The transactions are numbers below `size`. */
export class DependencyGraph {
  readonly #out: Dependency[][];

  constructor(size: number) {
    this.#out = Array.from({ length: size }, () => []);
  }

  /** A transaction does not depend on itself. */
  add(dependency: Dependency): void {
    if (dependency.from !== dependency.to) this.#out[dependency.from]!.push(dependency);
  }

  /** Every dependency of these kinds. */
  all(kinds: Kinds): Dependency[] {
    return this.#out.flatMap((out) => out.filter(({ kind }) => kinds.has(kind)));
  }

  /**
   * For each transaction the number of its strongly connected component (Tarjan 1972, without
   * recursion: histories are longer than stacks are deep); -1 for those that are in no cycle.
   */
  components(kinds: Kinds): Int32Array {
    const size = this.#out.length;
    const order = new Int32Array(size).fill(-1);
    const low = new Int32Array(size);
    const component = new Int32Array(size).fill(-1);
    const isOnStack = new Uint8Array(size);
    const next = new Int32Array(size);
    const stack: number[] = [];
    const path: number[] = [];
    let visited = 0;
    let components = 0;

    const enter = (at: number): void => {
      order[at] = visited;
      low[at] = visited;
      visited += 1;
      stack.push(at);
      isOnStack[at] = 1;
      path.push(at);
    };
    const leave = (at: number): void => {
      path.pop();
      const parent = path.at(-1);
      if (parent !== undefined) low[parent] = Math.min(low[parent]!, low[at]!);
      if (low[at] !== order[at]) return;
      const isAlone = stack.at(-1) === at;
      for (let member = -1; member !== at; ) {
        member = stack.pop()!;
        isOnStack[member] = 0;
        if (!isAlone) component[member] = components;
      }
      if (!isAlone) components += 1;
    };

    for (let root = 0; root < size; root += 1) {
      if (order[root] !== -1) continue;
      enter(root);
      while (path.length > 0) {
        const at = path.at(-1)!;
        const out = this.#out[at]!;
        if (next[at] === out.length) {
          leave(at);
          continue;
        }
        const { to, kind } = out[next[at]!]!;
        next[at]! += 1;
        if (!kinds.has(kind)) continue;
        if (order[to] === -1) enter(to);
        else if (isOnStack[to] === 1) low[at] = Math.min(low[at]!, order[to]!);
      }
    }
    return component;
  }

  /** A shortest way from one transaction to another along these kinds; null if there is none. */
  path(from: number, to: number, kinds: Kinds): Dependency[] | null {
    const came = new Map<number, Dependency | null>([[from, null]]);
    let edge = [from];
    while (edge.length > 0 && !came.has(to)) {
      const beyond: number[] = [];
      for (const at of edge) {
        for (const dependency of this.#out[at]!) {
          if (!kinds.has(dependency.kind) || came.has(dependency.to)) continue;
          came.set(dependency.to, dependency);
          beyond.push(dependency.to);
        }
      }
      edge = beyond;
    }
    if (!came.has(to)) return null;
    const path: Dependency[] = [];
    for (let last = came.get(to); last !== null && last !== undefined; last = came.get(last.from)) {
      path.push(last);
    }
    return path.reverse();
  }

  /**
   * A short cycle of these kinds that begins with a dependency of kind `first` and goes back along
   * `back`; null if there is none.
   */
  cycle(first: DependencyKind, back: Kinds): Dependency[] | null {
    const component = this.components(new Set([first, ...back]));
    // Where the way back may use the first kind too, every dependency within a component has one.
    let triesLeft = back.has(first) ? TRIES_MAX : Number.POSITIVE_INFINITY;
    let shortest: Dependency[] | null = null;
    for (const dependency of this.all(new Set([first]))) {
      const { from, to } = dependency;
      if (component[from] === -1 || component[from] !== component[to]) continue;
      triesLeft -= 1;
      if (triesLeft < 0) break;
      const way = this.path(to, from, back);
      if (way === null || (shortest !== null && shortest.length <= way.length + 1)) continue;
      shortest = [dependency, ...way];
      if (shortest.length === 2) break;
    }
    return shortest;
  }
}
