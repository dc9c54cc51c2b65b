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
import { CatalogWaits, type ParkedAnswer, unheardOf } from "./catalog-waits.ts";
import {
  Connection,
  type HeldCall,
  isAlone,
  noteSession,
  type Slot,
  settle,
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

/** A command on its way to where it is carried out. */
interface Command extends OpenCall {
  readonly args: readonly Uint8Array[];
  readonly options: CallOptions;
  readonly now: Instant;
  readonly out: Out;
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
  readonly #waits: CatalogWaits;
  /** Connections whose held calls may go now. */
  #released = new Set<Connection>();
  #dispatchedLate = false;
  draining = false;

  constructor(options: NodeOptions, keyspaces: Keyspaces, prng: Prng, now: Instant) {
    this.#options = options;
    this.#keyspaces = keyspaces;
    this.#prng = prng;
    this.#view = new NodeView(options, keyspaces, this.#connections, now);
    this.#waits = new CatalogWaits(options.raftLimits.windowBytes);
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
    return this.#waits.deadline();
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
    this.#waits.forget(connection);
    this.#connections.delete(id);
    this.#released.delete(connection);
    for (const group of this.#keyspaces.groups) {
      const command: GroupCall = { kind: "forget", connection: id };
      group.replica.step({ kind: "request", id: 0, command }, now, group.out.on(out));
    }
  }

  /** The caller of one request is gone; the group stops waiting for it. */
  cancel(request: RequestId, now: Instant, out: Out): void {
    const parked = this.#waits.take(request);
    const open = parked ?? this.#calls.get(request);
    if (open === undefined) return;
    const { connection, slot } = open;
    if (parked === undefined) {
      this.#calls.delete(request);
      const group = this.#keyspaces.get(connection.openGroup ?? -1);
      group?.replica.step({ kind: "cancel", id: request }, now, group.out.on(out));
    }
    settle(slot, error("TIMEOUT", "The request was cancelled."));
    // Where they should have gone will not be known.
    if (slot.catalogStep?.kind === "select") this.#waits.refuse(connection, CANCELLED);
    this.#callSettled(connection);
    if (slot.catalogStep?.kind === "change") this.#runDeferred(connection, now, out);
    this.#answer(connection, out);
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
    if (connection.awaitsCatalog) slot.reply = this.#waits.defer(connection, slot, args);
    else this.#run({ connection, slot, args, options: session.defaults, now, out });
    this.#answer(connection, out);
  }

  /** The catalog has answered: what came behind goes on, up to the next call that waits for it. */
  #runDeferred(connection: Connection, now: Instant, out: Out): void {
    const { session } = connection;
    for (const { slot, args } of this.#waits.release(connection)) {
      slot.resp = session.resp;
      slot.places = session.places;
      slot.isAuthenticated = session.isAuthenticated;
      this.#run({ connection, slot, args, options: session.defaults, now, out });
    }
    // What was dispatched came behind the groups' settle.
    this.#dispatchedLate = true;
  }

  #run(command: Command): void {
    const { slot, args } = command;
    const { session } = command.connection;
    // Nobody hears of what comes behind QUIT: as in Redis, it is not carried out.
    if (session.closing) {
      slot.reply = error("CLOSED", "The connection was closed before.");
      return;
    }
    const spec = lookupCommand(args[0]!);
    const locked = checkAuthenticated(spec, args, session);
    if (locked !== null) {
      slot.command = spec?.name ?? "";
      slot.reply = refuseInTransaction(spec, session, locked);
      return;
    }
    const wrong = checkCall(spec, args);
    const { transaction } = session;
    if (transaction !== null && !isForTransactions(spec) && !isWithExec(spec, args)) {
      slot.command = spec?.name ?? "";
      slot.reply = transaction.queue(spec, args, this.#edge);
      return;
    }
    if (spec === undefined || wrong !== null) {
      const refusal = defined(wrong, "an unknown command is refused");
      slot.reply = refuseInTransaction(spec, session, refusal);
      return;
    }
    slot.command = spec.name;
    const refused = this.#carryOut(command, spec);
    if (refused !== null) slot.reply = refused;
  }

  /** Answers the command, or sees to it that it will be; or gives the reply that it has already. */
  #carryOut(command: Command, spec: CommandSpec): Reply | null {
    switch (spec.kind) {
      case "transaction":
        return runTransactionCommand(spec, command.connection.session);
      case "exec":
        return this.#exec(command, spec);
      case "commit":
        return this.#commit(command, spec);
      case "connection":
        return this.#runHere(command, spec);
      case "with":
        return this.#runWith(command);
      case "wait":
        return this.#wait(command);
      case "select":
        return this.#select(command);
      case "catalog":
        return this.#runCatalog(command);
      case "changes":
        return this.#follow(command, spec);
      case "watch":
        return this.#watch(command, spec);
      case "member":
        return this.#member(command);
      case "read":
      case "write":
        return this.#send(command, spec);
    }
  }

  #runHere(
    { connection: { session }, slot, args }: Command,
    spec: Extract<CommandSpec, { kind: "connection" }>,
  ): Reply | null {
    if (spec.isAfterPrevious?.(args)) {
      slot.lazy = () => spec.run(args, session, this.#view);
      return null;
    }
    const reply = spec.run(args, session, this.#view);
    slot.resp = session.resp;
    noteSession(slot, session);
    return reply;
  }

  #runWith(command: Command): Reply | null {
    const { slot, args } = command;
    const parsed = parseWith(args);
    if ("kind" in parsed) return parsed;
    if (parsed.token !== null) {
      const token = decodeToken(this.#options.cluster, parsed.token);
      if (typeof token === "string") return error("TOKEN", token);
      slot.token = token;
    }
    const options = { ...command.options, ...parsed.options };
    slot.wantsMeta = options.meta;
    this.#run({ ...command, args: parsed.rest, options });
    return null;
  }

  #wait(command: Command): Reply | null {
    const { connection, args, now } = command;
    const parsed = parseWait(args);
    if ("kind" in parsed) return parsed;
    const { replicas, timeoutMs } = parsed;
    const deadline = now + (timeoutMs === 0 ? WAIT_FOREVER_MS : timeoutMs);
    return this.#dispatch(command, { kind: "wait", connection: connection.id, replicas, deadline });
  }

  /**
   * A keyspace that this node knows is selected at once. Of another one it may not have heard yet:
   * the catalog is asked, and what the connection sends meanwhile waits.
   */
  #select(command: Command): Reply | null {
    const { connection, slot, args } = command;
    const keyspace = parseKeyspaceRef(args[1]!);
    const found = keyspace === null ? undefined : this.#keyspaces.find(keyspace);
    if (keyspace === null || found !== undefined) return this.#selected(connection, found);
    const deadline = this.#deadlineOf(command, null);
    slot.catalogStep = { kind: "select", keyspace, deadline };
    const payload = encodeCatalogCall({ kind: "info", keyspace });
    const concern = "linearizable";
    const call = { kind: "read", connection: connection.id, payload, concern, deadline } as const;
    return this.#awaitCatalog(command, call);
  }

  #awaitCatalog(command: Command, call: GroupCall): null {
    this.#dispatch(command, call, CATALOG_GROUP);
    command.connection.awaitsCatalog = command.slot.reply === null;
    return null;
  }

  #selected(connection: Connection, keyspace: Keyspace | undefined): Reply {
    if (keyspace === undefined) return noSuchKeyspace(this.#keyspaces.content.keyspaces);
    connection.session.keyspace = keyspace.number;
    return OK;
  }

  /** TREFOIL.KEYSPACE: a call of the catalog's group, in the connection's order (GEN2). */
  #runCatalog(command: Command): Reply | null {
    const { connection, slot, args, options } = command;
    const parsed = parseKeyspaceCommand(args, this.#view.members);
    if ("reply" in parsed) return parsed.reply;
    const deadline = this.#deadlineOf(command, null);
    const payload = encodeCatalogCall(parsed.call);
    const head = { connection: connection.id, payload, deadline };
    if (isCatalogWrite(parsed.call)) {
      const refused = this.#checkConcern("TREFOIL.KEYSPACE", false, options);
      if (refused !== null) return refused;
      slot.catalogStep = { kind: "change", deadline };
      return this.#awaitCatalog(command, { kind: "write", ...head, concern: options.w });
    }
    slot.present = (reply) => describeHere(reply, this.#keyspaces);
    const concern = options.r === "local" ? "local" : "linearizable";
    return this.#dispatch(command, { kind: "read", ...head, concern }, CATALOG_GROUP);
  }

  #member(command: Command): Reply | null {
    const { connection, args } = command;
    const asked = runMember(args, connection.session, this.#view);
    if ("kind" in asked) return asked;
    const { to, keyspace } = asked;
    const deadline = this.#deadlineOf(command, null);
    const call: GroupCall = { kind: "transfer", connection: connection.id, to, deadline };
    return this.#dispatch(command, call, groupId(keyspace, 0));
  }

  #send(command: Command, spec: Extract<CommandSpec, { kind: "read" | "write" }>): Reply | null {
    const { connection, slot, options } = command;
    const { session } = connection;
    const unfit = this.#checkFit(spec, session.keyspace);
    if (unfit !== null) return unfit;
    const args = spec.toWire?.(command.args, this.#edge) ?? command.args;
    if ("kind" in args) return args;
    if (spec.fromWire !== undefined) {
      slot.present = (reply) => spec.fromWire?.(reply, this.#edge) ?? reply;
    }
    const deadline = this.#deadlineOf(command, session.keyspace);
    const payload = this.#encoder.encode(spec, args);
    if (spec.kind === "read") {
      // An older value than that of the watched version would make EXEC lose an update (LEAD9).
      const r = session.watched.isEmpty ? options.r : "linearizable";
      const call = readCall(connection.id, payload, { ...options, r }, deadline);
      return this.#dispatch(command, call);
    }
    const refused = this.#checkConcern(spec.name, spec.isBlind(args), options);
    if (refused !== null) return refused;
    const isEarly = this.#options.mutant === "L22" && spec.isBlind(args);
    const concern = isEarly ? "leader" : options.w;
    const call = { kind: "write", connection: connection.id, payload, concern, deadline } as const;
    return this.#dispatch(command, call);
  }

  #follow(command: Command, spec: CommandSpec): Reply | null {
    const { connection, args, now } = command;
    const unfit = this.#checkFit(spec, connection.session.keyspace);
    if (unfit !== null) return unfit;
    const { after, prefix, countMax, blockMs } = parseChanges(args);
    const deadline = now + blockMs;
    const from = { connection: connection.id, after, prefix };
    return this.#dispatch(command, { kind: "changes", ...from, countMax, deadline });
  }

  /** A read whose answer the connection keeps for EXEC. */
  #watch(command: Command, spec: WatchCommand): Reply | null {
    const { connection, slot, args } = command;
    const { keyspace, watched } = connection.session;
    const taken = this.#checkFit(spec, keyspace) ?? watched.add(keyspace, args);
    if (typeof taken !== "function") return taken;
    slot.present = taken;
    const payload = this.#encoder.encode(spec, args);
    const deadline = this.#deadlineOf(command, keyspace);
    const concern = "linearizable";
    const call = { kind: "read", connection: connection.id, payload, concern, deadline } as const;
    return this.#dispatch(command, call);
  }

  /** One entry for all that was queued; its reply becomes theirs. */
  #exec(command: Command, spec: ExecCommand): Reply | null {
    const { session } = command.connection;
    const taken = takeTransaction(session);
    if ("kind" in taken) return taken;
    const refused = this.#checkExec(command, spec);
    if (refused !== null) return refused;
    const { transaction, watched } = taken;
    return this.#propose(command, spec, transaction, () => {
      if (watched.isPending) return null;
      return watched.failure === null ? watched.reads : abortedByWatch(watched.failure);
    });
  }

  #commit(command: Command, spec: CommitCommand): Reply | null {
    const refused = this.#checkExec(command, spec);
    if (refused !== null) return refused;
    const { reads, commands } = parseCommit(command.args);
    const transaction = transactionOf(commands, this.#edge);
    return "kind" in transaction
      ? transaction
      : this.#propose(command, spec, transaction, () => reads);
  }

  /** `reads` says what the transaction rests on: null as long as that is not known. */
  #propose(
    command: Command,
    spec: ExecCommand | CommitCommand,
    transaction: Transaction,
    reads: () => ReadSet | Reply | null,
  ): Reply | null {
    const { connection, slot, options } = command;
    const { session } = connection;
    const { payloads } = transaction;
    const present = transaction.begin(session, this.#view, this.#edge);
    noteSession(slot, session);
    const deadline = this.#deadlineOf(command, session.keyspace);
    slot.present = present;
    return this.#dispatchWhen(command, () => {
      const rests = reads();
      if (rests === null || "kind" in rests) return rests;
      if (payloads.length === 0 && rests.length === 0) return array([]);
      const payload = this.#encoder.encode(spec, [
        NAME_LEFT_OUT,
        encodeReadSet(this.#options.mutant === "L42" ? [] : rests),
        ...payloads,
      ]);
      return { kind: "write", connection: connection.id, payload, concern: options.w, deadline };
    });
  }

  #checkExec({ connection, options }: Command, spec: ExecCommand | CommitCommand): Reply | null {
    const unfit = this.#checkFit(spec, connection.session.keyspace);
    return unfit ?? this.#checkConcern(spec.name.toUpperCase(), false, options);
  }

  #checkFit(spec: CommandSpec, keyspace: number): Reply | null {
    const model = this.#keyspaces.definition(keyspace)?.model;
    return model === undefined ? null : checkModel(spec, model);
  }

  /** What the call says, or else the keyspace that it is for, or else the node. */
  #deadlineOf({ options, now }: Command, keyspace: number | null): Instant {
    const definition = keyspace === null ? undefined : this.#keyspaces.definition(keyspace);
    const ofKeyspace = definition?.options.timeoutMs;
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

  /** The answer, if only why there is none, comes to the slot by itself: hence no reply. */
  #dispatch(command: Command, call: GroupCall, group?: GroupId): null {
    return this.#dispatchWhen(command, () => call, group, isAlone(call));
  }

  #dispatchWhen(
    { connection, slot, now, out }: Command,
    take: HeldCall["take"],
    group: GroupId = groupId(connection.session.keyspace, 0),
    isAlone = false,
  ): null {
    if (this.draining) {
      settle(slot, error("SHUTTING_DOWN", "This node is being stopped. Use another one."));
    } else this.#dispatchHeld(connection, { slot, group, isAlone, take }, now, out);
    return null;
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
      return this.#waits.park(connection, slot, slot.catalogStep, reply);
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
    const { appliedIndex } = this.#keyspaces.catalog.replica;
    for (const parked of this.#waits.takeFinished(appliedIndex, now)) {
      const { connection, slot, step, isHere } = parked;
      slot.reply = isHere ? this.#catalogReply(parked) : unheardOf(step);
      this.#callSettled(connection);
      this.#runDeferred(connection, now, out);
      this.#answer(connection, out);
    }
  }

  #catalogReply({ connection, step, reply }: ParkedAnswer): Reply {
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

const CANCELLED = error("TIMEOUT", "The SELECT before it was cancelled.", "not-applied");

const NAME_LEFT_OUT = new Uint8Array(0);

/** WAIT 0: as long as it takes, but not longer than a day. */
const WAIT_FOREVER_MS = 86_400_000;
