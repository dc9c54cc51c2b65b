import { EXIT, StartError } from "./exit-codes.ts";

/** Where a server listens or is found. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port`; IPv6 hosts in brackets. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** The inverse; null for what is no address. A bare port means 127.0.0.1. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:\s[\]]+):)?(\d{1,5})$/.exec(text.trim());
  if (match === null) return null;
  const port = Number(match[2]);
  if (port > 65_535) return null;
  const host = (match[1] ?? "127.0.0.1").replace(/^\[|\]$/g, "");
  return { host, port };
}

/** Whether nothing but this machine can reach a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Throws a `StartError` for any address that others could reach: nodes do not prove to each other
 * who they are yet, and nothing on the wire is encrypted, a client's password neither.
 */
export function requireLoopback(what: string, address: Address): void {
  if (isLoopback(address.host)) return;
  const port = formatAddress({ host: "127.0.0.1", port: address.port });
  throw new StartError(
    EXIT.usage,
    `${what} may listen on 127.0.0.1, ::1 or localhost only, not on ${address.host}: this version encrypts nothing, and its nodes do not prove to each other who they are. Let it listen on ${port}, and reach it from elsewhere through a tunnel: ssh -N -L ${address.port}:${port} this-host.`,
  );
}
