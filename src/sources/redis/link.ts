import { Redis } from 'ioredis'
import { messageOf, TidelineError } from '../../errors.ts'
import { failureOf, systemCode } from '../failure.ts'
import { abortable } from '../poll.ts'
import type { TlsOptions } from '../tls.ts'
import { formatAddress } from './address.ts'
import type { Address } from './address.ts'
import { failureOfReply } from './reply.ts'
import type { Reply } from './reply.ts'

export type Command = readonly [name: string, ...rest: string[]]

/** What a connection is opened with. Read anew for each one, so that a rotated credential is used. */
export interface Credentials {
  readonly username?: string
  readonly password?: string
  readonly database: number
  readonly tls?: TlsOptions
}

/** One connection. It never reconnects and queues nothing: what breaks it is thrown, and it is closed. */
export interface Link {
  readonly address: Address
  readonly open: boolean
  /** One round trip: the replies in the order of the commands. Throws where the connection breaks. */
  ask(commands: readonly Command[], signal: AbortSignal): Promise<readonly Reply[]>
  close(): void
}

/** Opens and authenticates a connection; rejects with a `TidelineError` that names the address. */
export async function openLink(
  address: Address,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Link> {
  signal.throwIfAborted()
  const link = new RedisLink(address, credentials)
  try {
    await link.connect(signal)
    return link
  } catch (thrown) {
    link.close()
    throw thrown
  }
}

class RedisLink implements Link {
  readonly address: Address
  readonly #credentials: Credentials
  readonly #redis: Redis
  /** The first error that the connection itself told; later ones follow from it. */
  #broken: Error | undefined
  #closed = false

  constructor(address: Address, credentials: Credentials) {
    this.address = address
    this.#credentials = credentials
    this.#redis = new Redis({
      ...address,
      ...(credentials.tls === undefined ? {} : { tls: credentials.tls }),
      protocol: 2,
      lazyConnect: true,
      retryStrategy: () => null,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      autoResendUnfulfilledCommands: false,
      disableClientInfo: true,
      // The collect's own signal ends a connect that takes too long.
      connectTimeout: 0,
      disconnectTimeout: 1,
    })
    this.#redis.on('error', (error: Error) => (this.#broken ??= error))
  }

  get open(): boolean {
    return !this.#closed && this.#redis.status === 'ready'
  }

  async connect(signal: AbortSignal): Promise<void> {
    try {
      await abortable(this.#redis.connect(), signal)
    } catch (thrown) {
      throw signal.aborted ? thrown : this.#failure(thrown)
    }
    await this.#introduce(signal)
  }

  /** The password is told in a command of our own, so that the client neither keeps it nor warns of it. */
  async #introduce(signal: AbortSignal): Promise<void> {
    const { username, password, database } = this.#credentials
    const commands: Command[] = []
    if (password !== undefined)
      commands.push(username === undefined ? ['AUTH', password] : ['AUTH', username, password])
    if (database !== 0) commands.push(['SELECT', String(database)])
    if (commands.length === 0) return
    for (const [index, reply] of (await this.ask(commands, signal)).entries()) {
      if (!('error' in reply)) continue
      const where = formatAddress(this.address)
      // The server's own words could repeat the password.
      if (commands[index]?.[0] === 'AUTH') {
        if (/^(LOADING|MASTERDOWN|BUSY)\b/.test(reply.error))
          throw failureOfReply(reply.error, where)
        throw new TidelineError(
          'unauthorized',
          `${where} does not accept ${username === undefined ? 'the password' : 'username and password'}`,
        )
      }
      throw failureOfReply(reply.error, `${where}, database ${database},`)
    }
  }

  async ask(commands: readonly Command[], signal: AbortSignal): Promise<readonly Reply[]> {
    signal.throwIfAborted()
    if (this.#closed) throw this.#failure(this.#broken)
    const pipeline = this.#redis.pipeline()
    for (const command of commands) pipeline.call(...command)
    let results: [Error | null, unknown][] | null
    try {
      results = await abortable(pipeline.exec(), signal)
    } catch (thrown) {
      this.close()
      throw signal.aborted ? thrown : this.#failure(thrown)
    }
    const replies = (results ?? []).map(([error, value]) =>
      error === null ? { value } : this.#errorReply(error),
    )
    if (replies.some((reply) => 'error' in reply && reply.error.startsWith('NOAUTH'))) this.close()
    if (this.#broken !== undefined) {
      this.close()
      throw this.#failure(this.#broken)
    }
    return replies
  }

  #errorReply(error: Error): Reply {
    if (error.name !== 'ReplyError') {
      this.#broken ??= error
      return { error: '' }
    }
    const { password } = this.#credentials
    return {
      error:
        password === undefined || password === ''
          ? error.message
          : error.message.replaceAll(password, '…'),
    }
  }

  /** What broke the connection. The client's errors carry commands, so none is passed on as a cause. */
  #failure(thrown: unknown): TidelineError {
    const where = formatAddress(this.address)
    const error = this.#broken ?? thrown
    const code = systemCode(error)
    if (code?.startsWith('ERR_OSSL') === true)
      return new TidelineError(
        'not-configured',
        'tls: a certificate or key is no PEM, or of another',
      )
    if (code !== undefined)
      return new TidelineError(failureOf(error).code, `${where}: ${messageOf(error)}`)
    if (error instanceof Error && error.name === 'ReplyError')
      return failureOfReply(error.message, where)
    // Without an error of the system, an end is the other side's doing.
    return /closed|writeable/i.test(messageOf(error))
      ? new TidelineError('refused', `${where} closed the connection`)
      : new TidelineError('bad-response', `${where} does not speak the Redis protocol (RESP)`)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#redis.disconnect()
    // A peer that hangs would keep the socket half open.
    ;(this.#redis.stream as { destroy(): void } | undefined)?.destroy()
  }
}
