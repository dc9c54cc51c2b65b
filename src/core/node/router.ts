import { defined } from "../base/assert.ts";
import { NumberMap } from "../base/number-map.ts";
import type { Prng } from "../base/prng.ts";
import { CommandEncoder } from "../commands/command-machine.ts";
import {
  isCatalogWrite,
  noSuchKeyspace,
  parseKeyspaceCommand,
  parseKeyspaceRef,
} from "../commands/keyspaces.ts";
import { runMember } from "../commands/member.ts";
import { ScanCursors } from "../commands/scan-cursors.ts";
import { type CallOptions, ClientSession } from "../commands/session.ts";
import type { CommandSpec, CommitCommand, ExecCommand, WatchCommand } from "../commands/spec.ts";
import { checkAuthenticated, checkCall, checkModel, lookupCommand } from "../commands/table.ts";
import {
  abortedByWatch,
  isForTransactions,
  isWithExec,
  refuseInTransaction,
  runTransactionCommand,
  type Transaction,
  takeTransaction,
  transactionOf,
} from "../commands/transactions.ts";
import { metaReply, parseWait, parseWith } from "../commands/trefoil.ts";
import { parseChanges, parseCommit } from "../commands/typed.ts";
import { encodeReadSet, type ReadSet } from "../commands/watched-keys.ts";
import { type GroupCall, type GroupReply, NO_META } from "../contract/group.ts";
import {
  type ConnectionId,
  type GroupId,
  groupId,
  type Instant,
  type RequestId,
  type WallClock,
} from "../contract/ids.ts";
import type { Keyspace } from "../contract/keyspace.ts";
import type { Emitter } from "../contract/outbox.ts";
import { array, error, OK, type Reply } from "../contract/reply.ts";
import { isBelowMajority } from "../replication/single-leader/concern.ts";
import { decodeToken, type SessionEntry } from "../sessions/session-token.ts";
import type { NodeOptions } from "./boot.ts";
import { encodeCatalogCall } from "./catalog-format.ts";
import {
  type CatalogStep,
  Connection,
  type HeldCall,
  isAlone,
  noteSession,
  type Slot,
  settle,
  unheardOf,
} from "./connection.ts";
import { CATALOG_GROUP, type Keyspaces } from "./keyspaces.ts";
import { describeHere, NodeView } from "./node-view.ts";
import { inSession, readCall } from "./read-calls.ts";
import type { NodeVocabulary } from "./vocabulary.ts";

type Out = Emitter<NodeVocabulary>;

interface OpenCall {
  readonly connection: Connection;
  readonly slot: Slot;
}

/**
 * Brings each client's commands to the replica of their keyspace and the answers back, in the order
 * in which the commands came (GEN2). Commands about the connection or the node are answered here.
 */
export class Router {
  readonly #options: NodeOptions;
  readonly #keyspaces: Keyspaces;
  readonly #connections = new Map<ConnectionId, Connection>();
  readonly #calls = new NumberMap<OpenCall>();
  readonly #cursors = new ScanCursors();
  readonly #encoder = new CommandEncoder();
  readonly #prng: Prng;
  readonly #view: NodeView;
  /** Answers of the catalog that wait for this node to hear of what they tell. */
  #parked: Parked[] = [];
  #deferredBytes = 0;
  /** Connections whose held calls may go now. */
  #released = new Set<Connection>();
  #dispatchedLate = false;
  draining = false;

  constructor(options: NodeOptions, keyspaces: Keyspaces, prng: Prng, now: Instant) {
    this.#options = options;
    this.#keyspaces = keyspaces;
    this.#prng = prng;
    this.#view = new NodeView(options, keyspaces, this.#connections, now);
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Calls were handed to groups behind their settle, or may be: another turn is due at once. */
  get mustTurn(): boolean {
    return this.#released.size > 0 || this.#dispatchedLate;
  }

  /** When an answer of the catalog must not wait any longer. */
  deadline(): Instant | null {
    if (this.#parked.length === 0) return null;
    return this.#parked.reduce(
      (first, { step }) => Math.min(first, step.deadline),
      Number.POSITIVE_INFINITY,
    );
  }

  setClock(wallMs: WallClock, now: Instant): void {
    this.#view.setClock(wallMs, now);
  }

  open(id: ConnectionId, peer: string, now: Instant): void {
    const session = new ClientSession(id, peer, now, this.#view.password === null);
    this.#connections.set(id, new Connection(id, session));
  }

  close(id: ConnectionId, now: Instant, out: Out): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    connection.closed = true;
    connection.held = [];
    this.#forgetDeferred(connection);
    this.#parked = this.#parked.filter((parked) => parked.connection !== connection);
    this.#connections.delete(id);
    this.#released.delete(connection);
    for (const group of this.#keyspaces.groups) {
      const command: GroupCall = { kind: "forget", connection: id };
      group.replica.step({ kind: "request", id: 0, command }, now, group.out.on(out));
    }
  }

  /** The caller of one request is gone; the group stops waiting for it. */
  cancel(request: RequestId, now: Instant, out: Out): void {
    const parked = this.#parked.find(({ slot }) => slot.request === request);
    const open = this.#calls.get(request) ?? parked;
    if (open === undefined) return;
    const { connection, slot } = open;
    this.#calls.delete(request);
    this.#parked = this.#parked.filter((each) => each !== parked);
    if (parked === undefined) {
      const group = this.#keyspaces.get(connection.openGroup ?? -1);
      group?.replica.step({ kind: "cancel", id: request }, now, group.out.on(out));
    }
    settle(slot, error("TIMEOUT", "The request was cancelled."));
    if (slot.catalogStep?.kind === "select") this.#cancelDeferred(connection);
    this.#callSettled(connection);
    if (slot.catalogStep?.kind === "change") this.#runDeferred(connection, now, out);
    this.#answer(connection, out);
  }

  /** Where they should have gone will not be known: they go nowhere. */
  #cancelDeferred(connection: Connection): void {
    for (const { slot } of connection.deferred) {
      slot.reply = error("TIMEOUT", "The SELECT before it was cancelled.", "not-applied");
    }
    this.#forgetDeferred(connection);
  }

  #forgetDeferred(connection: Connection): void {
    for (const { bytes } of connection.deferred) this.#deferredBytes -= bytes;
    connection.deferred = [];
    connection.awaitsCatalog = false;
  }

  call(
    request: RequestId,
    id: ConnectionId,
    args: readonly Uint8Array[],
    now: Instant,
    out: Out,
  ): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    const { session } = connection;
    session.lastInteraction = now;
    const slot: Slot = {
      request,
      resp: session.resp,
      command: "",
      wantsMeta: false,
      present: null,
      reply: null,
      meta: NO_META,
      places: session.places,
      token: NO_TOKEN,
      lazy: null,
      catalogStep: null,
      close: false,
      isAuthenticated: session.isAuthenticated,
    };
    connection.add(slot);
    if (connection.awaitsCatalog) this.#defer(connection, slot, args);
    else this.#run(connection, slot, args, session.defaults, now, out);
    this.#answer(connection, out);
  }

  /** Behind a call of the catalog it is not known yet where a command goes. */
  #defer(connection: Connection, slot: Slot, args: readonly Uint8Array[]): void {
    const bytes = args.reduce((sum, arg) => sum + arg.length, 0);
    if (this.#deferredBytes + bytes > this.#options.raftLimits.windowBytes) {
      slot.reply = error("BUSY", "Too much waits for the catalog on this node.");
      return;
    }
    this.#deferredBytes += bytes;
    connection.deferred.push({ slot, args: args.map((arg) => arg.slice()), bytes });
  }

  /** The catalog has answered: what came behind goes on, up to the next call that waits for it. */
  #runDeferred(connection: Connection, now: Instant, out: Out): void {
    const { deferred, session } = connection;
    connection.awaitsCatalog = false;
    connection.deferred = [];
    let next = 0;
    for (; next < deferred.length && !connection.awaitsCatalog; next += 1) {
      const { slot, args, bytes } = deferred[next]!;
      this.#deferredBytes -= bytes;
      slot.resp = session.resp;
      slot.places = session.places;
      slot.isAuthenticated = session.isAuthenticated;
      this.#run(connection, slot, args, session.defaults, now, out);
    }
    connection.deferred = deferred.slice(next);
    // What was dispatched came behind the groups' settle.
    this.#dispatchedLate = true;
  }

  #run(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const spec = lookupCommand(args[0]!);
    const locked = checkAuthenticated(spec, args, connection.session);
    if (locked !== null) {
      slot.command = spec?.name ?? "";
      slot.reply = refuseInTransaction(spec, connection.session, locked);
      return;
    }
    const wrong = checkCall(spec, args);
    const { transaction } = connection.session;
    if (transaction !== null && !isForTransactions(spec) && !isWithExec(spec, args)) {
      slot.command = spec?.name ?? "";
      slot.reply = transaction.queue(spec, args, this.#edge);
      return;
    }
    if (spec === undefined || wrong !== null) {
      const refusal = defined(wrong, "an unknown command is refused");
      slot.reply = refuseInTransaction(spec, connection.session, refusal);
      return;
    }
    slot.command = spec.name;
    switch (spec.kind) {
      case "transaction":
        slot.reply = runTransactionCommand(spec, connection.session);
        return;
      case "exec":
        return this.#exec(connection, slot, spec, options, now, out);
      case "commit":
        return this.#commit(connection, slot, spec, args, options, now, out);
      case "connection":
        return this.#runHere(connection, slot, spec, args);
      case "with":
        return this.#runWith(connection, slot, args, options, now, out);
      case "wait":
        return this.#wait(connection, slot, args, now, out);
      case "select":
        return this.#select(connection, slot, args, options, now, out);
      case "catalog":
        return this.#runCatalog(connection, slot, args, options, now, out);
      case "changes":
        return this.#follow(connection, slot, spec, args, now, out);
      case "watch":
        return this.#watch(connection, slot, spec, args, options, now, out);
      case "member":
        return this.#member(connection, slot, args, options, now, out);
      case "read":
      case "write":
        return this.#send(connection, slot, spec, args, options, now, out);
    }
  }

  #runHere(
    connection: Connection,
    slot: Slot,
    spec: Extract<CommandSpec, { kind: "connection" }>,
    args: readonly Uint8Array[],
  ): void {
    const { session } = connection;
    if (spec.isAfterPrevious?.(args)) {
      slot.lazy = () => spec.run(args, session, this.#view);
      return;
    }
    slot.reply = spec.run(args, session, this.#view);
    slot.resp = session.resp;
    noteSession(slot, session);
  }

  #runWith(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const parsed = parseWith(args);
    if ("kind" in parsed) {
      slot.reply = parsed;
      return;
    }
    if (parsed.token !== null) {
      const token = decodeToken(this.#options.cluster, parsed.token);
      if (typeof token === "string") {
        slot.reply = error("TOKEN", token);
        return;
      }
      slot.token = token;
    }
    const merged = { ...options, ...parsed.options };
    slot.wantsMeta = merged.meta;
    this.#run(connection, slot, parsed.rest, merged, now, out);
  }

  #wait(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    now: Instant,
    out: Out,
  ): void {
    const parsed = parseWait(args);
    if ("kind" in parsed) {
      slot.reply = parsed;
      return;
    }
    const { replicas, timeoutMs } = parsed;
    const deadline = now + (timeoutMs === 0 ? WAIT_FOREVER_MS : timeoutMs);
    const call: GroupCall = { kind: "wait", connection: connection.id, replicas, deadline };
    this.#dispatch(connection, slot, call, now, out);
  }

  /**
   * A keyspace that this node knows is selected at once. Of another one it may not have heard yet:
   * the catalog is asked, and what the connection sends meanwhile waits.
   */
  #select(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const keyspace = parseKeyspaceRef(args[1]!);
    const found = keyspace === null ? undefined : this.#keyspaces.find(keyspace);
    if (keyspace === null || found !== undefined) {
      slot.reply = this.#selected(connection, found);
      return;
    }
    const deadline = now + (options.timeoutMs ?? this.#options.defaultTimeoutMs);
    slot.catalogStep = { kind: "select", keyspace, deadline };
    const call: GroupCall = {
      kind: "read",
      connection: connection.id,
      payload: encodeCatalogCall({ kind: "info", keyspace }),
      concern: "linearizable",
      deadline,
    };
    this.#awaitCatalog(connection, slot, call, now, out);
  }

  #awaitCatalog(connection: Connection, slot: Slot, call: GroupCall, now: Instant, out: Out): void {
    this.#dispatch(connection, slot, call, now, out, CATALOG_GROUP);
    connection.awaitsCatalog = slot.reply === null;
  }

  #selected(connection: Connection, keyspace: Keyspace | undefined): Reply {
    if (keyspace === undefined) return noSuchKeyspace(this.#keyspaces.content.keyspaces);
    connection.session.keyspace = keyspace.number;
    return OK;
  }

  /** TREFOIL.KEYSPACE: a call of the catalog's group, in the connection's order (GEN2). */
  #runCatalog(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const parsed = parseKeyspaceCommand(args, this.#view.members);
    if ("reply" in parsed) {
      slot.reply = parsed.reply;
      return;
    }
    const deadline = now + (options.timeoutMs ?? this.#options.defaultTimeoutMs);
    const payload = encodeCatalogCall(parsed.call);
    const { id } = connection;
    if (isCatalogWrite(parsed.call)) {
      const refused = this.#checkConcern("TREFOIL.KEYSPACE", false, options);
      if (refused !== null) {
        slot.reply = refused;
        return;
      }
      slot.catalogStep = { kind: "change", deadline };
      const concern = options.w;
      const call: GroupCall = { kind: "write", connection: id, payload, concern, deadline };
      return this.#awaitCatalog(connection, slot, call, now, out);
    }
    slot.present = (reply) => describeHere(reply, this.#keyspaces);
    const concern = options.r === "local" ? "local" : "linearizable";
    const call: GroupCall = { kind: "read", connection: id, payload, concern, deadline };
    this.#dispatch(connection, slot, call, now, out, CATALOG_GROUP);
  }

  #member(
    connection: Connection,
    slot: Slot,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const asked = runMember(args, connection.session, this.#view);
    if ("kind" in asked) {
      slot.reply = asked;
      return;
    }
    const deadline = now + (options.timeoutMs ?? this.#options.defaultTimeoutMs);
    const call: GroupCall = { kind: "transfer", connection: connection.id, to: asked.to, deadline };
    this.#dispatch(connection, slot, call, now, out, groupId(asked.keyspace, 0));
  }

  #send(
    connection: Connection,
    slot: Slot,
    spec: Extract<CommandSpec, { kind: "read" | "write" }>,
    given: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const unfit = this.#checkFit(spec, connection.session.keyspace);
    if (unfit !== null) {
      slot.reply = unfit;
      return;
    }
    let args = given;
    if (spec.toWire !== undefined) {
      const travelling = spec.toWire(given, this.#edge);
      if ("kind" in travelling) {
        slot.reply = travelling;
        return;
      }
      args = travelling;
    }
    if (spec.fromWire !== undefined) {
      slot.present = (reply) => spec.fromWire?.(reply, this.#edge) ?? reply;
    }
    const deadline = this.#deadlineOf(options, connection.session, now);
    const payload = this.#encoder.encode(spec, args);
    if (spec.kind === "read") {
      // An older value than that of the watched version would make EXEC lose an update (LEAD9).
      const r = connection.session.watched.isEmpty ? options.r : "linearizable";
      const call = readCall(connection.id, payload, { ...options, r }, deadline);
      return this.#dispatch(connection, slot, call, now, out);
    }
    const refused = this.#checkConcern(spec.name, spec.isBlind(args), options);
    if (refused !== null) {
      slot.reply = refused;
      return;
    }
    const concern = options.w;
    const call: GroupCall = {
      kind: "write",
      connection: connection.id,
      payload,
      concern,
      deadline,
    };
    this.#dispatch(connection, slot, call, now, out);
  }

  #follow(
    connection: Connection,
    slot: Slot,
    spec: CommandSpec,
    args: readonly Uint8Array[],
    now: Instant,
    out: Out,
  ): void {
    const unfit = this.#checkFit(spec, connection.session.keyspace);
    if (unfit !== null) return settle(slot, unfit);
    const { after, prefix, countMax, blockMs } = parseChanges(args);
    const deadline = now + blockMs;
    const from = { connection: connection.id, after, prefix };
    this.#dispatch(connection, slot, { kind: "changes", ...from, countMax, deadline }, now, out);
  }

  /** A read whose answer the connection keeps for EXEC. */
  #watch(
    connection: Connection,
    slot: Slot,
    spec: WatchCommand,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const { keyspace, watched } = connection.session;
    const unfit = this.#checkFit(spec, keyspace);
    const taken = unfit ?? watched.add(keyspace, args);
    if (typeof taken !== "function") {
      slot.reply = taken;
      return;
    }
    slot.present = taken;
    const call: GroupCall = {
      kind: "read",
      connection: connection.id,
      payload: this.#encoder.encode(spec, args),
      concern: "linearizable",
      deadline: now + (options.timeoutMs ?? this.#options.defaultTimeoutMs),
    };
    this.#dispatch(connection, slot, call, now, out);
  }

  /** One entry for all that was queued; its reply becomes theirs. */
  #exec(
    connection: Connection,
    slot: Slot,
    spec: ExecCommand,
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const { session } = connection;
    const taken = takeTransaction(session);
    const refused = "kind" in taken ? taken : this.#checkExec(spec, session, options);
    if ("kind" in taken || refused !== null) {
      slot.reply = refused;
      return;
    }
    const { transaction, watched } = taken;
    this.#carryOut(connection, slot, spec, transaction, options, now, out, () => {
      if (watched.isPending) return null;
      return watched.failure === null ? watched.reads : abortedByWatch(watched.failure);
    });
  }

  #commit(
    connection: Connection,
    slot: Slot,
    spec: CommitCommand,
    args: readonly Uint8Array[],
    options: CallOptions,
    now: Instant,
    out: Out,
  ): void {
    const refused = this.#checkExec(spec, connection.session, options);
    const { reads, commands } = parseCommit(args);
    const transaction = refused ?? transactionOf(commands, this.#edge);
    if ("kind" in transaction) slot.reply = transaction;
    else this.#carryOut(connection, slot, spec, transaction, options, now, out, () => reads);
  }

  /** `reads` says what the transaction rests on: null as long as that is not known. */
  #carryOut(
    connection: Connection,
    slot: Slot,
    spec: ExecCommand | CommitCommand,
    transaction: Transaction,
    options: CallOptions,
    now: Instant,
    out: Out,
    reads: () => ReadSet | Reply | null,
  ): void {
    const { payloads } = transaction;
    const present = transaction.begin(connection.session, this.#view, this.#edge);
    noteSession(slot, connection.session);
    const deadline = this.#deadlineOf(options, connection.session, now);
    slot.present = present;
    this.#dispatchWhen(connection, slot, now, out, () => {
      const rests = reads();
      if (rests === null || "kind" in rests) return rests;
      if (payloads.length === 0 && rests.length === 0) return array([]);
      const payload = this.#encoder.encode(spec, [
        NAME_LEFT_OUT,
        encodeReadSet(rests),
        ...payloads,
      ]);
      return { kind: "write", connection: connection.id, payload, concern: options.w, deadline };
    });
  }

  #checkExec(
    spec: ExecCommand | CommitCommand,
    session: ClientSession,
    options: CallOptions,
  ): Reply | null {
    const unfit = this.#checkFit(spec, session.keyspace);
    return unfit ?? this.#checkConcern(spec.name.toUpperCase(), false, options);
  }

  #checkFit(spec: CommandSpec, keyspace: number): Reply | null {
    const model = this.#keyspaces.definition(keyspace)?.model;
    return model === undefined ? null : checkModel(spec, model);
  }

  #deadlineOf(options: CallOptions, { keyspace }: ClientSession, now: Instant): Instant {
    const ofKeyspace = this.#keyspaces.definition(keyspace)?.options.timeoutMs;
    return now + (options.timeoutMs ?? ofKeyspace ?? this.#options.defaultTimeoutMs);
  }

  /** LEAD4: what a write concern may not ask. */
  #checkConcern(name: string, isBlind: boolean, options: CallOptions): Reply | null {
    const voters = this.#options.members.length;
    if (typeof options.w === "number" && options.w > voters) {
      return error("CONCERN", `W ${options.w} asks for more nodes than the ${voters} there are.`);
    }
    if (!isBlind && isBelowMajority(options.w, voters)) {
      const text = `The reply of ${name} depends on the state, which only a committed write has. Use W majority or more.`;
      return error("CONCERN", text);
    }
    return null;
  }

  get #edge() {
    return { cursors: this.#cursors, random: () => this.#prng.u32() };
  }

  #dispatch(
    connection: Connection,
    slot: Slot,
    call: GroupCall,
    now: Instant,
    out: Out,
    group?: GroupId,
  ): void {
    this.#dispatchWhen(connection, slot, now, out, () => call, group, isAlone(call));
  }

  #dispatchWhen(
    connection: Connection,
    slot: Slot,
    now: Instant,
    out: Out,
    take: HeldCall["take"],
    group: GroupId = groupId(connection.session.keyspace, 0),
    isAlone = false,
  ): void {
    if (this.draining) {
      return settle(slot, error("SHUTTING_DOWN", "This node is being stopped. Use another one."));
    }
    this.#dispatchHeld(connection, { slot, group, isAlone, take }, now, out);
  }

  #dispatchHeld(connection: Connection, held: HeldCall, now: Instant, out: Out): void {
    const { slot, group, isAlone } = held;
    const call = connection.mayDispatch(group, isAlone) ? held.take() : null;
    if (call === null) connection.held.push(held);
    else if ("connection" in call) this.#dispatchTo(connection, group, slot, call, now, out);
    else settle(slot, call);
  }

  #dispatchTo(
    connection: Connection,
    id: GroupId,
    slot: Slot,
    call: GroupCall,
    now: Instant,
    out: Out,
  ): void {
    const group = this.#keyspaces.get(id);
    if (group === undefined) {
      const text = "The selected keyspace was dropped. SELECT another one.";
      return settle(slot, error("NOKEYSPACE", text));
    }
    connection.dispatched(id, call);
    this.#calls.set(slot.request, { connection, slot });
    const command = inSession(call, slot, id);
    const input = { kind: "request", id: slot.request, command } as const;
    group.replica.step(input, now, group.out.on(out));
  }

  onGroupReply(ticket: RequestId, reply: GroupReply, out: Out): void {
    const open = this.#calls.get(ticket);
    if (open === undefined) return;
    this.#calls.delete(ticket);
    const { connection, slot } = open;
    slot.meta = reply.meta;
    if (slot.catalogStep !== null) {
      this.#parked.push({ connection, slot, step: slot.catalogStep, reply: reply.reply });
      return;
    }
    settle(slot, reply.reply);
    const group = defined(connection.openGroup, "an answer comes from the group that was asked");
    // The catalog is no part of a session: a token need not carry it.
    if (reply.meta.index > 0 && group !== CATALOG_GROUP) slot.places.move(group, reply.meta);
    this.#callSettled(connection);
    this.#answer(connection, out);
  }

  /**
   * The catalog has answered. A change is answered, and a keyspace selected, when this node has
   * applied what the answer rests on: the connection's next command finds it done (GEN2).
   */
  #finishParked(now: Instant, out: Out): void {
    if (this.#parked.length === 0) return;
    const parked = this.#parked;
    this.#parked = [];
    const { appliedIndex } = this.#keyspaces.catalog.replica;
    for (const each of parked) {
      const { connection, slot, step, reply } = each;
      const isHere = reply.kind === "error" || appliedIndex >= slot.meta.index;
      if (!isHere && now < step.deadline) {
        this.#parked.push(each);
        continue;
      }
      slot.reply = isHere ? this.#catalogReply(each) : unheardOf(step);
      this.#callSettled(connection);
      this.#runDeferred(connection, now, out);
      this.#answer(connection, out);
    }
  }

  #catalogReply({ connection, step, reply }: Parked): Reply {
    if (step.kind === "change" || reply.kind === "error") return reply;
    return this.#selected(connection, this.#keyspaces.find(step.keyspace));
  }

  #callSettled(connection: Connection): void {
    connection.settled();
    if (connection.openCalls === 0 && connection.held.length > 0) this.#released.add(connection);
  }

  /** Sends the held calls that an answer has set free. */
  settle(now: Instant, out: Out): void {
    this.#dispatchedLate = false;
    this.#finishParked(now, out);
    if (this.#released.size === 0) return;
    const released = this.#released;
    this.#released = new Set();
    for (const connection of released) {
      const held = connection.held;
      connection.held = [];
      for (const each of held) this.#dispatchHeld(connection, each, now, out);
      this.#answer(connection, out);
    }
    this.#dispatchedLate = true;
  }

  #answer(connection: Connection, out: Out): void {
    for (;;) {
      const slot = connection.takeAnswerable();
      if (slot === null) return;
      const reply = defined(slot.reply, "answerable means answered");
      if (reply.kind !== "error") slot.places.merge(slot.token);
      if (slot.command !== "trefoil.last") {
        connection.remember({ command: slot.command, meta: slot.meta, reply });
      }
      if (slot.request === 0 || connection.closed) continue;
      out.reply(slot.request, {
        kind: "resp",
        connection: connection.id,
        reply: slot.wantsMeta ? this.#withMeta(reply, slot) : reply,
        resp: slot.resp,
        close: slot.close,
        isAuthenticated: slot.isAuthenticated,
      });
    }
  }

  #withMeta(reply: Reply, { meta, places }: Slot): Reply {
    return array([reply, metaReply(meta, places, this.#options.cluster)]);
  }
}

const NO_TOKEN: readonly SessionEntry[] = [];

/** An answer of the catalog that this node has not come to yet. */
interface Parked extends OpenCall {
  readonly step: CatalogStep;
  readonly reply: Reply;
}

const NAME_LEFT_OUT = new Uint8Array(0);

/** WAIT 0: as long as it takes, but not longer than a day. */
const WAIT_FOREVER_MS = 86_400_000;
