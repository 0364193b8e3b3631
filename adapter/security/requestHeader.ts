import type { User } from '../metrics-api/ports.ts'

/** Which headers a front proxy names its user by; as in `extension-apiserver-authentication`. */
export interface RequestHeaderNames {
  readonly usernameHeaders: readonly string[]
  readonly groupHeaders: readonly string[]
  readonly extraPrefixes: readonly string[]
  /** Empty: no header is believed for the uid. */
  readonly uidHeaders: readonly string[]
}

const USERS_MAX = 1_000
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the user that a *verified* front proxy names. Node joins repeated headers with commas, and a group may
 * hold a comma, so only the raw list of headers is used. Equal headers give the same User object, which lets
 * caches further on recognise it.
 *
 * The returned function takes `rawHeaders` (name, value, name, value …) and gives undefined where no user is
 * named. It throws `RangeError` where a header is not UTF-8.
 */
export function requestHeaderReader(
  names: RequestHeaderNames,
): (rawHeaders: readonly string[]) => User | undefined {
  const lower = (list: readonly string[]) => list.map((name) => name.toLowerCase())
  const exact = new Set(
    lower([...names.usernameHeaders, ...names.groupHeaders, ...names.uidHeaders]),
  )
  const prefixes = lower(names.extraPrefixes)
  const known = {
    usernames: lower(names.usernameHeaders),
    groups: lower(names.groupHeaders),
    uids: lower(names.uidHeaders),
    prefixes,
  }
  const users = new Map<string, User | undefined>()
  return (rawHeaders) => {
    const relevant: string[] = []
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? '').toLowerCase()
      if (exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix)))
        relevant.push(name, rawHeaders[at + 1] ?? '')
    }
    if (relevant.length === 0) return undefined
    // No header name or value can hold a line feed.
    const key = relevant.join('\n')
    if (users.has(key)) return users.get(key)
    if (users.size >= USERS_MAX) users.clear()
    const user = readUser(relevant, known)
    users.set(key, user)
    return user
  }
}

interface KnownHeaders {
  readonly usernames: readonly string[]
  readonly groups: readonly string[]
  readonly uids: readonly string[]
  readonly prefixes: readonly string[]
}

function readUser(relevant: readonly string[], known: KnownHeaders): User | undefined {
  const values = new Map<string, string[]>()
  for (let at = 0; at + 1 < relevant.length; at += 2) {
    const name = relevant[at] ?? ''
    const value = textOf(relevant[at + 1] ?? '')
    const list = values.get(name)
    if (list === undefined) values.set(name, [value])
    else list.push(value)
  }
  const first = (names: readonly string[]) =>
    names.map((name) => values.get(name)?.[0] ?? '').find((value) => value !== '')
  const name = first(known.usernames)
  if (name === undefined) return undefined
  const uid = first(known.uids)
  const groups = known.groups.flatMap((header) => values.get(header) ?? [])
  return {
    name,
    ...(uid === undefined ? {} : { uid }),
    groups: groups.filter((group) => group !== ''),
    extra: extraOf(values, known.prefixes),
  }
}

function extraOf(
  values: ReadonlyMap<string, readonly string[]>,
  prefixes: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, string[]>()
  for (const [header, list] of values) {
    const prefix = prefixes.find((start) => header.startsWith(start))
    if (prefix === undefined) continue
    const key = percentDecoded(header.slice(prefix.length))
    extra.set(key, [...(extra.get(key) ?? []), ...list])
  }
  return Object.fromEntries(extra)
}

/** A key that is not valid percent-encoding stands for itself, as in Kubernetes. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Kubernetes writes UTF-8 octets into headers; Node hands them out as Latin-1. */
function textOf(header: string): string {
  if (!/[\u0080-\u00ff]/.test(header)) return header
  try {
    return utf8.decode(Buffer.from(header, 'latin1'))
  } catch {
    throw new RangeError('a request header is not UTF-8')
  }
}
