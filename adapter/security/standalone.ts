/** Authentication and authorization without a cluster: client certificates, a token file, or open by name. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock, Component, Logger } from '../../src/ports.ts'
import { messageOf, TidelineError } from '../../src/errors.ts'
import type { Authenticator, Authorizer, Identity } from '../metrics-api/ports.ts'
import { delegatedAuthenticator } from './authenticate.ts'
import type { AuthenticationConfig, TokenReviewer, TokenVerdict } from './authenticate.ts'
import { trustAnchors } from './chain.ts'
import { poll, readTexts } from './fileWatch.ts'

export interface StandaloneOptions {
  /** PEM bundle: CN of a client certificate signed by it is the user, O its groups. */
  readonly clientCaFile?: string
  /** Lines `token,user` or `token,user,group|group`; `#` begins a comment line. */
  readonly tokenFile?: string
  /** Serves everybody without credentials. */
  readonly insecureOpen: boolean
}

export interface Standalone extends Component {
  readonly authenticator: Authenticator
  readonly authorizer: Authorizer
}

interface TokenEntry {
  readonly digest: Buffer
  readonly verdict: TokenVerdict
}

const TOKENS_MAX = 1_000
const UNKNOWN: TokenVerdict = { authenticated: false, message: 'the bearer token is not known' }

/**
 * Reads the files and follows their changes while running; broken ones keep the last good state. Rejects with
 * `TidelineError` where a file is broken at the start, or where no way in is configured.
 */
export async function openStandalone(
  options: StandaloneOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<Standalone> {
  const { clientCaFile, tokenFile, insecureOpen } = options
  if (clientCaFile === undefined && tokenFile === undefined && !insecureOpen)
    throw new TidelineError(
      'not-configured',
      'no way to tell clients apart: give a client CA file or a token file, or ask for an open port by name',
    )
  if (insecureOpen)
    deps.log.warn('INSECURE-OPEN', {
      meaning: 'everybody who reaches the port can read every signal; never use this in production',
    })
  let state = await load(options)
  let lastFault = ''
  const tokens: TokenReviewer = { review: (token) => lookUp(state.tokens, token) }
  const byCredentials = delegatedAuthenticator({
    config: () => state.config,
    tokens,
    clock: deps.clock,
  })
  const visit = async () => {
    try {
      const next = await load(options)
      lastFault = ''
      if (next.text === state.text) return
      state = next
      deps.log.info('standalone-credentials-reloaded', {})
    } catch (error) {
      const fault = messageOf(error)
      if (fault !== lastFault) deps.log.error('standalone-credentials-refused', { fault })
      lastFault = fault
    }
  }
  return {
    authenticator: insecureOpen ? open(byCredentials) : byCredentials,
    authorizer: readersOnly,
    run: (signal) => poll(deps.clock, signal, visit),
  }
}

/** Whoever shows no credentials is let in under a name of its own; wrong credentials are still wrong. */
function open(byCredentials: Authenticator): Authenticator {
  const anybody: Identity = {
    kind: 'user',
    user: { name: 'tideline:anybody', groups: ['system:authenticated'], extra: {} },
  }
  const named = (identity: Identity) => (identity.kind === 'anonymous' ? anybody : identity)
  return {
    authenticate(request) {
      const identity = byCredentials.authenticate(request)
      return identity instanceof Promise ? identity.then(named) : named(identity)
    },
  }
}

const READING: ReadonlySet<string> = new Set(['get', 'list', 'head', 'options'])

/** Every authenticated user may read everything; nobody may do anything else. */
const readersOnly: Authorizer = {
  authorize(user, attributes) {
    if (!READING.has(attributes.verb)) return { allowed: false, reason: 'this server only reads' }
    return user.groups.includes('system:authenticated')
      ? { allowed: true }
      : { allowed: false, reason: 'credentials are needed' }
  },
}

async function load(options: StandaloneOptions) {
  const { clientCaFile, tokenFile } = options
  const [ca] = clientCaFile === undefined ? [] : await readTexts([clientCaFile])
  const [list] = tokenFile === undefined ? [] : await readTexts([tokenFile])
  if (ca !== undefined) checkBundle(ca, clientCaFile ?? '')
  const config: AuthenticationConfig = ca === undefined ? {} : { clientCa: ca }
  return {
    text: JSON.stringify([ca, list]),
    config,
    tokens: list === undefined ? [] : tokenEntries(list, tokenFile ?? ''),
  }
}

function checkBundle(pem: string, file: string): void {
  try {
    if (trustAnchors(pem).length > 0) return
  } catch (error) {
    throw new TidelineError('bad-response', `${file} holds a broken certificate`, error)
  }
  throw new TidelineError('bad-response', `${file} holds no PEM certificate`)
}

function tokenEntries(list: string, file: string): readonly TokenEntry[] {
  const entries: TokenEntry[] = []
  for (const [index, line] of list.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [token = '', name = '', groups = ''] = line.split(',').map((part) => part.trim())
    // The line is not quoted: it holds a token.
    if (token === '' || name === '' || entries.length >= TOKENS_MAX)
      throw new TidelineError(
        'bad-response',
        `${file}, line ${index + 1}: want token,user or token,user,group|group, at most ${TOKENS_MAX} lines`,
      )
    const user = { name, groups: groups.split('|').filter((group) => group !== ''), extra: {} }
    entries.push({ digest: digestOf(token), verdict: { authenticated: true, user } })
  }
  return entries
}

/** Compares digests, all of them, so that the time taken tells nothing of a token. */
function lookUp(entries: readonly TokenEntry[], token: string): TokenVerdict {
  const digest = digestOf(token)
  let found = UNKNOWN
  for (const entry of entries) if (timingSafeEqual(entry.digest, digest)) found = entry.verdict
  return found
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
