import { TidelineError } from '../../errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, the host of IPv6 in brackets. */
const ADDRESS = /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]\s/@]+)):(?<port>\d{1,5})$/

/** Undefined where the text is no `host:port`. */
export function parseAddress(text: string): Address | undefined {
  const groups = ADDRESS.exec(text)?.groups
  const port = Number(groups?.['port'])
  const host = groups?.['six'] ?? groups?.['host']
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Address in a reply of the server itself: a redirection, a list of nodes. An empty host means the asked one. */
export function addressFrom(host: unknown, port: unknown, asked: Address): Address {
  const number = Number(port)
  if (!Number.isSafeInteger(number) || number < 1 || number > 65_535)
    throw new TidelineError('bad-response', 'the reply has no address where one must be')
  const named = typeof host === 'string' && host !== '' && host !== '?' ? host : asked.host
  return { host: named, port: number }
}
